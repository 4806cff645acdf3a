import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Transactions by the Java client: {@code KafkaClient PORT NAME MECHANISM TOPIC}. Its log says what it sent. */
public class KafkaClient {
    static final int ROUNDS = 10;

    public static void main(String[] words) throws Exception {
        String name = words[1], topic = words[3];
        Properties settings = new Properties();
        String module = words[2].equals("PLAIN") ? "plain.Plain" : "scram.Scram";
        settings.put("bootstrap.servers", "127.0.0.1:" + words[0]);
        settings.put("security.protocol", "SASL_PLAINTEXT");
        settings.put("sasl.mechanism", words[2]);
        settings.put("sasl.jaas.config", "org.apache.kafka.common.security." + module
                + "LoginModule required username=\"app\" password=\"t0psecret\";");
        settings.put("client.id", name);
        Properties writes = new Properties();
        writes.putAll(settings);
        writes.put("transactional.id", name);
        Properties reads = new Properties();
        reads.putAll(settings);
        reads.put("group.id", name);
        reads.put("auto.offset.reset", "earliest");
        reads.put("isolation.level", "read_committed");
        reads.put("enable.auto.commit", "false");
        reads.put("fetch.max.wait.ms", "100");
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(reads, new StringDeserializer(), new StringDeserializer());
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(writes, new StringSerializer(), new StringSerializer())) {
            producer.initTransactions();
            for (int round = 0; round < ROUNDS; round++) {
                producer.beginTransaction();
                for (int number = 0; number < 5; number++) {
                    producer.send(new ProducerRecord<>(topic, "key" + number, "value".repeat(number * 10))).get();
                }
                if (round % 3 == 2) {
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                }
            }
            consumer.subscribe(List.of(topic));
            List<ConsumerRecord<String, String>> seen = new ArrayList<>();
            long until = System.nanoTime() + 20_000_000_000L;
            while (seen.size() < ROUNDS * 5 - ROUNDS / 3 * 5 && System.nanoTime() < until) {
                consumer.poll(Duration.ofMillis(200)).forEach(seen::add);
            }
            if (seen.size() != ROUNDS * 5 - ROUNDS / 3 * 5) {
                throw new IllegalStateException("read " + seen.size() + " records");
            }
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            for (ConsumerRecord<String, String> record : seen) {
                offsets.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
            }
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "last", "value")).get();
            producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
            producer.commitTransaction();
        }
        consumer.pause(consumer.assignment());
        consumer.poll(Duration.ofMillis(600));
        consumer.close();
    }
}
