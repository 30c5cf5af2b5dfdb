// What each operator of the comparison is in Kafka Streams. test/compare/operators.ts says the same in millstream, under
// the same names; test/compare/input.ts says what the input is.
package millstream.compare;

import static java.util.Map.entry;

import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.GlobalKTable;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.SlidingWindows;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.UnlimitedWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

final class Operators {
  interface Operator {
    void build(Scope scope);
  }

  private static final Serde<String> STRING = Serdes.String();
  private static final Duration GRACE = Duration.ofMillis(250);
  private static final TimeWindows TUMBLING = TimeWindows.ofSizeAndGrace(Duration.ofMillis(200), GRACE);
  private static final TimeWindows HOPPING =
      TimeWindows.ofSizeAndGrace(Duration.ofMillis(300), GRACE).advanceBy(Duration.ofMillis(100));
  private static final SlidingWindows SLIDING =
      SlidingWindows.ofTimeDifferenceAndGrace(Duration.ofMillis(150), GRACE);
  private static final SessionWindows SESSIONS =
      SessionWindows.ofInactivityGapAndGrace(Duration.ofMillis(60), GRACE);
  private static final UnlimitedWindows UNLIMITED =
      UnlimitedWindows.of().startOn(Instant.ofEpochMilli(1_700_000_000_200L));
  private static final JoinWindows WITHIN =
      JoinWindows.ofTimeDifferenceAndGrace(Duration.ofMillis(50), GRACE).before(Duration.ofMillis(100));
  private static final Duration HISTORY = Duration.ofMillis(300);
  private static final Duration HELD = Duration.ofMillis(100);
  private static final int HELD_MAX = 15;
  /** Where the least retention hides windows that are needed yet (docs/dsl.md). */
  private static final Duration LONG_RETENTION = Duration.ofMinutes(10);

