"""Serves plans to other agents over gRPC: one call of each kind, and all the ways in which calls end.

A request says what shall become of it. When CALLERS agents have said that they are done, the account is printed; the server goes on.
"""

import json
import os
import signal
import threading
from concurrent import futures

import grpc

from call_ledger import SERVICE, CallLedger

LEDGER = CallLedger("server")
DONE = threading.Semaphore(0)


def answer(method, context, request):
    """Waits as long as the request says, and ends with its status. Returns whether the call is still there."""
    gone = threading.Event()
    if not context.add_callback(gone.set) or gone.wait(request.get("delay", 0)):
        # The caller went away: its time was over, or it did not want the answer any more.
        late = context.time_remaining() is not None and context.time_remaining() <= 0
        LEDGER.enter(method, grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED)
        return False
    status = grpc.StatusCode[request.get("status", "OK")]
    if status is not grpc.StatusCode.OK:
        LEDGER.enter(method, status)
        context.abort(status, "as the request says")
    return True


def plan(request, context):
    """One request, one response."""
    if answer("Plan", context, request):
        LEDGER.enter("Plan", grpc.StatusCode.OK)
    return {"steps": ["clone", "branch", "merge"]}


def watch(request, context):
    """One request, as many responses as it says."""
    for number in range(request["messages"]):
        if not answer("Watch", context, request):
            return
        yield {"step": number}
    LEDGER.enter("Watch", grpc.StatusCode.OK)


def report(requests, context):
    """A stream of requests, one response."""
    count = sum(1 for _ in requests)
    if answer("Report", context, {}):
        LEDGER.enter("Report", grpc.StatusCode.OK)
    return {"count": count}


def converse(requests, context):
    """A response to each request of a stream."""
    for request in requests:
        yield {"echo": request}
    if answer("Converse", context, {}):
        LEDGER.enter("Converse", grpc.StatusCode.OK)


def finish(_request, _context):
    """A caller is done."""
    LEDGER.enter("Finish", grpc.StatusCode.OK)
    DONE.release()
    return {}


def main():
    """Serves until the pod ends."""
    decode, encode = json.loads, lambda message: json.dumps(message).encode()
    handlers = {
        "Plan": grpc.unary_unary_rpc_method_handler(plan, decode, encode),
        "Watch": grpc.unary_stream_rpc_method_handler(watch, decode, encode),
        "Report": grpc.stream_unary_rpc_method_handler(report, decode, encode),
        "Converse": grpc.stream_stream_rpc_method_handler(converse, decode, encode),
        "Finish": grpc.unary_unary_rpc_method_handler(finish, decode, encode),
    }
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port("0.0.0.0:50051")
    server.start()
    for _ in range(int(os.environ.get("CALLERS", "1"))):
        DONE.acquire()
    LEDGER.settle()
    while True:
        signal.pause()


main()
