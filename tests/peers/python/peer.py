"""A gRPC server and client on grpcio (C-core), whose own counters and clocks are the truth that Fleetscope's measurements are
compared with. What it says and understands is in tests/peers/README.md."""

import argparse
import asyncio
import os
import signal
import sys
import threading
from time import monotonic

import grpc

from account import Account

SERVICE = "fleetscope.peers.v1.Peer"
CODES = {code.value[0]: code for code in grpc.StatusCode}
FIELDS = ("status", "trailers_only", "delay_ms", "end_delay_ms", "messages", "bytes", "metadata_bytes")
# How long calls may go on after the end was asked for, and the connections may take to be there.
GRACE, CONNECT_LIMIT = 5, 30
OPTIONS = [
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_metadata_size", 64 << 10),
    ("grpc.absolute_max_metadata_size", 64 << 10),
    ("grpc.so_reuseport", 0),
    # A client's channels: each call is one stream, each channel one connection, straight to the server.
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]


class Directive:
    """What the first message of a call asks of the server."""

    def __init__(self, message):
        values = dict(pair.split("=") for pair in message.partition(b"\n")[0].decode().split())
        for field in FIELDS:
            setattr(self, field, int(values[field]))
        self.fails_at_once = bool(self.status and self.trailers_only)


def body(size):
    return b"x" * size


def fill(call, size):
    """Metadata of that size that differs from call to call, and that Huffman coding does not make shorter."""
    return (("x-fill", f"{call}-{'Z' * size}"[:size]),) if size else ()


async def lines_of_stdin(queue, loop):
    """Each line, and None at the end of standard input or at SIGTERM."""

    def read():
        rest = b""
        while data := os.read(0, 4096):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                loop.call_soon_threadsafe(queue.put_nowait, line.decode())
        loop.call_soon_threadsafe(queue.put_nowait, None)

    loop.add_signal_handler(signal.SIGTERM, queue.put_nowait, None)
    threading.Thread(target=read, daemon=True).start()
    while (line := await queue.get()) is not None:
        yield line


# === server


class Call:
    """One call on the server, from its headers to its end."""

    served = 0

    def __init__(self, method, account):
        self.method, self.account, self.start, self.status = method, account, monotonic(), None

    def ended(self, context):
        if self.status is None:  # the client, or its deadline, ended it
            left = context.time_remaining()
            self.status = grpc.StatusCode.CANCELLED if left is None or left > 0 else grpc.StatusCode.DEADLINE_EXCEEDED
        self.account.add(self.method, self.status.name, monotonic() - self.start)

    async def asked(self, message, context):
        try:
            return Directive(message)
        except (KeyError, ValueError):
            self.status = grpc.StatusCode.INVALID_ARGUMENT
            await context.abort(self.status, "the first message is not a directive")

    async def begin(self, directive, context):
        """Waits, and sends the response's headers; or fails without them."""
        await asyncio.sleep(directive.delay_ms / 1000)
        Call.served += 1
        head = fill(Call.served, directive.metadata_bytes)
        if directive.fails_at_once:
            await self.fail(directive, context, head)
        await context.send_initial_metadata(head)

    async def end(self, directive, context):
        await asyncio.sleep(directive.end_delay_ms / 1000)
        if directive.status:
            await self.fail(directive, context, ())
        self.status = grpc.StatusCode.OK

    async def fail(self, directive, context, trailers):
        self.status = CODES[directive.status]
        await context.abort(self.status, "as asked for", trailers)

    async def unary(self, request, context):
        context.add_done_callback(self.ended)
        directive = await self.asked(request, context)
        await self.begin(directive, context)
        await self.end(directive, context)
        return body(directive.bytes)

    async def client(self, requests, context):
        context.add_done_callback(self.ended)
        directive = await self.asked(await anext(requests, b""), context)
        async for _ in requests:
            pass
        await self.begin(directive, context)
        await self.end(directive, context)
        return body(directive.bytes)

    async def server(self, request, context):
        context.add_done_callback(self.ended)
        directive = await self.asked(request, context)
        await self.begin(directive, context)
        for _ in range(directive.messages):
            yield body(directive.bytes)
        await self.end(directive, context)

    async def bidi(self, requests, context):
        context.add_done_callback(self.ended)
        directive = await self.asked(await anext(requests, b""), context)
        await self.begin(directive, context)
        yield body(directive.bytes)
        async for _ in requests:
            yield body(directive.bytes)
        await self.end(directive, context)


class Handler(grpc.GenericRpcHandler):
    def __init__(self, account):
        self.account = account

    def service(self, handler_call_details):
        """The first that grpcio does with a call whose headers were read."""
        service, _, name = handler_call_details.method[1:].partition("/")
        call = Call(f"{service}/{name}", self.account)
        if service != SERVICE:
            return None
        match name:
            case "Unary" | "Unary2" | "Unary3" | "Unary4" | "Unary5":
                return grpc.unary_unary_rpc_method_handler(call.unary)
            case "ClientStream":
                return grpc.stream_unary_rpc_method_handler(call.client)
            case "ServerStream":
                return grpc.unary_stream_rpc_method_handler(call.server)
            case "Bidi":
                return grpc.stream_stream_rpc_method_handler(call.bidi)


