// What the output must hold, computed from what the input topic really holds: per key, how many records, in each window
// too, and digests of their mapped values and of its joined rows in order.
package millstream.bench;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.zip.CRC32C;
import org.apache.kafka.clients.consumer.ConsumerRecord;

final class Expectation {
  final int partitions;
  /** Partition of a key, or -1 where it does not occur. */
  final int[] partitionOfKey;
  final int[] recordsOfKey;
  /** Digest of the values that `map` must write for a key, in their order. */
  final long[] mappedOfKey;
  /** Digest of the joined rows that `table-join` must tell for a key, in their order. */
  final long[] joinedOfKey;
  /** How many pairs `stream-join` must tell for a key, and the sum of their checksums: in any order. */
  final int[] pairsOfKey;
  final long[] pairSumOfKey;
  /** Records of each key, by the start of their window. */
  final Map<Long, int[]> recordsOfWindow = new HashMap<>();
  final long[] recordsOfPartition;
  long records;

  private Expectation(int partitions, int keys) {
    this.partitions = partitions;
    partitionOfKey = new int[keys];
    java.util.Arrays.fill(partitionOfKey, -1);
    recordsOfKey = new int[keys];
    mappedOfKey = new long[keys];
    joinedOfKey = new long[keys];
    pairsOfKey = new int[keys];
    pairSumOfKey = new long[keys];
    recordsOfPartition = new long[partitions];
  }

  static Expectation read(String brokers, Topics topics, String input, int keys) throws Exception {
    Expectation expected = new Expectation(topics.partitionsOf(input).size(), keys);
    CRC32C crc = new CRC32C();
    byte[][] left = new byte[keys][];
    byte[][] right = new byte[keys][];
    Map<Integer, Deque<ConsumerRecord<byte[], byte[]>>> recent = new HashMap<>();
    TopicReader.read(brokers, topics, input, record -> {
      int key = keyNumber(record.key(), keys);
      if (key < 0) throw new IllegalStateException("a key of the input is not ours, offset " + record.offset());
      crc.reset();
      crc.update(Works.MAP_PREFIX_BYTES);
      crc.update(record.value(), 1, record.value().length - 1);
      expected.mappedOfKey[key] = chain(expected.mappedOfKey[key], crc.getValue());
      boolean isLeft = Works.isLeft(new String(record.value(), 0, 24, StandardCharsets.US_ASCII));
      (isLeft ? left : right)[key] = record.value();
      expected.joinedOfKey[key] = chain(expected.joinedOfKey[key], checksum(crc, left[key], right[key]));
      expected.pair(crc, key, isLeft, record, recent.computeIfAbsent(key * 2 + (isLeft ? 1 : 0), side -> new ArrayDeque<>(2)),
          recent.getOrDefault(key * 2 + (isLeft ? 0 : 1), NONE));
      long window = record.timestamp() - record.timestamp() % Works.WINDOW_MS;
      expected.recordsOfWindow.computeIfAbsent(window, start -> new int[keys])[key]++;
      expected.partitionOfKey[key] = record.partition();
      expected.recordsOfKey[key]++;
      expected.recordsOfPartition[record.partition()]++;
      expected.records++;
    });
    return expected;
  }

  private static final Deque<ConsumerRecord<byte[], byte[]>> NONE = new ArrayDeque<>();

  /** The pairs of a record with those of the other side before it: records of a key come in the order of their time. */
  private void pair(CRC32C crc, int key, boolean isLeft, ConsumerRecord<byte[], byte[]> record,
      Deque<ConsumerRecord<byte[], byte[]>> own, Deque<ConsumerRecord<byte[], byte[]>> others) {
    own.addLast(record);
    while (!others.isEmpty() && others.peekFirst().timestamp() < record.timestamp() - Works.JOIN_MS) others.removeFirst();
    for (ConsumerRecord<byte[], byte[]> other : others) {
      pairsOfKey[key]++;
      pairSumOfKey[key] += isLeft
          ? checksum(crc, record.value(), other.value()) : checksum(crc, other.value(), record.value());
    }
  }

  private static long checksum(CRC32C crc, byte[] left, byte[] right) {
    crc.reset();
    if (left != null) crc.update(left);
    crc.update(Works.SEPARATOR);
    if (right != null) crc.update(right);
    return crc.getValue();
  }

  /** Depends on the order: a record twice, one lost, or two exchanged give another digest. */
  static long chain(long digest, long crc) {
    return (digest ^ (crc + 1)) * 0x9E3779B97F4A7C15L;
  }

  /** The number in `user-<number>`, or -1 where the key is none of the input's. */
  static int keyNumber(byte[] key, int keys) {
    return key == null ? -1 : keyNumber(key, key.length, keys);
  }

  /** As above, of the first bytes of a key. */
  static int keyNumber(byte[] key, int length, int keys) {
    int prefix = Loader.KEY_PREFIX.length();
    if (length <= prefix || length > prefix + 9) return -1;
    int number = 0;
    for (int i = 0; i < length; i++) {
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
