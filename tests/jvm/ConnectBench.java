import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import com.sun.management.OperatingSystemMXBean;
import com.sun.management.ThreadMXBean;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.header.ConnectHeaders;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.storage.Converter;
import org.apache.kafka.connect.storage.HeaderConverter;
import org.apache.kafka.connect.transforms.Transformation;

import java.util.Optional;

/**
 * What a row of the benchmark costs Kafka Connect's own classes: bytes of a topic to Connect's data, through transforms, and to bytes again,
 * the calls in the order of WorkerSinkTask and WorkerSourceTask, on one thread after warming up. A process measures one row.
 *
 * Reads lines of fields with tabs between them, bytes as base64 and "-" for null:
 *
 *   decode|encode TAB key TAB value             configuration of the converters on either side
 *   transform TAB number TAB key TAB value      configuration of a transform
 *   record TAB key TAB value TAB header         a record; the header is called "h"
 *
 * and writes what each record becomes (topic, key, value, header), and nanoseconds per record: of this thread's processor time, and of that
 * of all threads, garbage collection and compilation included.
 */
public class ConnectBench {
    private static final String TOPIC = "bench";
    /** Processor time, so that a busy machine does not cut the JIT short. */
    private static final long WARM_UP_NS = 1_500_000_000L;
    private static final long ROUND_NS = 100_000_000L;
    /** It goes on for as long as one of the last rounds was better than all before by more than that. */
    private static final int ROUNDS = 8;
    private static final double BETTER = 0.98;
    private static final int MAX_ROUNDS = 60;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private static final OperatingSystemMXBean SYSTEM = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    private final Converters in;
    private final Converters out;
    private final List<Transformation<SinkRecord>> transforms = new ArrayList<>();
    private final List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();

    /** Where results go, so that none can be left out. */
    private static volatile Object sink;

    private record Converters(Converter key, Converter value, HeaderConverter header) {
        static Converters of(Map<String, String> config) throws Exception {
            HeaderConverter header = make(config.get("header.converter"));
            header.configure(properties(config, "header.converter."));
            return new Converters(converter(config, "key", true), converter(config, "value", false), header);
        }

        private static Converter converter(Map<String, String> config, String role, boolean isKey) throws Exception {
            Converter converter = make(config.get(role + ".converter"));
            converter.configure(properties(config, role + ".converter."), isKey);
            return converter;
        }
    }

    private ConnectBench(List<String[]> lines) throws Exception {
        Map<String, Map<String, String>> configs = new HashMap<>();
        for (String[] line : lines) {
            switch (line[0]) {
                case "record" -> records.add(recordOf(line, records.size()));
                case "transform" -> configs.computeIfAbsent(line[1], name -> new HashMap<>()).put(line[2], line[3]);
                default -> configs.computeIfAbsent(line[0], name -> new HashMap<>()).put(line[1], line[2]);
            }
        }
        in = Converters.of(configs.get("decode"));
        out = Converters.of(configs.get("encode"));
        for (int number = 0; configs.containsKey(Integer.toString(number)); number++) {
            Map<String, String> config = configs.get(Integer.toString(number));
            Transformation<SinkRecord> transform = make(config.get("type"));
            transform.configure(config);
            transforms.add(transform);
        }
    }

    public static void main(String[] args) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        List<String[]> lines = input.lines().map(line -> line.split("\t", -1)).toList();
        ConnectBench bench = new ConnectBench(lines);
        for (ConsumerRecord<byte[], byte[]> record : bench.records) {
            ProducerRecord<byte[], byte[]> made = bench.convert(record);
            Header header = made.headers().lastHeader("h");
            System.out.println(String.join("\t", made.topic(), text(made.key()), text(made.value()), text(header == null ? null : header.value())));
        }