async def serve(arguments):
    account = Account("server")
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((Handler(account),))
    port = server.add_insecure_port(arguments.listen)
    await server.start()
    address = arguments.listen if arguments.listen.startswith("unix:") else f"{arguments.listen.rpartition(':')[0]}:{port}"
    print("listening", address, flush=True)
    async for line in lines_of_stdin(asyncio.Queue(), asyncio.get_running_loop()):
        if line == "account":
            account.print()
    await server.stop(GRACE)
    account.print()


# === client


class Client:
    def __init__(self, arguments):
        self.arguments, self.account, self.channels = arguments, Account("client"), []

    async def run(self):
        self.channels = [grpc.aio.insecure_channel(self.arguments.target, OPTIONS) for _ in range(self.arguments.connections)]
        await asyncio.wait_for(asyncio.gather(*(channel.channel_ready() for channel in self.channels)), CONNECT_LIMIT)
        print("connected", len(self.channels), flush=True)
        if self.arguments.hold:
            async for line in lines_of_stdin(asyncio.Queue(), asyncio.get_running_loop()):
                if line == "go":
                    await self.round()
        else:
            await self.round()
        await asyncio.gather(*(channel.close() for channel in self.channels))

    async def round(self):
        """Makes all calls, of each kind after the other, and prints the account."""
        for kind in self.arguments.kind.split(","):
            calls = iter(range(self.arguments.calls))
            await asyncio.gather(*(self.work(worker, kind, calls) for worker in range(self.arguments.concurrency)))
        self.account.print()

    async def work(self, worker, kind, calls):
        channel = self.channels[worker % len(self.channels)]
        for i in calls:
            await self.call(channel, kind, i)

    async def call(self, channel, kind, i):
        a = self.arguments
        method = {"unary": "Unary", "client": "ClientStream", "server": "ServerStream", "bidi": "Bidi"}[kind]
        if kind == "unary" and i % a.methods:
            method += str(i % a.methods + 1)
        path = f"{SERVICE}/{method}"
        options = {"metadata": fill(i, a.metadata_bytes), "timeout": a.deadline_ms / 1000 if a.deadline_ms else None}
        request, messages = self.directive(i), max(a.messages, 1)
        start = monotonic()
        match kind:
            case "unary":
                call = channel.unary_unary(f"/{path}")(request, **options)
            case "client":
                call = channel.stream_unary(f"/{path}")(**options)
            case "server":
                call = channel.unary_stream(f"/{path}")(request, **options)
            case "bidi":
                call = channel.stream_stream(f"/{path}")(**options)
        if a.cancel_after_ms:
            asyncio.get_running_loop().call_later(a.cancel_after_ms / 1000, call.cancel)
        try:
            if kind in ("client", "bidi"):
                for message in [request] + [body(a.bytes)] * (messages - 1):
                    await call.write(message)
                    if kind == "bidi" and await call.read() is grpc.aio.EOF:
                        break
                await call.done_writing()
            if kind in ("server", "bidi"):
                while await call.read() is not grpc.aio.EOF:
                    pass
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError, asyncio.CancelledError):
            pass  # the call has ended; how, its code says
        status = await call.code()
        self.account.add(path, status.name, monotonic() - start)

    def directive(self, i):
        """Of the i-th call. A mix goes through all codes, in turns with and without headers before the trailers."""
        a = self.arguments
        trailers_only, status = a.trailers_only, a.status
        if status == "mix":
            status, trailers_only = i % len(CODES), trailers_only or i // len(CODES) % 2 == 1
        values = (int(status), int(trailers_only), a.delay_ms, a.end_delay_ms, a.messages, a.bytes, a.metadata_bytes)
        text = " ".join(f"{field}={value}" for field, value in zip(FIELDS, values, strict=True)) + "\n"
        return text.encode() + body(a.bytes - len(text))


def status_of(text):
    if text == "mix":
        return text
    code = grpc.StatusCode[text] if text in grpc.StatusCode.__members__ else CODES[int(text)]
    return code.value[0]


def main():
    parser = argparse.ArgumentParser(prog="peer")
    verbs = parser.add_subparsers(dest="verb", required=True)
    server = verbs.add_parser("server")
    server.add_argument("--listen", default="127.0.0.1:0")
    client = verbs.add_parser("client")
    client.add_argument("--target", required=True)
    client.add_argument("--kind", default="unary")
    client.add_argument("--status", default="OK", type=status_of)
    for name, default in (("calls", 1), ("concurrency", 1), ("connections", 1), ("methods", 1), ("delay-ms", 0), ("end-delay-ms", 0),
                          ("messages", 1), ("bytes", 0), ("metadata-bytes", 0), ("deadline-ms", 0), ("cancel-after-ms", 0)):
        client.add_argument(f"--{name}", default=default, type=int)
    client.add_argument("--trailers-only", action="store_true")
    client.add_argument("--hold", action="store_true")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments) if arguments.verb == "server" else Client(arguments).run())


if __name__ == "__main__":
    sys.exit(main())
