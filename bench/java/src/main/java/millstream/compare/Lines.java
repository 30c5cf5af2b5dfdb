// Records as lines of text, for input that is written and output that was read: partition, timestamp, key and value,
// separated by spaces. Keys and values are in hex, `-` where there is none.
package millstream.compare;

import java.io.BufferedWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import millstream.bench.Command;
import millstream.bench.TopicReader;
import millstream.bench.Topics;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

final class Lines {
  private static final HexFormat HEX = HexFormat.of();
  private static final String NONE = "-";

  private Lines() {}

  private static byte[] bytes(String word) {
    return word.equals(NONE) ? null : HEX.parseHex(word);
  }

  private static String word(byte[] bytes) {
    return bytes == null ? NONE : HEX.formatHex(bytes);
  }

  /** Writes the lines of a file; where the partition is below 0, Kafka's own partitioner chooses it by the key. */
  static String load(String brokers, Command command) throws Exception {
    String topic = command.text("topic");
    AtomicReference<Exception> failure = new AtomicReference<>();
    // Idempotent, as it is by default: what is sent stands in the order of the file.
    Map<String, Object> settings = Map.of("bootstrap.servers", brokers, "linger.ms", 20, "batch.size", 65536);
    long records = 0;
    try (KafkaProducer<byte[], byte[]> producer =
            new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
        Stream<String> lines = Files.lines(Path.of(command.text("file")), StandardCharsets.US_ASCII)) {
      for (String line : (Iterable<String>) lines::iterator) {
        String[] words = line.split(" ");
        int partition = Integer.parseInt(words[0]);
        producer.send(
            new ProducerRecord<>(topic, partition < 0 ? null : partition, Long.parseLong(words[1]), bytes(words[2]), bytes(words[3])),
            (sent, error) -> {
              if (error != null) failure.compareAndSet(null, error);
            });
        records++;
      }
      producer.flush();
    }
    if (failure.get() != null) throw failure.get();
    return "{\"records\":" + records + "}";
  }

  /** Reads a topic in read_committed into a file, partition by partition in the order of their offsets. */
  static String read(String brokers, Topics topics, Command command) throws Exception {
    List<Long> count = new java.util.ArrayList<>(List.of(0L));
    try (BufferedWriter file = Files.newBufferedWriter(Path.of(command.text("file")), StandardCharsets.US_ASCII)) {
      TopicReader.read(brokers, topics, command.text("topic"), record -> {
        try {
          file.write(record.partition() + " " + record.timestamp() + " " + word(record.key()) + " " + word(record.value()) + "\n");
        } catch (java.io.IOException error) {
          throw new java.io.UncheckedIOException(error);
        }
        count.set(0, count.get(0) + 1);
      });
    }
    return "{\"records\":" + count.get(0) + "}";
  }
}
