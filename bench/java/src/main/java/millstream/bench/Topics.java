// Topics and groups through the admin client: made, removed, and waited for.
package millstream.bench;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsOptions;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.UnstableOffsetCommitException;

public final class Topics {
  private static final int PROGRESS_INTERVAL_MS = 5000;
  /** How exactly the end of a run is seen; the fastest run takes a hundred times as long. */
  private static final int POLL_INTERVAL_MS = 10;
  /** Far from the end it is asked less often, so that the asking costs the broker nothing that could be measured. */
  private static final int FAR_POLL_INTERVAL_MS = 50;
  private static final long LEADERS_TIMEOUT_NANOS = 30_000_000_000L;

  private final Admin admin;

  public Topics(Admin admin) {
    this.admin = admin;
  }

  String create(String topic, int partitions) throws Exception {
    return create(topic, partitions, Map.of());
  }

  public String create(String topic, int partitions, Map<String, String> settings) throws Exception {
    admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(settings))).all().get();
    awaitLeaders(topic, partitions);
    return "{\"partitions\":" + partitions + "}";
  }

  /**
   * Waits until every leader serves its partition. A topic is in the metadata an instant before; then a producer's
   * first batch can be refused (not leader) while the second, already under way, is taken: a partition without producer
   * state takes any sequence. From then on the first is out of order, and is repeated until it expires.
   */
  private void awaitLeaders(String topic, int partitions) throws Exception {
    Map<TopicPartition, OffsetSpec> wanted = new HashMap<>();
    for (int partition = 0; partition < partitions; partition++) {
      wanted.put(new TopicPartition(topic, partition), OffsetSpec.latest());
    }
    long deadline = System.nanoTime() + LEADERS_TIMEOUT_NANOS;
    for (;;) {
      try {
        admin.listOffsets(wanted, new ListOffsetsOptions()).all().get();
        return;
      } catch (ExecutionException error) {
        if (!(error.getCause() instanceof RetriableException) || System.nanoTime() > deadline) throw error;
        Thread.sleep(POLL_INTERVAL_MS);
      }
    }
  }

  /** Removes every topic and then every group of that prefix; what a contestant made internally carries it too. */
  public String deletePrefix(String prefix) throws Exception {
    Set<String> topics = admin.listTopics().names().get().stream()
        .filter(name -> name.startsWith(prefix)).collect(Collectors.toSet());
    admin.deleteTopics(topics).all().get();
    List<String> groups = admin.listGroups().all().get().stream().map(group -> group.groupId())
        .filter(name -> name.startsWith(prefix)).toList();
    int deletedGroups = 0;
    for (String group : groups) {
      try {
        admin.deleteConsumerGroups(List.of(group)).all().get();
        deletedGroups++;
      } catch (ExecutionException stillHasMembers) {
        // A contestant that was killed leaves a member behind; the broker forgets such a group by itself.
      }
    }
    return "{\"topics\":" + topics.size() + ",\"groups\":" + deletedGroups + "}";
  }

  public List<TopicPartition> partitionsOf(String topic) throws Exception {
    int count = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
    List<TopicPartition> partitions = new ArrayList<>();
    for (int partition = 0; partition < count; partition++) partitions.add(new TopicPartition(topic, partition));
    return partitions;
  }

  public Map<TopicPartition, Long> endOffsets(List<TopicPartition> partitions, IsolationLevel isolation) throws Exception {
    Map<TopicPartition, OffsetSpec> wanted = new HashMap<>();
    for (TopicPartition partition : partitions) wanted.put(partition, OffsetSpec.latest());
    Map<TopicPartition, ListOffsetsResultInfo> found =
        admin.listOffsets(wanted, new ListOffsetsOptions(isolation)).all().get();
    Map<TopicPartition, Long> ends = new HashMap<>();
    found.forEach((partition, info) -> ends.put(partition, info.offset()));
    return ends;
  }

  /** End offsets of a topic on which no transaction is open any more. */
  Map<TopicPartition, Long> settledEndOffsets(String topic, int timeoutMs) throws Exception {
    List<TopicPartition> partitions = partitionsOf(topic);
    long deadline = System.nanoTime() + timeoutMs * 1_000_000L;
    for (;;) {
      Map<TopicPartition, Long> stable = endOffsets(partitions, IsolationLevel.READ_COMMITTED);
      if (stable.equals(endOffsets(partitions, IsolationLevel.READ_UNCOMMITTED))) return stable;
      if (System.nanoTime() > deadline) {
        throw new Tool.CheckFailed(List.of("a transaction on " + topic + " was still open after " + timeoutMs + " ms"));
      }
      Thread.sleep(20);
    }
  }

  private static long sum(Iterable<Long> numbers) {
    long total = 0;
    for (long number : numbers) total += number;
    return total;
  }

  /**
   * Waits until the group has committed the end of every partition of the topic. Offsets inside an open transaction
   * do not count (require stable), and they commit together with the output: this is the end of the run, seen from
   * outside and alike for all contestants.
   */
  String awaitGroup(String group, String topic, int timeoutMs) throws Exception {
    Map<TopicPartition, Long> ends = endOffsets(partitionsOf(topic), IsolationLevel.READ_UNCOMMITTED);
    long total = sum(ends.values());
    long now = System.nanoTime();
    long deadline = now + timeoutMs * 1_000_000L;
    long nextProgress = now + PROGRESS_INTERVAL_MS * 1_000_000L;
    for (;;) {
      long committed = committed(group, ends);
      if (committed == total) return "{\"records\":" + total + "}";
      if (System.nanoTime() > deadline) {
        throw new Tool.CheckFailed(List.of("after " + timeoutMs + " ms the group " + group + " had committed "
            + committed + " of " + total + " records"));
      }
      if (System.nanoTime() > nextProgress) {
        Tool.progress(committed + " of " + total + " records committed");
        nextProgress += PROGRESS_INTERVAL_MS * 1_000_000L;
      }
      Thread.sleep(committed < total / 10 * 8 ? FAR_POLL_INTERVAL_MS : POLL_INTERVAL_MS);
    }
  }

  private long committed(String group, Map<TopicPartition, Long> ends) throws Exception {
    ListConsumerGroupOffsetsSpec all = new ListConsumerGroupOffsetsSpec().topicPartitions(ends.keySet());
    Map<TopicPartition, OffsetAndMetadata> offsets;
    try {
      offsets = admin.listConsumerGroupOffsets(Map.of(group, all),
          new ListConsumerGroupOffsetsOptions().requireStable(true).timeoutMs(30_000)).partitionsToOffsetAndMetadata().get();
    } catch (ExecutionException error) {
      if (error.getCause() instanceof UnstableOffsetCommitException
          || error.getCause() instanceof GroupIdNotFoundException) return 0;
      throw error;
    }
    long committed = 0;
    for (OffsetAndMetadata offset : offsets.values()) if (offset != null) committed += offset.offset();
    return committed;
  }
}
