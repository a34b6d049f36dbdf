import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.JsonNode;
import com.google.protobuf.ByteString;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.EnumValueDescriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.Descriptors.OneofDescriptor;
import com.google.protobuf.DynamicMessage;
import io.apicurio.registry.serde.avro.NonRecordContainer;
import io.apicurio.registry.utils.converter.avro.AvroData;
import io.apicurio.registry.utils.converter.avro.AvroDataConfig;
import io.apicurio.registry.utils.protobuf.schema.FileDescriptorUtils;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.util.RandomData;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.json.JsonConverter;
import org.everit.json.schema.ValidationException;
import org.everit.json.schema.loader.SchemaLoader;
import org.json.JSONObject;
import org.json.JSONTokener;

/**
 * Says what JVM classes make of Avro, Protobuf and JSON Schema. Reads a line per question and answers each with a line; texts and bytes
 * are in base64, an envelope is what JsonConverter writes with schemas:
 *
 *   avro-write TAB k=v;k=v TAB envelope              -> ok TAB schema TAB data     (AvroData, GenericDatumWriter)
 *   avro-read TAB k=v;k=v TAB schema TAB data        -> ok TAB envelope TAB bytes left
 *   avro-random TAB k=v;k=v TAB schema TAB seed      -> ok TAB data TAB envelope   (RandomData)
 *   proto-read TAB schema TAB data                   -> ok TAB data TAB payload    (DynamicMessage of the first message)
 *   proto-random TAB schema TAB seed                 -> ok TAB data TAB payload
 *   json TAB schema TAB document                     -> ok TAB valid TAB document  (everit's validator; Jackson writes)
 *
 * or err TAB exception class TAB its message. A payload is the JSON that Connect's value of a message is, as ProtobufData with its
 * defaults would have it.
 */
public class FormatOracle {
    private static final Map<String, FileDescriptor> CONFLUENT_FILES = new HashMap<>();
    private static final JsonConverter ENVELOPES = envelopes();
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final JsonNodeFactory NODES = JsonNodeFactory.withExactBigDecimals(true);
    private static final int MAX_DEPTH = 4;
    /** Files that Confluent's registry knows, the outer folder first: the order in which they are laid down. */
    private static final Map<String, String> CONFLUENT = new LinkedHashMap<>();

