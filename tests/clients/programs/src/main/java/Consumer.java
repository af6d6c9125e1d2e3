import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.arns.Arn;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.common.KinesisClientUtil;
import software.amazon.kinesis.common.StreamIdentifier;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.exceptions.InvalidStateException;
import software.amazon.kinesis.exceptions.ShutdownException;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.processor.SingleStreamTracker;
import software.amazon.kinesis.retrieval.fanout.FanOutConfig;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

/**
 * The Kinesis Client Library: a job on the first line of standard input, one line of JSON for each
 * user record on standard output, until standard input ends. See ../../../../README.md.
 */
public final class Consumer {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws Exception {
        var input = new java.io.BufferedReader(new java.io.InputStreamReader(System.in, StandardCharsets.UTF_8));
        JsonNode job = JSON.readTree(input.readLine());
        List<Scheduler> schedulers = new ArrayList<>();
        for (JsonNode each : job.get("consumers")) {
            var scheduler = scheduler(job, each);
            schedulers.add(scheduler);
            var thread = new Thread(scheduler, each.get("name").asText());
            thread.setDaemon(true);
            thread.start();
        }
        input.readLine();
        var shutdowns = schedulers.stream().map(Scheduler::startGracefulShutdown).toList();
        for (var shutdown : shutdowns) {
            shutdown.get(30, TimeUnit.SECONDS);
        }
        System.exit(0);
    }

    private static Scheduler scheduler(JsonNode job, JsonNode each) {
        var region = Region.of(job.get("region").asText());
        var credentials = StaticCredentialsProvider.create(
                AwsBasicCredentials.create(each.get("key").asText(), "throw-away"));
        // As in the guide: HTTP/2 and CBOR, which are defaults of the SDK.
        var kinesis = KinesisClientUtil.adjustKinesisClientBuilder(
                KinesisAsyncClient.builder().region(region).credentialsProvider(credentials));
        if (each.has("port")) {
            kinesis.endpointOverride(URI.create("https://localhost:" + each.get("port").asInt()));
        }
        var client = kinesis.build();
        var leases = DynamoDbAsyncClient.builder().region(region).credentialsProvider(credentials).build();
        var metrics = CloudWatchAsyncClient.builder().region(region).credentialsProvider(credentials).build();

        String name = each.get("name").asText();
        boolean byArn = each.has("arn");
        var stream = byArn
                ? StreamIdentifier.singleStreamInstance(Arn.fromString(each.get("arn").asText()))
                : StreamIdentifier.singleStreamInstance(each.get("stream").asText());
        var start = InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON);
        var configs = new ConfigsBuilder(
                new SingleStreamTracker(stream, start), name, client, leases, metrics, "worker", () -> new Printer(name));
        var retrieval = configs.retrievalConfig();
        retrieval.retrievalSpecificConfig(each.get("mode").asText().equals("polling")
                ? new PollingConfig(each.get("stream").asText(), client)
                : new FanOutConfig(client).applicationName(name).streamName(each.get("stream").asText()));

        // These settings change no request to Kinesis, only how soon a single worker takes its leases.
        var management = configs.leaseManagementConfig()
                .failoverTimeMillis(3_000)
                .leaseAssignmentIntervalMillis(1_000L)
                .shardSyncIntervalMillis(5_000)
                .dynamoDbLockBasedLeaderLeaseDurationInMillis(6_000)
                .dynamoDbLockBasedLeaderHeartbeatPeriodInMillis(2_000);
        management.workerUtilizationAwareAssignmentConfig()
                .inMemoryWorkerMetricsCaptureFrequencyMillis(500)
                .workerMetricsReporterFreqInMillis(1_000);
        return new Scheduler(
                configs.checkpointConfig(),
                configs.coordinatorConfig().parentShardPollIntervalMillis(1_000),
                management,
                configs.lifecycleConfig(),
                configs.metricsConfig(),
                configs.processorConfig(),
                retrieval);
    }

    private record Record(String consumer, String shard, String sequence, long sub, String key, String data) {}

    private static final class Printer implements ShardRecordProcessor {
        private final String consumer;
        private String shard;

        Printer(String consumer) {
            this.consumer = consumer;
        }

        @Override
        public void initialize(InitializationInput input) {
            shard = input.shardId();
        }

        @Override
        public void processRecords(ProcessRecordsInput input) {
            var lines = new StringBuilder();
            for (var record : input.records()) {
                String data = StandardCharsets.UTF_8.decode(record.data()).toString();
                var seen = new Record(
                        consumer, shard, record.sequenceNumber(), record.subSequenceNumber(), record.partitionKey(), data);
                lines.append(JSON.<JsonNode>valueToTree(seen)).append('\n');
            }
            synchronized (Consumer.class) {
                System.out.print(lines);
                System.out.flush();
            }
            checkpoint(() -> input.checkpointer().checkpoint());
        }

        @Override
        public void leaseLost(LeaseLostInput input) {}

        @Override
        public void shardEnded(ShardEndedInput input) {
            checkpoint(() -> input.checkpointer().checkpoint());
        }

        @Override
        public void shutdownRequested(ShutdownRequestedInput input) {
            checkpoint(() -> input.checkpointer().checkpoint());
        }

        private interface Step {
            void take() throws InvalidStateException, ShutdownException;
        }

        private static void checkpoint(Step step) {
            try {
                step.take();
            } catch (InvalidStateException | ShutdownException error) {
                System.err.println("checkpoint: " + error);
            }
        }
    }
}
