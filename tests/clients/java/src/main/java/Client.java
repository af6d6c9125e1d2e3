import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URI;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.client.builder.AwsClientBuilder;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.SdkPojo;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardEvent;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardRequest;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardResponseHandler;

/**
 * Runs cases with the AWS SDK for Java v2: a job on standard input, one line of JSON for each case
 * on standard output. See ../README.md. The argument is the client: {@code sync} (Apache,
 * HTTP/1.1) or {@code async} (Netty, HTTP/2); both send CBOR.
 */
public final class Client {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Duration TIMEOUT = Duration.ofSeconds(30);

    private final boolean async;
    private final JsonNode job;
    private final Map<String, Object> clients = new HashMap<>();
    private final Map<String, String> saved = new HashMap<>();

    private Client(boolean async, JsonNode job) {
        this.async = async;
        this.job = job;
    }

    public static void main(String[] arguments) throws Exception {
        Client client = new Client(arguments[0].equals("async"), JSON.readTree(System.in));
        for (JsonNode testCase : client.job.get("cases")) {
            Thread.sleep((long) (1000 * testCase.path("pause").asDouble()));
            System.out.println(client.attempt(testCase));
        }
        // The event loops of the async clients have threads of their own.
        System.exit(0);
    }

    private ObjectNode attempt(JsonNode testCase) throws Exception {
        ObjectNode report = JSON.createObjectNode().put("case", testCase.get("case").asText());
        try {
            JsonNode result = Shapes.json(call(testCase));
            testCase.path("save").fields().forEachRemaining(save ->
                    saved.put(save.getKey(), result.at("/" + save.getValue().asText().replace('.', '/')).asText()));
            return report.put("outcome", "ok").set("result", result);
        } catch (SdkException error) {
            report.put("outcome", "error").put("type", error.getClass().getSimpleName())
                    .put("message", error.getMessage()).put("attempts", error.numAttempts());
            if (error instanceof AwsServiceException service && service.awsErrorDetails() != null) {
                String code = service.awsErrorDetails().errorCode();
                report.put("code", code).put("message", service.awsErrorDetails().errorMessage());
                report.put("outcome", "AccessDeniedException".equals(code) ? "denied" : "error");
            }
            return report;
        } catch (NoSuchMethodException | java.util.concurrent.TimeoutException error) {
            return report.put("outcome", "error").put("type", error.getClass().getSimpleName())
                    .put("message", error.getMessage());
        }
    }

    /** Finds the operation by name: the method has that name, and takes its request. */
    private SdkPojo call(JsonNode testCase) throws Exception {
        String call = testCase.get("call").asText();
        String method = Character.toLowerCase(call.charAt(0)) + call.substring(1);
        Class<?> type = Class.forName("software.amazon.awssdk.services.kinesis.model." + call + "Request");
        SdkPojo builder = (SdkPojo) type.getMethod("builder").invoke(null);
        SdkPojo request = Shapes.fill(builder, testCase.get("arguments"), saved);
        Object client = clients.computeIfAbsent(
                testCase.get("as") + " " + testCase.get("endpoint_url"), key -> client(testCase));
        try {
            if (request instanceof SubscribeToShardRequest subscribe && async) {
                return firstRecords((KinesisAsyncClient) client, subscribe);
            }
            Class<?> kind = async ? KinesisAsyncClient.class : KinesisClient.class;
            Method operation = kind.getMethod(method, type);
            Object result = operation.invoke(client, request);
            return result instanceof CompletableFuture<?> future
                    ? (SdkPojo) future.get(TIMEOUT.toSeconds(), TimeUnit.SECONDS)
                    : (SdkPojo) result;
        } catch (InvocationTargetException | ExecutionException | CompletionException error) {
            throw error.getCause() instanceof SdkException cause ? cause : error;
        }
    }

    private Object client(JsonNode testCase) {
        return async ? build(KinesisAsyncClient.builder(), testCase) : build(KinesisClient.builder(), testCase);
    }

    private <B extends AwsClientBuilder<B, C>, C> C build(B builder, JsonNode testCase) {
        JsonNode key = job.get("credentials").get(testCase.get("as").asText());
        builder.region(Region.of(job.get("region").asText()));
        // Without a key in the job, the default credential chain finds credentials.
        if (!key.isNull()) {
            builder.credentialsProvider(StaticCredentialsProvider.create(
                    AwsBasicCredentials.create(key.get("id").asText(), key.get("secret").asText())));
        }
        if (!testCase.get("endpoint_url").isNull()) {
            builder.endpointOverride(URI.create(testCase.get("endpoint_url").asText()));
        }
        return builder.build();
    }

    private static SdkPojo firstRecords(KinesisAsyncClient client, SubscribeToShardRequest request)
            throws Exception {
        CompletableFuture<SdkPojo> records = new CompletableFuture<>();
        SubscribeToShardResponseHandler handler = SubscribeToShardResponseHandler.builder()
                .onError(records::completeExceptionally)
                .subscriber(event -> {
                    if (event instanceof SubscribeToShardEvent shard && !shard.records().isEmpty()) {
                        records.complete(shard);
                    }
                })
                .build();
        CompletableFuture<Void> subscription = client.subscribeToShard(request, handler);
        subscription.whenComplete((done, error) -> {
            if (error != null) records.completeExceptionally(error);
        });
        try {
            return records.get(TIMEOUT.toSeconds(), TimeUnit.SECONDS);
        } finally {
            subscription.cancel(true);
        }
    }
}
