import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerServiceDefinition;
import io.grpc.ServerStreamTracer;
import io.grpc.Status;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.netty.shaded.io.netty.channel.MultiThreadIoEventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollIoHandler;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollServerDomainSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.unix.DomainSocketAddress;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/** The server; its calls wait on a timer, not on threads, so that thousands may be open. */
final class PeerServer {
    private final Account account = new Account("server");
    private final AtomicLong served = new AtomicLong();
    private final ScheduledExecutorService timer;
    private final Server server;
    private final String listen;

    PeerServer(String listen, ScheduledExecutorService timer) throws IOException {
        this.timer = timer;
        this.listen = listen;
        NettyServerBuilder builder;
        if (listen.startsWith("unix:")) {
            builder = NettyServerBuilder.forAddress(new DomainSocketAddress(listen.substring("unix:".length())))
                    .channelType(EpollServerDomainSocketChannel.class)
                    .bossEventLoopGroup(new MultiThreadIoEventLoopGroup(1, EpollIoHandler.newFactory()))
                    .workerEventLoopGroup(new MultiThreadIoEventLoopGroup(EpollIoHandler.newFactory()));
        } else {
            int colon = listen.lastIndexOf(':');
            builder = NettyServerBuilder.forAddress(new InetSocketAddress(listen.substring(0, colon), Integer.parseInt(listen.substring(colon + 1))));
        }
        ServerServiceDefinition.Builder service = ServerServiceDefinition.builder(Service.NAME);
        Service.KINDS.values().forEach(method -> add(service, method));
        for (int n = 2; n <= 5; n++) {
            add(service, Service.method("Unary" + n, MethodType.UNARY));
        }
        server = builder.addService(service.build())
                .addStreamTracerFactory(new Clock())
                .maxInboundMessageSize(Service.MAX_MESSAGE)
                .maxInboundMetadataSize(Service.MAX_METADATA)
                .build()
                .start();
    }

    String address() {
        return listen.startsWith("unix:") ? listen : listen.substring(0, listen.lastIndexOf(':')) + ":" + server.getPort();
    }

    void printAccount() {
        account.print();
    }

    void stop(long graceSeconds) throws InterruptedException {
        if (!server.shutdown().awaitTermination(graceSeconds, TimeUnit.SECONDS)) {
            server.shutdownNow().awaitTermination();
        }
    }

    private void add(ServerServiceDefinition.Builder service, MethodDescriptor<byte[], byte[]> method) {
        service.addMethod(method, (call, headers) -> new Handler(call, method.getType()));
    }

    /** grpc-java's own events of a stream in its transport: headers read, stream closed. */
    private final class Clock extends ServerStreamTracer.Factory {
        @Override
        public ServerStreamTracer newServerStreamTracer(String method, Metadata headers) {
            long start = System.nanoTime();
            return new ServerStreamTracer() {
                @Override
                public void streamClosed(Status status) {
                    account.add(method, status.getCode(), System.nanoTime() - start);
                }
            };
        }
    }

    /** One call. Its callbacks and its timers come from several threads. */
    private final class Handler extends ServerCall.Listener<byte[]> {
        private final ServerCall<byte[], byte[]> call;
        private final MethodType type;
        private Service.Directive directive;
        private boolean begun;
        private boolean halfClosed;

        Handler(ServerCall<byte[], byte[]> call, MethodType type) {
            this.call = call;
            this.type = type;
            call.request(1);
        }

        @Override
        public synchronized void onMessage(byte[] message) {
            boolean first = directive == null;
            if (first) {
                directive = Service.Directive.parse(message);
            }
            if (type != MethodType.BIDI_STREAMING) {
                call.request(1);
            } else if (first) {
                begin();
            } else {
                respond();
            }
        }

        @Override
        public synchronized void onHalfClose() {
            halfClosed = true;
            if (type != MethodType.BIDI_STREAMING) {
                begin();
            } else if (begun) {
                end();
            }
        }

        private void respond() {
            call.sendMessage(Service.body(directive.bytes()));
            call.request(1);
        }

        /** Waits, and sends the response's headers and what else is due; or fails without them. */
        private void begin() {
            after(directive.delayMs(), () -> {
                Metadata head = Service.fill(served.incrementAndGet(), directive.metadataBytes());
                if (directive.failsAtOnce()) {
                    call.close(directive.outcome(), head);
                    return;
                }
                begun = true;
                call.sendHeaders(head);
                switch (type) {
                    case BIDI_STREAMING -> respond();
                    case SERVER_STREAMING -> {
                        for (int n = 0; n < directive.messages(); n++) {
                            call.sendMessage(Service.body(directive.bytes()));
                        }
                    }
                    default -> { }
                }
                if (halfClosed) {
                    end();
                }
            });
        }

        private void end() {
            after(directive.endDelayMs(), () -> {
                if (directive.status() == 0 && type.serverSendsOneMessage()) {
                    call.sendMessage(Service.body(directive.bytes()));
                }
                call.close(directive.outcome(), new Metadata());
            });
        }

        private void after(int ms, Runnable what) {
            Runnable unlessCancelled = () -> {
                synchronized (this) {
                    if (!call.isCancelled()) {
                        what.run();
                    }
                }
            };
            if (ms == 0) {
                unlessCancelled.run();
            } else {
                timer.schedule(unlessCancelled, ms, TimeUnit.MILLISECONDS);
            }
        }
    }
}
