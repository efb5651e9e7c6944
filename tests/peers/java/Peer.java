import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;

/**
 * A gRPC server and client on grpc-java with netty, whose own counters and clocks are the truth that Fleetscope's measurements are
 * compared with. What it says and understands is in tests/peers/README.md.
 */
public final class Peer {
    /** How long calls may go on after the end was asked for. */
    private static final long GRACE_SECONDS = 5;

    private Peer() {}

    public static void main(String[] words) throws Exception {
        Arguments arguments = new Arguments(words);
        ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
        switch (words.length > 0 ? words[0] : "") {
            case "server" -> serve(new PeerServer(arguments.text("listen"), timer));
            case "client" -> call(new PeerClient(arguments, timer), arguments);
            default -> throw new IllegalArgumentException("server or client: see tests/peers/README.md for the command line");
        }
    }

    /** The end of standard input and SIGTERM both end in the hook. */
    private static void serve(PeerServer server) throws Exception {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                server.stop(GRACE_SECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            server.printAccount();
            Runtime.getRuntime().halt(0);
        }));
        System.out.println("listening " + server.address());
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            if (line.equals("account")) {
                server.printAccount();
            }
        }
        System.exit(0);
    }

    private static void call(PeerClient client, Arguments arguments) throws Exception {
        System.out.println("connected " + client.connect());
        if (arguments.is("hold")) {
            BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
            for (String line = input.readLine(); line != null; line = input.readLine()) {
                if (line.equals("go")) {
                    client.round();
                }
            }
        } else {
            client.round();
        }
        client.close();
        System.exit(0);
    }
}
