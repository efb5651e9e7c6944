//! What a series holds, and how an observation changes it.

use std::borrow::Cow;
use std::sync::Arc;

use super::layout::Layout;
use super::native::Native;
use crate::metrics::Kind;

/// What a series holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A counter, a gauge, or the constant 1 of an info. Always finite.
    Number(f64),
    /// A histogram.
    Histogram {
        /// Observations per bucket, not cumulative: one per bound, and one above the last.
        counts: Box<[u64]>,
        /// Sum of all observed values, in the metric's unit. Always finite.
        sum: f64,
        /// Upper bounds where they are not those of the metric.
        bounds: Option<Arc<[f64]>>,
        /// The same observations in exponential buckets, where these were asked for.
        native: Option<Box<Native>>,
    },
}

/// One observation.
#[derive(Clone, Debug)]
pub(super) enum Change<'a> {
    Add(f64),
    /// What a share grew or fell by.
    AddShare(f64),
    Set(f64),
    Observe(f64),
    SetCounts(Cow<'a, [u64]>, f64),
    /// What a share grew by.
    AddCounts(Cow<'a, [u64]>, f64),
}

/// The number is not finite, or a sum would not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotFinite;

// === impl Change ===

impl Change<'_> {
    /// Whether it was seen to happen: a series that begins with it was zero before. What is read as an absolute value, and
    /// what a share of such values grew by, may have been counting for long.
    pub(super) fn is_seen(&self) -> bool {
        matches!(self, Self::Add(_) | Self::Observe(_))
    }
}

// === impl Value ===

impl Value {
    pub(super) fn new(kind: Kind, layout: &Layout) -> Self {
        let Kind::Histogram(bounds) = kind else { return Self::Number(0.0) };
        let bounds = layout.bounds.as_deref().unwrap_or(bounds);
        Self::Histogram {
            counts: vec![0; bounds.len() + 1].into(),
            sum: 0.0,
            bounds: layout.bounds.clone(),
            native: layout.native.then(|| Box::new(Native::new())),
        }
    }

    /// Nothing, laid out as this is.
    pub(super) fn emptied(&self) -> Self {
        match self {
            Self::Number(_) => Self::Number(0.0),
            Self::Histogram { counts, bounds, native, .. } => Self::Histogram {
                counts: vec![0; counts.len()].into(),
                sum: 0.0,
                bounds: bounds.clone(),
                native: native.as_ref().map(|_| Box::new(Native::new())),
            },
        }
    }

    /// Upper bounds of its buckets, without the last, which has none; empty if it is no histogram.
    pub fn bounds(&self, kind: Kind) -> &[f64] {
        match (self, kind) {
            (Self::Histogram { bounds: Some(bounds), .. }, _) => bounds,
            (Self::Histogram { .. }, Kind::Histogram(bounds)) => bounds,
            _ => &[],
        }
    }

    /// Applies an observation that fits the metric's kind. Nothing changes when it fails.
    pub(super) fn apply(&mut self, kind: Kind, change: &Change<'_>) -> Result<(), NotFinite> {
        match (self, change) {
            (Self::Number(number), Change::Add(by) | Change::AddShare(by)) => *number = finite(*number + by)?,
            (Self::Number(number), Change::Set(to)) => *number = finite(*to)?,
            (Self::Histogram { counts, sum, bounds, native }, Change::Observe(value)) => {
                let Kind::Histogram(of_metric) = kind else { return Err(NotFinite) };
                let bounds = bounds.as_deref().unwrap_or(of_metric);
                *sum = finite(*sum + value)?;
                let bucket = &mut counts[bounds.partition_point(|bound| bound < value)];
                *bucket = bucket.saturating_add(1);
                if let Some(native) = native {
                    native.observe(*value);
                }
            }
            (Self::Histogram { counts, sum, .. }, Change::SetCounts(to, sum_to)) if counts.len() == to.len() => {
                *sum = finite(*sum_to)?;
                counts.copy_from_slice(to);
            }
            (Self::Histogram { counts, sum, .. }, Change::AddCounts(by, sum_by)) => {
                *sum = finite(*sum + sum_by)?;
                for (count, by) in counts.iter_mut().zip(&**by) {
                    *count = count.saturating_add(*by);
                }
            }
            _ => return Err(NotFinite),
        }
        Ok(())
    }

    /// Applies an observation to a share, and gives what changes by it in the series that the share is folded into.
    ///
    /// What only grows and yet shrank has started again from zero: all of the new value is new.
    pub(super) fn fold(&mut self, kind: Kind, change: &Change<'_>) -> Result<Change<'static>, NotFinite> {
        let before = self.clone();
        self.apply(kind, change)?;
        Ok(match (before, &*self) {
            (Self::Number(before), Self::Number(now)) if kind == Kind::Counter && *now < before => {
                Change::AddShare(*now)
            }
            (Self::Number(before), Self::Number(now)) => Change::AddShare(now - before),
            (Self::Histogram { counts: before, sum: sum_before, .. }, Self::Histogram { counts, sum, .. }) => {
                let grown: Option<Vec<u64>> =
                    counts.iter().zip(&before).map(|(now, before)| now.checked_sub(*before)).collect();
                match grown {
                    Some(grown) if *sum >= sum_before => Change::AddCounts(Cow::Owned(grown), sum - sum_before),
                    _ => Change::AddCounts(Cow::Owned(counts.to_vec()), *sum),
                }
            }
            _ => return Err(NotFinite),
        })
    }

    /// The sum of two of one metric that are laid out alike, as large as a number can be.
    pub(super) fn plus(&self, other: &Self) -> Self {
        let largest = |sum: f64| sum.clamp(f64::MIN, f64::MAX);
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Self::Number(largest(a + b)),
            (
                Self::Histogram { counts: a, sum, bounds, native },
                Self::Histogram { counts: b, sum: more, native: others, .. },
            ) => {
                let mut native = native.clone();
                if let (Some(native), Some(others)) = (&mut native, others) {
                    native.merge(others);
                }
                Self::Histogram {
                    counts: a.iter().zip(b).map(|(a, b)| a.saturating_add(*b)).collect(),
                    sum: largest(sum + more),
                    bounds: bounds.clone(),
                    native,
                }
            }
            _ => self.clone(),
        }
    }
}

fn finite(number: f64) -> Result<f64, NotFinite> {
    if number.is_finite() { Ok(number) } else { Err(NotFinite) }
}
