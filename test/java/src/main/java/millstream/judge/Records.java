// Records and bytes in JSON: keys, values and header values are base64 or null.
package millstream.judge;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;

final class Records {
    private Records() {}

    static ObjectNode toJson(ConsumerRecord<byte[], byte[]> record) {
        ObjectNode node = Judge.JSON.createObjectNode();
        node.put("partition", record.partition());
        node.put("offset", record.offset());
        node.put("timestamp", record.timestamp());
        node.put("key", record.key());
        node.put("value", record.value());
        ArrayNode headers = node.putArray("headers");
        for (Header header : record.headers()) headers.addArray().add(header.key()).add(header.value());
        return node;
    }

    static ProducerRecord<byte[], byte[]> fromJson(String topic, JsonNode node) throws IOException {
        RecordHeaders headers = new RecordHeaders();
        for (JsonNode header : node.path("headers")) headers.add(header.get(0).asText(), bytes(header.get(1)));
        Integer partition = node.hasNonNull("partition") ? node.get("partition").asInt() : null;
        Long timestamp = node.hasNonNull("timestamp") ? node.get("timestamp").asLong() : null;
        return new ProducerRecord<>(topic, partition, timestamp, bytes(node.get("key")), bytes(node.get("value")), headers);
    }

    private static byte[] bytes(JsonNode node) throws IOException {
        return node == null || node.isNull() ? null : node.binaryValue();
    }
}
