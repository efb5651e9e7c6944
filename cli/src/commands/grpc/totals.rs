//! Rows of several nodes added up. Nothing of a node counts when one of its rows is inconsistent.

use std::collections::{BTreeMap, BTreeSet};

use fleetscope_core::rpc::rows::{CallRow, Durations as DurationsRow};

use super::look::{Increase, Look};
use crate::histogram::{Histogram, HistogramError, Quantile, float};

/// What one row stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum By {
    /// A method in a role of a fleet, over all pods.
    Method,
    /// A method in a role of one container.
    Pod,
}

/// What rows are told apart by, in the order in which they are shown. Pod and container are empty by [`By::Method`].
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) fleet: String,
    pub(crate) method: String,
    pub(crate) role: String,
    pub(crate) pod: String,
    pub(crate) container: String,
}

/// Figures of a row, or of all rows of a role.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Totals {
    pub(crate) in_flight: u64,
    /// Finished calls by status.
    pub(crate) statuses: BTreeMap<String, u64>,
    /// Finished calls that failed as seen from their end.
    pub(crate) errors: u64,
    pub(crate) durations: Durations,
    pub(crate) first_response: Durations,
    /// Calls that finished since the look before.
    pub(crate) increase: Increase,
    pub(crate) nodes: BTreeSet<String>,
}

/// Durations that were added up. The buckets of calls may differ from row to row, as each fleet's spec may say which: then
/// count and sum are known, and no quantile.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Durations {
    count: u64,
    sum: f64,
    histogram: Histogram,
    differ: bool,
}

/// Rows while they are added up.
#[derive(Debug)]
pub(crate) struct Merge {
    by: By,
    pub(crate) rows: BTreeMap<Key, Totals>,
}

// === impl Key ===

impl From<&CallRow> for Key {
    fn from(row: &CallRow) -> Self {
        Self {
            namespace: row.namespace.clone(),
            fleet: row.fleet.clone(),
            method: row.method.clone(),
            role: row.role.clone(),
            pod: row.pod.clone(),
            container: row.container.clone(),
        }
    }
}

// === impl Durations ===

impl Durations {
    fn read(bounds: &[f64], row: &DurationsRow) -> Result<Self, HistogramError> {
        let sum = row.counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        if sum != Some(row.count) {
            return Err(HistogramError::Shape);
        }
        let histogram = if row.counts.is_empty() {
            Histogram::default()
        } else {
            Histogram::new(bounds, row.counts.iter().map(|count| float(*count)).collect(), row.sum)?
        };
        Ok(Self { count: row.count, sum: row.sum, histogram, differ: false })
    }

    fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
        self.differ = self.differ || other.differ || self.histogram.add(&other.histogram).is_err();
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Their sum in seconds.
    pub(crate) fn sum(&self) -> f64 {
        self.sum
    }

    /// Their mean in seconds, exact.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / float(self.count))
    }

    /// A quantile, estimated.
    pub(crate) fn quantile(&self, q: f64) -> Option<Quantile> {
        self.histogram().and_then(|histogram| histogram.quantile(q))
    }

    /// The histogram, if all that was added has the same buckets.
    pub(crate) fn histogram(&self) -> Option<&Histogram> {
        (!self.differ).then_some(&self.histogram)
    }
}

// === impl Totals ===

impl Totals {
    /// Finished calls.
    pub(crate) fn finished(&self) -> u64 {
        self.durations.count
    }

    /// Adds other figures.
    pub(crate) fn add(&mut self, other: &Self) {
        self.in_flight = self.in_flight.saturating_add(other.in_flight);
        self.errors = self.errors.saturating_add(other.errors);
        for (status, count) in &other.statuses {
            let sum = self.statuses.entry(status.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
        self.durations.add(&other.durations);
        self.first_response.add(&other.first_response);
        self.increase.add(other.increase);
        self.nodes.extend(other.nodes.iter().cloned());
    }

    fn read(node: &str, row: &CallRow) -> Result<Self, HistogramError> {
        let mut totals = Self {
            in_flight: row.in_flight,
            first_response: Durations::read(&row.bounds, &row.first_response)?,
            nodes: BTreeSet::from([node.to_owned()]),
            ..Self::default()
        };
        for finished in &row.finished {
            let durations = Durations::read(&row.bounds, &finished.durations)?;
            let sum = totals.statuses.entry(finished.status.clone()).or_default();
            *sum = sum.saturating_add(durations.count);
            if !finished.error_type.is_empty() {
                totals.errors = totals.errors.saturating_add(durations.count);
            }
            totals.durations.add(&durations);
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

    /// Adds the rows of a node, all or none of them; increases are those since `before`.
    pub(crate) fn add(
        &mut self,
        node: &str,
        rows: impl Iterator<Item = CallRow>,
        before: Option<&Look>,
    ) -> Result<(), HistogramError> {
        let read: Vec<(Key, Totals)> = rows
            .map(|row| {
                let increase = before.map_or(Increase::Unknown, |before| before.increase(node, &row));
                Ok((self.key(&row), Totals { increase, ..Totals::read(node, &row)? }))
            })
            .collect::<Result<_, HistogramError>>()?;
        for (key, totals) in read {
            self.rows.entry(key).or_default().add(&totals);
        }
        Ok(())
    }

    /// The sums of all rows by role: a call within a fleet is one of its server and one of its client, so they do not add up.
    pub(crate) fn totals(&self) -> BTreeMap<String, Totals> {
        let mut totals: BTreeMap<String, Totals> = BTreeMap::new();
        for (key, row) in &self.rows {
            totals.entry(key.role.clone()).or_default().add(row);
        }
        totals
    }

    fn key(&self, row: &CallRow) -> Key {
        let key = Key::from(row);
        match self.by {
            By::Pod => key,
            By::Method => Key { pod: String::new(), container: String::new(), ..key },
        }
    }
}
