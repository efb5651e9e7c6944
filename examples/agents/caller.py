"""Asks the planner for plans over gRPC, in all four kinds of calls; some fail, some come too late, some are not wanted any more."""

import json
import os
import signal

import grpc

from call_ledger import SERVICE, CallLedger
from ledger import rounds

LEDGER = CallLedger("client")


def encode(message):
    """A message's bytes."""
    return json.dumps(message).encode()


class Planner:
    """The planner, as its callers see it. Every call is entered in the account, with the status that this end sees."""

    def __init__(self, channel):
        path = lambda method: f"/{SERVICE}/{method}"
        self.one = {m: channel.unary_unary(path(m), encode, json.loads) for m in ("Plan", "Finish")}
        self.watching = channel.unary_stream(path("Watch"), encode, json.loads)
        self.reporting = channel.stream_unary(path("Report"), encode, json.loads)
        self.conversing = channel.stream_stream(path("Converse"), encode, json.loads)

    def ask(self, method, request, timeout=None):
        """One request, one response."""
        try:
            self.one[method](request, timeout=timeout, wait_for_ready=True)
            LEDGER.enter(method, grpc.StatusCode.OK)
        except grpc.RpcError as error:
            LEDGER.enter(method, error.code())

    def watch(self, messages, delay, enough=None):
        """A stream of responses, of which `enough` are wanted."""
        call = self.watching({"messages": messages, "delay": delay})
        try:
            for number, _ in enumerate(call, start=1):
                if number == enough:
                    call.cancel()
            LEDGER.enter("Watch", grpc.StatusCode.OK)
        except grpc.RpcError as error:
            LEDGER.enter("Watch", error.code())

    def report(self, messages):
        """A stream of requests."""
        self.reporting(iter([{"line": number} for number in range(messages)]))
        LEDGER.enter("Report", grpc.StatusCode.OK)

    def converse(self, messages):
        """Both ways at once."""
        for _ in self.conversing(iter([{"line": number} for number in range(messages)])):
            pass
        LEDGER.enter("Converse", grpc.StatusCode.OK)


def main():
    """All rounds, then idle with the connection open."""
    with grpc.insecure_channel(os.environ.get("PLANNER", "planner:50051")) as channel:
        planner = Planner(channel)
        for number in range(rounds()):
            planner.ask("Plan", {"delay": 0.002 * (number % 8)})
            planner.report(4)
            planner.converse(3)
            planner.watch(messages=5, delay=0.01)
            if number % 4 == 1:
                planner.ask("Plan", {"status": "NOT_FOUND"})
            if number % 6 == 2:
                planner.ask("Plan", {"status": "INTERNAL"})
            if number % 5 == 3:
                # A second, so that it shows at the server, too, that the time was over: one that stands still for a period of its quota reads that late.
                planner.ask("Plan", {"delay": 5, "late": True}, timeout=1)
            if number % 7 == 4:
                planner.watch(messages=1000, delay=0.02, enough=2)
        planner.ask("Finish", {})
        LEDGER.settle()
        while True:
            signal.pause()


main()
