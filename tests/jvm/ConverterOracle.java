import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;

import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.storage.Converter;
import org.apache.kafka.connect.storage.HeaderConverter;

/**
 * Says what Kafka Connect's own converters make of records. Reads a line per record and answers each with a line:
 *
 *   decode TAB class TAB role TAB k=v;k=v TAB bytes
 *   encode TAB class TAB role TAB k=v;k=v TAB envelope
 *
 * Bytes are base64, "-" is null. An envelope is what JsonConverter writes with schemas. Answers:
 *
 *   ok TAB envelope or bytes
 *   err TAB exception class TAB base64 of its message
 *   unprintable TAB base64 of why        the value was read, and no envelope can hold it
 *   unreadable TAB base64 of why         the envelope to encode cannot be read
 */
public class ConverterOracle {
    private static final Map<String, Object> CONVERTERS = new HashMap<>();
    private static final JsonConverter ENVELOPES = envelopes();

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(answer(line.split("\t", -1)));
        }
        out.flush();
    }

    private static String answer(String[] question) throws Exception {
        Object converter = converter(question[1], question[2], question[3]);
        boolean header = question[2].equals("header");
        byte[] data = bytes(question[4]);
        return question[0].equals("decode") ? decode(converter, header, data) : encode(converter, header, data);
    }

    private static String decode(Object converter, boolean header, byte[] data) {
        SchemaAndValue read;
        try {
            read = header
                ? ((HeaderConverter) converter).toConnectHeader("t", "h", data)
                : ((Converter) converter).toConnectData("t", data);
        } catch (RuntimeException e) {
            return error(e);
        }
        try {
            return "ok\t" + text(ENVELOPES.fromConnectData("t", read.schema(), read.value()));
        } catch (RuntimeException e) {
            return "unprintable\t" + text(String.valueOf(e.getMessage()).getBytes(StandardCharsets.UTF_8));
        }
    }

    private static String encode(Object converter, boolean header, byte[] envelope) {
        SchemaAndValue value;
        try {
            value = ENVELOPES.toConnectData("t", envelope);
        } catch (RuntimeException e) {
            return "unreadable\t" + text(String.valueOf(e.getMessage()).getBytes(StandardCharsets.UTF_8));
        }
        try {
            return "ok\t" + text(header
                ? ((HeaderConverter) converter).fromConnectHeader("t", "h", value.schema(), value.value())
                : ((Converter) converter).fromConnectData("t", value.schema(), value.value()));
        } catch (RuntimeException e) {
            return error(e);
        }
    }

    private static String error(RuntimeException e) {
        return "err\t" + e.getClass().getName() + "\t" + text(String.valueOf(e.getMessage()).getBytes(StandardCharsets.UTF_8));
    }

    private static Object converter(String className, String role, String config) throws Exception {
        String key = className + "\t" + role + "\t" + config;
        Object known = CONVERTERS.get(key);
        if (known != null) {
            return known;
        }
        Object converter = Class.forName(className).getDeclaredConstructor().newInstance();
        Map<String, String> properties = new HashMap<>();
        for (String property : config.split(";")) {
            if (!property.isEmpty()) {
                properties.put(property.substring(0, property.indexOf('=')), property.substring(property.indexOf('=') + 1));
            }
        }
        properties.put("converter.type", role);
        if (role.equals("header")) {
            ((HeaderConverter) converter).configure(properties);
        } else {
            ((Converter) converter).configure(properties, role.equals("key"));
        }
        CONVERTERS.put(key, converter);
        return converter;
    }

    private static JsonConverter envelopes() {
        JsonConverter converter = new JsonConverter();
        converter.configure(Map.of("converter.type", "value", "replace.null.with.default", "false", "schemas.cache.size", "10"));
        return converter;
    }

    private static byte[] bytes(String text) {
        return text.equals("-") ? null : Base64.getDecoder().decode(text);
    }

    private static String text(byte[] bytes) {
        return bytes == null ? "-" : Base64.getEncoder().encodeToString(bytes);
    }
}
