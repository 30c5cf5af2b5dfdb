// What the works do to a record, in the words of the Java side. The TypeScript side has the same in bench/works.ts.
package millstream.bench;

import java.nio.charset.StandardCharsets;

final class Works {
  /** Windows of `windowed-count`, one after another. */
  static final long WINDOW_MS = 60_000;
  static final long GRACE_MS = 10_000;
  /** Between the two rows of `table-join`. */
  static final char SEPARATOR = '|';
  static final String MAP_PREFIX = "{\"checked\":true,";
  static final byte[] MAP_PREFIX_BYTES = MAP_PREFIX.getBytes(StandardCharsets.UTF_8);

  private Works() {}

  /** One more field at the front of the JSON object: the text is decoded, changed and encoded, but not parsed. */
  static String mapped(String value) {
    return MAP_PREFIX + value.substring(1);
  }

  /** Whether a record is a row of the left table: its id, the first field, is even. */
  static boolean isLeft(String value) {
    return (value.charAt(value.indexOf(',') - 1) & 1) == 0;
  }

  /** Both rows; nothing stands for the one that is not there. */
  static String joined(String left, String right) {
    return (left == null ? "" : left) + SEPARATOR + (right == null ? "" : right);
  }
}
