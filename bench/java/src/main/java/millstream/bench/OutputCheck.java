// Judges the output that was timed, read in read_committed, against the input.
//   map:   each key has its mapped values, all of them, once, in order, and in the key's partition.
//   count: each key counts upwards to the number of its input records, one by one, in the key's partition.
//   windowed-count: the same for each key and window.
//   stream-join: each key has told its pairs, once, in any order.
//   table-join: each key has told each change of its two rows, once, in order.
package millstream.bench;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;
import org.apache.kafka.clients.consumer.ConsumerRecord;

final class OutputCheck {
  private static final int FINDINGS_MAX = 5;

  private final String brokers;
  private final Topics topics;
  private final Expectation expected;
  private final int[] recordsOfKey;
  private final long[] mappedOfKey;
  private final long[] countOfKey;
  private final long[] recordsOfPartition;
  private final List<String> findings = new ArrayList<>();
  private long findingCount;
  private long records;

  OutputCheck(String brokers, Topics topics, Expectation expected) {
    this.brokers = brokers;
    this.topics = topics;
    this.expected = expected;
    recordsOfKey = new int[expected.recordsOfKey.length];
    mappedOfKey = new long[expected.recordsOfKey.length];
    countOfKey = new long[expected.recordsOfKey.length];
    recordsOfPartition = new long[expected.partitions];
  }

  private void finding(String text) {
    findingCount++;
    if (findings.size() < FINDINGS_MAX) findings.add(text);
  }

  private static String place(ConsumerRecord<byte[], byte[]> record) {
    return " (" + record.topic() + "-" + record.partition() + " offset " + record.offset() + ")";
  }

  private int keyOf(ConsumerRecord<byte[], byte[]> record) {
    return keyOf(record, record.key() == null ? 0 : record.key().length);
  }

  /** The number of the key in the first bytes of that of the record. */
  private int keyOf(ConsumerRecord<byte[], byte[]> record, int length) {
    records++;
    recordsOfPartition[record.partition()]++;
    int key = record.key() == null ? -1 : Expectation.keyNumber(record.key(), length, recordsOfKey.length);
    if (key < 0 || expected.recordsOfKey[key] == 0) {
      finding("a key that the input does not hold" + place(record));
      return -1;
    }
    if (record.partition() != expected.partitionOfKey[key]) {
      finding("key user-" + key + " belongs to partition " + expected.partitionOfKey[key] + place(record));
    }
    recordsOfKey[key]++;
    return key;
  }

  String run(Command command) throws Exception {
    String work = command.text("work");
    String output = command.text("output");
    if (topics.partitionsOf(output).size() != expected.partitions) throw new IllegalStateException("partitions differ");
    switch (work) {
      case "map" -> checkMap(output);
      case "count" -> checkCount(output);
      case "windowed-count" -> checkWindowedCount(output);
      case "stream-join" -> checkStreamJoin(output);
      case "table-join" -> checkTableJoin(output);
      default -> throw new IllegalArgumentException("no such work: " + work);
    }
    if (findingCount > 0) {
      if (findingCount > findings.size()) findings.add("and " + (findingCount - findings.size()) + " more");
      throw new Tool.CheckFailed(findings);
    }
    return "{\"records\":" + records + "}";
  }

  private interface Checksums {
    void take(int key, long checksum);
  }

  /** The checksums of all values; a record without a value is a finding, and one of a key that the input does not hold. */
  private void readChecksums(String output, Checksums checksums) throws Exception {
    CRC32C crc = new CRC32C();
    TopicReader.read(brokers, topics, output, record -> {
      int key = keyOf(record);
      if (key < 0) return;
      if (record.value() == null) {
        finding("a null value" + place(record));
        return;
      }
      crc.reset();
      crc.update(record.value(), 0, record.value().length);
      checksums.take(key, crc.getValue());
    });
  }

