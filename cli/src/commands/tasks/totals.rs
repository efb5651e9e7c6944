//! Rows of several nodes added up. Nothing of a node counts when one of its rows is inconsistent.

use std::collections::{BTreeMap, BTreeSet};

use fleetscope_core::metrics::TASK_BOUNDS;
use fleetscope_core::tasks::rows::TaskRow;

use crate::histogram::{Histogram, HistogramError, float};

/// The result that means success, unless a fleet's rules name others.
pub(crate) const SUCCESS: &str = "success";

/// What one row stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum By {
    /// A task of a fleet, over all pods.
    Task,
    /// A task of one container.
    Pod,
}

/// What rows are told apart by, in the order in which they are shown. Pod and container are empty by [`By::Task`].
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) fleet: String,
    pub(crate) group: String,
    pub(crate) task: String,
    pub(crate) pod: String,
    pub(crate) container: String,
}

/// Figures of a row, or of all rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Totals {
    pub(crate) running: u64,
    pub(crate) results: BTreeMap<String, u64>,
    pub(crate) exits: BTreeMap<String, u64>,
    pub(crate) durations: Histogram,
    pub(crate) nodes: BTreeSet<String>,
}

/// Rows while they are added up.
#[derive(Debug)]
pub(crate) struct Merge {
    by: By,
    pub(crate) rows: BTreeMap<Key, Totals>,
}

// === impl Totals ===

impl Totals {
    /// Finished tasks.
    pub(crate) fn finished(&self) -> u64 {
        self.results.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Finished tasks with the result success.
    pub(crate) fn succeeded(&self) -> u64 {
        self.results.get(SUCCESS).copied().unwrap_or(0)
    }

    /// Adds other figures. The histograms of rows from JSON all have the same buckets.
    pub(crate) fn add(&mut self, other: &Self) -> Result<(), HistogramError> {
        self.running = self.running.saturating_add(other.running);
        for (mine, theirs) in [(&mut self.results, &other.results), (&mut self.exits, &other.exits)] {
            for (name, count) in theirs {
                let sum = mine.entry(name.clone()).or_default();
                *sum = sum.saturating_add(*count);
            }
        }
        self.nodes.extend(other.nodes.iter().cloned());
        self.durations.add(&other.durations)
    }

    fn read(node: &str, row: &TaskRow) -> Result<Self, HistogramError> {
        let mut totals = Self { running: row.running, nodes: BTreeSet::from([node.to_owned()]), ..Self::default() };
        for finished in &row.finished {
            for (all, name) in [(&mut totals.results, &finished.result), (&mut totals.exits, &finished.exit)] {
                let sum: &mut u64 = all.entry(name.clone()).or_default();
                *sum = sum.saturating_add(finished.count);
            }
        }
        for durations in &row.durations {
            let counts = durations.counts.iter().map(|count| float(*count)).collect();
            totals.durations.add(&Histogram::new(&TASK_BOUNDS, counts, durations.sum)?)?;
        }
        Ok(totals)
    }
}

// === impl Merge ===

impl Merge {
    /// Without rows yet.
    pub(crate) fn new(by: By) -> Self {
        Self { by, rows: BTreeMap::new() }
    }

    /// Adds the rows of a node, all or none of them.
    pub(crate) fn add(&mut self, node: &str, rows: impl Iterator<Item = TaskRow>) -> Result<(), HistogramError> {
        let read: Vec<(Key, Totals)> =
            rows.map(|row| Ok((self.key(&row), Totals::read(node, &row)?))).collect::<Result<_, HistogramError>>()?;
        for (key, totals) in read {
            self.rows.entry(key).or_default().add(&totals)?;
        }
        Ok(())
    }

    /// The sum of all rows.
    pub(crate) fn total(&self) -> Totals {
        let mut total = Totals::default();
        for row in self.rows.values() {
            total.add(row).expect("all rows have the buckets of TASK_BOUNDS");
        }
        total
    }

    fn key(&self, row: &TaskRow) -> Key {
        let by_pod = |name: &str| if self.by == By::Pod { name.to_owned() } else { String::new() };
        Key {
            namespace: row.namespace.clone(),
            fleet: row.fleet.clone(),
            group: row.group.clone(),
            task: row.task.clone(),
            pod: by_pod(&row.pod),
            container: by_pod(&row.container),
        }
    }
}
