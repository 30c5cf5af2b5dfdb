// Follows a topic while it grows, as long as the owner wants, or once to its end. Records come packed, so that tens of
// thousands a second cost little on either side: offset int64, length of the key int16, key, length of the value int32
// (-1: null), value.
package millstream.judge;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.NullNode;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

final class Follower {
    private final String brokers;
    private final Set<String> stopped = ConcurrentHashMap.newKeySet();

    Follower(String brokers) {
        this.brokers = brokers;
    }

    /** Parts [partition, position behind it, packed records]; ends at "unfollow", or with "untilEnd" at the end as it is now. */
    JsonNode follow(JsonNode request, Consumer<ArrayNode> more) throws IOException {
        String name = request.get("follow").asText();
        String topic = request.get("topic").asText();
        boolean untilEnd = request.path("untilEnd").asBoolean();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings())) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                .map(info -> new TopicPartition(topic, info.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = untilEnd ? consumer.endOffsets(partitions) : Map.of();
            Map<TopicPartition, Long> told = new HashMap<>();
            while (!stopped.contains(name)) {
                ArrayNode part = pack(consumer, consumer.poll(Duration.ofMillis(100)), partitions, told);
                if (!part.isEmpty()) more.accept(part);
                if (untilEnd && partitions.stream().allMatch(one -> consumer.position(one) >= ends.get(one))) break;
            }
        }
        return NullNode.instance;
    }

    JsonNode unfollow(JsonNode request) {
        stopped.add(request.get("follow").asText());
        return NullNode.instance;
    }

    private static ArrayNode pack(KafkaConsumer<byte[], byte[]> consumer, ConsumerRecords<byte[], byte[]> polled,
            List<TopicPartition> partitions, Map<TopicPartition, Long> told) throws IOException {
        ArrayNode part = Judge.JSON.createArrayNode();
        for (TopicPartition partition : partitions) {
            // A position moves past markers and aborted records too.
            long position = consumer.position(partition);
            if (told.getOrDefault(partition, -1L) == position) continue;
            told.put(partition, position);
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            DataOutputStream out = new DataOutputStream(bytes);
            for (ConsumerRecord<byte[], byte[]> record : polled.records(partition)) write(out, record);
            part.addArray().add(partition.partition()).add(position).add(bytes.toByteArray());
        }
        return part;
    }

    private static void write(DataOutputStream out, ConsumerRecord<byte[], byte[]> record) throws IOException {
        out.writeLong(record.offset());
        out.writeShort(record.key().length);
        out.write(record.key());
        out.writeInt(record.value() == null ? -1 : record.value().length);
        if (record.value() != null) out.write(record.value());
    }

    private Properties settings() {
        Properties settings = new Properties();
        settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        settings.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class.getName());
        settings.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class.getName());
        settings.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false");
        settings.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, "false");
        settings.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        // A record that was deleted before it was read must be an error, never a jump.
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none");
        settings.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, "10000");
        settings.put(ConsumerConfig.FETCH_MIN_BYTES_CONFIG, "16384");
        settings.put(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, "100");
        return settings;
    }
}
