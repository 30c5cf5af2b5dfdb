// Everything asked of the admin client: topics, offsets, groups, transactions, features.
package millstream.judge;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.LongNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsOptions;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

final class Cluster {
    private static final int LIST_ATTEMPTS = 60;
    private static final long LIST_PAUSE_MS = 500;
    private final Admin admin;

    Cluster(String brokers) {
        Properties settings = new Properties();
        settings.put(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        admin = Admin.create(settings);
    }

    JsonNode createTopics(JsonNode request) throws Exception {
        List<NewTopic> topics = new ArrayList<>();
        for (JsonNode topic : request.get("topics")) {
            Map<String, String> settings = new HashMap<>();
            topic.path("settings").properties().forEach(entry -> settings.put(entry.getKey(), entry.getValue().asText()));
            short replication = (short) topic.path("replicationFactor").asInt(1);
            int partitions = topic.path("partitions").asInt(1);
            topics.add(new NewTopic(topic.get("name").asText(), partitions, replication).configs(settings));
        }
        admin.createTopics(topics).all().get();
        // The answer means "recorded by the controller"; a broker may learn of the topic a moment later.
        List<String> names = topics.stream().map(NewTopic::name).toList();
        while (!haveLeaders(names)) Thread.sleep(20);
        return NullNode.instance;
    }

    private boolean haveLeaders(List<String> names) throws Exception {
        try {
            for (TopicDescription topic : admin.describeTopics(names).allTopicNames().get().values()) {
                if (topic.partitions().stream().anyMatch(info -> info.leader() == null || info.leader().isEmpty())) return false;
            }
            return true;
        } catch (ExecutionException error) {
            if (error.getCause() instanceof UnknownTopicOrPartitionException) return false;
            throw error;
        }
    }

    /** How many partitions lack an in-sync replica. */
    JsonNode underReplicated() throws Exception {
        var options = new ListTopicsOptions().listInternal(true);
        var names = admin.listTopics(options).names().get();
        long count = admin.describeTopics(names).allTopicNames().get().values().stream()
            .flatMap(topic -> topic.partitions().stream())
            .filter(info -> info.isr().size() < info.replicas().size())
            .count();
        return LongNode.valueOf(count);
    }

    JsonNode deleteTopics(JsonNode request) throws Exception {
        admin.deleteTopics(texts(request.get("topics"))).all().get();
        return NullNode.instance;
    }

    /** Settings made on the topic itself: {name: value}. */
    JsonNode topicSettings(JsonNode request) throws Exception {
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, request.get("topic").asText());
        ObjectNode node = Judge.JSON.createObjectNode();
        for (ConfigEntry entry : admin.describeConfigs(List.of(topic)).all().get().get(topic).entries()) {
            if (entry.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG) node.put(entry.name(), entry.value());
        }
        return node;
    }

    /** [{partition, earliest, highWatermark, lastStable}] of a topic. */
    JsonNode offsets(JsonNode request) throws Exception {
        String name = request.get("topic").asText();
        TopicDescription topic = admin.describeTopics(List.of(name)).allTopicNames().get().get(name);
        Map<TopicPartition, OffsetSpec> first = new HashMap<>();
        Map<TopicPartition, OffsetSpec> last = new HashMap<>();
        topic.partitions().forEach(info -> first.put(new TopicPartition(name, info.partition()), OffsetSpec.earliest()));
        first.keySet().forEach(partition -> last.put(partition, OffsetSpec.latest()));
        var earliest = admin.listOffsets(first).all().get();
        var high = admin.listOffsets(last, new ListOffsetsOptions(IsolationLevel.READ_UNCOMMITTED)).all().get();
        var stable = admin.listOffsets(last, new ListOffsetsOptions(IsolationLevel.READ_COMMITTED)).all().get();
        ArrayNode list = Judge.JSON.createArrayNode();
        for (int number = 0; number < topic.partitions().size(); number++) {
            TopicPartition partition = new TopicPartition(name, number);
            ObjectNode node = list.addObject().put("partition", number);
            node.put("earliest", earliest.get(partition).offset());
            node.put("highWatermark", high.get(partition).offset());
            node.put("lastStable", stable.get(partition).offset());
        }
        return list;
    }

