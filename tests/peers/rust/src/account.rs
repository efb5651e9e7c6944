//! What this program itself knows of the calls that ended: see `tests/peers/README.md`, "The account".

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use tonic::Code;

/// Upper bounds in seconds; the last bucket has none.
const BOUNDS: [f64; 20] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0,
    300.0,
];

/// Durations kept for the percentiles of one line; later calls are counted, and in its buckets.
const MAX_KEPT: usize = 1 << 20;

/// Names of the codes 0 to 16.
pub const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

pub struct Account {
    role: &'static str,
    lines: Mutex<BTreeMap<(String, &'static str), Line>>,
}

#[derive(Default)]
struct Line {
    count: u64,
    sum: f64,
    buckets: [u64; BOUNDS.len() + 1],
    kept: Vec<f64>,
}

// === impl Account ===

impl Account {
    pub fn new(role: &'static str) -> Self {
        Self { role, lines: Mutex::default() }
    }

    pub fn add(&self, method: &str, code: Code, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let mut lines = self.lines.lock().expect("nothing panics with the lock");
        let line = lines.entry((method.to_owned(), NAMES[code as usize])).or_default();
        line.count += 1;
        line.sum += seconds;
        line.buckets[BOUNDS.partition_point(|bound| *bound < seconds)] += 1;
        if line.kept.len() < MAX_KEPT {
            line.kept.push(seconds);
        }
    }

    /// All calls so far, sorted, and `end` behind them.
    pub fn print(&self) {
        let mut out = String::new();
        for ((method, status), line) in self.lines.lock().expect("nothing panics with the lock").iter_mut() {
            line.kept.sort_by(f64::total_cmp);
            write!(out, "truth\t{}\t{method}\t{status}\t{}\t{:.9}", self.role, line.count, line.sum)
                .expect("a string takes all");
            for n in line.buckets {
                write!(out, "\t{n}").expect("a string takes all");
            }
            writeln!(out, "\t{:.9}\t{:.9}", percentile(&line.kept, 50), percentile(&line.kept, 99))
                .expect("a string takes all");
        }
        println!("{out}end");
    }
}

/// By nearest rank.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(percent * sorted.len()).div_ceil(100) - 1]
}
