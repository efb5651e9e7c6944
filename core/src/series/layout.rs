//! How the buckets of a histogram's series are laid out.

use std::sync::Arc;

/// How the buckets of a histogram's series are laid out: chosen when the series begins, and as it was until it ends.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// Upper bounds, finite and rising; none for those of the metric.
    pub bounds: Option<Arc<[f64]>>,
    /// Native (exponential) buckets beside the classic ones.
    pub native: bool,
}

// === impl Layout ===

impl Layout {
    /// With these bounds as far as they are finite and rise, else those of the metric.
    pub fn new(bounds: &[f64], native: bool) -> Self {
        let fit =
            !bounds.is_empty() && bounds.iter().all(|bound| bound.is_finite()) && bounds.is_sorted_by(|a, b| a < b);
        Self { bounds: fit.then(|| bounds.into()), native }
    }
}
