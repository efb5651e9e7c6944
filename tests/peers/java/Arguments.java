import io.grpc.Status;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/** The command line behind its verb: `--name value`, and flags without a value. */
final class Arguments {
    private static final Set<String> FLAGS = Set.of("trailers-only", "hold");

    private final Map<String, String> values = new HashMap<>(Map.ofEntries(
            Map.entry("listen", "127.0.0.1:0"), Map.entry("target", ""), Map.entry("kind", "unary"), Map.entry("status", "OK"),
            Map.entry("calls", "1"), Map.entry("concurrency", "1"), Map.entry("connections", "1"), Map.entry("methods", "1"),
            Map.entry("delay-ms", "0"), Map.entry("end-delay-ms", "0"), Map.entry("messages", "1"), Map.entry("bytes", "0"),
            Map.entry("metadata-bytes", "0"), Map.entry("deadline-ms", "0"), Map.entry("cancel-after-ms", "0"),
            Map.entry("trailers-only", ""), Map.entry("hold", "")));

    Arguments(String[] words) {
        for (int i = 1; i < words.length; i++) {
            String name = words[i].replaceFirst("^--", "");
            if (!values.containsKey(name) || !FLAGS.contains(name) && i + 1 == words.length) {
                throw new IllegalArgumentException("unknown or incomplete " + words[i] + ": see tests/peers/README.md for the command line");
            }
            values.put(name, FLAGS.contains(name) ? "set" : words[++i]);
        }
    }

    String text(String name) {
        return values.get(name);
    }

    int number(String name) {
        return Integer.parseInt(values.get(name));
    }

    boolean is(String flag) {
        return !values.get(flag).isEmpty();
    }

    /** A name or a number; not mix. */
    int status() {
        String text = values.get("status");
        return Character.isDigit(text.charAt(0)) ? Integer.parseInt(text) : Status.Code.valueOf(text).value();
    }
}
