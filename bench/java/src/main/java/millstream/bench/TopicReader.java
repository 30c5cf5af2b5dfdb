// Reads a whole topic in read_committed, up to the end it has when the reading begins.
package millstream.bench;

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public final class TopicReader {
  public interface Visitor {
    void visit(ConsumerRecord<byte[], byte[]> record);
  }

  private TopicReader() {}

  static KafkaConsumer<byte[], byte[]> consumer(String brokers, Map<String, Object> more) {
    Map<String, Object> settings = new HashMap<>(more);
    settings.put("bootstrap.servers", brokers);
    settings.put("isolation.level", "read_committed");
    settings.put("enable.auto.commit", "false");
    return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  public static void read(String brokers, Topics topics, String topic, Visitor visitor) throws Exception {
    Map<TopicPartition, Long> ends = topics.settledEndOffsets(topic, 30_000);
    Map<String, Object> settings = Map.of("max.poll.records", 10_000, "check.crcs", true);
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(brokers, settings)) {
      List<TopicPartition> partitions = List.copyOf(ends.keySet());
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      long deadline = System.nanoTime() + 300_000_000_000L;
      while (!partitions.stream().allMatch(partition -> consumer.position(partition) >= ends.get(partition))) {
        if (System.nanoTime() > deadline) throw new IllegalStateException("reading " + topic + " took over 5 minutes");
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
          if (record.offset() < ends.get(new TopicPartition(topic, record.partition()))) visitor.visit(record);
        }
      }
    }
  }
}
