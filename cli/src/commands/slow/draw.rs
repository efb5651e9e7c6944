//! The answer of `slow`: ranked, as figures for programs and as a table for people.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

use super::{SlowArgs, calls, tasks};
use crate::histogram::{Highest, Histogram, Quantile, float};
use crate::nodes::Coverage;
use crate::output::table::{Align, Cell, Table, Tone};
use crate::output::{View, units};

use Align::{Left, Right};

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Slow {
    items: Vec<Thing>,
    /// How many more there are than `--top` shows.
    beyond_top: usize,
    /// How many `--min-calls` leaves out.
    below_min_calls: usize,
    #[serde(skip)]
    min_calls: u64,
    nodes: Coverage,
}

/// What has durations: a task or a method.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Thing {
    kind: &'static str,
    namespace: String,
    fleet: String,
    /// Of a task; empty otherwise.
    #[serde(skip_serializing_if = "String::is_empty")]
    group: String,
    /// Of a method; empty otherwise.
    #[serde(skip_serializing_if = "String::is_empty")]
    role: String,
    /// The task's name, or the method.
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pod: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    container: String,
    duration_seconds: Seconds,
    nodes: BTreeSet<String>,
}

/// Durations in seconds.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Seconds {
    count: u64,
    sum: f64,
    mean: Option<f64>,
    /// Estimated, as the next two; the last bucket's bound when it is beyond, null when the buckets differ.
    #[serde(serialize_with = "value")]
    p50: Option<Quantile>,
    #[serde(serialize_with = "value")]
    p90: Option<Quantile>,
    #[serde(serialize_with = "value")]
    p99: Option<Quantile>,
    /// The bucket that the largest is in.
    #[serde(flatten, serialize_with = "bucket")]
    max: Option<Highest>,
}

#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
fn value<S: Serializer>(quantile: &Option<Quantile>, serializer: S) -> Result<S::Ok, S::Error> {
    quantile.map(|quantile| quantile.value).serialize(serializer)
}

/// Bounds of a bucket for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bucket {
    max_above: Option<f64>,
    /// Null if the bucket has no upper bound.
    max_up_to: Option<f64>,
}

#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
fn bucket<S: Serializer>(max: &Option<Highest>, serializer: S) -> Result<S::Ok, S::Error> {
    Bucket { max_above: max.map(|max| max.above), max_up_to: max.and_then(|max| max.up_to) }.serialize(serializer)
}

// === impl Seconds ===

impl Seconds {
    /// Without a histogram the buckets differ, and no quantile is known.
    fn new(count: u64, sum: f64, histogram: Option<&Histogram>) -> Self {
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|q| histogram.and_then(|histogram| histogram.quantile(q)));
        let max = histogram.and_then(Histogram::highest);
        Self { count, sum, mean: (count > 0).then(|| sum / float(count)), p50, p90, p99, max }
    }
}

// === impl Thing ===

impl From<(tasks::Key, tasks::Totals)> for Thing {
    fn from((key, totals): (tasks::Key, tasks::Totals)) -> Self {
        let tasks::Key { namespace, fleet, group, task: name, pod, container } = key;
        let duration_seconds = Seconds::new(totals.finished(), totals.durations.sum(), Some(&totals.durations));
        let (kind, role, nodes) = ("task", String::new(), totals.nodes);
        Self { kind, namespace, fleet, group, role, name, pod, container, duration_seconds, nodes }
    }
}

impl From<(calls::Key, calls::Totals)> for Thing {
    fn from((key, totals): (calls::Key, calls::Totals)) -> Self {
        let calls::Key { namespace, fleet, method: name, role, pod, container } = key;
        let durations = &totals.durations;
        let duration_seconds = Seconds::new(durations.count(), durations.sum(), durations.histogram());
        let (kind, group, nodes) = ("grpc", String::new(), totals.nodes);
        Self { kind, namespace, fleet, group, role, name, pod, container, duration_seconds, nodes }
    }
}

