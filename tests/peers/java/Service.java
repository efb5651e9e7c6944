import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Status;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The one service that all peers speak, and what the first message of a call asks for. */
final class Service {
    static final String NAME = "fleetscope.peers.v1.Peer";
    static final int MAX_MESSAGE = 64 << 20;
    static final int MAX_METADATA = 64 << 10;
    /** A kind of the command line, and its method. */
    static final Map<String, MethodDescriptor<byte[], byte[]>> KINDS = Map.of(
            "unary", method("Unary", MethodType.UNARY),
            "client", method("ClientStream", MethodType.CLIENT_STREAMING),
            "server", method("ServerStream", MethodType.SERVER_STREAMING),
            "bidi", method("Bidi", MethodType.BIDI_STREAMING));

    private Service() {}

    static MethodDescriptor<byte[], byte[]> method(String name, MethodType type) {
        return MethodDescriptor.newBuilder(new Raw(), new Raw()).setType(type).setFullMethodName(NAME + "/" + name).build();
    }

    static byte[] body(int size) {
        byte[] bytes = new byte[Math.max(size, 0)];
        Arrays.fill(bytes, (byte) 'x');
        return bytes;
    }

    /** Metadata of that size that differs from call to call, and that Huffman coding does not make shorter. */
    static Metadata fill(long call, int size) {
        Metadata metadata = new Metadata();
        if (size > 0) {
            metadata.put(Metadata.Key.of("x-fill", Metadata.ASCII_STRING_MARSHALLER), (call + "-" + "Z".repeat(size)).substring(0, size));
        }
        return metadata;
    }

    /** Messages are bytes and nothing else. */
    private static final class Raw implements MethodDescriptor.Marshaller<byte[]> {
        @Override
        public InputStream stream(byte[] message) {
            return new ByteArrayInputStream(message);
        }

        @Override
        public byte[] parse(InputStream message) {
            try {
                return message.readAllBytes();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    record Directive(int status, int trailersOnly, int delayMs, int endDelayMs, int messages, int bytes, int metadataBytes) {
        static Directive parse(byte[] message) {
            String text = new String(message, StandardCharsets.US_ASCII);
            Map<String, Integer> values = new HashMap<>();
            for (String pair : List.of(text.substring(0, text.indexOf('\n')).split(" "))) {
                String[] sides = pair.split("=");
                values.put(sides[0], Integer.parseInt(sides[1]));
            }
            return new Directive(values.get("status"), values.get("trailers_only"), values.get("delay_ms"), values.get("end_delay_ms"),
                    values.get("messages"), values.get("bytes"), values.get("metadata_bytes"));
        }

        /** As a line, padded to the size of the call's messages. */
        byte[] message() {
            byte[] text = String.format("status=%d trailers_only=%d delay_ms=%d end_delay_ms=%d messages=%d bytes=%d metadata_bytes=%d\n",
                    status, trailersOnly, delayMs, endDelayMs, messages, bytes, metadataBytes).getBytes(StandardCharsets.US_ASCII);
            byte[] message = Arrays.copyOf(text, Math.max(text.length, bytes));
            Arrays.fill(message, text.length, message.length, (byte) 'x');
            return message;
        }

        /** The call ends with one header block, before anything was sent; a Bidi before the rest of the requests was read. */
        boolean failsAtOnce() {
            return status != 0 && trailersOnly != 0;
        }

        Status outcome() {
            return status == 0 ? Status.OK : Status.fromCodeValue(status).withDescription("as asked for");
        }
    }
}
