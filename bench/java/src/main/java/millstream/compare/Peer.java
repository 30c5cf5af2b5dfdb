// The other side of `npm run compare`: runs operators in Kafka Streams, writes the input, and reads what came out of
// both sides. It stays up for the whole run and takes one command a line, as the tool of the benchmark does.
package millstream.compare;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import millstream.bench.Command;
import millstream.bench.Tool;
import millstream.bench.Topics;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

public final class Peer {
  private static final int POLL_INTERVAL_MS = 200;
  /** What was written long ago, by its timestamps, has to stay. */
  private static final Map<String, String> KEEP = Map.of("retention.ms", "-1");

  private final String brokers;
  private final Admin admin;
  private final Topics topics;
  private KafkaStreams running;

  private Peer(String brokers, Admin admin) {
    this.brokers = brokers;
    this.admin = admin;
    this.topics = new Topics(admin);
  }

  private String run(Command command) throws Exception {
    return switch (command.name()) {
      case "create" -> topics.create(command.text("topic"), command.number("partitions"), KEEP);
      case "delete" -> topics.deletePrefix(command.text("prefix"));
      case "load" -> Lines.load(brokers, command);
      case "read" -> Lines.read(brokers, topics, command);
      case "start" -> start(command);
      case "stop" -> stop();
      case "await" -> awaitGroup(command.text("group"), command.text("input"), command.number("timeoutMs"));
      default -> throw new IllegalArgumentException("no such command: " + command.name());
    };
  }

  private Properties settings(Command command) {
    Properties settings = new Properties();
    settings.put("application.id", command.text("application"));
    settings.put("bootstrap.servers", brokers);
    settings.put("state.dir", command.text("stateDir"));
    settings.put("replication.factor", "1");
    settings.put("commit.interval.ms", "500");
    settings.put("consumer.auto.offset.reset", "earliest");
    settings.put("max.poll.records", "2000");
    // Each update is told, as ours are.
    settings.put("statestore.cache.max.bytes", "0");
    // What is due is told with the record that makes it due, and not once a second by the clock of the machine.
    settings.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_WINDOWED_AGGREGATION, 0L);
    settings.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_OUTER_JOIN_SPURIOUS_RESULTS_FIX, 0L);
    return settings;
  }

  private String start(Command command) {
    Operators.Operator operator = Operators.ALL.get(command.text("operator"));
    if (operator == null) throw new IllegalArgumentException("Kafka Streams has no operator " + command.text("operator"));
    StreamsBuilder builder = new StreamsBuilder();
    operator.build(new Operators.Scope(builder, command.text("input"), command.text("rows"), command.text("output")));
    running = new KafkaStreams(builder.build(), settings(command));
    running.setUncaughtExceptionHandler(error -> {
      error.printStackTrace();
      Runtime.getRuntime().halt(1);
      return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
    });
    running.start();
    return "{}";
  }

  private String stop() {
    running.close(Duration.ofSeconds(30));
    running.cleanUp();
    return "{}";
  }

  /** The input and every topic through which the application sends records to itself. */
  private Map<TopicPartition, Long> ends(String group, String input) throws Exception {
    List<TopicPartition> partitions = new java.util.ArrayList<>();
    for (String name : admin.listTopics().names().get()) {
      boolean isInternal = name.startsWith(group + "-") && !name.endsWith("-changelog");
      if (name.equals(input) || isInternal) partitions.addAll(topics.partitionsOf(name));
    }
    return topics.endOffsets(partitions, IsolationLevel.READ_UNCOMMITTED);
  }

  private Map<TopicPartition, OffsetAndMetadata> committed(String group) throws Exception {
    try {
      return admin.listConsumerGroupOffsets(Map.of(group, new ListConsumerGroupOffsetsSpec()))
          .partitionsToOffsetAndMetadata(group).get();
    } catch (java.util.concurrent.ExecutionException error) {
      if (error.getCause() instanceof GroupIdNotFoundException) return Map.of();
      throw error;
    }
  }

  /**
   * Waits until the group has committed the ends of all that it reads. Offsets are committed after what was made of the
   * records before them, and are asked for before the ends are: once they are equal nothing is under way any more.
   */
  private String awaitGroup(String group, String input, int timeoutMs) throws Exception {
    long deadline = System.nanoTime() + timeoutMs * 1_000_000L;
    for (;;) {
      Map<TopicPartition, OffsetAndMetadata> committed = committed(group);
      Map<TopicPartition, Long> ends = ends(group, input);
      long open = 0;
      for (Map.Entry<TopicPartition, Long> end : ends.entrySet()) {
        OffsetAndMetadata offset = committed.get(end.getKey());
        open += end.getValue() - (offset == null ? 0 : offset.offset());
      }
      if (open == 0) return "{}";
      if (System.nanoTime() > deadline) {
        throw new Tool.CheckFailed(List.of("after " + timeoutMs + " ms " + group + " had " + open + " records before it"));
      }
      Thread.sleep(POLL_INTERVAL_MS);
    }
  }

  public static void main(String[] args) throws Exception {
    Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", args[0]));
    try (Admin admin = Admin.create(settings)) {
      Peer peer = new Peer(args[0], admin);
      BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
      String line;
      while ((line = in.readLine()) != null && !line.equals("close")) {
        System.out.println(Tool.answer(line, peer::run));
      }
    }
    System.exit(0);
  }
}
