//! The answer of `tasks`: figures for programs, a table for people.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Sort;
use super::totals::{Key, Merge, SUCCESS, Totals};
use crate::histogram::float;
use crate::nodes::Coverage;
use crate::output::table::{Align, Cell, Table, Tone};
use crate::output::{View, units};

use Align::{Left, Right};

/// Results that get a column of their own; what is beyond shares the column OTHERS.
const RESULT_COLUMNS: usize = 6;

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Tasks {
    items: Vec<Item>,
    total: Figures,
    nodes: Coverage,
    #[serde(skip)]
    rows: Vec<(Key, Totals)>,
    #[serde(skip)]
    sum: Totals,
}

/// One row for programs.
#[derive(Debug, Serialize)]
struct Item {
    namespace: String,
    fleet: String,
    group: String,
    task: String,
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
    running: u64,
    finished: u64,
    /// Finished tasks by result.
    results: BTreeMap<String, u64>,
    /// Finished tasks by how the process ended.
    exits: BTreeMap<String, u64>,
    /// Share of the finished tasks whose result is success.
    success_ratio: Option<f64>,
    duration_seconds: Durations,
    nodes: BTreeSet<String>,
}

/// Durations in seconds.
#[derive(Debug, Serialize)]
struct Durations {
    count: f64,
    sum: f64,
    mean: Option<f64>,
    /// Estimated; the last bucket's bound when it is beyond.
    p50: Option<f64>,
    /// Estimated; the last bucket's bound when it is beyond.
    p99: Option<f64>,
}

impl From<&Totals> for Figures {
    fn from(totals: &Totals) -> Self {
        let finished = totals.finished();
        Self {
            running: totals.running,
            finished,
            results: totals.results.clone(),
            exits: totals.exits.clone(),
            success_ratio: (finished > 0).then(|| float(totals.succeeded()) / float(finished)),
            duration_seconds: Durations {
                count: totals.durations.count(),
                sum: totals.durations.sum(),
                mean: totals.durations.mean(),
                p50: totals.durations.quantile(0.5).map(|q| q.value),
                p99: totals.durations.quantile(0.99).map(|q| q.value),
            },
            nodes: totals.nodes.clone(),
        }
    }
}

// === impl Tasks ===

impl Tasks {
    /// The answer in the order that was asked for.
    pub(super) fn new(merge: Merge, sort: Sort, nodes: Coverage) -> Self {
        let sum = merge.total();
        let mut rows: Vec<(Key, Totals)> = merge.rows.into_iter().collect();
        // A stable sort: rows with the same figure stay in the order of their names.
        rows.sort_by(|(_, a), (_, b)| rank(b, sort).total_cmp(&rank(a, sort)));
        let items = rows.iter().map(|(key, totals)| item(key, totals)).collect();
        Self { items, total: Figures::from(&sum), nodes, rows, sum }
    }
}

impl View for Tasks {
    fn draw(&self, wide: bool) -> String {
        if self.rows.is_empty() {
            return "No tasks here yet; -A shows all namespaces, and `fleetscope status` tells whether fleets are observed.\n".to_owned();
        }
        let results = result_columns(&self.sum);
        let others = results.len() < self.sum.results.len();
        let mut columns = vec![("NAMESPACE".to_owned(), Left), ("FLEET".to_owned(), Left)];
        columns.extend(["GROUP", "TASK"].map(|title| (title.to_owned(), Left)));
        if wide {
            columns.extend(["POD", "CONTAINER"].map(|title| (title.to_owned(), Left)));
        }
        columns.extend(["RUNNING", "FINISHED"].map(|title| (title.to_owned(), Right)));
        columns.extend(results.iter().map(|result| (result.to_uppercase(), Right)));
        if others {
            columns.push(("OTHERS".to_owned(), Right));
        }
        columns.extend(["SUCCESS%", "MEAN", "P50", "P99"].map(|title| (title.to_owned(), Right)));
        if wide {
            columns.push(("EXITS".to_owned(), Left));
        }
        let mut table = Table::new(&columns);
        for (key, totals) in &self.rows {
            let mut cells = [&key.namespace, &key.fleet, &key.group, &key.task].map(Cell::new).to_vec();
            if wide {
                cells.extend([&key.pod, &key.container].map(Cell::new));
            }
            cells.extend(figures(totals, &results, others, wide));
            table.row(cells);
        }
        let mut cells = vec![Cell::new("TOTAL").tone(Tone::Strong)];
        cells.resize(if wide { 6 } else { 4 }, Cell::blank());
        cells.extend(figures(&self.sum, &results, others, wide));
        table.row(cells);
        table.render()
    }
}

/// The results with a column: success, failed, then by name.
fn result_columns(sum: &Totals) -> Vec<String> {
    let mut results: Vec<&String> = sum.results.keys().collect();
    results.sort_by_key(|result| match result.as_str() {
        SUCCESS => 0,
        "failed" => 1,
        _ => 2,
    });
    results.into_iter().take(RESULT_COLUMNS).cloned().collect()
}

fn figures(totals: &Totals, results: &[String], others: bool, wide: bool) -> Vec<Cell> {
    let finished = totals.finished();
    let mut cells = vec![Cell::new(totals.running.to_string()), Cell::new(finished.to_string())];
    let mut shown = 0_u64;
    for result in results {
        let count = totals.results.get(result).copied().unwrap_or(0);
        shown = shown.saturating_add(count);
        let tone = match result.as_str() {
            _ if count == 0 => Tone::Dim,
            SUCCESS => Tone::Good,
            "failed" => Tone::Bad,
            _ => Tone::Warn,
        };
        cells.push(Cell::new(count.to_string()).tone(tone));
    }
    if others {
        cells.push(Cell::new(finished.saturating_sub(shown).to_string()));
    }
    cells.extend([
        Cell::of(units::percent(float(totals.succeeded()), float(finished))),
        Cell::of(totals.durations.mean().map(units::seconds)),
        Cell::of(totals.durations.quantile(0.5).map(units::quantile)),
        Cell::of(totals.durations.quantile(0.99).map(units::quantile)),
    ]);
    if wide {
        let mut exits: Vec<(&String, &u64)> = totals.exits.iter().filter(|(_, count)| **count > 0).collect();
        exits.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let exits: Vec<String> = exits.into_iter().map(|(exit, count)| format!("{exit}={count}")).collect();
        cells.push(Cell::long(exits.join(" ")));
    }
    cells
}

fn item(key: &Key, totals: &Totals) -> Item {
    let Key { namespace, fleet, group, task, pod, container } = key.clone();
    Item { namespace, fleet, group, task, pod, container, figures: Figures::from(totals) }
}

fn rank(totals: &Totals, sort: Sort) -> f64 {
    match sort {
        Sort::Name => 0.0,
        Sort::Running => float(totals.running),
        Sort::Finished => float(totals.finished()),
        Sort::Failed => float(totals.finished().saturating_sub(totals.succeeded())),
        Sort::Mean => totals.durations.mean().unwrap_or(-1.0),
        Sort::P99 => totals.durations.quantile(0.99).map_or(-1.0, |q| q.value),
        Sort::Time => totals.durations.sum(),
    }
}
