// One line of the tool's input: a name and key=value arguments, separated by spaces.
package millstream.bench;

import java.util.HashMap;
import java.util.Map;

public record Command(String name, Map<String, String> arguments) {
  public static Command parse(String line) {
    String[] words = line.trim().split(" +");
    Map<String, String> arguments = new HashMap<>();
    for (int i = 1; i < words.length; i++) {
      int equals = words[i].indexOf('=');
      if (equals < 1) throw new IllegalArgumentException("not of the form key=value: " + words[i]);
      arguments.put(words[i].substring(0, equals), words[i].substring(equals + 1));
    }
    return new Command(words[0], arguments);
  }

  public String text(String key) {
    String value = arguments.get(key);
    if (value == null) throw new IllegalArgumentException("the command " + name + " needs " + key + "=");
    return value;
  }

  public int number(String key) {
    return Integer.parseInt(text(key));
  }
}
