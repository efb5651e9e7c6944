"""An agent's own account of its gRPC calls.

The account is printed as lines `call<TAB>role<TAB>method<TAB>status<TAB>count`, followed by the line `settled`. It is there to be compared with
what Fleetscope measured from outside; Fleetscope itself knows nothing of it, and needs nothing of it.
"""

import collections
import signal
import sys
import threading

# The service that the sample agents speak; its messages are JSON, so that no code has to be generated.
SERVICE = "fleetscope.sample.Planner"


class CallLedger:
    """How many calls of each method ended with each status, as seen from one end of them."""

    def __init__(self, role):
        self.role = role
        self.counts = collections.Counter()
        self.lock = threading.Lock()
        # The agent is process 1 of its container, which ignores signals that it does not ask for.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    def enter(self, method, status):
        """Enters one call that has ended; `status` is a grpc.StatusCode."""
        with self.lock:
            self.counts[(f"{SERVICE}/{method}", status.name)] += 1

    def settle(self):
        """Prints the account."""
        with self.lock:
            for (method, status), count in sorted(self.counts.items()):
                print("call", self.role, method, status, count, sep="\t")
            print("settled", flush=True)
