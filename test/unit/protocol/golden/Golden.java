// Writes the fixture of the protocol tests: the bytes that Kafka's own generated classes give for the values in
// cases.json (field names as in Kafka's message definitions), so that no codec of ours is its own judge.
// Run it with kafka-clients, slf4j-api and the three jackson jars (core, databind, annotations) on the class path:
//   java -cp CLASSPATH Golden.java cases.json golden.json
import com.fasterxml.jackson.databind.*;
import com.fasterxml.jackson.databind.node.*;
import java.io.File;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.apache.kafka.common.protocol.*;

public class Golden {
    public static void main(String[] args) throws Exception {
        ObjectMapper mapper = new ObjectMapper();
        ObjectNode out = mapper.createObjectNode();
        for (JsonNode c : mapper.readTree(new File(args[0]))) {
            String name = c.get("message").asText();
            int from = c.get("versions").get(0).asInt();
            int to = c.get("versions").get(1).asInt();
            for (int v = from; v <= to; v++) {
                ObjectNode data = c.get("data").deepCopy();
                prune(data, v);
                Class<?> converter = Class.forName("org.apache.kafka.common.message." + name + "JsonConverter");
                Message message = (Message) converter.getMethod("read", JsonNode.class, short.class).invoke(null, data, (short) v);
                ObjectSerializationCache cache = new ObjectSerializationCache();
                int size = message.size(cache, (short) v);
                ByteBuffer buffer = ByteBuffer.allocate(size);
                message.write(new ByteBufferAccessor(buffer), cache, (short) v);
                out.put(c.get("name").asText() + " v" + v, HexFormat.of().formatHex(buffer.array()));
            }
        }
        mapper.writerWithDefaultPrettyPrinter().writeValue(new File(args[1]), out);
    }

    // "field@10+" and "field@9-10" stand only in those versions: the converters refuse a field out of its versions,
    // and miss one that is not there.
    static void prune(JsonNode node, int version) {
        if (node.isArray()) for (JsonNode item : node) prune(item, version);
        if (!node.isObject()) return;
        ObjectNode object = (ObjectNode) node;
        for (String key : java.util.List.copyOf(mapperKeys(object))) {
            JsonNode value = object.get(key);
            prune(value, version);
            int at = key.indexOf('@');
            if (at < 0) continue;
            object.remove(key);
            String range = key.substring(at + 1);
            int low = Integer.parseInt(range.split("[-+]")[0]);
            int high = range.endsWith("+") ? 99 : Integer.parseInt(range.split("-")[1]);
            if (version >= low && version <= high) object.set(key.substring(0, at), value);
        }
    }

    static java.util.List<String> mapperKeys(ObjectNode object) {
        java.util.List<String> keys = new java.util.ArrayList<>();
        object.fieldNames().forEachRemaining(keys::add);
        return keys;
    }
}
