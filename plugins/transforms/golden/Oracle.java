import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.header.ConnectHeaders;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.transforms.Transformation;

/** Reads cases, one JSON object a line, and writes what Kafka Connect's own transforms make of them. */
public class Oracle {
    static final ObjectMapper JSON = new ObjectMapper();
    static final JsonConverter CONVERTER = new JsonConverter();

    public static void main(String[] args) throws Exception {
        CONVERTER.configure(Map.of("schemas.enable", "true", "converter.type", "value"), false);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            System.out.println(JSON.writeValueAsString(answer(JSON.readTree(line))));
        }
    }

    @SuppressWarnings({"rawtypes", "unchecked"}) // Of source records or sink records: known only when it runs.
    static ObjectNode answer(JsonNode test) {
        ObjectNode answer = JSON.createObjectNode();
        Transformation transform;
        try {
            transform = transform(test);
        } catch (Exception error) {
            return answer.put("invalid", true);
        }
        ConnectRecord<?> record;
        try {
            record = (ConnectRecord<?>) transform.apply(record(test));
        } catch (Exception error) {
            return answer.put("error", String.valueOf(error.getMessage())).put("exception", error.getClass().getName());
        }
        if (record == null) {
            return answer.put("dropped", true);
        }
        try {
            return show(record);
        } catch (Exception error) {
            return answer.put("unconvertible", String.valueOf(error.getMessage()));
        }
    }

    @SuppressWarnings("unchecked")
    static Transformation<SourceRecord> transform(JsonNode test) throws Exception {
        String name = "org.apache.kafka.connect.transforms." + test.get("class").asText();
        Object transform = Class.forName(name).getDeclaredConstructor().newInstance();
        Map<String, String> config = new HashMap<>();
        test.get("config").fields().forEachRemaining(entry -> config.put(entry.getKey(), entry.getValue().asText()));
        ((Transformation<SourceRecord>) transform).configure(config);
        return (Transformation<SourceRecord>) transform;
    }

    static ConnectRecord<?> record(JsonNode test) throws Exception {
        SchemaAndValue key = payload(test.path("key"));
        SchemaAndValue value = payload(test.path("value"));
        Integer partition = test.has("partition") ? test.get("partition").asInt() : null;
        Long timestamp = test.has("timestamp") ? test.get("timestamp").asLong() : null;
        ConnectHeaders headers = new ConnectHeaders();
        for (JsonNode header : test.path("headers")) {
            headers.add(header.get("name").asText(), payload(header.path("value")));
        }
        if (test.has("offset")) {
            return new SinkRecord("topic", partition, key.schema(), key.value(), value.schema(), value.value(),
                    test.get("offset").asLong(), timestamp, TimestampType.CREATE_TIME, headers);
        }
        return new SourceRecord(Map.of(), Map.of(), "topic", partition, key.schema(), key.value(), value.schema(),
                value.value(), timestamp, headers);
    }

    static SchemaAndValue payload(JsonNode envelope) throws Exception {
        boolean none = envelope.isMissingNode() || envelope.isNull();
        return CONVERTER.toConnectData("topic", none ? null : JSON.writeValueAsBytes(envelope));
    }

    static ObjectNode show(ConnectRecord<?> record) throws Exception {
        ObjectNode answer = JSON.createObjectNode();
        answer.put("topic", record.topic());
        answer.put("partition", record.kafkaPartition());
        answer.put("timestamp", record.timestamp());
        answer.set("key", envelope(record.keySchema(), record.key()));
        answer.set("value", envelope(record.valueSchema(), record.value()));
        ArrayNode headers = answer.putArray("headers");
        for (Header header : record.headers()) {
            headers.addObject().put("name", header.key()).set("value", envelope(header.schema(), header.value()));
        }
        return answer;
    }

    static JsonNode envelope(Schema schema, Object value) throws Exception {
        byte[] bytes = CONVERTER.fromConnectData("topic", schema, value);
        return bytes == null ? NullNode.getInstance() : JSON.readTree(bytes);
    }
}
