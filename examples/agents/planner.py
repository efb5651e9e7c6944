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
    """One call, from its request until it is over, when it is entered in the account."""

    open = 0
    changed = threading.Condition()

    def __init__(self, method, context, start, request=None):
        self.method, self.context, self.start, self.request = method, context, start, request or {}
        self.gone = threading.Event()
        self.status = None
        with Call.changed:
            Call.open += 1
        if not context.add_callback(self.ended):
            self.ended()

    def ended(self):
        """The call is over. If nothing was answered until now, the caller went away: its time was over, or it did not want to wait."""
        self.gone.set()
        late = grpc.StatusCode.DEADLINE_EXCEEDED if self.request.get("late") else grpc.StatusCode.CANCELLED
        LEDGER.enter(self.method, self.status or late, time.monotonic() - self.start)
        with Call.changed:
            Call.open -= 1
            Call.changed.notify_all()

    def answer(self):
        """Waits as long as the request says, and fails if it says so. Whether the caller is still there."""
        if self.gone.wait(self.request.get("delay", 0)):
            return False
        status = grpc.StatusCode[self.request.get("status", "OK")]
        if status is not grpc.StatusCode.OK:
            self.status = status
            self.context.abort(status, "as the request says")
        return True

    def succeed(self):
        """All was answered."""
        self.status = grpc.StatusCode.OK

    @classmethod
    def settled(cls):
        """Waits until every call is entered."""
        with cls.changed:
            cls.changed.wait_for(lambda: cls.open == 0)


def plan(request, context, start):
    """One request, one response."""
    call = Call("Plan", context, start, request)
    if call.answer():
        call.succeed()
    return {"steps": ["clone", "branch", "merge"]}


def watch(request, context, start):
    """One request, as many responses as it says."""
    call = Call("Watch", context, start, request)
    for number in range(request["messages"]):
        if not call.answer():
            return
        yield {"step": number}
    call.succeed()


def report(requests, context, start):
    """A stream of requests, one response."""
    call = Call("Report", context, start)
    count = sum(1 for _ in requests)
    call.succeed()
    return {"count": count}


def converse(requests, context, start):
    """A response to each request of a stream."""
    call = Call("Converse", context, start)
    for request in requests:
        yield {"echo": request}
    call.succeed()


def finish(_request, context, start):
    """A caller is done."""
    Call("Finish", context, start).succeed()
    DONE.release()
    return {}


METHODS = {
    "Plan": (grpc.unary_unary_rpc_method_handler, plan),
    "Watch": (grpc.unary_stream_rpc_method_handler, watch),
    "Report": (grpc.stream_unary_rpc_method_handler, report),
    "Converse": (grpc.stream_stream_rpc_method_handler, converse),
    "Finish": (grpc.unary_unary_rpc_method_handler, finish),
}


class Planner(grpc.GenericRpcHandler):
    """All methods. It is asked for one as soon as a request has arrived: from there on a call takes its time, not only once a thread is free for it."""

    def service(self, handler_call_details):
        """The handler of one call."""
        start = time.monotonic()
        service, _, method = handler_call_details.method[1:].partition("/")
        if service != SERVICE or method not in METHODS:
            return None
        kind, behaviour = METHODS[method]
        decode, encode = json.loads, lambda message: json.dumps(message).encode()
        return kind(lambda request, context: behaviour(request, context, start), decode, encode)


def main():
    """Serves until the pod ends."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers((Planner(),))
    server.add_insecure_port("0.0.0.0:50051")
    server.start()
    for _ in range(int(os.environ.get("CALLERS", "1"))):
        DONE.acquire()
    Call.settled()
    LEDGER.settle()
    while True:
        signal.pause()


main()
