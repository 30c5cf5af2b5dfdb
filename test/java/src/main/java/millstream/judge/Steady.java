// Feeds a topic at a steady rate for minutes or hours: several producers whose transactions overlap, each eighth one
// aborted. What is aborted says so in its key. Nothing is remembered but how much was fed; the topic itself is the record.
package millstream.judge;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

final class Steady {
    private static final int ABORTED_EVERY = 8;

    private final String brokers;
    private final Map<String, Feed> feeds = new ConcurrentHashMap<>();

    Steady(String brokers) {
        this.brokers = brokers;
    }

    /** {feed, topic, producers, rate (committed records a second), keys, seed, chunkMs} */
    JsonNode start(JsonNode request) {
        Feed feed = new Feed(request);
        feeds.put(request.get("feed").asText(), feed);
        feed.begin();
        return feed.state();
    }

    JsonNode state(JsonNode request) {
        return feed(request).state();
    }

    JsonNode stop(JsonNode request) throws InterruptedException {
        Feed feed = feed(request);
        feed.stopped = true;
        for (Thread thread : feed.threads) thread.join();
        return feed.state();
    }

    private Feed feed(JsonNode request) {
        return feeds.get(request.get("feed").asText());
    }

    private final class Feed {
        final List<Thread> threads = new ArrayList<>();
        final AtomicLong committed = new AtomicLong();
        final AtomicLong aborted = new AtomicLong();
        final AtomicLong number = new AtomicLong();
        volatile boolean stopped;
        private volatile String error;
        private volatile long behindNanos;
        private final String topic;
        private final String name;
        private final int producers;
        private final int keys;
        private final long seed;
        private final long chunkNanos;
        private final double chunkRecords;
        private final long beganNanos = System.nanoTime() + 1_000_000_000L;

        Feed(JsonNode request) {
            name = request.get("feed").asText();
            topic = request.get("topic").asText();
            producers = request.get("producers").asInt();
            keys = request.get("keys").asInt();
            seed = request.get("seed").asLong();
            chunkNanos = Duration.ofMillis(request.get("chunkMs").asLong()).toNanos();
            // What is aborted comes on top of the rate.
            double share = (double) ABORTED_EVERY / (ABORTED_EVERY - 1);
            chunkRecords = request.get("rate").asDouble() * share * chunkNanos / 1e9 / producers;
        }

        void begin() {
            for (int index = 0; index < producers; index++) {
                int own = index;
                Thread thread = new Thread(() -> run(own), name + "-" + index);
                thread.setDaemon(true);
                threads.add(thread);
                thread.start();
            }
        }

        private void run(int index) {
            Random random = new Random(seed * 31 + index);
            try (KafkaProducer<byte[], byte[]> producer = open(index)) {
                double owed = 0;
                // Evenly apart, so that something is committed every chunkMs / producers.
                long dueNanos = beganNanos + chunkNanos * index / producers;
                for (int chunk = 0; !stopped; chunk++, dueNanos += chunkNanos) {
                    long waitNanos = dueNanos - System.nanoTime();
                    behindNanos = Math.max(0, -waitNanos);
                    if (waitNanos > 0) LockSupport.parkNanos(waitNanos);
                    owed += chunkRecords;
                    int count = (int) owed;
                    owed -= count;
                    transaction(producer, random, count, chunk % ABORTED_EVERY == ABORTED_EVERY - 1);
                }
            } catch (Exception failed) {
                error = String.valueOf(failed);
            }
        }

        private KafkaProducer<byte[], byte[]> open(int index) {
            Properties settings = new Properties();
            settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
            settings.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class.getName());
            settings.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class.getName());
            settings.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, name + "-" + index);
            settings.put(ProducerConfig.LINGER_MS_CONFIG, "5");
            settings.put(ProducerConfig.BATCH_SIZE_CONFIG, "65536");
            KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings);
            producer.initTransactions();
            return producer;
        }

        private void transaction(KafkaProducer<byte[], byte[]> producer, Random random, int count, boolean abort) {
            producer.beginTransaction();
            for (int record = 0; record < count; record++) {
                String key = (abort ? "ABORTED-key-" : "key-") + random.nextInt(keys);
                byte[] value = ByteBuffer.allocate(8).putLong(number.incrementAndGet()).array();
                producer.send(new ProducerRecord<>(topic, key.getBytes(StandardCharsets.UTF_8), value));
            }
            if (abort) {
                producer.flush();
                producer.abortTransaction();
                aborted.addAndGet(count);
            } else {
                producer.commitTransaction();
                committed.addAndGet(count);
            }
        }

        /** {committed, aborted, behindMs}, with "error" where a producer failed. */
        ObjectNode state() {
            ObjectNode node = Judge.JSON.createObjectNode().put("committed", committed.get()).put("aborted", aborted.get());
            node.put("behindMs", behindNanos / 1_000_000);
            if (error != null) node.put("error", error);
            return node;
        }
    }
}
