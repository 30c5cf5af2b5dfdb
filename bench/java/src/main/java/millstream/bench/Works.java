// What the works do to a record, in the words of the Java side. The TypeScript side has the same in bench/works.ts.
package millstream.bench;

import java.nio.charset.StandardCharsets;

final class Works {
  /** Windows of `windowed-count`, one after another. */
  static final long WINDOW_MS = 60_000;
  static final long GRACE_MS = 10_000;
  /** How far apart the records of `stream-join` may be, either way. */
  static final long JOIN_MS = 60_000;
  /** Between the two rows of `table-join`, and the two records of `stream-join`. */
  static final char SEPARATOR = '|';
  static final String MAP_PREFIX = "{\"checked\":true,";
  static final byte[] MAP_PREFIX_BYTES = MAP_PREFIX.getBytes(StandardCharsets.UTF_8);

  private Works() {}

  /** One more field at the front of the JSON object: the text is decoded, changed and encoded, but not parsed. */
  static String mapped(String value) {
    return MAP_PREFIX + value.substring(1);
  }

  /** Whether a record is of the left side of a join: its id, the first field, is even. */
  static boolean isLeft(String value) {
    return (value.charAt(value.indexOf(',') - 1) & 1) == 0;
  }

  /** Both values; nothing stands for the one that is not there. */
  static String joined(String left, String right) {
    return (left == null ? "" : left) + SEPARATOR + (right == null ? "" : right);
  }
}
