import com.amazonaws.AmazonServiceException;
import com.amazonaws.AmazonWebServiceRequest;
import com.amazonaws.auth.AWSStaticCredentialsProvider;
import com.amazonaws.auth.BasicAWSCredentials;
import com.amazonaws.auth.ProcessCredentialsProvider;
import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.services.kinesis.AmazonKinesis;
import com.amazonaws.services.kinesis.AmazonKinesisClientBuilder;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.lang.reflect.InvocationTargetException;
import java.util.HashMap;
import java.util.Map;

/**
 * Runs cases with the AWS SDK for Java v1, HTTP/1.1 and CBOR: a job on standard input, one line of
 * JSON for each case on standard output. See ../README.md.
 */
public final class ClientV1 {
    private static final ObjectMapper JSON = new ObjectMapper();
    // The SDK's beans, whose members have the names of the API.
    private static final ObjectMapper BEANS = new ObjectMapper()
            .setPropertyNamingStrategy(PropertyNamingStrategies.UPPER_CAMEL_CASE)
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);

    private final JsonNode job;
    private final Map<String, AmazonKinesis> clients = new HashMap<>();
    private final Map<String, String> saved = new HashMap<>();

    private ClientV1(JsonNode job) {
        this.job = job;
    }

    public static void main(String[] arguments) throws Exception {
        ClientV1 client = new ClientV1(JSON.readTree(System.in));
        for (JsonNode testCase : client.job.get("cases")) {
            Thread.sleep((long) (1000 * testCase.path("pause").asDouble()));
            System.out.println(client.attempt(testCase));
        }
    }

    private ObjectNode attempt(JsonNode testCase) {
        ObjectNode report = JSON.createObjectNode().put("case", testCase.get("case").asText());
        try {
            JsonNode result = call(testCase);
            testCase.path("save").fields().forEachRemaining(save ->
                    saved.put(save.getKey(), result.at("/" + save.getValue().asText().replace('.', '/')).asText()));
            return report.put("outcome", "ok").set("result", result);
        } catch (Throwable error) {
            report.put("outcome", "error").put("type", error.getClass().getSimpleName())
                    .put("message", error.getMessage());
            if (error instanceof AmazonServiceException service) {
                report.put("code", service.getErrorCode()).put("message", service.getErrorMessage());
                report.put("outcome", "AccessDeniedException".equals(service.getErrorCode()) ? "denied" : "error");
            }
            return report;
        }
    }

    /** Finds the operation by name: the method has that name, and takes its request. */
    private JsonNode call(JsonNode testCase) throws Throwable {
        String call = testCase.get("call").asText();
        String method = Character.toLowerCase(call.charAt(0)) + call.substring(1);
        Class<?> type = Class.forName("com.amazonaws.services.kinesis.model." + call + "Request");
        ObjectNode members = testCase.get("arguments").deepCopy();
        // Replaces `$name` by the value that an earlier case saved.
        members.fields().forEachRemaining(member -> {
            String text = member.getValue().asText();
            if (text.startsWith("$")) {
                member.setValue(BEANS.getNodeFactory().textNode(saved.get(text.substring(1))));
            }
        });
        var request = (AmazonWebServiceRequest) BEANS.treeToValue(members, type);
        AmazonKinesis client = clients.computeIfAbsent(
                testCase.get("as") + " " + testCase.get("endpoint_url"), key -> client(testCase));
        try {
            return BEANS.valueToTree(AmazonKinesis.class.getMethod(method, type).invoke(client, request));
        } catch (InvocationTargetException error) {
            throw error.getCause();
        }
    }

    private AmazonKinesis client(JsonNode testCase) {
        JsonNode key = job.get("credentials").get(testCase.get("as").asText());
        String region = job.get("region").asText();
        // Without a key in the job, a process provides credentials.
        var builder = AmazonKinesisClientBuilder.standard().withCredentials(key.isNull()
                ? ProcessCredentialsProvider.builder().withCommand(System.getenv("CREDENTIAL_PROCESS")).build()
                : new AWSStaticCredentialsProvider(
                        new BasicAWSCredentials(key.get("id").asText(), key.get("secret").asText())));
        JsonNode url = testCase.get("endpoint_url");
        return url.isNull()
                ? builder.withRegion(region).build()
                : builder.withEndpointConfiguration(new EndpointConfiguration(url.asText(), region)).build();
    }
}