  private void checkMap(String output) throws Exception {
    readChecksums(output, (key, checksum) -> mappedOfKey[key] = Expectation.chain(mappedOfKey[key], checksum));
    for (int partition = 0; partition < expected.partitions; partition++) {
      if (recordsOfPartition[partition] != expected.recordsOfPartition[partition]) {
        finding("partition " + partition + " has " + recordsOfPartition[partition] + " records instead of "
            + expected.recordsOfPartition[partition]);
      }
    }
    for (int key = 0; key < recordsOfKey.length; key++) {
      if (recordsOfKey[key] != expected.recordsOfKey[key]) {
        finding("key user-" + key + " has " + recordsOfKey[key] + " records instead of " + expected.recordsOfKey[key]);
      } else if (mappedOfKey[key] != expected.mappedOfKey[key]) {
        finding("key user-" + key + " has other values, or in another order, than its input gives");
      }
    }
  }

  private void checkCount(String output) throws Exception {
    TopicReader.read(brokers, topics, output, record -> {
      int key = keyOf(record);
      if (key < 0) return;
      if (record.value() == null || record.value().length != 8) {
        finding("a value that is no int64" + place(record));
        return;
      }
      long count = ByteBuffer.wrap(record.value()).getLong();
      if (count != countOfKey[key] + 1) {
        finding("key user-" + key + " goes from " + countOfKey[key] + " to " + count + place(record));
      }
      countOfKey[key] = count;
    });
    for (int key = 0; key < countOfKey.length; key++) {
      if (countOfKey[key] != expected.recordsOfKey[key]) {
        finding("key user-" + key + " was counted " + countOfKey[key] + " times instead of " + expected.recordsOfKey[key]);
      }
    }
  }

  private void checkWindowedCount(String output) throws Exception {
    Map<Long, int[]> counted = new HashMap<>();
    TopicReader.read(brokers, topics, output, record -> {
      int length = record.key() == null ? 0 : record.key().length - Long.BYTES;
      int key = keyOf(record, length);
      if (key < 0) return;
      if (record.value() == null || record.value().length != Long.BYTES) {
        finding("a value that is no int64" + place(record));
        return;
      }
      long window = ByteBuffer.wrap(record.key()).getLong(length);
      int[] counts = counted.computeIfAbsent(window, start -> new int[countOfKey.length]);
      long count = ByteBuffer.wrap(record.value()).getLong();
      if (count != counts[key] + 1) {
        finding("key user-" + key + " goes from " + counts[key] + " to " + count + " in the window of " + window + place(record));
      }
      counts[key] = (int) count;
    });
    if (!counted.keySet().equals(expected.recordsOfWindow.keySet())) {
      finding("there are " + counted.size() + " windows instead of " + expected.recordsOfWindow.size());
      return;
    }
    expected.recordsOfWindow.forEach((window, counts) -> {
      for (int key = 0; key < counts.length; key++) {
        int count = counted.get(window)[key];
        if (count != counts[key]) {
          finding("key user-" + key + " was counted " + count + " times instead of " + counts[key] + " in the window of " + window);
        }
      }
    });
  }

  private void checkStreamJoin(String output) throws Exception {
    long[] sumOfKey = new long[recordsOfKey.length];
    readChecksums(output, (key, checksum) -> sumOfKey[key] += checksum);
    for (int key = 0; key < sumOfKey.length; key++) {
      if (recordsOfKey[key] != expected.pairsOfKey[key]) {
        finding("key user-" + key + " has " + recordsOfKey[key] + " pairs instead of " + expected.pairsOfKey[key]);
      } else if (sumOfKey[key] != expected.pairSumOfKey[key]) {
        finding("key user-" + key + " has other pairs than its input gives");
      }
    }
  }

  private void checkTableJoin(String output) throws Exception {
    long[] joinedOfKey = new long[recordsOfKey.length];
    readChecksums(output, (key, checksum) -> joinedOfKey[key] = Expectation.chain(joinedOfKey[key], checksum));
    for (int key = 0; key < joinedOfKey.length; key++) {
      if (joinedOfKey[key] != expected.joinedOfKey[key]) {
        finding("key user-" + key + " has other rows, or in another order, than its input gives");
      }
    }
  }
}
