//! Where an observation goes when its own series finds no room.
//!
//! | rung | identity | own labels | room beyond the limits |
//! |---|---|---|---|
//! | own | its own | its own | none |
//! | `Names` | its own | those of [`OPEN_LABELS`] are `_OTHER` | 1/8 |
//! | `Containers` | the fleet's, the rest `_OTHER` | those of [`OPEN_LABELS`] are `_OTHER` | 2/8 |
//! | `Fleet` | the fleet's, the rest `_OTHER` | all `_OTHER` | 3/8 of the total, one per metric and fleet |
//! | `All` | `_OTHER` | all `_OTHER` | always, one per metric |
//!
//! Each rung has room that the ones before it cannot use up, so names go first, then containers, and what an exit was stays true longest.

use super::identity::Identity;
use super::registry::Limits;
use crate::metrics::{Metric, OPEN_LABELS, OTHER};

/// A way to fold series together, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rung {
    Names,
    Containers,
    Fleet,
    All,
}

/// Why an observation did not reach its own series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The metric has its limit of series in this fleet.
    Cap,
    /// All metrics together have their limit.
    Total,
    /// The last value of a folded series cannot be remembered, and so not be summed up.
    Full,
    /// Not a number that can be counted.
    Value,
    /// Wrong number of labels, or an operation that the metric's kind does not have.
    Labels,
}

// === impl Rung ===

impl Rung {
    pub(super) const ALL: [Self; 4] = [Self::Names, Self::Containers, Self::Fleet, Self::All];

    /// Values of the own labels on this rung; none if the rung is not for this metric.
    pub(super) fn labels<'a>(self, metric: &Metric, labels: &[&'a str]) -> Option<Vec<&'a str>> {
        let open = |label: &&str| OPEN_LABELS.contains(label);
        match self {
            Self::Names if !metric.labels.iter().any(open) => None,
            Self::Names | Self::Containers => Some(
                metric.labels.iter().zip(labels).map(|(name, value)| if open(name) { OTHER } else { value }).collect(),
            ),
            Self::Fleet | Self::All => Some(vec![OTHER; labels.len()]),
        }
    }

    /// The identity on this rung; none if it is the observation's own.
    pub(super) fn identity(self, own: &Identity) -> Option<Identity> {
        match self {
            Self::Names => None,
            Self::Containers | Self::Fleet => Some(Identity::of_fleet(&own.namespace, &own.fleet)),
            Self::All => Some(Identity::of_nobody()),
        }
    }

    /// Whether a series is by its own name one that others are folded into on this rung.
    pub(super) fn is_named_by(self, metric: &Metric, own: &Identity, labels: &[&str]) -> bool {
        self.identity(own).is_none_or(|folded| folded == *own)
            && self.labels(metric, labels).is_some_and(|folded| folded == labels)
    }

    /// Whether one more series has room on this rung when a fleet holds `in_fleet` of the metric, and all hold `in_all`.
    pub(super) fn has_room(self, limits: Limits, in_fleet: usize, in_all: usize) -> bool {
        let with = |limit: usize, eighths: usize| limit.saturating_add(limit / 8 * eighths);
        match self {
            Self::Names => in_fleet < with(limits.per_metric_and_fleet, 1) && in_all < with(limits.total, 1),
            Self::Containers => in_fleet < with(limits.per_metric_and_fleet, 2) && in_all < with(limits.total, 2),
            Self::Fleet => in_all < with(limits.total, 3),
            Self::All => true,
        }
    }
}

// === impl Refusal ===

impl Refusal {
    pub(super) const ALL: [Self; 5] = [Self::Cap, Self::Total, Self::Full, Self::Value, Self::Labels];

    /// As the label `reason`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Cap => "cap",
            Self::Total => "total",
            Self::Full => "full",
            Self::Value => "value",
            Self::Labels => "labels",
        }
    }
}
