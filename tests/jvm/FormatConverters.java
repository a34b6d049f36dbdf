import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Optional;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.DynamicMessage;
import io.apicurio.registry.utils.converter.avro.AvroData;
import io.apicurio.registry.utils.protobuf.schema.FileDescriptorUtils;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.storage.Converter;

/**
 * What Confluent's converters do for each record once their schemas are known, for the benchmark: Confluent's own classes are in no public
 * repository. The schema with id 1 is in "bench.schema", in base64. Avro goes through AvroData, of which Apicurio has a copy; Protobuf
 * and JSON Schema go through no more than the loops that ProtobufData and JsonSchemaData have for plain fields, which favours the JVM.
 */
public class FormatConverters {
    private static final int ID = 1;
    private static final int PREFIX = 5;

    private abstract static class Base implements Converter {
        String text;

        @Override
        public void configure(Map<String, ?> config, boolean isKey) {
            text = new String(Base64.getDecoder().decode((String) config.get("bench.schema")), StandardCharsets.UTF_8);
            try {
                prepare();
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }

        abstract void prepare() throws Exception;

        abstract SchemaAndValue read(ByteBuffer data) throws Exception;

        abstract void write(Schema schema, Object value, ByteArrayOutputStream out) throws Exception;

        @Override
        public SchemaAndValue toConnectData(String topic, byte[] bytes) {
            if (bytes == null) {
                return SchemaAndValue.NULL;
            }
            try {
                ByteBuffer data = ByteBuffer.wrap(bytes);
                if (data.get() != 0 || data.getInt() != ID) {
                    throw new IllegalStateException("an unknown schema");
                }
                return read(data);
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }

        @Override
        public byte[] fromConnectData(String topic, Schema schema, Object value) {
            if (value == null) {
                return null;
            }
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            try {
                out.write(0);
                out.write(ByteBuffer.allocate(4).putInt(ID).array());
                write(schema, value, out);
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
            return out.toByteArray();
        }
    }

    /** AvroConverter. */
    public static class AvroConverter extends Base {
        private final AvroData avro = new AvroData(1000);
        private org.apache.avro.Schema schema;
        private GenericDatumReader<Object> reader;
        private final Map<org.apache.avro.Schema, GenericDatumWriter<Object>> writers = new IdentityHashMap<>();

        @Override
        void prepare() {
            schema = new org.apache.avro.Schema.Parser().parse(text);
            reader = new GenericDatumReader<>(schema);
        }

        @Override
        SchemaAndValue read(ByteBuffer data) throws IOException {
            byte[] bytes = data.array();
            Object datum = reader.read(null, DecoderFactory.get().binaryDecoder(bytes, PREFIX, bytes.length - PREFIX, null));
            return avro.toConnectData(schema, datum, 1);
        }

        @Override
        void write(Schema of, Object value, ByteArrayOutputStream out) throws IOException {
            org.apache.avro.Schema target = avro.fromConnectSchema(of);
            Object datum = avro.fromConnectData(of, value);
            BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(out, null);
            writers.computeIfAbsent(target, GenericDatumWriter::new).write(datum, encoder);
            encoder.flush();
        }
    }

    /** ProtobufConverter, for messages of scalars. */
    public static class ProtobufConverter extends Base {
        private Descriptor message;
        private Schema schema;

        @Override
        void prepare() throws Exception {
            String space = null;
            for (String line : text.split("\n")) {
                space = line.startsWith("package ") ? line.substring(8, line.indexOf(';')) : space;
            }
            message = FileDescriptorUtils.protoFileToFileDescriptor(text, "bench.proto", Optional.ofNullable(space)).getMessageTypes().get(0);
            SchemaBuilder builder = SchemaBuilder.struct().name(message.getName());
            for (FieldDescriptor field : message.getFields()) {
                builder.field(field.getName(), kind(field));
            }
            schema = builder.build();
        }

        private static Schema kind(FieldDescriptor field) {
            return switch (field.getJavaType()) {
                case INT -> Schema.OPTIONAL_INT32_SCHEMA;
                case LONG -> Schema.OPTIONAL_INT64_SCHEMA;
                case DOUBLE -> Schema.OPTIONAL_FLOAT64_SCHEMA;
                case BOOLEAN -> Schema.OPTIONAL_BOOLEAN_SCHEMA;
                default -> Schema.OPTIONAL_STRING_SCHEMA;
            };
        }

        @Override
        SchemaAndValue read(ByteBuffer data) throws IOException {
            data.get(); // the message's index: the first
            DynamicMessage read = DynamicMessage.parseFrom(message, com.google.protobuf.ByteString.copyFrom(data));
            Struct struct = new Struct(schema);
            for (FieldDescriptor field : message.getFields()) {
                struct.put(field.getName(), read.getField(field));
            }
            return new SchemaAndValue(schema, struct);
        }

        @Override
        void write(Schema of, Object value, ByteArrayOutputStream out) throws IOException {
            Struct struct = (Struct) value;
            DynamicMessage.Builder builder = DynamicMessage.newBuilder(message);
            for (Field field : of.fields()) {
                Object part = struct.get(field);
                if (part != null) {
                    builder.setField(message.findFieldByName(field.name()), part);
                }
            }
            out.write(0);
            builder.build().writeTo(out);
        }
    }

    /** JsonSchemaConverter, for objects of scalars. */
    public static class JsonSchemaConverter extends Base {
        private final ObjectMapper mapper = new ObjectMapper();
        private Schema schema;

        @Override
        void prepare() throws IOException {
            JsonNode json = mapper.readTree(text);
            SchemaBuilder builder = SchemaBuilder.struct();
            Map<Integer, String> places = new HashMap<>();
            json.get("properties").fieldNames().forEachRemaining(
                name -> places.put(json.get("properties").get(name).path("connect.index").asInt(places.size()), name));
            for (int place = 0; place < places.size(); place++) {
                JsonNode property = json.get("properties").get(places.get(place));
                JsonNode kind = property.has("oneOf") ? property.get("oneOf").get(1) : property;
                builder.field(places.get(place), switch (kind.get("type").asText()) {
                    case "integer" -> Schema.OPTIONAL_INT64_SCHEMA;
                    case "number" -> Schema.OPTIONAL_FLOAT64_SCHEMA;
                    case "boolean" -> Schema.OPTIONAL_BOOLEAN_SCHEMA;
                    default -> Schema.OPTIONAL_STRING_SCHEMA;
                });
            }
            schema = builder.build();
        }

        @Override
        SchemaAndValue read(ByteBuffer data) throws IOException {
            byte[] bytes = data.array();
            JsonNode node = mapper.readTree(bytes, PREFIX, bytes.length - PREFIX);
            Struct struct = new Struct(schema);
            for (Field field : schema.fields()) {
                JsonNode part = node.get(field.name());
                if (part != null && !part.isNull()) {
                    struct.put(field, switch (field.schema().type()) {
                        case INT64 -> part.longValue();
                        case FLOAT64 -> part.doubleValue();
                        case BOOLEAN -> part.booleanValue();
                        default -> part.textValue();
                    });
                }
            }
            return new SchemaAndValue(schema, struct);
        }

        @Override
        void write(Schema of, Object value, ByteArrayOutputStream out) throws IOException {
            Struct struct = (Struct) value;
            JsonNodeFactory nodes = JsonNodeFactory.instance;
            ObjectNode node = nodes.objectNode();
            for (Field field : of.fields()) {
                Object part = struct.get(field);
                node.set(field.name(), part == null ? nodes.nullNode() : switch (field.schema().type()) {
                    case INT64 -> nodes.numberNode((Long) part);
                    case FLOAT64 -> nodes.numberNode((Double) part);
                    case BOOLEAN -> nodes.booleanNode((Boolean) part);
                    default -> nodes.textNode((String) part);
                });
            }
            out.write(mapper.writeValueAsBytes(node));
        }
    }
}
