import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.dataformat.cbor.CBORFactory;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Reads batches of bodies from standard input, and writes the members of each as Jackson reads them.
 *
 * A batch is a count, then for each body a byte (0 JSON, 1 CBOR), a length, and the bytes. The output
 * for a body is a count of texts, each with its length, or -1 where Jackson refuses the body.
 */
public final class Members {
    private static final String[] TEXT_MEMBERS = {
        "StreamName", "StreamARN", "StreamId", "ConsumerName", "ConsumerARN", "ResourceARN", "QueueName",
        "QueueARN", "ChannelName", "ChannelARN", "KeyId", "ShardIterator", "NextToken",
    };
    private static final JsonFactory JSON = new JsonFactory();
    private static final JsonFactory CBOR = new CBORFactory();

    private record Pair(String key, Object value) {}

    private record Pairs(List<Pair> all) {
        Object last(String key) {
            Object found = null;
            for (Pair pair : all) {
                if (pair.key().equals(key)) {
                    found = pair.value();
                }
            }
            return found;
        }

        Object first(String key) {
            return all.stream().filter(pair -> pair.key().equals(key)).map(Pair::value)
                .map(value -> value == null ? Map.of() : value).findFirst().orElse(null);
        }
    }

    public static void main(String[] arguments) throws IOException {
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in, 1 << 20));
        while (true) {
            int count;
            try {
                count = in.readInt();
            } catch (EOFException end) {
                return;
            }
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            DataOutputStream out = new DataOutputStream(bytes);
            for (int n = 0; n < count; n++) {
                JsonFactory factory = in.readByte() == 0 ? JSON : CBOR;
                writeMembers(factory, in.readNBytes(in.readInt()), out);
            }
            bytes.writeTo(System.out);
            System.out.flush();
        }
    }

    private static void writeMembers(JsonFactory factory, byte[] body, DataOutputStream out) throws IOException {
        List<String> members;
        try (JsonParser parser = factory.createParser(body)) {
            parser.nextToken();
            Object root = value(parser);
            if (parser.nextToken() != null) {
                throw new IOException("bytes after the body");
            }
            members = root instanceof Pairs pairs ? members(pairs) : List.of("not a map");
        } catch (IOException | RuntimeException refused) {
            out.writeInt(-1);
            return;
        }
        out.writeInt(members.size());
        for (String text : members) {
            byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
            out.writeInt(utf8.length);
            out.write(utf8);
        }
    }

    private static Object value(JsonParser parser) throws IOException {
        JsonToken token = parser.currentToken();
        if (token == null) {
            throw new IOException("no body");
        }
        switch (token) {
            case START_OBJECT: {
                List<Pair> pairs = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_OBJECT) {
                    String key = parser.currentName();
                    parser.nextToken();
                    pairs.add(new Pair(key, value(parser)));
                }
                return new Pairs(pairs);
            }
            case START_ARRAY: {
                List<Object> items = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    items.add(value(parser));
                }
                return items;
            }
            case VALUE_STRING:
                return parser.getText();
            case VALUE_NULL:
                return null;
            case VALUE_EMBEDDED_OBJECT:
                parser.getBinaryValue();
                return Boolean.TRUE;
            default:
                return Boolean.TRUE;
        }
    }

    private static List<String> members(Pairs root) {
        List<String> members = new ArrayList<>();
        for (String member : TEXT_MEMBERS) {
            Object value = root.last(member);
            if (value instanceof String text) {
                members.add(member + "=" + text);
            } else if (value != null) {
                members.add(member + " is no text");
            }
            Object first = root.first(member);
            if (first != null && !first.equals(Map.of()) && !first.equals(value)) {
                members.add(member + " has two values");
            }
        }
        if (root.last("Tags") instanceof Pairs tags) {
            for (Pair tag : tags.all()) {
                members.add("Tags[" + tag.key() + "]=" + text(tag.value()));
                members.add("TagKey=" + tag.key());
            }
        }
        if (root.last("TagKeys") instanceof List<?> keys) {
            for (Object key : keys) {
                members.add("TagKey=" + text(key));
            }
        }
        for (String list : new String[] {"StreamConfigurationList", "StreamFilter"}) {
            Object value = root.last(list);
            List<?> elements = value instanceof List<?> all ? all : value == null ? List.of() : List.of(value);
            for (Object element : elements) {
                if (element instanceof Pairs pairs && pairs.last("StreamARN") != null) {
                    members.add(list + "=" + text(pairs.last("StreamARN")));
                }
            }
        }
        return members;
    }

    private static String text(Object value) {
        return value instanceof String text ? text : "no text";
    }
}
