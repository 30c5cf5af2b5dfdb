// What an operator does to a running cluster: settings of topics, quotas; and a stray consumer that joins a group.
package millstream.judge;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.NullNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

final class Operator {
    private final String brokers;
    private final Admin admin;

    Operator(String brokers) {
        this.brokers = brokers;
        Properties settings = new Properties();
        settings.put(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        admin = Admin.create(settings);
    }

    JsonNode alterTopic(JsonNode request) throws Exception {
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, request.get("topic").asText());
        List<AlterConfigOp> changes = new ArrayList<>();
        request.get("settings").properties().forEach(entry ->
            changes.add(new AlterConfigOp(new ConfigEntry(entry.getKey(), entry.getValue().asText()), AlterConfigOp.OpType.SET)));
        admin.incrementalAlterConfigs(Map.of(topic, changes)).all().get();
        // The controller answers before the brokers know it.
        while (!shows(topic, changes)) Thread.sleep(20);
        return NullNode.instance;
    }

    private boolean shows(ConfigResource topic, List<AlterConfigOp> changes) throws Exception {
        var config = admin.describeConfigs(List.of(topic)).all().get().get(topic);
        return changes.stream().map(AlterConfigOp::configEntry)
            .allMatch(entry -> config.get(entry.name()).value().equals(entry.value()));
    }

    /** Quotas of one client id: {name: number}, null takes it away. */
    JsonNode clientQuotas(JsonNode request) throws Exception {
        var entity = new ClientQuotaEntity(Map.of(ClientQuotaEntity.CLIENT_ID, request.get("clientId").asText()));
        List<ClientQuotaAlteration.Op> changes = new ArrayList<>();
        request.get("quotas").properties().forEach(entry -> {
            Double value = entry.getValue().isNull() ? null : entry.getValue().asDouble();
            changes.add(new ClientQuotaAlteration.Op(entry.getKey(), value));
        });
        admin.alterClientQuotas(List.of(new ClientQuotaAlteration(entity, changes))).all().get();
        return NullNode.instance;
    }

    /** A consumer of the new group protocol (KIP-848): "joined", or the name of what refused it. */
    JsonNode joinNewProtocol(JsonNode request) {
        Properties settings = new Properties();
        settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        settings.put(ConsumerConfig.GROUP_PROTOCOL_CONFIG, "consumer");
        settings.put(ConsumerConfig.GROUP_ID_CONFIG, request.get("group").asText());
        settings.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false");
        settings.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class.getName());
        settings.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class.getName());
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings)) {
            consumer.subscribe(List.of(request.get("topic").asText()));
            long deadline = System.nanoTime() + Duration.ofMillis(request.get("timeoutMs").asLong()).toNanos();
            // A member that is let in is told an epoch, whether there is a partition for it already or not.
            while (System.nanoTime() < deadline && consumer.groupMetadata().generationId() < 1) consumer.poll(Duration.ofMillis(100));
            boolean isMember = consumer.groupMetadata().generationId() >= 1;
            return Judge.JSON.getNodeFactory().textNode(isMember ? "joined" : "no answer");
        } catch (KafkaException refused) {
            return Judge.JSON.getNodeFactory().textNode(refused.getClass().getSimpleName());
        }
    }
}