    JsonNode deleteRecords(JsonNode request) throws Exception {
        TopicPartition partition = new TopicPartition(request.get("topic").asText(), request.get("partition").asInt());
        RecordsToDelete before = RecordsToDelete.beforeOffset(request.get("beforeOffset").asLong());
        admin.deleteRecords(Map.of(partition, before)).all().get();
        return NullNode.instance;
    }

    /** [{topic, partition, offset, metadata}] of a group; with requireStable it fails while offsets are pending. */
    JsonNode groupOffsets(JsonNode request) throws Exception {
        String group = request.get("group").asText();
        var options = new ListConsumerGroupOffsetsOptions().requireStable(request.path("requireStable").asBoolean());
        var found = admin.listConsumerGroupOffsets(Map.of(group, new ListConsumerGroupOffsetsSpec()), options);
        ArrayNode list = Judge.JSON.createArrayNode();
        found.partitionsToOffsetAndMetadata(group).get().forEach((partition, offset) -> {
            if (offset == null) return;
            ObjectNode node = list.addObject().put("topic", partition.topic()).put("partition", partition.partition());
            node.put("offset", offset.offset()).put("metadata", offset.metadata());
        });
        return list;
    }

    /** Sets offsets from outside, as an operator's tool does; the group must have no members. */
    JsonNode setGroupOffsets(JsonNode request) throws Exception {
        admin.alterConsumerGroupOffsets(request.get("group").asText(), offsetsFrom(request)).all().get();
        return NullNode.instance;
    }

    /** Removes the group with its offsets, as their retention does. */
    JsonNode deleteGroup(JsonNode request) throws Exception {
        admin.deleteConsumerGroups(List.of(request.get("group").asText())).all().get();
        return NullNode.instance;
    }

    /** Puts a static member out of its group (KIP-345). */
    JsonNode removeMember(JsonNode request) throws Exception {
        var members = List.of(new MemberToRemove(request.get("instance").asText()));
        var options = new RemoveMembersFromConsumerGroupOptions(members);
        admin.removeMembersFromConsumerGroup(request.get("group").asText(), options).all().get();
        return NullNode.instance;
    }

