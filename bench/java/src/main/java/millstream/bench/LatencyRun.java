// Latency from produce to read_committed at a fixed rate: one thread sends on a schedule that does not wait for the
// contestant, another reads the output. Both run in this process, so there is one clock. Every record must come out
// once.
package millstream.bench;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

final class LatencyRun {
  /** Keys of their own, so that counts begin at 1 and what was warm-up is told apart. */
  private static final String KEY_PREFIX = "lat-";
  /** An odd number: a key is on the left side of a join and on the right one in turn. */
  private static final int KEYS = 4999;
  private static final byte[] MAPPED_START = (Works.MAP_PREFIX + "\"id\":").getBytes(StandardCharsets.US_ASCII);
  private static final byte[] ID_START = "{\"id\":".getBytes(StandardCharsets.US_ASCII);
  private static final long GRACE_NANOS = 20_000_000_000L;

  private final String brokers;
  private final Topics topics;
  private final String input;
  private final String output;
  private final String work;
  /** One for all, in a window of its own behind what was there before: counts in windows go on for the whole run. */
  private final long timestamp = (System.currentTimeMillis() / Works.WINDOW_MS + 1) * Works.WINDOW_MS;
  private final int rate;
  private final int bytes;
  private final int discarded;
  private final int total;
  private final AtomicLongArray sentNanos;
  private final long[] latencyNanos;
  private final AtomicReference<Throwable> senderFailure = new AtomicReference<>();
  private volatile long lateNanosMax;

  LatencyRun(String brokers, Topics topics, Command command) {
    this.brokers = brokers;
    this.topics = topics;
    input = command.text("input");
    output = command.text("output");
    work = command.text("work");
    rate = command.number("rate");
    bytes = command.number("bytes");
    discarded = rate * command.number("discardSeconds");
    total = discarded + rate * command.number("seconds");
    sentNanos = new AtomicLongArray(total);
    latencyNanos = new long[total];
  }

  private void send() {
    try (KafkaProducer<String, byte[]> producer = Loader.producer(brokers, Map.of("linger.ms", 0))) {
      producer.partitionsFor(input);
      long start = System.nanoTime();
      for (int i = 0; i < total; i++) {
        long due = start + i * 1_000_000_000L / rate;
        long now;
        while ((now = System.nanoTime()) < due) LockSupport.parkNanos(Math.min(due - now, 200_000));
        if (i >= discarded && now - due > lateNanosMax) lateNanosMax = now - due;
        String key = KEY_PREFIX + i % KEYS;
        byte[] value = Loader.value(i, key, i % 1000, bytes);
        sentNanos.set(i, System.nanoTime());
        producer.send(new ProducerRecord<>(input, null, timestamp, key, value), (sent, error) -> {
          if (error != null) senderFailure.compareAndSet(null, error);
        });
      }
    } catch (Throwable error) {
      senderFailure.compareAndSet(null, error);
    }
  }

  private static long digits(byte[] text, int from) {
    long number = 0;
    int i = from;
    while (i < text.length && text[i] >= '0' && text[i] <= '9') number = number * 10 + (text[i++] - '0');
    return i == from ? -1 : number;
  }

  private static long idAt(byte[] value, int from, byte[] start) {
    int end = from + start.length;
    boolean isThere = end <= value.length && Arrays.equals(value, from, end, start, 0, start.length);
    return isThere ? digits(value, end) : -1;
  }

  private static int separator(byte[] value) {
    int at = 0;
    while (at < value.length && value[at] != Works.SEPARATOR) at++;
    return at;
  }

  /** Which of the records sent this output belongs to: the id in its value, or the how-manieth of its key it is. */
  private int numberOf(ConsumerRecord<byte[], byte[]> record) {
    byte[] key = record.key();
    byte[] value = record.value();
    if (key == null || value == null || key.length <= KEY_PREFIX.length()) return -1;
    for (int i = 0; i < KEY_PREFIX.length(); i++) if (key[i] != KEY_PREFIX.charAt(i)) return -1;
    long number = switch (work) {
      case "map" -> idAt(value, 0, MAPPED_START);
      case "table-join" -> Math.max(idAt(value, 0, ID_START), idAt(value, separator(value) + 1, ID_START));
      // The start of a window, behind the key, begins with a zero byte.
      default -> value.length == 8 ? (ByteBuffer.wrap(value).getLong() - 1) * KEYS + digits(key, KEY_PREFIX.length()) : -1;
    };
    if (number < 0 || number >= total) throw new IllegalStateException("an output that no input gives: " + record);
    return (int) number;
  }

  String run() throws Exception {
    List<TopicPartition> partitions = topics.partitionsOf(output);
    int received = 0;
    try (KafkaConsumer<byte[], byte[]> consumer = TopicReader.consumer(brokers, Map.of())) {
      consumer.assign(partitions);
      consumer.seekToEnd(partitions);
      for (TopicPartition partition : partitions) consumer.position(partition);
      Thread sender = new Thread(this::send, "sender");
      sender.setDaemon(true);
      sender.start();
      long deadline = System.nanoTime() + total * 1_000_000_000L / rate + GRACE_NANOS;
      while (received < total && System.nanoTime() < deadline && senderFailure.get() == null) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
          long now = System.nanoTime();
          int number = numberOf(record);
          if (number < 0) continue;
          if (latencyNanos[number] != 0) {
            throw new Tool.CheckFailed(List.of("record " + number + " came out twice (" + output + ")"));
          }
          latencyNanos[number] = now - sentNanos.get(number);
          received++;
        }
      }
      if (senderFailure.get() != null) throw new IllegalStateException("sending failed", senderFailure.get());
      sender.join(10_000);
    }
    if (received < total) {
      throw new Tool.CheckFailed(List.of((total - received) + " of " + total + " records did not come out of " + output));
    }
    return summary();
  }

  private String summary() {
    long[] measured = Arrays.copyOfRange(latencyNanos, discarded, total);
    Arrays.sort(measured);
    return String.format(Locale.ROOT, "{\"records\":%d,\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"maxMs\":%.3f,\"senderLateMs\":%.3f}",
        measured.length, at(measured, 0.5), at(measured, 0.99), at(measured, 1), lateNanosMax / 1e6);
  }

  /** The smallest latency that at least this share of the records does not exceed, in ms. */
  private static double at(long[] sorted, double share) {
    return sorted[Math.max(0, (int) Math.ceil(share * sorted.length) - 1)] / 1e6;
  }
}