        bench.run(WARM_UP_NS);
        double thread = Double.MAX_VALUE;
        long processStart = SYSTEM.getProcessCpuTime();
        double records = 0;
        int lastBetter = 0;
        for (int round = 0; round < MAX_ROUNDS && round - lastBetter <= ROUNDS; round++) {
            long threadStart = THREADS.getCurrentThreadCpuTime();
            double count = bench.run(ROUND_NS);
            double figure = (THREADS.getCurrentThreadCpuTime() - threadStart) / count;
            lastBetter = figure < thread * BETTER ? round : lastBetter;
            thread = Math.min(thread, figure);
            records += count;
        }
        double process = (SYSTEM.getProcessCpuTime() - processStart) / records;
        System.out.println(thread + "\t" + process);
    }

    private long run(long span) {
        long start = THREADS.getCurrentThreadCpuTime();
        long count = 0;
        while (THREADS.getCurrentThreadCpuTime() - start < span) {
            for (ConsumerRecord<byte[], byte[]> record : records) {
                sink = convert(record);
            }
            count += records.size();
        }
        return count;
    }

    private ProducerRecord<byte[], byte[]> convert(ConsumerRecord<byte[], byte[]> record) {
        SchemaAndValue key = in.key.toConnectData(record.topic(), record.headers(), record.key());
        SchemaAndValue value = in.value.toConnectData(record.topic(), record.headers(), record.value());
        ConnectHeaders headers = new ConnectHeaders();
        for (Header header : record.headers()) {
            headers.add(header.key(), in.header.toConnectHeader(record.topic(), header.key(), header.value()));
        }
        SinkRecord data = new SinkRecord(record.topic(), record.partition(), key.schema(), key.value(), value.schema(), value.value(),
            record.offset(), record.timestamp(), record.timestampType(), headers);
        for (Transformation<SinkRecord> transform : transforms) {
            data = transform.apply(data);
        }
        RecordHeaders written = new RecordHeaders();
        for (org.apache.kafka.connect.header.Header header : data.headers()) {
            written.add(header.key(), out.header.fromConnectHeader(data.topic(), header.key(), header.schema(), header.value()));
        }
        byte[] keyBytes = out.key.fromConnectData(data.topic(), written, data.keySchema(), data.key());
        byte[] valueBytes = out.value.fromConnectData(data.topic(), written, data.valueSchema(), data.value());
        return new ProducerRecord<>(data.topic(), data.kafkaPartition(), data.timestamp(), keyBytes, valueBytes, written);
    }

    private static ConsumerRecord<byte[], byte[]> recordOf(String[] line, int offset) {
        RecordHeaders headers = new RecordHeaders();
        if (!line[3].equals("-")) {
            headers.add("h", bytes(line[3]));
        }
        byte[] key = bytes(line[1]);
        byte[] value = bytes(line[2]);
        return new ConsumerRecord<>(TOPIC, 0, offset, 1_700_000_000_000L + offset, TimestampType.CREATE_TIME, key == null ? -1 : key.length,
            value == null ? -1 : value.length, key, value, headers, Optional.empty());
    }

    private static Map<String, String> properties(Map<String, String> config, String prefix) {
        Map<String, String> properties = new HashMap<>();
        config.forEach((key, value) -> {
            if (key.startsWith(prefix)) {
                properties.put(key.substring(prefix.length()), value);
            }
        });
        properties.put("converter.type", prefix.substring(0, prefix.indexOf('.')));
        return properties;
    }

    @SuppressWarnings("unchecked")
    private static <T> T make(String className) throws Exception {
        if (className.startsWith("io.confluent.connect.")) { // what stands in for it
            className = "FormatConverters$" + className.substring(className.lastIndexOf('.') + 1);
        }
        return (T) Class.forName(className).getDeclaredConstructor().newInstance();
    }

    private static byte[] bytes(String text) {
        return text.equals("-") ? null : Base64.getDecoder().decode(text);
    }

    private static String text(byte[] bytes) {
        return bytes == null ? "-" : Base64.getEncoder().encodeToString(bytes);
    }
}
