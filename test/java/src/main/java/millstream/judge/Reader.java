// Reads topics with Kafka's own consumer, which is the judge of what is committed. Consumers are kept and used again,
// so that thousands of small reads do not pay for thousands of connections.
package millstream.judge;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

final class Reader {
    private static final int PART_RECORDS = 2000;
    /** A transaction that is committed is seen when its markers are written; one that stays open is not waited for longer. */
    private static final long SETTLE_MS = 1000;

    private final String brokers;
    private final Map<Properties, ConcurrentLinkedDeque<KafkaConsumer<byte[], byte[]>>> idle = new ConcurrentHashMap<>();

    Reader(String brokers) {
        this.brokers = brokers;
    }

    private interface Use<T> {
        T with(KafkaConsumer<byte[], byte[]> consumer) throws Exception;
    }

    /**
     * All records from fromOffset (default: the beginning) up to the end as it is now: the high watermark for
     * read_uncommitted; for read_committed the last stable offset, once what is open now has ended (or SETTLE_MS are over).
     */
    JsonNode dump(JsonNode request, Consumer<ArrayNode> more) throws Exception {
        String isolation = request.path("isolation").asText("read_committed");
        return borrow(settings(request, isolation), consumer -> {
            List<TopicPartition> partitions = partitions(consumer, request);
            return read(consumer, partitions, ends(consumer, partitions, request, isolation), request, more);
        });
    }

    private <T> T borrow(Properties settings, Use<T> use) throws Exception {
        var free = idle.computeIfAbsent(settings, key -> new ConcurrentLinkedDeque<>());
        KafkaConsumer<byte[], byte[]> consumer = free.poll();
        if (consumer == null) consumer = new KafkaConsumer<>(settings);
        try {
            T result = use.with(consumer);
            consumer.unsubscribe();
            free.push(consumer);
            return result;
        } catch (Exception error) {
            consumer.close();
            throw error;
        }
    }

    private Map<TopicPartition, Long> ends(
            KafkaConsumer<byte[], byte[]> consumer, List<TopicPartition> partitions, JsonNode request, String isolation)
            throws Exception {
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        if (!isolation.equals("read_committed")) return ends;
        long deadline = System.nanoTime() + Duration.ofMillis(SETTLE_MS).toNanos();
        var written = borrow(settings(request, "read_uncommitted"), other -> other.endOffsets(partitions));
        while (isBehind(ends, written) && System.nanoTime() < deadline) {
            Thread.sleep(10);
            ends = consumer.endOffsets(partitions);
        }
        return ends;
    }

    private static boolean isBehind(Map<TopicPartition, Long> ends, Map<TopicPartition, Long> written) {
        return written.entrySet().stream().anyMatch(end -> ends.get(end.getKey()) < end.getValue());
    }

    private Properties settings(JsonNode request, String isolation) {
        Properties settings = new Properties();
        settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        settings.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class.getName());
        settings.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class.getName());
        settings.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false");
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none");
        settings.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, "false");
        settings.put(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, "50");
        settings.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, isolation);
        if (request.has("fetchMaxBytes")) {
            settings.put(ConsumerConfig.FETCH_MAX_BYTES_CONFIG, request.get("fetchMaxBytes").asText());
        }
        if (request.has("maxPartitionFetchBytes")) {
            settings.put(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, request.get("maxPartitionFetchBytes").asText());
        }
        return settings;
    }

    private static JsonNode read(
            KafkaConsumer<byte[], byte[]> consumer,
            List<TopicPartition> partitions,
            Map<TopicPartition, Long> ends,
            JsonNode request,
            Consumer<ArrayNode> more)
            throws TimeoutException {
        consumer.assign(partitions);
        Map<TopicPartition, Long> starts = consumer.beginningOffsets(partitions);
        long from = request.path("fromOffset").asLong(0);
        // A position behind the end of a partition would be out of its range.
        for (TopicPartition partition : partitions) {
            consumer.seek(partition, Math.max(Math.min(from, ends.get(partition)), starts.get(partition)));
        }
        long deadline = System.nanoTime() + Duration.ofMillis(request.path("timeoutMs").asLong(30_000)).toNanos();
        ArrayNode part = Judge.JSON.createArrayNode();
        // A position moves past markers and aborted records too, so reaching the end is seen without a record there.
        while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
            if (System.nanoTime() > deadline) throw new TimeoutException("the end was not reached: " + ends);
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                TopicPartition partition = new TopicPartition(record.topic(), record.partition());
                if (record.offset() >= ends.get(partition)) continue;
                part.add(Records.toJson(record));
                if (part.size() < PART_RECORDS) continue;
                more.accept(part);
                part = Judge.JSON.createArrayNode();
            }
        }
        if (!part.isEmpty()) more.accept(part);
        ObjectNode endNode = Judge.JSON.createObjectNode();
        ends.forEach((partition, offset) -> endNode.put(String.valueOf(partition.partition()), offset));
        return endNode;
    }

    private static List<TopicPartition> partitions(KafkaConsumer<byte[], byte[]> consumer, JsonNode request) {
        String topic = request.get("topic").asText();
        if (request.has("partition")) return List.of(new TopicPartition(topic, request.get("partition").asInt()));
        List<TopicPartition> all = new ArrayList<>();
        var known = consumer.partitionsFor(topic);
        if (known == null || known.isEmpty()) throw new IllegalArgumentException("topic " + topic + " does not exist");
        known.forEach(info -> all.add(new TopicPartition(topic, info.partition())));
        return all;
    }
}
