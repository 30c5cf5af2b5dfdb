// RecordBatch v2 bytes, written and read by Kafka's own record code without a broker: golden bytes both ways.
package millstream.judge;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;

final class Batches {
    private Batches() {}

    /** One batch of the given records, or with "marker" (commit or abort) a control batch; answers base64. */
    static JsonNode encode(JsonNode request) throws IOException {
        long baseOffset = request.path("baseOffset").asLong(0);
        long producerId = request.path("producerId").asLong(RecordBatch.NO_PRODUCER_ID);
        short epoch = (short) request.path("producerEpoch").asInt(RecordBatch.NO_PRODUCER_EPOCH);
        if (request.hasNonNull("marker")) {
            var type = request.get("marker").asText().equals("commit") ? ControlRecordType.COMMIT : ControlRecordType.ABORT;
            long timestamp = request.path("timestamp").asLong(0);
            var marker = new EndTransactionMarker(type, request.path("coordinatorEpoch").asInt(0));
            return bytes(MemoryRecords.withEndTransactionMarker(baseOffset, timestamp, 0, producerId, epoch, marker).buffer());
        }
        Compression compression = Compression.of(request.path("compression").asText("none")).build();
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(1024), RecordBatch.MAGIC_VALUE_V2, compression,
            TimestampType.CREATE_TIME, baseOffset, RecordBatch.NO_TIMESTAMP, producerId, epoch,
            request.path("baseSequence").asInt(RecordBatch.NO_SEQUENCE), request.path("transactional").asBoolean(),
            request.path("leaderEpoch").asInt(RecordBatch.NO_PARTITION_LEADER_EPOCH));
        long offset = baseOffset;
        for (JsonNode node : request.get("records")) {
            ProducerRecord<byte[], byte[]> record = Records.fromJson("golden", node);
            if (node.has("offset")) offset = node.get("offset").asLong();
            long timestamp = record.timestamp() == null ? 0 : record.timestamp();
            builder.appendWithOffset(offset++, timestamp, record.key(), record.value(), record.headers().toArray());
        }
        return bytes(builder.build().buffer());
    }

    /** Every batch of the base64 bytes, CRC checked, with its header and its records. */
    static JsonNode decode(JsonNode request) throws IOException {
        ArrayNode list = Judge.JSON.createArrayNode();
        MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.wrap(request.get("bytes").binaryValue()));
        for (MutableRecordBatch batch : records.batches()) {
            batch.ensureValid();
            list.add(toJson(batch));
        }
        return list;
    }

    private static ObjectNode toJson(RecordBatch batch) {
        ObjectNode node = Judge.JSON.createObjectNode();
        node.put("baseOffset", batch.baseOffset()).put("lastOffset", batch.lastOffset()).put("sizeInBytes", batch.sizeInBytes());
        node.put("compression", CompressionType.forId(batch.compressionType().id).name).put("maxTimestamp", batch.maxTimestamp());
        node.put("producerId", batch.producerId()).put("producerEpoch", batch.producerEpoch());
        node.put("baseSequence", batch.baseSequence()).put("leaderEpoch", batch.partitionLeaderEpoch());
        node.put("transactional", batch.isTransactional()).put("control", batch.isControlBatch());
        ArrayNode records = node.putArray("records");
        for (Record record : batch) {
            ObjectNode entry = records.addObject().put("offset", record.offset()).put("timestamp", record.timestamp());
            entry.put("key", copy(record.key())).put("value", copy(record.value()));
            ArrayNode headers = entry.putArray("headers");
            for (Header header : record.headers()) headers.addArray().add(header.key()).add(header.value());
        }
        return node;
    }

    private static JsonNode bytes(ByteBuffer buffer) {
        return Judge.JSON.getNodeFactory().binaryNode(copy(buffer));
    }

    private static byte[] copy(ByteBuffer buffer) {
        if (buffer == null) return null;
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return bytes;
    }
}
