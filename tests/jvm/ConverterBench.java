import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.function.IntFunction;

import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.storage.Converter;
import org.apache.kafka.connect.storage.SimpleHeaderConverter;

/**
 * How long Kafka Connect's own converters take for a record, in ns, on one thread after warming up: a line per converter,
 * direction and size, to set beside the rows of our benchmark.
 */
public class ConverterBench {
    private static final int RECORDS = 500;
    private static final int ROUNDS = 60;
    private static final long ROUND_NS = 60_000_000L;
    private static final String SCHEMA = "{\"type\":\"struct\",\"fields\":[{\"type\":\"int64\",\"optional\":false,\"field\":\"id\"},"
        + "{\"type\":\"string\",\"optional\":false,\"field\":\"name\"},{\"type\":\"double\",\"optional\":true,\"field\":\"amount\"},"
        + "{\"type\":\"boolean\",\"optional\":false,\"field\":\"ok\"},{\"type\":\"string\",\"optional\":true,\"field\":\"note\"}],"
        + "\"optional\":false,\"name\":\"shop.Order\"}";
    private static Object sink;

    public static void main(String[] args) throws Exception {
        for (int size : new int[] {100, 1000}) {
            IntFunction<byte[]> plain = i -> plain(i, size).getBytes(StandardCharsets.UTF_8);
            IntFunction<byte[]> envelope =
                i -> ("{\"schema\":" + SCHEMA + ",\"payload\":" + plain(i, size) + "}").getBytes(StandardCharsets.UTF_8);
            Converter envelopes = converter(new JsonConverter(), Map.of());
            Converter bare = converter(new JsonConverter(), Map.of("schemas.enable", "false"));
            Converter text = converter(named("storage.StringConverter"), Map.of());
            Converter bytes = converter(named("converters.ByteArrayConverter"), Map.of());
            Converter integer = converter(named("converters.IntegerConverter"), Map.of());
            Converter number = converter(named("converters.DoubleConverter"), Map.of());
            IntFunction<SchemaAndValue> struct = i -> envelopes.toConnectData("t", envelope.apply(i));
            decode(size, "bytes", bytes, plain);
            decode(size, "string", text, plain);
            decode(size, "json plain", bare, plain);
            decode(size, "json envelope", envelopes, envelope);
            decode(size, "integer", integer, i -> integer.fromConnectData("t", Schema.INT32_SCHEMA, i));
            decode(size, "double", number, i -> number.fromConnectData("t", Schema.FLOAT64_SCHEMA, i / 8.0));
            header(size, "header text", i -> ("text-" + i).getBytes(StandardCharsets.UTF_8));
            header(size, "header int", i -> Integer.toString(i).getBytes(StandardCharsets.UTF_8));
            encode(size, "bytes", bytes, i -> new SchemaAndValue(Schema.BYTES_SCHEMA, plain.apply(i)));
            encode(size, "string", text, i -> new SchemaAndValue(Schema.STRING_SCHEMA, plain(i, size)));
            encode(size, "json plain", bare, i -> bare.toConnectData("t", plain.apply(i)));
            encode(size, "json envelope", envelopes, struct);
            encode(size, "json bare schema", bare, struct);
            encode(size, "json text", bare, i -> new SchemaAndValue(Schema.STRING_SCHEMA, plain(i, size)));
            encode(size, "string of struct", text, struct);
            encode(size, "integer", integer, i -> new SchemaAndValue(Schema.INT32_SCHEMA, i));
            encode(size, "double", number, i -> new SchemaAndValue(Schema.FLOAT64_SCHEMA, i / 8.0));
        }
    }

    private static String plain(int i, int size) {
        String head = "{\"id\":" + i + ",\"name\":\"customer-" + i + "\",\"amount\":" + i % 1000 + ".25,\"ok\":true,\"note\":\"";
        return head + "x".repeat(Math.max(0, size - head.length() - 2)) + "\"}";
    }

    private static Converter named(String name) throws Exception {
        return (Converter) Class.forName("org.apache.kafka.connect." + name).getDeclaredConstructor().newInstance();
    }

    private static Converter converter(Converter converter, Map<String, String> properties) {
        converter.configure(new HashMap<>(properties), false);
        return converter;
    }

    private static void decode(int size, String name, Converter converter, IntFunction<byte[]> record) {
        byte[][] records = new byte[RECORDS][];
        for (int i = 0; i < RECORDS; i++) {
            records[i] = record.apply(i * 7919);
        }
        measure(size, name + " decode", i -> converter.toConnectData("t", records[i]));
    }

    private static void header(int size, String name, IntFunction<byte[]> record) {
        SimpleHeaderConverter converter = new SimpleHeaderConverter();
        byte[][] records = new byte[RECORDS][];
        for (int i = 0; i < RECORDS; i++) {
            records[i] = record.apply(i * 7919);
        }
        measure(size, name + " decode", i -> converter.toConnectHeader("t", "h", records[i]));
    }

    private static void encode(int size, String name, Converter converter, IntFunction<SchemaAndValue> record) {
        SchemaAndValue[] records = new SchemaAndValue[RECORDS];
        for (int i = 0; i < RECORDS; i++) {
            records[i] = record.apply(i * 7919);
        }
        measure(size, name + " encode", i -> converter.fromConnectData("t", records[i].schema(), records[i].value()));
    }

    private static void measure(int size, String name, IntFunction<Object> convert) {
        double best = Double.MAX_VALUE;
        for (int round = 0; round < ROUNDS; round++) {
            long start = System.nanoTime();
            long count = 0;
            while (System.nanoTime() - start < ROUND_NS) {
                for (int i = 0; i < RECORDS; i++) {
                    sink = convert.apply(i);
                }
                count += RECORDS;
            }
            best = Math.min(best, (double) (System.nanoTime() - start) / count);
        }
        System.out.printf("%5d B %-28s %8.1f ns/record%n", size, name, best);
    }
}
