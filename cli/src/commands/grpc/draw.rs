//! The answer of `grpc`: figures for programs, a table for people.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleetscope_core::metrics::OTHER;
use serde::Serialize;

use super::Sort;
use super::look::Increase;
use super::totals::{Durations, Key, Merge, Totals};
use crate::histogram::float;
use crate::nodes::Coverage;
use crate::output::table::{Align, Cell, Table, Tone};
use crate::output::{View, units};

use Align::{Left, Right};

/// How many times longer than its first response a call takes, from where on that tells something: one bucket or more.
const STREAM_FACTOR: f64 = 2.0;

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Grpc {
    items: Vec<Item>,
    /// By role.
    totals: BTreeMap<String, Figures>,
    /// Time that rates are over; null if there are none yet.
    rate_seconds: Option<f64>,
    nodes: Coverage,
    #[serde(skip)]
    rows: Vec<(Key, Totals)>,
    #[serde(skip)]
    sums: BTreeMap<String, Totals>,
}

/// One row for programs.
#[derive(Debug, Serialize)]
struct Item {
    namespace: String,
    fleet: String,
    method: String,
    role: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pod: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    container: String,
    #[serde(flatten)]
    figures: Figures,
}

/// Figures for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    in_flight: u64,
    finished: u64,
    /// Calls that finished per second of `rateSeconds`; null if a node agent did not answer at its start.
    calls_per_second: Option<f64>,
    errors: u64,
    /// Share of the finished calls that failed.
    error_ratio: Option<f64>,
    /// Finished calls by status.
    statuses: BTreeMap<String, u64>,
    duration_seconds: Seconds,
    first_response_seconds: Seconds,
    nodes: BTreeSet<String>,
}

/// Durations in seconds.
#[derive(Debug, Serialize)]
struct Seconds {
    count: u64,
    sum: f64,
    mean: Option<f64>,
    /// Estimated, as the next two; the last bucket's bound when it is beyond, null when the buckets differ.
    p50: Option<f64>,
    p90: Option<f64>,
    p99: Option<f64>,
}

// === impl Seconds ===

impl From<&Durations> for Seconds {
    fn from(durations: &Durations) -> Self {
        let quantile = |q| durations.quantile(q).map(|q| q.value);
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(quantile);
        Self { count: durations.count(), sum: durations.sum(), mean: durations.mean(), p50, p90, p99 }
    }
}

// === impl Figures ===

impl Figures {
    fn new(totals: &Totals, seconds: Option<f64>) -> Self {
        let finished = totals.finished();
        Self {
            in_flight: totals.in_flight,
            finished,
            calls_per_second: rate(totals, seconds),
            errors: totals.errors,
            error_ratio: (finished > 0).then(|| float(totals.errors) / float(finished)),
            statuses: totals.statuses.clone(),
            duration_seconds: Seconds::from(&totals.durations),
            first_response_seconds: Seconds::from(&totals.first_response),
            nodes: totals.nodes.clone(),
        }
    }
}

// === impl Grpc ===

impl Grpc {
    /// The answer in the order that was asked for; `apart` is the time between the two looks that rates are over.
    pub(super) fn new(merge: Merge, sort: Sort, apart: Option<Duration>, nodes: Coverage) -> Self {
        let rate_seconds = apart.map(|apart| apart.as_secs_f64()).filter(|seconds| *seconds > 0.0);
        let sums = merge.totals();
        let mut rows: Vec<(Key, Totals)> = merge.rows.into_iter().collect();
        // A stable sort: rows with the same figure stay in the order of their names.
        rows.sort_by(|(_, a), (_, b)| rank(b, sort).total_cmp(&rank(a, sort)));
        let items = rows.iter().map(|(key, totals)| item(key, Figures::new(totals, rate_seconds))).collect();
        let totals = sums.iter().map(|(role, sum)| (role.clone(), Figures::new(sum, rate_seconds))).collect();
        Self { items, totals, rate_seconds, nodes, rows, sums }
    }

    /// What the table cannot say by itself.
    fn notes(&self) -> String {
        let mut notes = String::new();
        if self.rows.iter().any(|(key, _)| key.method == OTHER) {
            notes.push_str(
                "\n_OTHER as a method: calls whose method cannot be known, such as on connections that are older than the node \
                 agent, and methods beyond a cap (spec.grpc.maxMethods).\n  Counted by reason: `fleetscope metrics --self --raw --match \
                 fleetscope_rpc_unnamed_calls_total --match fleetscope_series_dropped_total`\n",
            );
        }
        if self.sums.values().any(|sum| sum.statuses.contains_key(OTHER)) {
            notes.push_str(
                "\n_OTHER as a status: calls whose status cannot be known; they count as errors.\n  Counted: `fleetscope metrics \
                 --self --raw --match fleetscope_rpc_unknown_status_calls_total`\n",
            );
        }
        if self.sums.values().chain(self.rows.iter().map(|(_, row)| row)).any(|row| row.durations.histogram().is_none())
        {
            notes.push_str(
                "\nNo P50, P90 and P99 where durations of different buckets come together: ask for one --fleet, or wait until its \
                 pods were replaced.\n",
            );
        }
        notes
    }
}

