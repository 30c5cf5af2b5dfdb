// What the output must hold, computed from what the input topic really holds: per key, how many records and a digest
// of their mapped values in order.
package millstream.bench;

import java.util.zip.CRC32C;

final class Expectation {
  final int partitions;
  /** Partition of a key, or -1 where it does not occur. */
  final int[] partitionOfKey;
  final int[] recordsOfKey;
  /** Digest of the values that `map` must write for a key, in their order. */
  final long[] mappedOfKey;
  final long[] recordsOfPartition;
  long records;

  private Expectation(int partitions, int keys) {
    this.partitions = partitions;
    partitionOfKey = new int[keys];
    java.util.Arrays.fill(partitionOfKey, -1);
    recordsOfKey = new int[keys];
    mappedOfKey = new long[keys];
    recordsOfPartition = new long[partitions];
  }

  static Expectation read(String brokers, Topics topics, String input, int keys) throws Exception {
    Expectation expected = new Expectation(topics.partitionsOf(input).size(), keys);
    CRC32C crc = new CRC32C();
    TopicReader.read(brokers, topics, input, record -> {
      int key = keyNumber(record.key(), keys);
      if (key < 0) throw new IllegalStateException("a key of the input is not ours, offset " + record.offset());
      crc.reset();
      crc.update(Works.MAP_PREFIX_BYTES);
      crc.update(record.value(), 1, record.value().length - 1);
      expected.mappedOfKey[key] = chain(expected.mappedOfKey[key], crc.getValue());
      expected.partitionOfKey[key] = record.partition();
      expected.recordsOfKey[key]++;
      expected.recordsOfPartition[record.partition()]++;
      expected.records++;
    });
    return expected;
  }

  /** Depends on the order: a record twice, one lost, or two exchanged give another digest. */
  static long chain(long digest, long crc) {
    return (digest ^ (crc + 1)) * 0x9E3779B97F4A7C15L;
  }

  /** The number in `user-<number>`, or -1 where the key is none of the input's. */
  static int keyNumber(byte[] key, int keys) {
    int prefix = Loader.KEY_PREFIX.length();
    if (key == null || key.length <= prefix || key.length > prefix + 9) return -1;
    int number = 0;
    for (int i = 0; i < key.length; i++) {
      if (i < prefix) {
        if (key[i] != Loader.KEY_PREFIX.charAt(i)) return -1;
      } else {
        if (key[i] < '0' || key[i] > '9') return -1;
        number = number * 10 + (key[i] - '0');
      }
    }
    return number < keys ? number : -1;
  }

  String summary() {
    int distinct = 0;
    for (int count : recordsOfKey) if (count > 0) distinct++;
    return "{\"records\":" + records + ",\"keys\":" + distinct + "}";
  }
}
