import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.common.util.concurrent.ListenableFuture;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.kinesis.producer.Attempt;
import software.amazon.kinesis.producer.KinesisProducer;
import software.amazon.kinesis.producer.KinesisProducerConfiguration;
import software.amazon.kinesis.producer.UserRecordFailedException;
import software.amazon.kinesis.producer.UserRecordResult;

/**
 * The Kinesis Producer Library, with its native daemon: a job on standard input, one line of JSON
 * for each of its producers on standard output. See ../../../../README.md.
 */
public final class Producer {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws Exception {
        JsonNode job = JSON.readTree(System.in);
        var pool = Executors.newCachedThreadPool();
        for (JsonNode each : job.get("producers")) {
            pool.submit(() -> {
                Map<String, Object> report = new TreeMap<>(Map.of("name", each.get("name").asText()));
                try {
                    produce(job, each, report);
                } catch (Throwable error) {
                    report.put("error", error.toString());
                }
                String line = JSON.writeValueAsString(report);
                synchronized (Producer.class) {
                    System.out.println(line);
                }
                return null;
            });
        }
        pool.shutdown();
        pool.awaitTermination(10, TimeUnit.MINUTES);
        System.exit(0);
    }

    private static void produce(JsonNode job, JsonNode each, Map<String, Object> report) throws Exception {
        var start = System.nanoTime();
        var producer = new KinesisProducer(configuration(job, each));
        List<ListenableFuture<UserRecordResult>> puts = new ArrayList<>();
        int from = each.get("from").asInt();
        for (int number = from; number < from + each.get("count").asInt(); number++) {
            // Few keys, so that each has many records, all in one shard.
            String key = "key-" + number % 16;
            byte[] data = (each.get("stream").asText() + " " + number).getBytes(StandardCharsets.UTF_8);
            puts.add(producer.addUserRecord(each.get("stream").asText(), key, ByteBuffer.wrap(data)));
        }
        int acknowledged = 0;
        Map<String, Integer> failures = new TreeMap<>();
        for (var put : puts) {
            try {
                put.get(3, TimeUnit.MINUTES);
                acknowledged += 1;
            } catch (ExecutionException error) {
                var attempts = ((UserRecordFailedException) error.getCause()).getResult().getAttempts();
                for (Attempt attempt : attempts) {
                    failures.merge(attempt.getErrorCode() + ": " + attempt.getErrorMessage(), 1, Integer::sum);
                }
            }
        }
        report.put("acknowledged", acknowledged);
        report.put("failures", failures);
        report.put("seconds", (System.nanoTime() - start) / 1_000_000_000L);
        producer.destroy();
    }

    private static KinesisProducerConfiguration configuration(JsonNode job, JsonNode each) {
        var credentials = AwsBasicCredentials.create(each.get("key").asText(), "throw-away");
        var configuration = new KinesisProducerConfiguration()
                .setRegion(job.get("region").asText())
                .setCredentialsProvider(StaticCredentialsProvider.create(credentials))
                .setCaCertFile(job.get("ca").asText())
                // Of two puts that overlap, the emulator may show the later sequence numbers first; a
                // consumer then never sees the earlier ones.
                .setMaxConnections(1)
                .setTempDirectory(job.get("folder").asText());
        if (each.has("port")) {
            configuration.setKinesisEndpoint("localhost").setKinesisPort(each.get("port").asLong());
        }
        if (each.has("ttl")) {
            configuration.setRecordTtl(each.get("ttl").asLong());
        }
        return configuration;
    }
}
