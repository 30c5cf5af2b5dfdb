// The line protocol. One JSON object per line on standard input, {"id", "command", ...arguments}; answers on standard
// output: any number of {"id", "more": [...]} and then one {"id", "result"} or {"id", "error"}. Requests run side by
// side, so answers may overtake each other. The process ends when standard input ends, so it never outlives its owner.
package millstream.judge;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;

public final class Judge {
    static final ObjectMapper JSON = new ObjectMapper();

    /** A command: takes the request and a sink for parts of a long answer, returns the result. */
    interface Command {
        JsonNode run(JsonNode request, Consumer<ArrayNode> more) throws Exception;
    }

    private final PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    private final Map<String, Command> commands = new HashMap<>();

    private Judge(String brokers) {
        Reader reader = new Reader(brokers);
        Writer writer = new Writer(brokers);
        Cluster cluster = new Cluster(brokers);
        Operator operator = new Operator(brokers);
        Steady steady = new Steady(brokers);
        Follower follower = new Follower(brokers);
        commands.put("dump", reader::dump);
        commands.put("openProducer", (request, more) -> writer.open(request));
        commands.put("begin", (request, more) -> writer.begin(request));
        commands.put("send", (request, more) -> writer.send(request));
        commands.put("commit", (request, more) -> writer.commit(request));
        commands.put("abort", (request, more) -> writer.abort(request));
        commands.put("sendOffsets", (request, more) -> writer.sendOffsets(request));
        commands.put("closeProducer", (request, more) -> writer.close(request));
        commands.put("createTopics", (request, more) -> cluster.createTopics(request));
        commands.put("deleteTopics", (request, more) -> cluster.deleteTopics(request));
        commands.put("topicSettings", (request, more) -> cluster.topicSettings(request));
        commands.put("setTopicSetting", (request, more) -> cluster.setTopicSetting(request));
        commands.put("offsets", (request, more) -> cluster.offsets(request));
        commands.put("deleteRecords", (request, more) -> cluster.deleteRecords(request));
        commands.put("groupOffsets", (request, more) -> cluster.groupOffsets(request));
        commands.put("setGroupOffsets", (request, more) -> cluster.setGroupOffsets(request));
        commands.put("deleteGroup", (request, more) -> cluster.deleteGroup(request));
        commands.put("removeMember", (request, more) -> cluster.removeMember(request));
        commands.put("addPartitions", (request, more) -> cluster.addPartitions(request));
        commands.put("underReplicated", (request, more) -> cluster.underReplicated());
        commands.put("describeGroup", (request, more) -> cluster.describeGroup(request));
        commands.put("listTransactions", (request, more) -> cluster.listTransactions(request));
        commands.put("describeTransactions", (request, more) -> cluster.describeTransactions(request));
        commands.put("describeProducers", (request, more) -> cluster.describeProducers(request));
        commands.put("encodeBatch", (request, more) -> Batches.encode(request));
        commands.put("decodeBatches", (request, more) -> Batches.decode(request));
        commands.put("setTransactionVersion", (request, more) -> cluster.setTransactionVersion(request));
        commands.put("features", (request, more) -> cluster.features());
        commands.put("alterTopic", (request, more) -> operator.alterTopic(request));
        commands.put("clientQuotas", (request, more) -> operator.clientQuotas(request));
        commands.put("joinNewProtocol", (request, more) -> operator.joinNewProtocol(request));
        commands.put("feed", (request, more) -> steady.start(request));
        commands.put("feedState", (request, more) -> steady.state(request));
        commands.put("stopFeed", (request, more) -> steady.stop(request));
        commands.put("follow", follower::follow);
        commands.put("unfollow", (request, more) -> follower.unfollow(request));
    }

    public static void main(String[] arguments) throws IOException {
        new Judge(arguments[0]).serve();
        // Clients that are still open have threads that would keep the JVM alive.
        Runtime.getRuntime().halt(0);
    }

    private void serve() throws IOException {
        ExecutorService workers = Executors.newCachedThreadPool();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        write(JSON.createObjectNode().put("ready", true));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode request = JSON.readTree(line);
            workers.execute(() -> write(answer(request)));
        }
    }

    private ObjectNode answer(JsonNode request) {
        long id = request.path("id").asLong();
        ObjectNode answer = JSON.createObjectNode().put("id", id);
        try {
            Command command = commands.get(request.path("command").asText());
            if (command == null) throw new IllegalArgumentException("unknown command " + request.path("command"));
            JsonNode result = command.run(request, part -> {
                ObjectNode line = JSON.createObjectNode().put("id", id);
                line.set("more", part);
                write(line);
            });
            answer.set("result", result);
        } catch (ExecutionException error) {
            answer.put("error", String.valueOf(error.getCause()));
        } catch (Exception | LinkageError error) {
            answer.put("error", String.valueOf(error));
        }
        return answer;
    }

    private synchronized void write(JsonNode line) {
        out.println(line);
        out.flush();
    }
}