    static {
        CONFLUENT.put("confluent/meta.proto",
            "syntax = \"proto3\";\npackage confluent;\nimport \"google/protobuf/descriptor.proto\";\n"
                + "message Meta { string doc = 1; map<string, string> params = 2; }\n"
                + "extend google.protobuf.FieldOptions { Meta field_meta = 1088; }\n");
        CONFLUENT.put("confluent/type/decimal.proto",
            "syntax = \"proto3\";\npackage confluent.type;\n"
                + "message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }\n");
    }


    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        confluent();
        PrintStream out = System.out;
        System.setOut(System.err); // what libraries print
        PrintStream answers = new PrintStream(out, false, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String answer;
            try {
                answer = "ok\t" + answer(line.split("\t", -1));
            } catch (Exception | StackOverflowError | AssertionError e) {
                answer = "err\t" + e.getClass().getName() + "\t" + base64(String.valueOf(e.getMessage()));
            }
            answers.println(answer);
        }
        answers.flush();
    }

    private static String answer(String[] question) throws Exception {
        switch (question[0]) {
            case "avro-write":
                return avroWrite(avroData(question[1]), bytes(question[2]));
            case "avro-read":
                return avroRead(avroData(question[1]), parse(question[2]), bytes(question[3]));
            case "avro-random": {
                Schema schema = parse(question[2]);
                Object datum = new RandomData(schema, 1, Long.parseLong(question[3])).iterator().next();
                byte[] data = write(schema, datum);
                return base64(data) + "\t" + envelope(avroData(question[1]).toConnectData(schema, datum));
            }
            case "proto-read":
                return message(DynamicMessage.parseFrom(descriptor(question[1]), bytes(question[2])));
            case "proto-random":
                return message(random(descriptor(question[1]), new Random(Long.parseLong(question[2])), MAX_DEPTH));
            case "json":
                return json(text(question[1]), text(question[2]));
            default:
                throw new IllegalArgumentException(question[0]);
        }
    }

    private static String avroWrite(AvroData avro, byte[] envelope) throws Exception {
        SchemaAndValue value = ENVELOPES.toConnectData("t", envelope);
        // Some have a name twice, which no registry takes.
        Schema schema = new Schema.Parser().parse(avro.fromConnectSchema(value.schema()).toString());
        Object datum = avro.fromConnectData(value.schema(), value.value());
        if (datum instanceof NonRecordContainer) {
            datum = ((NonRecordContainer) datum).getValue();
        }
        return base64(schema.toString()) + "\t" + base64(datum == null ? null : write(schema, datum));
    }

    private static byte[] write(Schema schema, Object datum) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        if (schema.getType() == Schema.Type.BYTES) { // as Confluent's serializer does: no length
            if (datum instanceof byte[]) {
                return (byte[]) datum;
            }
            ByteBuffer buffer = ((ByteBuffer) datum).duplicate();
            byte[] data = new byte[buffer.remaining()];
            buffer.get(data);
            return data;
        }
        BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(out, null);
        new GenericDatumWriter<>(schema).write(datum, encoder);
        encoder.flush();
        return out.toByteArray();
    }

    private static String avroRead(AvroData avro, Schema schema, byte[] data) throws Exception {
        if (schema.getType() == Schema.Type.BYTES) {
            return envelope(avro.toConnectData(schema, ByteBuffer.wrap(data))) + "\t" + base64("0");
        }
        BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(data, null);
        Object datum = new GenericDatumReader<>(schema).read(null, decoder);
        int left = decoder.inputStream().available();
        return envelope(avro.toConnectData(schema, datum)) + "\t" + base64(String.valueOf(left));
    }

    private static String envelope(SchemaAndValue value) {
        return base64(value == null ? null : ENVELOPES.fromConnectData("t", value.schema(), value.value()));
    }

    private static AvroData avroData(String config) {
        AvroDataConfig.Builder builder = new AvroDataConfig.Builder().with("schemas.cache.size", 1);
        for (String property : config.split(";")) {
            if (!property.isEmpty()) {
                builder.with(property.substring(0, property.indexOf('=')), property.substring(property.indexOf('=') + 1));
            }
        }
        return new AvroData(builder.build());
    }

    private static Schema parse(String schema) {
        return new Schema.Parser().setValidateDefaults(false).parse(text(schema));
    }

    private static Descriptor descriptor(String schema) throws Exception {
        String text = text(schema);
        String space = null;
        for (String line : text.split("\n")) {
            if (line.startsWith("package ")) {
                space = line.substring(8, line.indexOf(';'));
            }
        }
        FileDescriptor file =
            FileDescriptorUtils.protoFileToFileDescriptor(text, "compared.proto", Optional.ofNullable(space), CONFLUENT, CONFLUENT_FILES);
        return file.getMessageTypes().get(0);
    }

    private static void confluent() throws Exception {
        for (Map.Entry<String, String> file : CONFLUENT.entrySet()) {
            String space = file.getKey().substring(0, file.getKey().lastIndexOf('/')).replace('/', '.');
            String name = file.getKey().substring(file.getKey().lastIndexOf('/') + 1);
            CONFLUENT_FILES.put(file.getKey(), FileDescriptorUtils.protoFileToFileDescriptor(file.getValue(), name, Optional.of(space)));
        }
    }

    private static String message(DynamicMessage message) throws Exception {
        return base64(message.toByteArray()) + "\t" + base64(JSON.writeValueAsBytes(struct(message)));
    }

    private static DynamicMessage random(Descriptor of, Random random, int depth) {
        DynamicMessage.Builder message = DynamicMessage.newBuilder(of);
        switch (of.getFullName()) {
            case "google.protobuf.Timestamp":
                return message.setField(of.findFieldByName("seconds"), random.nextInt(2_000_000_000) - 100_000_000L)
                    .setField(of.findFieldByName("nanos"), random.nextInt(1_000_000_000)).build();
            case "google.type.Date":
                return message.setField(of.findFieldByName("year"), 1 + random.nextInt(9999))
                    .setField(of.findFieldByName("month"), 1 + random.nextInt(12))
                    .setField(of.findFieldByName("day"), 1 + random.nextInt(28)).build();
            case "google.type.TimeOfDay":
                return message.setField(of.findFieldByName("hours"), random.nextInt(24))
                    .setField(of.findFieldByName("minutes"), random.nextInt(60))
                    .setField(of.findFieldByName("seconds"), random.nextInt(60))
                    .setField(of.findFieldByName("nanos"), random.nextInt(1_000_000_000)).build();
            case "confluent.type.Decimal":
                byte[] unscaled = new byte[1 + random.nextInt(12)];
                random.nextBytes(unscaled);
                return message.setField(of.findFieldByName("value"), ByteString.copyFrom(new java.math.BigInteger(unscaled).toByteArray()))
                    .setField(of.findFieldByName("scale"), 2).build();
            default:
        }
        for (FieldDescriptor field : of.getFields()) {
            boolean nested = field.getType() == FieldDescriptor.Type.MESSAGE;
            if (random.nextInt(4) == 0 || nested && depth == 0) {
                continue;
            }
            if (field.isMapField()) {
                Map<Object, DynamicMessage> entries = new HashMap<>();
                for (int i = random.nextInt(3); i > 0; i--) {
                    Descriptor entry = field.getMessageType();
                    FieldDescriptor key = entry.findFieldByNumber(1);
                    FieldDescriptor value = entry.findFieldByNumber(2);
                    Object name = random(key, random, depth - 1);
                    entries.put(name, DynamicMessage.newBuilder(entry).setField(key, name)
                        .setField(value, random(value, random, depth - 1)).build());
                }
                entries.values().forEach(entry -> message.addRepeatedField(field, entry));
            } else if (field.isRepeated()) {
                for (int i = random.nextInt(4); i > 0; i--) {
                    message.addRepeatedField(field, random(field, random, depth - 1));
                }
            } else {
                message.setField(field, random(field, random, depth - 1));
            }
        }
        return message.build();
    }

    private static Object random(FieldDescriptor field, Random random, int depth) {
        boolean plain = random.nextInt(5) == 0; // a value that is not written where there is no presence
        switch (field.getJavaType()) {
            case INT:
                return plain ? 0 : random.nextBoolean() ? random.nextInt() : random.nextInt(200) - 100;
            case LONG:
                return plain ? 0L : random.nextBoolean() ? random.nextLong() : random.nextInt(200) - 100L;
            case FLOAT:
                return plain ? 0f : random.nextBoolean() ? Float.intBitsToFloat(random.nextInt()) : random.nextInt(1000) / 8f;
            case DOUBLE:
                return plain ? 0.0 : random.nextBoolean() ? Double.longBitsToDouble(random.nextLong()) : random.nextInt(1000) / 8.0;
            case BOOLEAN:
                return random.nextBoolean();
            case STRING: {
                String[] texts = {"", "a", "ümläut", "\u0000\n\"\\", "漢字😀", "plain text", "1"};
                return texts[random.nextInt(texts.length)];
            }
            case BYTE_STRING: {
                byte[] data = new byte[random.nextInt(6)];
                random.nextBytes(data);
                return ByteString.copyFrom(data);
            }
            case ENUM: {
                List<EnumValueDescriptor> values = field.getEnumType().getValues();
                return values.get(plain ? 0 : random.nextInt(values.size()));
            }
            default:
                return random(field.getMessageType(), random, depth);
        }
    }

    /** A message as ProtobufData maps it: first each oneof as a struct, then the other fields. */
    private static JsonNode struct(DynamicMessage message) {
        ObjectNode struct = NODES.objectNode();
        for (OneofDescriptor oneof : message.getDescriptorForType().getRealOneofs()) {
            JsonNode union = NODES.nullNode();
            if (message.hasOneof(oneof)) {
                ObjectNode fields = NODES.objectNode();
                for (FieldDescriptor field : oneof.getFields()) {
                    fields.set(field.getName(), message.hasField(field) ? value(field, message.getField(field)) : NODES.nullNode());
                }
                union = fields;
            }
            struct.set(oneof.getName() + "_" + oneof.getIndex(), union);
        }
        for (FieldDescriptor field : message.getDescriptorForType().getFields()) {
            if (field.getRealContainingOneof() != null) {
                continue;
            }
            boolean absent = field.hasPresence() && !message.hasField(field);
            struct.set(field.getName(), absent ? NODES.nullNode() : values(field, message.getField(field)));
        }
        return struct;
    }

    private static JsonNode values(FieldDescriptor field, Object value) {
        if (!field.isRepeated()) {
            return value(field, value);
        }
        List<?> all = (List<?>) value;
        boolean map = isMap(field);
        if (map && field.getMessageType().findFieldByNumber(1).getType() == FieldDescriptor.Type.STRING) {
            ObjectNode object = NODES.objectNode();
            for (Object entry : all) {
                object.set((String) part(entry, 1), value(field.getMessageType().findFieldByNumber(2), part(entry, 2)));
            }
            return object;
        }
        ArrayNode array = NODES.arrayNode();
        for (Object each : all) {
            if (map) {
                Descriptor entry = field.getMessageType();
                array.add(NODES.arrayNode().add(value(entry.findFieldByNumber(1), part(each, 1))).add(value(entry.findFieldByNumber(2), part(each, 2))));
            } else {
                array.add(value(field, each));
            }
        }
        return array;
    }

    /** Confluent's maps are lists of messages with a key and a value, whose name ends so. */
    private static boolean isMap(FieldDescriptor field) {
        if (field.getType() != FieldDescriptor.Type.MESSAGE) {
            return false;
        }
        Descriptor entry = field.getMessageType();
        return entry.getName().endsWith("Entry") && entry.getFields().size() == 2 && entry.findFieldByName("key") != null
            && entry.findFieldByName("value") != null;
    }

    private static Object part(Object entry, int number) {
        DynamicMessage message = (DynamicMessage) entry;
        return message.getField(message.getDescriptorForType().findFieldByNumber(number));
    }

    private static JsonNode value(FieldDescriptor field, Object value) {
        switch (field.getJavaType()) {
            case INT: {
                boolean unsigned = field.getType() == FieldDescriptor.Type.UINT32 || field.getType() == FieldDescriptor.Type.FIXED32;
                return unsigned ? NODES.numberNode(Integer.toUnsignedLong((Integer) value)) : NODES.numberNode((Integer) value);
            }
            case LONG:
                return NODES.numberNode((Long) value);
            case FLOAT: {
                float number = (Float) value;
                return Float.isFinite(number) ? NODES.numberNode(number) : NODES.textNode(String.valueOf(number));
            }
            case DOUBLE: {
                double number = (Double) value;
                return Double.isFinite(number) ? NODES.numberNode(number) : NODES.textNode(String.valueOf(number));
            }
            case BOOLEAN:
                return NODES.booleanNode((Boolean) value);
            case STRING:
                return NODES.textNode((String) value);
            case BYTE_STRING:
                return NODES.textNode(base64(((ByteString) value).toByteArray()));
            case ENUM:
                return NODES.textNode(((EnumValueDescriptor) value).getName());
            default:
                return known((DynamicMessage) value);
        }
    }

    private static JsonNode known(DynamicMessage message) {
        switch (message.getDescriptorForType().getFullName()) {
            case "google.protobuf.Timestamp":
                return NODES.numberNode(number(message, "seconds") * 1000 + Math.floorDiv(number(message, "nanos"), 1_000_000L));
            case "google.type.Date":
                return NODES.numberNode((int) LocalDate.of((int) number(message, "year"), (int) number(message, "month"),
                    (int) number(message, "day")).toEpochDay());
            case "google.type.TimeOfDay":
                return NODES.numberNode((int) ((number(message, "hours") * 3600 + number(message, "minutes") * 60 + number(message, "seconds")) * 1000
                    + number(message, "nanos") / 1_000_000));
            case "confluent.type.Decimal":
                byte[] unscaled = ((ByteString) message.getField(message.getDescriptorForType().findFieldByName("value"))).toByteArray();
                return NODES.textNode(base64(unscaled.length == 0 ? new byte[1] : unscaled));
            default:
                return struct(message);
        }
    }

    private static long number(DynamicMessage message, String field) {
        return ((Number) message.getField(message.getDescriptorForType().findFieldByName(field))).longValue();
    }

    private static String json(String schema, String document) throws Exception {
        org.everit.json.schema.Schema loaded =
            SchemaLoader.builder().schemaJson(new JSONObject(schema)).draftV7Support().build().load().build();
        boolean valid = true;
        try {
            loaded.validate(new JSONTokener(document).nextValue());
        } catch (ValidationException e) {
            valid = false;
        }
        JsonNode node = JSON.reader().with(com.fasterxml.jackson.databind.DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS).readTree(document);
        return base64(valid ? "valid" : "not valid") + "\t" + base64(JSON.writeValueAsBytes(node));
    }

    private static JsonConverter envelopes() {
        JsonConverter converter = new JsonConverter();
        converter.configure(Map.of("converter.type", "value", "replace.null.with.default", "false", "schemas.cache.size", "10"));
        return converter;
    }

    private static byte[] bytes(String text) {
        return text.equals("-") ? null : Base64.getDecoder().decode(text);
    }

    private static String text(String base64) {
        return new String(bytes(base64), StandardCharsets.UTF_8);
    }

    private static String base64(String text) {
        return base64(text.getBytes(StandardCharsets.UTF_8));
    }

    private static String base64(byte[] bytes) {
        return bytes == null ? "-" : Base64.getEncoder().encodeToString(bytes);
    }
}
