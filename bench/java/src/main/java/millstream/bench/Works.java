// What the works do to a record, in the words of the Java side. The TypeScript side has the same in bench/works.ts.
package millstream.bench;

import java.nio.charset.StandardCharsets;

final class Works {
  static final String MAP_PREFIX = "{\"checked\":true,";
  static final byte[] MAP_PREFIX_BYTES = MAP_PREFIX.getBytes(StandardCharsets.UTF_8);

  private Works() {}

  /** One more field at the front of the JSON object: the text is decoded, changed and encoded, but not parsed. */
  static String mapped(String value) {
    return MAP_PREFIX + value.substring(1);
  }
}
