import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.SdkField;
import software.amazon.awssdk.core.SdkPojo;
import software.amazon.awssdk.core.protocol.MarshallingType;
import software.amazon.awssdk.core.traits.ListTrait;
import software.amazon.awssdk.utils.builder.SdkBuilder;

/** Converts JSON, whose members have the names of the API, to the SDK's requests, and its responses to JSON. */
final class Shapes {
    private Shapes() {}

    /** Builds a request. {@code $name} is replaced by the value that an earlier case saved. */
    static SdkPojo fill(SdkPojo builder, JsonNode members, Map<String, String> saved) {
        for (SdkField<?> field : builder.sdkFields()) {
            JsonNode value = members.get(field.memberName());
            if (value != null) {
                field.set(builder, value(field, value, saved));
            }
        }
        return (SdkPojo) ((SdkBuilder<?, ?>) builder).build();
    }

    private static Object value(SdkField<?> field, JsonNode value, Map<String, String> saved) {
        MarshallingType<?> type = field.marshallingType();
        if (type == MarshallingType.SDK_POJO) {
            return fill(field.constructor().get(), value, saved);
        } else if (type == MarshallingType.LIST) {
            List<Object> list = new ArrayList<>();
            SdkField<?> member = field.getTrait(ListTrait.class).memberFieldInfo();
            value.forEach(inner -> list.add(value(member, inner, saved)));
            return list;
        } else if (type == MarshallingType.MAP) {
            Map<String, String> map = new HashMap<>();
            value.fields().forEachRemaining(entry -> map.put(entry.getKey(), entry.getValue().asText()));
            return map;
        } else if (type == MarshallingType.SDK_BYTES) {
            return SdkBytes.fromByteArray(java.util.Base64.getDecoder().decode(value.asText()));
        } else if (type == MarshallingType.INTEGER) {
            return value.asInt();
        } else if (type == MarshallingType.BOOLEAN) {
            return value.asBoolean();
        }
        String text = value.asText();
        return text.startsWith("$") ? saved.get(text.substring(1)) : text;
    }

    static JsonNode json(Object value) {
        JsonNodeFactory nodes = JsonNodeFactory.instance;
        if (value instanceof SdkPojo pojo) {
            ObjectNode object = nodes.objectNode();
            for (SdkField<?> field : pojo.sdkFields()) {
                Object member = field.getValueOrDefault(pojo);
                if (member != null) object.set(field.memberName(), json(member));
            }
            return object;
        } else if (value instanceof List<?> list) {
            ArrayNode array = nodes.arrayNode();
            list.forEach(inner -> array.add(json(inner)));
            return array;
        } else if (value instanceof SdkBytes bytes) {
            return nodes.textNode(java.util.Base64.getEncoder().encodeToString(bytes.asByteArray()));
        } else if (value instanceof Integer number) {
            return nodes.numberNode(number);
        } else if (value instanceof Long number) {
            return nodes.numberNode(number);
        } else if (value instanceof Boolean bool) {
            return nodes.booleanNode(bool);
        }
        return nodes.textNode(String.valueOf(value));
    }
}
