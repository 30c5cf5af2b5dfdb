// Writes with Kafka's own producer. A producer is opened under a name and driven step by step, so that the caller
// decides how transactions of several producers interleave. Each send is flushed: it makes one batch per partition.
package millstream.judge;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.NullNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;

final class Writer {
    private final String brokers;
    private final Map<String, KafkaProducer<byte[], byte[]>> producers = new ConcurrentHashMap<>();

    Writer(String brokers) {
        this.brokers = brokers;
    }

    JsonNode open(JsonNode request) {
        Properties settings = new Properties();
        settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        settings.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class.getName());
        settings.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class.getName());
        settings.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, request.path("compression").asText("none"));
        // Only flush() closes a batch: where batches begin and end does not depend on time.
        settings.put(ProducerConfig.LINGER_MS_CONFIG, "60000");
        settings.put(ProducerConfig.BATCH_SIZE_CONFIG, "900000");
        settings.put(ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, "120000");
        request.path("settings").properties().forEach(entry -> settings.put(entry.getKey(), entry.getValue().asText()));
        boolean transactional = request.hasNonNull("transactionalId");
        if (transactional) settings.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, request.get("transactionalId").asText());
        KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings);
        try {
            if (transactional) producer.initTransactions();
        } catch (RuntimeException error) {
            producer.close(Duration.ZERO);
            throw error;
        }
        producers.put(request.get("producer").asText(), producer);
        return NullNode.instance;
    }

    JsonNode begin(JsonNode request) {
        producer(request).beginTransaction();
        return NullNode.instance;
    }

    /** Sends records to a topic and waits for all acknowledgements: [[partition, offset], ...] in their order. */
    JsonNode send(JsonNode request) throws Exception {
        KafkaProducer<byte[], byte[]> producer = producer(request);
        String topic = request.get("topic").asText();
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (JsonNode record : request.get("records")) sent.add(producer.send(Records.fromJson(topic, record)));
        producer.flush();
        ArrayNode places = Judge.JSON.createArrayNode();
        for (Future<RecordMetadata> future : sent) {
            RecordMetadata metadata = future.get();
            places.addArray().add(metadata.partition()).add(metadata.offset());
        }
        return places;
    }

    JsonNode commit(JsonNode request) {
        producer(request).commitTransaction();
        return NullNode.instance;
    }

    JsonNode abort(JsonNode request) {
        producer(request).abortTransaction();
        return NullNode.instance;
    }

    JsonNode sendOffsets(JsonNode request) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>(Cluster.offsetsFrom(request));
        producer(request).sendOffsetsToTransaction(offsets, new ConsumerGroupMetadata(request.get("group").asText()));
        return NullNode.instance;
    }

    /** With "abandon" an open transaction stays open on the broker until its timeout, as after a crash. */
    JsonNode close(JsonNode request) {
        KafkaProducer<byte[], byte[]> producer = producers.remove(request.get("producer").asText());
        if (producer != null) producer.close(request.path("abandon").asBoolean() ? Duration.ZERO : Duration.ofSeconds(30));
        return NullNode.instance;
    }

    private KafkaProducer<byte[], byte[]> producer(JsonNode request) {
        String name = request.get("producer").asText();
        KafkaProducer<byte[], byte[]> producer = producers.get(name);
        if (producer == null) throw new IllegalArgumentException("no producer " + name + " is open");
        return producer;
    }
}
