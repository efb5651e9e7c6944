"""What this program itself knows of the calls that ended: see tests/peers/README.md, "The account"."""

import bisect
import math

# Upper bounds in seconds; the last bucket has none.
BOUNDS = [.0005, .001, .0025, .005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 30, 60, 300]

# Durations kept for the percentiles of one line; later calls are counted, and in its buckets.
MAX_KEPT = 1 << 20


class Line:
    def __init__(self):
        self.count, self.sum, self.buckets, self.kept = 0, 0.0, [0] * (len(BOUNDS) + 1), []


class Account:
    def __init__(self, role):
        self.role, self.lines = role, {}

    def add(self, method, status, seconds):
        line = self.lines.setdefault((method, status), Line())
        line.count += 1
        line.sum += seconds
        line.buckets[bisect.bisect_left(BOUNDS, seconds)] += 1
        if len(line.kept) < MAX_KEPT:
            line.kept.append(seconds)

    def print(self):
        """All calls so far, sorted, and `end` behind them."""
        for (method, status), line in sorted(self.lines.items()):
            line.kept.sort()
            percentiles = (f"{percentile(line.kept, q):.9f}" for q in (.5, .99))
            print("truth", self.role, method, status, line.count, f"{line.sum:.9f}", *line.buckets, *percentiles, sep="\t")
        print("end", flush=True)


def percentile(ordered, q):
    """By nearest rank."""
    return ordered[math.ceil(q * len(ordered)) - 1]