    JsonNode setTopicSetting(JsonNode request) throws Exception {
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, request.get("topic").asText());
        ConfigEntry entry = new ConfigEntry(request.get("name").asText(), request.get("value").asText());
        var change = new AlterConfigOp(entry, AlterConfigOp.OpType.SET);
        admin.incrementalAlterConfigs(Map.of(topic, List.of(change))).all().get();
        return NullNode.instance;
    }

    JsonNode addPartitions(JsonNode request) throws Exception {
        var increase = NewPartitions.increaseTo(request.get("partitions").asInt());
        admin.createPartitions(Map.of(request.get("topic").asText(), increase)).all().get();
        return NullNode.instance;
    }

    static Map<TopicPartition, OffsetAndMetadata> offsetsFrom(JsonNode request) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (JsonNode entry : request.get("offsets")) {
            TopicPartition partition = new TopicPartition(entry.get("topic").asText(), entry.get("partition").asInt());
            offsets.put(partition, new OffsetAndMetadata(entry.get("offset").asLong(), entry.path("metadata").asText("")));
        }
        return offsets;
    }

    /** {state, coordinator (node id), assignor, members: [{memberId, instanceId, clientId, host, partitions: [[topic, partition]]}]}. */
    JsonNode describeGroup(JsonNode request) throws Exception {
        String group = request.get("group").asText();
        var found = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        ObjectNode node = Judge.JSON.createObjectNode();
        node.put("state", found.groupState().toString()).put("assignor", found.partitionAssignor());
        node.put("coordinator", found.coordinator().id());
        ArrayNode members = node.putArray("members");
        found.members().forEach(member -> {
            ObjectNode entry = members.addObject().put("memberId", member.consumerId());
            entry.put("instanceId", member.groupInstanceId().orElse(null)).put("clientId", member.clientId());
            entry.put("host", member.host());
            ArrayNode partitions = entry.putArray("partitions");
            member.assignment().topicPartitions().forEach(partition -> partitions.addArray().add(partition.topic()).add(partition.partition()));
        });
        return node;
    }

    JsonNode listTransactions(JsonNode request) throws Exception {
        ArrayNode list = Judge.JSON.createArrayNode();
        transactions().forEach(entry -> {
            ObjectNode node = list.addObject().put("transactionalId", entry.transactionalId());
            node.put("producerId", entry.producerId()).put("state", entry.state().toString());
        });
        return list;
    }

    /** Kafka's admin looks a broker up again that was lost in between, and then refuses its own question: it is asked anew. */
    private Collection<TransactionListing> transactions() throws Exception {
        for (int attempt = 0; ; attempt++) {
            try {
                return admin.listTransactions().all().get();
            } catch (ExecutionException failed) {
                if (!(failed.getCause() instanceof IllegalArgumentException) || attempt == LIST_ATTEMPTS) throw failed;
                Thread.sleep(LIST_PAUSE_MS);
            }
        }
    }

    JsonNode describeTransactions(JsonNode request) throws Exception {
        ArrayNode list = Judge.JSON.createArrayNode();
        admin.describeTransactions(texts(request.get("transactionalIds"))).all().get().forEach((id, found) -> {
            ObjectNode node = list.addObject().put("transactionalId", id).put("state", found.state().toString());
            node.put("producerId", found.producerId()).put("producerEpoch", found.producerEpoch());
            node.put("timeoutMs", found.transactionTimeoutMs());
            ArrayNode partitions = node.putArray("partitions");
            found.topicPartitions().forEach(partition -> partitions.addArray().add(partition.topic()).add(partition.partition()));
        });
        return list;
    }

    /** Producers that a partition remembers: [{producerId, producerEpoch, lastSequence, openTransactionStart}]. */
    JsonNode describeProducers(JsonNode request) throws Exception {
        TopicPartition partition = new TopicPartition(request.get("topic").asText(), request.get("partition").asInt());
        ArrayNode list = Judge.JSON.createArrayNode();
        for (ProducerState state : admin.describeProducers(List.of(partition)).partitionResult(partition).get().activeProducers()) {
            ObjectNode node = list.addObject().put("producerId", state.producerId());
            node.put("producerEpoch", state.producerEpoch()).put("lastSequence", state.lastSequence());
            if (state.currentTransactionStartOffset().isPresent()) {
                node.put("openTransactionStart", state.currentTransactionStartOffset().getAsLong());
            } else {
                node.putNull("openTransactionStart");
            }
        }
        return list;
    }

    /** Finalized features of the cluster: {name: level}. */
    JsonNode features() throws Exception {
        ObjectNode node = Judge.JSON.createObjectNode();
        var finalized = admin.describeFeatures().featureMetadata().get().finalizedFeatures();
        finalized.forEach((name, range) -> node.put(name, range.maxVersionLevel()));
        return node;
    }

    /** Raises or lowers the finalized feature transaction.version of the running cluster. */
    JsonNode setTransactionVersion(JsonNode request) throws Exception {
        boolean lower = request.get("lower").asBoolean();
        var type = lower ? FeatureUpdate.UpgradeType.SAFE_DOWNGRADE : FeatureUpdate.UpgradeType.UPGRADE;
        var update = new FeatureUpdate((short) request.get("level").asInt(), type);
        admin.updateFeatures(Map.of("transaction.version", update), new UpdateFeaturesOptions()).all().get();
        return NullNode.instance;
    }

    private static List<String> texts(JsonNode list) {
        List<String> texts = new ArrayList<>();
        list.forEach(entry -> texts.add(entry.asText()));
        return texts;
    }
}
