// The Kafka Streams contestant: one stream thread runs a work until it is told over standard input that the
// last record's transaction is committed.
package millstream.bench;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.Locale;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.WindowStore;

public final class Contestant {
  /** Counts the records seen and notes time and CPU at the first one after the warm-up. Used by the stream thread. */
  private static final class Stopwatch {
    private final com.sun.management.OperatingSystemMXBean system =
        (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private final long warmUp;
    private long seen;
    private long startCpuNanos;
    // Written last by the stream thread and read first by main, so that the CPU start is seen with it.
    private volatile long startNanos;

    Stopwatch(long warmUp) {
      this.warmUp = warmUp;
    }

    void record() {
      if (seen++ == warmUp) {
        startCpuNanos = system.getProcessCpuTime();
        startNanos = System.nanoTime();
      }
    }

    String result() {
      long endNanos = System.nanoTime();
      long endCpuNanos = system.getProcessCpuTime();
      double seconds = (endNanos - startNanos) / 1e9;
      double cpuSeconds = (endCpuNanos - startCpuNanos) / 1e9;
      return String.format(Locale.ROOT, "{\"records\":%d,\"seconds\":%.6f,\"cpuSeconds\":%.6f}",
          seen - warmUp, seconds, cpuSeconds);
    }
  }

  private static Topology topology(String work, String input, String output, Stopwatch stopwatch) {
    StreamsBuilder builder = new StreamsBuilder();
    if (work.equals("map")) {
      builder.stream(input, Consumed.with(Serdes.String(), Serdes.String()))
          .mapValues(value -> {
            stopwatch.record();
            return Works.mapped(value);
          })
          .to(output, Produced.with(Serdes.String(), Serdes.String()));
    } else if (work.equals("count")) {
      // The value is not looked at, so it is read as bytes, which costs Kafka Streams nothing.
      builder.stream(input, Consumed.with(Serdes.String(), Serdes.ByteArray()))
          .peek((key, value) -> stopwatch.record())
          .groupByKey(Grouped.with(Serdes.String(), Serdes.ByteArray()))
          .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("counts")
              .withKeySerde(Serdes.String())
              .withValueSerde(Serdes.Long()))
          .toStream()
          .to(output, Produced.with(Serdes.String(), Serdes.Long()));
    } else if (work.equals("windowed-count")) {
      TimeWindows windows =
          TimeWindows.ofSizeAndGrace(Duration.ofMillis(Works.WINDOW_MS), Duration.ofMillis(Works.GRACE_MS));
      builder.stream(input, Consumed.with(Serdes.String(), Serdes.ByteArray()))
          .peek((key, value) -> stopwatch.record())
          .groupByKey(Grouped.with(Serdes.String(), Serdes.ByteArray()))
          .windowedBy(windows)
          .count(Materialized.<String, Long, WindowStore<Bytes, byte[]>>as("counts")
              .withKeySerde(Serdes.String())
              .withValueSerde(Serdes.Long()))
          .toStream()
          .to(output, Produced.with(WindowedSerdes.timeWindowedSerdeFrom(String.class, Works.WINDOW_MS), Serdes.Long()));
    } else if (work.equals("table-join")) {
      KStream<String, String> rows = builder.stream(input, Consumed.with(Serdes.String(), Serdes.String()))
          .peek((key, value) -> stopwatch.record());
      KTable<String, String> left = rows.filter((key, value) -> Works.isLeft(value)).toTable(texts("left"));
      KTable<String, String> right = rows.filterNot((key, value) -> Works.isLeft(value)).toTable(texts("right"));
      left.outerJoin(right, Works::joined).toStream().to(output, Produced.with(Serdes.String(), Serdes.String()));
    } else if (work.equals("stream-join")) {
      KStream<String, String> rows = builder.stream(input, Consumed.with(Serdes.String(), Serdes.String()))
          .peek((key, value) -> stopwatch.record());
      JoinWindows windows =
          JoinWindows.ofTimeDifferenceAndGrace(Duration.ofMillis(Works.JOIN_MS), Duration.ofMillis(Works.GRACE_MS));
      rows.filter((key, value) -> Works.isLeft(value))
          .join(rows.filterNot((key, value) -> Works.isLeft(value)), Works::joined, windows,
              StreamJoined.with(Serdes.String(), Serdes.String(), Serdes.String()).withName("joined").withStoreName("joined"))
          .to(output, Produced.with(Serdes.String(), Serdes.String()));
    } else {
      throw new IllegalArgumentException("no such work: " + work);
    }
    return builder.build();
  }

  private static Materialized<String, String, KeyValueStore<Bytes, byte[]>> texts(String name) {
    return Materialized.<String, String, KeyValueStore<Bytes, byte[]>>as(name)
        .withKeySerde(Serdes.String())
        .withValueSerde(Serdes.String());
  }

  private static Properties settings(String brokers, String applicationId, String stateDir) {
    Properties settings = new Properties();
    settings.put("application.id", applicationId);
    settings.put("bootstrap.servers", brokers);
    settings.put("state.dir", stateDir);
    settings.put("processing.guarantee", "exactly_once_v2");
    settings.put("commit.interval.ms", "100");
    settings.put("num.stream.threads", "1");
    settings.put("replication.factor", "1");
    settings.put("consumer.auto.offset.reset", "earliest");
    // No record cache: it merges updates of a key within a commit, so that less would be written than by the others; it is
    // slower here; and with the default of 10 MB `table-join` ends with stale rows of some keys (docs/benchmarks.md).
    settings.put("statestore.cache.max.bytes", "0");
    // Larger batches and polls and a short linger than its defaults: faster here, and a lower latency.
    settings.put("max.poll.records", "2000");
    settings.put("producer.linger.ms", "5");
    settings.put("producer.batch.size", "65536");
    return settings;
  }

  public static void main(String[] args) throws Exception {
    if (args.length != 7) {
      throw new IllegalArgumentException("arguments: BROKERS WORK INPUT OUTPUT APPLICATION_ID STATE_DIR WARM_UP_RECORDS");
    }
    Stopwatch stopwatch = new Stopwatch(Long.parseLong(args[6]));
    KafkaStreams streams =
        new KafkaStreams(topology(args[1], args[2], args[3], stopwatch), settings(args[0], args[4], args[5]));
    streams.setUncaughtExceptionHandler(error -> {
      error.printStackTrace();
      Runtime.getRuntime().halt(1);
      return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
    });
    streams.start();
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    String line;
    while ((line = in.readLine()) != null) {
      if (line.equals("result")) System.out.println(stopwatch.result());
      if (line.equals("close")) break;
    }
    streams.close(Duration.ofSeconds(10));
    System.exit(0);
  }
}
