import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ClientStreamTracer;
import io.grpc.ConnectivityState;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Status;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** The client; each worker starts its next call when one has ended. */
final class PeerClient {
    private static final long CONNECT_LIMIT_SECONDS = 30;

    private final Account account = new Account("client");
    private final Arguments arguments;
    private final ScheduledExecutorService timer;
    private final List<ManagedChannel> channels = new ArrayList<>();

    PeerClient(Arguments arguments, ScheduledExecutorService timer) {
        this.arguments = arguments;
        this.timer = timer;
    }

    int connect() throws InterruptedException {
        for (int n = 0; n < arguments.number("connections"); n++) {
            channels.add(Grpc.newChannelBuilder(arguments.text("target"), InsecureChannelCredentials.create())
                    .disableRetry()
                    .maxInboundMessageSize(Service.MAX_MESSAGE)
                    .maxInboundMetadataSize(Service.MAX_METADATA)
                    .build());
        }
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(CONNECT_LIMIT_SECONDS);
        for (ManagedChannel channel : channels) {
            for (ConnectivityState state = channel.getState(true); state != ConnectivityState.READY; state = channel.getState(true)) {
                CountDownLatch changed = new CountDownLatch(1);
                channel.notifyWhenStateChanged(state, changed::countDown);
                if (!changed.await(until - System.nanoTime(), TimeUnit.NANOSECONDS)) {
                    throw new IllegalStateException("no connection to " + arguments.text("target") + " after " + CONNECT_LIMIT_SECONDS + " s: " + state);
                }
            }
        }
        return channels.size();
    }

    /** Makes all calls, of each kind after the other, and prints the account. */
    void round() throws InterruptedException {
        for (String kind : arguments.text("kind").split(",")) {
            AtomicInteger taken = new AtomicInteger();
            int concurrency = arguments.number("concurrency");
            CountDownLatch done = new CountDownLatch(concurrency);
            for (int worker = 0; worker < concurrency; worker++) {
                work(channels.get(worker % channels.size()), Service.KINDS.get(kind), taken, done);
            }
            done.await();
        }
        account.print();
    }

    void close() throws InterruptedException {
        for (ManagedChannel channel : channels) {
            channel.shutdown().awaitTermination(CONNECT_LIMIT_SECONDS, TimeUnit.SECONDS);
        }
    }

    private void work(ManagedChannel channel, MethodDescriptor<byte[], byte[]> method, AtomicInteger taken, CountDownLatch done) {
        int i = taken.getAndIncrement();
        if (i >= arguments.number("calls")) {
            done.countDown();
            return;
        }
        int variant = i % arguments.number("methods") + 1;
        MethodDescriptor<byte[], byte[]> called =
                method.getType() == MethodType.UNARY && variant > 1 ? Service.method("Unary" + variant, MethodType.UNARY) : method;
        new Call(called, i, () -> work(channel, method, taken, done)).start(channel);
    }

    /** Of the i-th call. A mix goes through all codes, in turns with and without headers before the trailers. */
    private Service.Directive directive(int i) {
        int codes = Status.Code.values().length;
        boolean trailersOnly = arguments.is("trailers-only");
        int status;
        if (arguments.text("status").equals("mix")) {
            status = i % codes;
            trailersOnly |= i / codes % 2 == 1;
        } else {
            status = arguments.status();
        }
        return new Service.Directive(status, trailersOnly ? 1 : 0, arguments.number("delay-ms"), arguments.number("end-delay-ms"),
                arguments.number("messages"), arguments.number("bytes"), arguments.number("metadata-bytes"));
    }

    /** One call. It is driven by its worker, its callbacks and, when it is cancelled, the timer, one at a time: grpc-java takes nothing more of a call that was cancelled. */
    private final class Call extends ClientCall.Listener<byte[]> {
        private final MethodDescriptor<byte[], byte[]> method;
        private final int index;
        private final Runnable next;
        private final Service.Directive directive;
        private volatile long start = System.nanoTime();
        private ClientCall<byte[], byte[]> call;
        private int sent;
        private boolean cancelled;

        Call(MethodDescriptor<byte[], byte[]> method, int index, Runnable next) {
            this.method = method;
            this.index = index;
            this.next = next;
            directive = directive(index);
        }

        synchronized void start(ManagedChannel channel) {
            CallOptions options = CallOptions.DEFAULT.withStreamTracerFactory(new ClientStreamTracer.Factory() {
                @Override
                public ClientStreamTracer newClientStreamTracer(ClientStreamTracer.StreamInfo info, Metadata headers) {
                    return new ClientStreamTracer() {
                        @Override
                        public void outboundHeaders() {
                            start = System.nanoTime();
                        }
                    };
                }
            });
            if (arguments.number("deadline-ms") > 0) {
                options = options.withDeadlineAfter(arguments.number("deadline-ms"), TimeUnit.MILLISECONDS);
            }
            call = channel.newCall(method, options);
            if (arguments.number("cancel-after-ms") > 0) {
                timer.schedule(this::cancel, arguments.number("cancel-after-ms"), TimeUnit.MILLISECONDS);
            }
            call.start(this, Service.fill(index, directive.metadataBytes()));
            call.request(Integer.MAX_VALUE);
            send();
            while (method.getType() == MethodType.CLIENT_STREAMING && sent < directive.messages()) {
                send();
            }
            if (method.getType() != MethodType.BIDI_STREAMING) {
                call.halfClose();
            }
        }

        private synchronized void cancel() {
            cancelled = true;
            call.cancel("as asked for", null);
        }

        private void send() {
            call.sendMessage(sent++ == 0 ? directive.message() : Service.body(directive.bytes()));
        }

        @Override
        public synchronized void onMessage(byte[] message) {
            if (method.getType() != MethodType.BIDI_STREAMING || cancelled) {
                return;
            }
            if (sent < directive.messages()) {
                send();
            } else {
                call.halfClose();
            }
        }

        @Override
        public void onClose(Status status, Metadata trailers) {
            account.add(method.getFullMethodName(), status.getCode(), System.nanoTime() - start);
            next.run();
        }
    }
}
