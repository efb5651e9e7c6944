"""Serves plans to other agents over gRPC: one call of each kind, and all the ways in which calls end.

A request says what shall become of it. When CALLERS agents have said that they are done, the account is printed; the server goes on.
"""

import json
import os
import signal
import threading
import time
from concurrent import futures

import grpc

from call_ledger import SERVICE, CallLedger

LEDGER = CallLedger("server")
DONE = threading.Semaphore(0)


class Call:
    """One call, from its request until it is entered in the account, which happens once."""

    open = 0
    changed = threading.Condition()

    def __init__(self, method, context, request=None):
        self.method, self.context, self.request = method, context, request or {}
        self.start = time.monotonic()
        self.gone = threading.Event()
        self.entered = False
        with Call.changed:
            Call.open += 1
        if not context.add_callback(self.ended):
            self.ended()

    def ended(self):
        """The call is over. If nothing was answered until now, the caller went away: its time was over, or it did not want to wait."""
        self.gone.set()
        self.enter(grpc.StatusCode.DEADLINE_EXCEEDED if self.request.get("late") else grpc.StatusCode.CANCELLED)

    def enter(self, status):
        """Enters the call, if it is not entered yet."""
        with Call.changed:
            if not self.entered:
                self.entered = True
                LEDGER.enter(self.method, status, time.monotonic() - self.start)
                Call.open -= 1
                Call.changed.notify_all()

    def answer(self):
        """Waits as long as the request says, and fails if it says so. Whether the caller is still there."""
        if self.gone.wait(self.request.get("delay", 0)):
            return False
        status = grpc.StatusCode[self.request.get("status", "OK")]
        if status is not grpc.StatusCode.OK:
            self.enter(status)
            self.context.abort(status, "as the request says")
        return True

    def succeed(self):
        """All was answered."""
        self.enter(grpc.StatusCode.OK)

    @classmethod
    def settled(cls):
        """Waits until every call is entered."""
        with cls.changed:
            cls.changed.wait_for(lambda: cls.open == 0)


def plan(request, context):
    """One request, one response."""
    call = Call("Plan", context, request)
    if call.answer():
        call.succeed()
    return {"steps": ["clone", "branch", "merge"]}


def watch(request, context):
    """One request, as many responses as it says."""
    call = Call("Watch", context, request)
    for number in range(request["messages"]):
        if not call.answer():
            return
        yield {"step": number}
    call.succeed()


def report(requests, context):
    """A stream of requests, one response."""
    call = Call("Report", context)
    count = sum(1 for _ in requests)
    call.succeed()
    return {"count": count}


def converse(requests, context):
    """A response to each request of a stream."""
    call = Call("Converse", context)
    for request in requests:
        yield {"echo": request}
    call.succeed()


def finish(_request, context):
    """A caller is done."""
    Call("Finish", context).succeed()
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
    Call.settled()
    LEDGER.settle()
    while True:
        signal.pause()


main()
