//! Rates: what the counts of one look at the node agents were, and by how much they are more at the next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use fleetscope_core::rpc::rows::CallRow;

use super::totals::Key;

/// Counts of finished calls at one time.
#[derive(Debug)]
pub(crate) struct Look {
    at: Instant,
    nodes: BTreeSet<String>,
    /// By node and by what a row of it stands for.
    counts: BTreeMap<(String, Key), u64>,
}

/// By how much a count is more than at the look before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Increase {
    /// By that much.
    By(u64),
    /// There was no look before, or not at all that is counted.
    Unknown,
}

// === impl Increase ===

impl Default for Increase {
    fn default() -> Self {
        Self::By(0)
    }
}

impl Increase {
    /// Adds another one.
    pub(crate) fn add(&mut self, other: Self) {
        *self = match (*self, other) {
            (Self::By(a), Self::By(b)) => Self::By(a.saturating_add(b)),
            _ => Self::Unknown,
        };
    }
}

// === impl Look ===

impl Look {
    /// A look at this time; what it sees is still to be noted.
    pub(crate) fn new(at: Instant) -> Self {
        Self { at, nodes: BTreeSet::new(), counts: BTreeMap::new() }
    }

    /// Notes what a node answered.
    pub(crate) fn note(&mut self, node: &str, rows: &[CallRow]) {
        self.nodes.insert(node.to_owned());
        self.counts.extend(rows.iter().map(|row| ((node.to_owned(), Key::from(row)), finished(row))));
    }

    /// The time since an earlier look.
    pub(crate) fn since(&self, before: &Self) -> Duration {
        self.at.saturating_duration_since(before.at)
    }

    /// By how much a count is more than at this look. What was not there counts from 0, as does what is less now: then its
    /// node agent has started anew. Of a node that did not answer nothing is known.
    pub(crate) fn increase(&self, node: &str, row: &CallRow) -> Increase {
        if !self.nodes.contains(node) {
            return Increase::Unknown;
        }
        let before = self.counts.get(&(node.to_owned(), Key::from(row))).copied().unwrap_or(0);
        let now = finished(row);
        Increase::By(now.checked_sub(before).unwrap_or(now))
    }
}

/// Finished calls of a row.
fn finished(row: &CallRow) -> u64 {
    row.finished.iter().fold(0, |sum, finished| sum.saturating_add(finished.durations.count))
}