impl View for Grpc {
    fn draw(&self, wide: bool) -> String {
        if self.rows.is_empty() {
            return "No gRPC calls here yet; -A shows all namespaces. Calls are seen unless the fleet's spec.grpc disables that \
                    or leaves their methods out, and when the probe rpc is attached: `fleetscope status -o wide` lists what is. \
                    Encrypted ones cannot be read.\n"
                .to_owned();
        }
        let first = wide || self.rows.iter().any(|(_, totals)| streams(totals));
        let rate = self.rate_seconds.map_or_else(|| "RATE".to_owned(), |seconds| format!("RATE({})", apart(seconds)));
        let mut columns: Vec<(&str, Align)> =
            ["NAMESPACE", "FLEET", "METHOD", "ROLE"].map(|title| (title, Left)).to_vec();
        if wide {
            columns.extend(["POD", "CONTAINER"].map(|title| (title, Left)));
        }
        columns.extend(["CALLS", &rate, "ERRORS", "ERROR%", "P50", "P90", "P99"].map(|title| (title, Right)));
        if first {
            columns.push(("FIRST-P50", Right));
        }
        columns.push(("IN-FLIGHT", Right));
        if wide {
            columns.push(("STATUSES", Left));
        }
        let mut table = Table::new(&columns);
        for (key, totals) in &self.rows {
            let method = Cell::tail(&key.method).tone(if key.method == OTHER { Tone::Warn } else { Tone::Plain });
            let mut cells = vec![Cell::new(&key.namespace), Cell::new(&key.fleet), method, Cell::new(&key.role)];
            if wide {
                cells.extend([&key.pod, &key.container].map(Cell::new));
            }
            cells.extend(self.figures(totals, first, wide));
            table.row(cells);
        }
        for (role, sum) in &self.sums {
            let mut cells = vec![Cell::new("TOTAL").tone(Tone::Strong), Cell::blank(), Cell::blank(), Cell::new(role)];
            cells.resize(if wide { 6 } else { 4 }, Cell::blank());
            cells.extend(self.figures(sum, first, wide));
            table.row(cells);
        }
        table.render() + &self.notes()
    }
}

impl Grpc {
    fn figures(&self, totals: &Totals, first: bool, wide: bool) -> Vec<Cell> {
        let tone = if totals.errors > 0 { Tone::Bad } else { Tone::Dim };
        let quantile = |durations: &Durations, q| Cell::of(durations.quantile(q).map(units::quantile));
        let mut cells = vec![
            Cell::new(totals.finished().to_string()),
            Cell::of(rate(totals, self.rate_seconds).map(per_second)),
            Cell::new(totals.errors.to_string()).tone(tone),
            Cell::of(units::percent(float(totals.errors), float(totals.finished()))).tone(tone),
        ];
        cells.extend([0.5, 0.9, 0.99].map(|q| quantile(&totals.durations, q)));
        if first {
            cells.push(quantile(&totals.first_response, 0.5));
        }
        cells.push(Cell::new(totals.in_flight.to_string()));
        if wide {
            let mut statuses: Vec<(&String, &u64)> = totals.statuses.iter().filter(|(_, count)| **count > 0).collect();
            statuses.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let statuses: Vec<String> =
                statuses.into_iter().map(|(status, count)| format!("{status}={count}")).collect();
            cells.push(Cell::long(statuses.join(" ")));
        }
        cells
    }
}

/// Whether the time to the first response tells something: calls go on long after it, or none has ended yet.
fn streams(totals: &Totals) -> bool {
    let [first, all] = [&totals.first_response, &totals.durations].map(|durations| durations.quantile(0.5));
    first.is_some_and(|first| all.is_none_or(|all| all.beyond || all.value > STREAM_FACTOR * first.value))
}

fn rate(totals: &Totals, seconds: Option<f64>) -> Option<f64> {
    match totals.increase {
        Increase::By(calls) => seconds.map(|seconds| float(calls) / seconds),
        Increase::Unknown => None,
    }
}

/// A rate with about three digits; what happened at all is not 0.
fn per_second(rate: f64) -> String {
    if rate > 0.0 && rate < 0.005 { "<0.01/s".to_owned() } else { format!("{}/s", units::number(rate)) }
}

/// The time between two looks without digits that are only the network's.
fn apart(seconds: f64) -> String {
    units::seconds(if seconds < 1.0 { (seconds * 100.0).round() / 100.0 } else { (seconds * 10.0).round() / 10.0 })
}

fn item(key: &Key, figures: Figures) -> Item {
    let Key { namespace, fleet, method, role, pod, container } = key.clone();
    Item { namespace, fleet, method, role, pod, container, figures }
}

fn rank(totals: &Totals, sort: Sort) -> f64 {
    match sort {
        Sort::Name => 0.0,
        Sort::Calls => float(totals.finished()),
        Sort::Rate => rate(totals, Some(1.0)).unwrap_or(-1.0),
        Sort::Errors => float(totals.errors),
        Sort::InFlight => float(totals.in_flight),
        Sort::Mean => totals.durations.mean().unwrap_or(-1.0),
        Sort::P99 => totals.durations.quantile(0.99).map_or(-1.0, |q| q.value),
        Sort::Time => totals.durations.sum(),
    }
}
