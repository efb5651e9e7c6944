//! Metric families of several nodes, added up.

use std::collections::BTreeSet;

use fleetscope_core::metrics::{ALL, Kind};
use serde::Serialize;

use crate::exit::Problem;
use crate::histogram::{Histogram, HistogramError, Quantile};
use crate::nodes::Coverage;

/// One family over all nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Family {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) help: String,
    /// Series, each of a histogram counted once.
    pub(super) series: usize,
    /// Nodes that expose some.
    pub(super) nodes: usize,
    /// Sum of the values; of a histogram the number of observations.
    pub(super) total: f64,
    /// Mean of a histogram's observations.
    pub(super) mean: Option<f64>,
    /// Estimated median of a histogram.
    pub(super) p50: Option<f64>,
    /// Estimated 99th percentile of a histogram.
    pub(super) p99: Option<f64>,
    #[serde(skip)]
    pub(super) quantiles: [Option<Quantile>; 2],
}

/// A family while it is read.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) kind: String,
    pub(super) help: String,
    pub(super) series: usize,
    pub(super) nodes: BTreeSet<String>,
    pub(super) total: f64,
    /// Of one node, while its exposition is read: cumulative, summed over the family's series.
    buckets: Vec<(f64, f64)>,
    sum: f64,
    /// Of all nodes; the error of the first that did not fit.
    histogram: Histogram,
    error: Option<HistogramError>,
}

// === impl Open ===

impl Open {
    /// Adds a sample of this family.
    pub(super) fn add(&mut self, family: &str, name: &str, le: &str, value: f64) {
        match name.strip_prefix(family) {
            Some("_bucket") => {
                // The bound of an exposition that parsed elsewhere; a broken one makes the histogram inconsistent, which is said.
                let bound = le.parse().unwrap_or(f64::NAN);
                self.bucket(bound, value);
            }
            Some("_sum") => self.sum += value,
            // A counter, a gauge, or the `_count` of a histogram, which stands for its series.
            _ => {
                self.series += 1;
                self.total += value;
            }
        }
    }

    fn bucket(&mut self, bound: f64, value: f64) {
        match self.buckets.iter_mut().find(|(b, _)| b.total_cmp(&bound).is_eq()) {
            Some((_, count)) => *count += value,
            None => self.buckets.push((bound, value)),
        }
    }

    /// Adds what one node exposes.
    pub(super) fn join(&mut self, node: Self) {
        (self.kind, self.help) = (node.kind, node.help);
        self.series += node.series;
        self.nodes.extend(node.nodes);
        self.total += node.total;
        if !node.buckets.is_empty() {
            let added = Histogram::from_cumulative(&node.buckets, node.sum).and_then(|h| self.histogram.add(&h));
            self.error = self.error.or(added.err());
        }
    }

    /// The figures, and what is wrong with them.
    pub(super) fn close(self, name: String, coverage: &mut Coverage) -> Family {
        if let Some(error) = self.error {
            coverage.problems.push(Problem::new(
                format!("metric {name}: {error}"),
                format!("see `fleetscope metrics --raw --match {name}`; nodes of different versions may have different buckets"),
            ));
        }
        let histogram = Some(self.histogram).filter(|_| self.error.is_none());
        let [p50, p99] = [0.5, 0.99].map(|q| histogram.as_ref().and_then(|h| h.quantile(q)));
        // An info metric is a gauge to the text format; our own table knows better.
        let info = ALL.iter().any(|m| m.name == name && m.kind == Kind::Info);
        Family {
            kind: if info { "info".to_owned() } else { self.kind },
            help: self.help,
            series: self.series,
            nodes: self.nodes.len(),
            total: self.total,
            mean: histogram.as_ref().and_then(Histogram::mean),
            p50: p50.map(|q| q.value),
            p99: p99.map(|q| q.value),
            quantiles: [p50, p99],
            name,
        }
    }
}