impl Thing {
    /// The larger the slower: by p99, of which one beyond a bound is larger than one within it, then by mean.
    fn rank(&self) -> [f64; 3] {
        let Seconds { p99, mean, .. } = self.duration_seconds;
        let (value, beyond) = p99.map_or((-1.0, false), |p99| (p99.value, p99.beyond));
        [value, if beyond { 1.0 } else { 0.0 }, mean.unwrap_or(-1.0)]
    }
}

// === impl Slow ===

impl Slow {
    /// The slowest of these.
    pub(super) fn new(mut items: Vec<Thing>, args: &SlowArgs, nodes: Coverage) -> Self {
        items.retain(|thing| thing.duration_seconds.count > 0);
        let all = items.len();
        items.retain(|thing| thing.duration_seconds.count >= args.min_calls);
        let below_min_calls = all - items.len();
        // A stable sort: what is equally slow stays in the order of kinds and names.
        items.sort_by(|a, b| {
            let pairs = b.rank().into_iter().zip(a.rank());
            pairs.map(|(b, a)| b.total_cmp(&a)).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
        let beyond_top = items.len().saturating_sub(args.top.get());
        items.truncate(args.top.get());
        Self { items, beyond_top, below_min_calls, min_calls: args.min_calls, nodes }
    }

    /// What is not in the table.
    fn notes(&self) -> String {
        let mut notes = Vec::new();
        if self.beyond_top > 0 {
            let all = self.items.len() + self.beyond_top;
            notes.push(format!("{} of {all} shown; --top {all} shows all.", self.items.len()));
        }
        if self.below_min_calls > 0 {
            notes.push(format!("{} that finished less than {} times left out.", self.below_min_calls, self.min_calls));
        }
        if notes.is_empty() { String::new() } else { format!("\n{}\n", notes.join(" ")) }
    }
}

impl View for Slow {
    fn draw(&self, wide: bool) -> String {
        if self.items.is_empty() {
            return if self.below_min_calls > 0 {
                format!(
                    "Nothing finished {} times or more; {} things finished less often.\n",
                    self.min_calls, self.below_min_calls
                )
            } else {
                "Nothing has finished here yet; -A shows all namespaces, and `fleetscope status` tells whether fleets are \
                 observed.\n"
                    .to_owned()
            };
        }
        let mut columns = ["NAMESPACE", "FLEET", "KIND", "GROUP/ROLE", "NAME"].map(|title| (title, Left)).to_vec();
        if wide {
            columns.extend(["POD", "CONTAINER"].map(|title| (title, Left)));
        }
        columns.extend(["COUNT", "P50", "P99", "MAX"].map(|title| (title, Right)));
        if wide {
            columns.extend(["P90", "MEAN", "TIME"].map(|title| (title, Right)));
        }
        let mut table = Table::new(&columns);
        for thing in &self.items {
            let within = if thing.group.is_empty() { &thing.role } else { &thing.group };
            let mut cells = vec![
                Cell::new(&thing.namespace),
                Cell::new(&thing.fleet),
                Cell::new(thing.kind),
                Cell::new(within),
                Cell::tail(&thing.name).tone(Tone::Strong),
            ];
            if wide {
                cells.extend([&thing.pod, &thing.container].map(Cell::new));
            }
            let Seconds { count, sum, mean, p50, p90, p99, max } = &thing.duration_seconds;
            cells.push(Cell::new(count.to_string()));
            cells.extend([p50, p99].map(|q| Cell::of(q.map(units::quantile))));
            cells.push(Cell::of(max.map(units::highest)));
            if wide {
                cells.push(Cell::of(p90.map(units::quantile)));
                cells.extend([*mean, Some(*sum)].map(|seconds| Cell::of(seconds.map(units::seconds))));
            }
            table.row(cells);
        }
        table.render() + &self.notes()
    }
}
