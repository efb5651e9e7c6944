// What this program itself knows of the calls that ended: see tests/peers/README.md, "The account".
"use strict";

// Upper bounds in seconds; the last bucket has none.
const BOUNDS = [.0005, .001, .0025, .005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 30, 60, 300];

// Durations kept for the percentiles of one line; later calls are counted, and in its buckets.
const MAX_KEPT = 1 << 20;

class Account {
  constructor(role) {
    this.role = role;
    this.lines = new Map();
  }

  add(method, status, milliseconds) {
    const key = `${method}\t${status}`;
    const seconds = milliseconds / 1000;
    let line = this.lines.get(key);
    if (line === undefined) {
      line = { count: 0, sum: 0, buckets: new Array(BOUNDS.length + 1).fill(0), kept: [] };
      this.lines.set(key, line);
    }
    const bucket = BOUNDS.findIndex((bound) => seconds <= bound);
    line.count++;
    line.sum += seconds;
    line.buckets[bucket < 0 ? BOUNDS.length : bucket]++;
    if (line.kept.length < MAX_KEPT) {
      line.kept.push(seconds);
    }
  }

  // All calls so far, sorted, and `end` behind them.
  print() {
    let out = "";
    for (const key of [...this.lines.keys()].sort()) {
      const { count, sum, buckets, kept } = this.lines.get(key);
      kept.sort((a, b) => a - b);
      const percentiles = [percentile(kept, .5), percentile(kept, .99)].map((seconds) => seconds.toFixed(9));
      out += ["truth", this.role, key, count, sum.toFixed(9), ...buckets, ...percentiles].join("\t") + "\n";
    }
    process.stdout.write(out + "end\n");
  }
}

// By nearest rank.
function percentile(sorted, q) {
  return sorted[Math.ceil(q * sorted.length) - 1];
}

module.exports = { Account };
