"""Works through a pipeline of shell scripts. Steps fail in the ways that steps fail: 1, 2, 126, 127, or another code."""

from ledger import Ledger, rounds

STEPS = ("fetch", "transform", "publish", "verify")


def main():
    """All rounds, then idle. A step that fails ends its round."""
    ledger = Ledger()
    for number in range(rounds()):
        for step in STEPS:
            if ledger.run(step, "/bin/sh", f"/agents/steps/{step}.sh", str(number)) != 0:
                break
    ledger.settle()


main()