  static final Map<String, Operator> ALL = Map.ofEntries(
      entry("count", scope -> scope.counts(scope.grouped().count(scope.kept(Serdes.Long())))),
      entry("reduce", scope -> scope.texts(scope.grouped().reduce(Operators::tail, scope.kept(STRING)))),
      entry("aggregate", scope -> scope.texts(
          scope.grouped().aggregate(() -> "", (key, value, sum) -> tail(sum, value), scope.kept(STRING)))),
      entry("cogroup", scope -> scope.texts(
          scope.left().groupByKey(Grouped.with(STRING, STRING)).<String>cogroup((key, value, sum) -> tail(sum, value))
              .cogroup(scope.right().groupByKey(Grouped.with(STRING, STRING)), (key, value, sum) -> tail(value, sum))
              .aggregate(() -> "", scope.kept(STRING)))),
      entry("tumbling-count", scope -> scope.windowedCounts(
          scope.grouped().windowedBy(TUMBLING).count(scope.windows(Serdes.Long())), TUMBLING.size())),
      entry("tumbling-reduce", scope -> scope.windowedTexts(
          scope.grouped().windowedBy(TUMBLING).reduce(Operators::tail, scope.windows(STRING)), TUMBLING.size())),
      entry("tumbling-on-close", scope -> scope.windowedTexts(
          scope.grouped().windowedBy(TUMBLING).emitStrategy(EmitStrategy.onWindowClose()).aggregate(
              () -> "", (key, value, sum) -> tail(sum, value), scope.windows(STRING).withRetention(LONG_RETENTION)),
          TUMBLING.size())),
      entry("hopping-aggregate", scope -> scope.windowedTexts(
          scope.grouped().windowedBy(HOPPING).aggregate(
              () -> "", (key, value, sum) -> tail(sum, value), scope.windows(STRING)),
          HOPPING.size())),
      entry("hopping-on-close", scope -> scope.windowedCounts(
          scope.grouped().windowedBy(HOPPING).emitStrategy(EmitStrategy.onWindowClose()).count(
              scope.windows(Serdes.Long()).withRetention(LONG_RETENTION)),
          HOPPING.size())),
      entry("tumbling-suppress", scope -> scope.windowedTexts(
          scope.grouped().windowedBy(TUMBLING)
              .aggregate(() -> "", (key, value, sum) -> tail(sum, value), scope.windows(STRING))
              .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded())),
          TUMBLING.size())),
      entry("tumbling-cogroup", scope -> scope.windowedTexts(
          scope.grouped().<String>cogroup((key, value, sum) -> tail(sum, value))
              .cogroup(scope.grouped(), (key, value, sum) -> tail(value, sum))
              .windowedBy(TUMBLING).aggregate(() -> "", scope.windows(STRING)),
          TUMBLING.size())),
      entry("sliding-aggregate", scope -> scope.windowedTexts(
          scope.grouped().windowedBy(SLIDING).aggregate(
              () -> "", (key, value, sum) -> tail(sum, value), scope.windows(STRING).withRetention(LONG_RETENTION)),
          SLIDING.timeDifferenceMs())),
      entry("sliding-on-close", scope -> scope.windowedCounts(
          scope.grouped().windowedBy(SLIDING).emitStrategy(EmitStrategy.onWindowClose()).count(
              scope.windows(Serdes.Long()).withRetention(LONG_RETENTION)),
          SLIDING.timeDifferenceMs())),
      entry("session-count", scope -> scope.sessionCounts(
          scope.grouped().windowedBy(SESSIONS).count(scope.sessions(Serdes.Long())))),
      entry("session-aggregate", scope -> scope.sessionTexts(
          scope.grouped().windowedBy(SESSIONS).aggregate(() -> "", (key, value, sum) -> tail(sum, value),
              (key, one, other) -> tail(one, other), scope.sessions(STRING)))),
      entry("session-on-close", scope -> scope.sessionCounts(
          scope.grouped().windowedBy(SESSIONS).emitStrategy(EmitStrategy.onWindowClose()).count(
              scope.sessions(Serdes.Long()).withRetention(LONG_RETENTION)))),
      entry("unlimited-count", scope -> scope.windowedCounts(
          scope.grouped().windowedBy(UNLIMITED).count(scope.windows(Serdes.Long())), UNLIMITED.size())),
      entry("table", scope -> scope.texts(scope.leftTable())),
      entry("table-filter", scope -> scope.texts(scope.leftTable().filter((key, value) -> number(value) % 3 != 0))),
      entry("table-aggregate", scope -> scope.counts(
          scope.leftTable()
              .groupBy((key, value) -> KeyValue.pair(group(key, value), value), Grouped.with("groups", STRING, STRING))
              .aggregate(() -> 0L, (key, value, sum) -> sum + number(value), (key, value, sum) -> sum - number(value),
                  scope.kept(Serdes.Long())))),
      entry("table-suppress", scope -> scope.texts(
          scope.someSums().suppress(Suppressed.untilTimeLimit(HELD, BufferConfig.unbounded())))),
      entry("table-suppress-limit", scope -> scope.texts(
          scope.someSums().suppress(Suppressed.untilTimeLimit(HELD, BufferConfig.maxRecords(HELD_MAX))))),
      entry("stream-table-join", scope -> scope.streams(
          scope.left().join(scope.rightTable(), Operators::both, Joined.with(STRING, STRING, STRING)))),
      entry("stream-table-left-join", scope -> scope.streams(
          scope.left().leftJoin(scope.rightTable(), Operators::both, Joined.with(STRING, STRING, STRING)))),
      entry("stream-versioned-join", scope -> scope.streams(
          scope.left().join(scope.versionedTable(), Operators::both, Joined.with(STRING, STRING, STRING)))),
      entry("stream-versioned-join-grace", scope -> scope.streams(
          scope.left().join(scope.versionedTable(), Operators::both,
              Joined.with(STRING, STRING, STRING, "waiting", GRACE)))),
      entry("stream-global-join", scope -> scope.streams(
          scope.left().join(scope.globalTable(), Operators::row, Operators::both))),
      entry("stream-global-left-join", scope -> scope.streams(
          scope.left().leftJoin(scope.globalTable(), Operators::row, Operators::both))),
      entry("stream-stream-join", scope -> scope.streams(
          scope.left().join(scope.right(), Operators::both, WITHIN, StreamJoined.with(STRING, STRING, STRING)))),
      entry("stream-stream-left-join", scope -> scope.streams(
          scope.left().leftJoin(scope.right(), Operators::both, WITHIN, StreamJoined.with(STRING, STRING, STRING)))),
      entry("stream-stream-outer-join", scope -> scope.streams(
          scope.left().outerJoin(scope.right(), Operators::both, WITHIN, StreamJoined.with(STRING, STRING, STRING)))),
      entry("table-table-join", scope -> scope.texts(scope.leftTable().join(scope.rightTable(), Operators::both))),
      entry("table-table-left-join", scope -> scope.texts(
          scope.leftTable().leftJoin(scope.rightTable(), Operators::both))),
      entry("table-table-outer-join", scope -> scope.texts(
          scope.leftTable().outerJoin(scope.rightTable(), Operators::both))),
      entry("foreign-key-join", scope -> scope.texts(
          scope.leftTable().join(scope.rightTable(), Operators::foreignKey, Operators::both, scope.kept(STRING)))),
      entry("foreign-key-left-join", scope -> scope.texts(
          scope.leftTable().leftJoin(scope.rightTable(), Operators::foreignKey, Operators::both, scope.kept(STRING)))));

  private static final int TAIL_CHARACTERS = 40;
  private static final int FOREIGN_KEYS = 50;

  private Operators() {}

  /** Both, one after the other, of which the end is kept: says which values came, and in which order. */
  private static String tail(String one, String other) {
    String both = one + other;
    return both.substring(Math.max(0, both.length() - TAIL_CHARACTERS));
  }

  private static String both(String left, String right) {
    return left + "+" + right;
  }

  private static long number(String value) {
    return Long.parseLong(value);
  }

  private static String seed(String key) {
    return key.substring(0, key.indexOf('-') + 1);
  }

  private static String group(String key, String value) {
    return seed(key) + "g" + number(value) % 10;
  }

  private static String foreignKey(String key, String value) {
    return number(value) % 11 == 0 ? null : seed(key) + "k" + number(value) % FOREIGN_KEYS;
  }

  private static String row(String key, String value) {
    return key == null || value == null ? null : foreignKey(key, value);
  }

  /** The input of an operator in its parts, and its output in its serdes. */
  static final class Scope {
    private final StreamsBuilder builder;
    private final KStream<String, String> input;
    private final String rows;
    private final String output;

    Scope(StreamsBuilder builder, String input, String rows, String output) {
      this.builder = builder;
      this.input = builder.stream(input, Consumed.with(STRING, STRING));
      this.rows = rows;
      this.output = output;
    }

    KGroupedStream<String, String> grouped() {
      return input.groupByKey(Grouped.with(STRING, STRING));
    }

    GlobalKTable<String, String> globalTable() {
      return builder.globalTable(rows, Consumed.with(STRING, STRING));
    }

    /** A reduced value of each key, there for some of its values and gone for others. */
    KTable<String, String> someSums() {
      return grouped().reduce(Operators::tail, kept(STRING)).filter((key, sum) -> !sum.matches(".*[789]"));
    }

    /** Records without a value are of the left side. */
    KStream<String, String> left() {
      return input.filter((key, value) -> value == null || value.startsWith("l")).mapValues(Scope::payload);
    }

    private static String payload(String value) {
      return value == null || value.length() == 1 ? null : value.substring(1);
    }

    KTable<String, String> leftTable() {
      return left().toTable(kept("left", STRING));
    }

    KStream<String, String> right() {
      return input.filter((key, value) -> value != null && value.startsWith("r")).mapValues(Scope::payload);
    }

    KTable<String, String> rightTable() {
      return right().toTable(kept("right", STRING));
    }

    KTable<String, String> versionedTable() {
      return right().toTable(Materialized.<String, String>as(Stores.persistentVersionedKeyValueStore("right", HISTORY))
          .withKeySerde(STRING).withValueSerde(STRING));
    }

    private static <V> Materialized<String, V, KeyValueStore<Bytes, byte[]>> kept(String name, Serde<V> value) {
      return Materialized.<String, V, KeyValueStore<Bytes, byte[]>>as(name).withKeySerde(STRING).withValueSerde(value);
    }

    <V> Materialized<String, V, KeyValueStore<Bytes, byte[]>> kept(Serde<V> value) {
      return kept("kept", value);
    }

    <V> Materialized<String, V, WindowStore<Bytes, byte[]>> windows(Serde<V> value) {
      return Materialized.<String, V, WindowStore<Bytes, byte[]>>as("kept").withKeySerde(STRING).withValueSerde(value);
    }

    <V> Materialized<String, V, SessionStore<Bytes, byte[]>> sessions(Serde<V> value) {
      return Materialized.<String, V, SessionStore<Bytes, byte[]>>as("kept").withKeySerde(STRING).withValueSerde(value);
    }

    void streams(KStream<String, String> stream) {
      stream.to(output, Produced.with(STRING, STRING));
    }

    void texts(KTable<String, String> table) {
      streams(table.toStream());
    }

    void counts(KTable<String, Long> table) {
      table.toStream().to(output, Produced.with(STRING, Serdes.Long()));
    }

    private <V> void windowed(KTable<Windowed<String>, V> table, long sizeMs, Serde<V> value) {
      table.toStream().to(output, Produced.with(WindowedSerdes.timeWindowedSerdeFrom(String.class, sizeMs), value));
    }

    void windowedTexts(KTable<Windowed<String>, String> table, long sizeMs) {
      windowed(table, sizeMs, STRING);
    }

    void windowedCounts(KTable<Windowed<String>, Long> table, long sizeMs) {
      windowed(table, sizeMs, Serdes.Long());
    }

    void sessionTexts(KTable<Windowed<String>, String> table) {
      table.toStream().to(output, Produced.with(WindowedSerdes.sessionWindowedSerdeFrom(String.class), STRING));
    }

    void sessionCounts(KTable<Windowed<String>, Long> table) {
      table.toStream().to(output, Produced.with(WindowedSerdes.sessionWindowedSerdeFrom(String.class), Serdes.Long()));
    }
  }
}
