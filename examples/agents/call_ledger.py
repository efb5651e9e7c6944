"""An agent's own account of its gRPC calls.

The account is printed as lines `call<TAB>role<TAB>method<TAB>status<TAB>count` and, by an end that measures how long its calls take,
`took<TAB>role<TAB>method<TAB>le<TAB>count`: how many took at most `le` seconds and more than the bound before it. The line `settled` follows. It is there
to be compared with what Fleetscope measured from outside; Fleetscope itself knows nothing of it, and needs nothing of it.
"""

import bisect
import collections
import math
import signal
import sys
import threading

# The service that the sample agents speak; its messages are JSON, so that no code has to be generated.
SERVICE = "fleetscope.sample.Planner"
# Upper bounds of buckets, in seconds: those that Fleetscope's histograms of calls have by default.
BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 300, math.inf]


class CallLedger:
    """How many calls of each method ended with each status, as seen from one end of them."""

    def __init__(self, role):
        self.role = role
        self.counts = collections.Counter()
        self.took = collections.Counter()
        self.lock = threading.Lock()
        # The agent is process 1 of its container, which ignores signals that it does not ask for.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    def enter(self, method, status, seconds=None):
        """Enters one call that has ended; `status` is a grpc.StatusCode, `seconds` how long it took, if that was measured."""
        with self.lock:
            self.counts[(f"{SERVICE}/{method}", status.name)] += 1
            if seconds is not None:
                self.took[(f"{SERVICE}/{method}", BOUNDS[bisect.bisect_left(BOUNDS, seconds)])] += 1

    def settle(self):
        """Prints the account."""
        with self.lock:
            for (method, status), count in sorted(self.counts.items()):
                print("call", self.role, method, status, count, sep="\t")
            for (method, bound), count in sorted(self.took.items()):
                print("took", self.role, method, bound, count, sep="\t")
            print("settled", flush=True)
