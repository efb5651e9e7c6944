"""Starts workers that end well, are killed, are asked to stop, or abort."""

import signal

from ledger import Ledger, rounds

ENDS = (None, signal.SIGKILL, signal.SIGTERM, signal.SIGABRT)


def main():
    """All rounds, then idle."""
    ledger = Ledger()
    for number in range(rounds()):
        end = ENDS[number % len(ENDS)]
        if end is None:
            ledger.run("worker", "python3", "/agents/worker.py", "once")
        else:
            ledger.run_and_kill("worker", end, "python3", "/agents/worker.py", "forever")
    ledger.settle()


main()
