// Judges the output that was timed, read in read_committed, against the input.
//   map:   each key has its mapped values, all of them, once, in order, and in the key's partition.
//   count: each key counts upwards to the number of its input records, in the key's partition. With `every=true` each
//          count occurs once (1, 2, 3, ...); a record cache, which Kafka Streams has by default, may leave some out.
package millstream.bench;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
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
    records++;
    recordsOfPartition[record.partition()]++;
    int key = Expectation.keyNumber(record.key(), recordsOfKey.length);
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
    if (work.equals("map")) checkMap(output);
    else checkCount(output, Boolean.parseBoolean(command.text("every")));
    if (findingCount > 0) {
      if (findingCount > findings.size()) findings.add("and " + (findingCount - findings.size()) + " more");
      throw new Tool.CheckFailed(findings);
    }
    return "{\"records\":" + records + "}";
  }

  private void checkMap(String output) throws Exception {
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
      mappedOfKey[key] = Expectation.chain(mappedOfKey[key], crc.getValue());
    });
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

  private void checkCount(String output, boolean every) throws Exception {
    TopicReader.read(brokers, topics, output, record -> {
      int key = keyOf(record);
      if (key < 0) return;
      if (record.value() == null || record.value().length != 8) {
        finding("a value that is no int64" + place(record));
        return;
      }
      long count = ByteBuffer.wrap(record.value()).getLong();
      if (every ? count != countOfKey[key] + 1 : count <= countOfKey[key]) {
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
}
