// The tool that serves all contestants alike: fills topics, waits until a group is through its input, judges outputs
// and measures latency. It stays up for the whole benchmark (so its own JIT compilation is over early) and takes one
// command a line on standard input; each is answered by one JSON line on standard output, after lines with "progress"
// where it takes long.
package millstream.bench;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;

public final class Tool {
  private final String brokers;
  private final Topics topics;
  /** What was read from an input topic, by its name. */
  private final Map<String, Expectation> expectations = new HashMap<>();

  private Tool(String brokers, Admin admin) {
    this.brokers = brokers;
    this.topics = new Topics(admin);
  }

  private Expectation expectation(Command command) throws Exception {
    String input = command.text("input");
    Expectation known = expectations.get(input);
    if (known != null) return known;
    Expectation read = Expectation.read(brokers, topics, input, command.number("keys"));
    expectations.put(input, read);
    return read;
  }

  private String run(Command command) throws Exception {
    return switch (command.name()) {
      case "create" -> topics.create(command.text("topic"), command.number("partitions"));
      case "delete" -> topics.deletePrefix(command.text("prefix"));
      case "load" -> Loader.load(brokers, command);
      case "await" -> topics.awaitGroup(command.text("group"), command.text("topic"), command.number("timeoutMs"));
      case "scan" -> expectation(command).summary();
      case "check" -> new OutputCheck(brokers, topics, expectation(command)).run(command);
      case "latency" -> new LatencyRun(brokers, topics, command).run();
      default -> throw new IllegalArgumentException("no such command: " + command.name());
    };
  }

  static synchronized void progress(String text) {
    System.out.println("{\"progress\":" + quote(text) + "}");
  }

  static String quote(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') quoted.append('\\').append(c);
      else if (c < ' ') quoted.append(String.format("\\u%04x", (int) c));
      else quoted.append(c);
    }
    return quoted.append('"').toString();
  }

  private static String describe(Throwable error) {
    Throwable cause = error instanceof java.util.concurrent.ExecutionException && error.getCause() != null
        ? error.getCause() : error;
    return cause instanceof CheckFailed ? cause.getMessage() : cause.toString();
  }

  /** What runs a command and answers one line of JSON. */
  public interface Runs {
    String run(Command command) throws Exception;
  }

  /** The answer to a line, also where it cannot be had. */
  public static String answer(String line, Runs runs) {
    try {
      return runs.run(Command.parse(line));
    } catch (Exception error) {
      if (!(error instanceof CheckFailed)) error.printStackTrace();
      return "{\"error\":" + quote(describe(error)) + "}";
    }
  }

  public static void main(String[] args) throws Exception {
    String brokers = args[0];
    Map<String, Object> settings = Map.of("bootstrap.servers", brokers);
    try (Admin admin = Admin.create(settings)) {
      Tool tool = new Tool(brokers, admin);
      BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
      String line;
      while ((line = in.readLine()) != null && !line.equals("close")) {
        System.out.println(answer(line, tool::run));
      }
    }
    System.exit(0);
  }

  /** An output that is not what its input asks for. */
  public static final class CheckFailed extends Exception {
    private static final long serialVersionUID = 1L;

    public CheckFailed(List<String> findings) {
      super(String.join("; ", findings));
    }
  }
}
