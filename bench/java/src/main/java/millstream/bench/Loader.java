// Fills an input topic with JSON records of one size, keys chosen at random from a fixed seed, so that every run of the
// benchmark has the same input. Each record is a millisecond later than the one before, and the last one is of now.
package millstream.bench;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

final class Loader {
  static final String KEY_PREFIX = "user-";

  private Loader() {}

  static KafkaProducer<String, byte[]> producer(String brokers, Map<String, Object> more) {
    Map<String, Object> settings = new HashMap<>(more);
    settings.put("bootstrap.servers", brokers);
    return new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer());
  }

  /** A JSON object of exactly `bytes` bytes (more only where its fields do not fit): `{"id":7,"user":"user-3",...}`. */
  static byte[] value(long id, String key, int amount, int bytes) {
    String fields = "{\"id\":" + id + ",\"user\":\"" + key + "\",\"amount\":" + amount + ",\"pad\":\"";
    byte[] start = fields.getBytes(StandardCharsets.US_ASCII);
    byte[] value = Arrays.copyOf(start, Math.max(bytes, start.length + 2));
    Arrays.fill(value, start.length, value.length - 2, (byte) 'x');
    value[value.length - 2] = '"';
    value[value.length - 1] = '}';
    return value;
  }

  static String load(String brokers, Command command) throws Exception {
    String topic = command.text("topic");
    int records = command.number("records");
    int keys = command.number("keys");
    int bytes = command.number("bytes");
    Random random = new Random(command.number("seed"));
    long startMs = System.currentTimeMillis() - records;
    AtomicReference<Exception> failure = new AtomicReference<>();
    Map<String, Object> settings = Map.of("batch.size", 65536, "linger.ms", 20, "buffer.memory", 134217728L);
    try (KafkaProducer<String, byte[]> producer = producer(brokers, settings)) {
      for (long id = 0; id < records && failure.get() == null; id++) {
        String key = KEY_PREFIX + random.nextInt(keys);
        byte[] value = value(id, key, random.nextInt(1000), bytes);
        producer.send(new ProducerRecord<>(topic, null, startMs + id, key, value), (sent, error) -> {
          if (error != null) failure.compareAndSet(null, error);
        });
      }
      producer.flush();
    }
    if (failure.get() != null) throw failure.get();
    return "{\"records\":" + records + "}";
  }
}
