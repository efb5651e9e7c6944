"""Runs the tasks of an agent and keeps the agent's own account of them.

The account is printed as lines `truth<TAB>task<TAB>exit<TAB>count<TAB>seconds`, followed by the line `settled`. It is there to be
compared with what Fleetscope measured from outside; Fleetscope itself knows nothing of it, and needs nothing of it.
"""

import os
import signal
import subprocess
import sys
import time

# Exit codes that have a value of their own in the label `exit`; every other is `other`.
NAMED_CODES = {0, 1, 2, 126, 127}
NAMED_SIGNALS = {signal.SIGKILL: "sigkill", signal.SIGTERM: "sigterm"}


def exit_label(returncode):
    """The value of the label `exit` for a return code of subprocess, which is negative for a signal."""
    if returncode < 0:
        return NAMED_SIGNALS.get(-returncode, "other")
    return str(returncode) if returncode in NAMED_CODES else "other"


class Ledger:
    """What an agent did: number and seconds of its tasks, by name and by how they ended."""

    def __init__(self):
        self.entries = {}
        # The agent is process 1 of its container, which ignores signals that it does not ask for.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    def run(self, task, *command, cwd=None):
        """Runs a command to its end and enters it as `task`. Its return code."""
        start = time.monotonic()
        done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False)
        self.enter(task, done.returncode, time.monotonic() - start)
        return done.returncode

    def run_and_kill(self, task, sig, *command):
        """Runs a command, waits for its first line of output, sends it `sig`, and enters it as `task`."""
        start = time.monotonic()
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            process.stdout.readline()
            process.send_signal(sig)
            returncode = process.wait()
        self.enter(task, returncode, time.monotonic() - start)

    def enter(self, task, returncode, seconds):
        """Enters one task that has ended."""
        entry = self.entries.setdefault((task, exit_label(returncode)), [0, 0.0])
        entry[0] += 1
        entry[1] += seconds

    def settle(self):
        """Prints the account and stays idle, as an agent that waits for work does."""
        for (task, label), (count, seconds) in sorted(self.entries.items()):
            print("truth", task, label, count, f"{seconds:.6f}", sep="\t")
        print("settled", flush=True)
        while True:
            signal.pause()


def rounds():
    """How often the agent does its work before it idles: the variable ROUNDS, or 12."""
    return int(os.environ.get("ROUNDS", "12"))
