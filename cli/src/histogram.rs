//! Histograms of several nodes added up, and quantiles estimated from them as Prometheus' `histogram_quantile` does.

/// Counts of observations by upper bound, not cumulative: one per bound, and one for what is above the last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Histogram {
    /// Upper bounds, ascending, without `+Inf`.
    bounds: Vec<f64>,
    /// Observations per bucket; one more than bounds.
    counts: Vec<f64>,
    /// Sum of all observations.
    sum: f64,
}

/// An estimated quantile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quantile {
    /// The estimate, or the last bound if the quantile is above it.
    pub(crate) value: f64,
    /// Whether the true value is above `value` and nothing more is known.
    pub(crate) beyond: bool,
}

/// The highest bucket that has an observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Highest {
    /// The observations are above this.
    pub(crate) above: f64,
    /// And not above this, if that is known.
    pub(crate) up_to: Option<f64>,
}

/// Why histograms cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum HistogramError {
    /// Different versions of the node agent have different buckets.
    #[error("failed to add histograms: their buckets differ")]
    Bounds,
    /// A histogram has one count per bound and one more; bounds ascend; counts are not negative.
    #[error("failed to read histogram: its buckets are inconsistent")]
    Shape,
}

// === impl Histogram ===

impl Histogram {
    /// A histogram from counts that are not cumulative.
    pub(crate) fn new(bounds: &[f64], counts: Vec<f64>, sum: f64) -> Result<Self, HistogramError> {
        let ascending = bounds.windows(2).all(|w| w[0] < w[1]) && bounds.iter().all(|b| b.is_finite());
        let sane = counts.iter().all(|c| c.is_finite() && *c >= 0.0);
        if ascending && sane && counts.len() == bounds.len() + 1 {
            Ok(Self { bounds: bounds.to_vec(), counts, sum })
        } else {
            Err(HistogramError::Shape)
        }
    }

    /// A histogram from the cumulative buckets of an exposition: upper bound, with `+Inf`, and count.
    pub(crate) fn from_cumulative(buckets: &[(f64, f64)], sum: f64) -> Result<Self, HistogramError> {
        let mut sorted = buckets.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let Some((last, _)) = sorted.last() else { return Err(HistogramError::Shape) };
        if *last != f64::INFINITY {
            return Err(HistogramError::Shape);
        }
        let bounds: Vec<f64> = sorted[..sorted.len() - 1].iter().map(|(bound, _)| *bound).collect();
        let mut below = 0.0;
        let counts = sorted.iter().map(|(_, count)| count - std::mem::replace(&mut below, *count)).collect();
        Self::new(&bounds, counts, sum)
    }

    /// Adds another one with the same buckets. An empty one has all buckets.
    pub(crate) fn add(&mut self, other: &Self) -> Result<(), HistogramError> {
        if other.counts.is_empty() {
            return Ok(());
        }
        if self.counts.is_empty() {
            *self = other.clone();
            return Ok(());
        }
        if self.bounds != other.bounds {
            return Err(HistogramError::Bounds);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.sum += other.sum;
        Ok(())
    }

    /// Observations.
    pub(crate) fn count(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// Sum of the observations.
    pub(crate) fn sum(&self) -> f64 {
        self.sum
    }

    /// Mean of the observations, exact.
    pub(crate) fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0.0).then(|| self.sum / count)
    }

    /// The `q` quantile, `0 <= q <= 1`, by linear interpolation within its bucket (prometheus `promql/quantile.go`,
    /// `BucketQuantile`): the first bucket starts at 0, and what is above the last bound has that bound.
    pub(crate) fn quantile(&self, q: f64) -> Option<Quantile> {
        let total = self.count();
        if total <= 0.0 {
            return None;
        }
        let mut rank = q * total;
        for (i, &count) in self.counts.iter().enumerate() {
            if rank > count {
                rank -= count;
                continue;
            }
            let Some(&end) = self.bounds.get(i) else { break };
            let start = if i == 0 { 0.0 } else { self.bounds[i - 1] };
            let value = if i == 0 && end <= 0.0 {
                end
            } else if count > 0.0 {
                start + (end - start) * (rank / count)
            } else {
                start
            };
            return Some(Quantile { value, beyond: false });
        }
        self.bounds.last().map(|&value| Quantile { value, beyond: true })
    }

    /// The highest bucket that has an observation; the largest of them is in it.
    pub(crate) fn highest(&self) -> Option<Highest> {
        let at = self.counts.iter().rposition(|count| *count > 0.0)?;
        let above = at.checked_sub(1).and_then(|below| self.bounds.get(below)).copied().unwrap_or(0.0);
        Some(Highest { above, up_to: self.bounds.get(at).copied() })
    }
}

/// A count as a float, exact below 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of tasks and calls stay far below 2^53; beyond, the last digits are not shown"
)]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(counts: &[f64]) -> Histogram {
        Histogram::new(&[1.0, 2.0, 4.0], counts.to_vec(), 10.0).unwrap()
    }

    /// The value of `histogram_quantile(q, ..)`, calculated by hand.
    fn assert_quantile(counts: &[f64], q: f64, value: f64) {
        assert_eq!(histogram(counts).quantile(q), Some(Quantile { value, beyond: false }), "{counts:?} {q}");
    }

    #[test]
    fn quantiles_interpolate_within_their_bucket() {
        assert_quantile(&[10.0, 0.0, 0.0, 0.0], 0.5, 0.5);
        assert_quantile(&[10.0, 10.0, 0.0, 0.0], 0.75, 1.5);
        assert_quantile(&[0.0, 0.0, 4.0, 0.0], 0.5, 3.0);
        assert_quantile(&[1.0, 2.0, 1.0, 0.0], 1.0, 4.0);
        assert_quantile(&[1.0, 2.0, 1.0, 0.0], 0.0, 0.0);
    }

    #[test]
    fn quantiles_above_the_last_bound_say_so() {
        assert_eq!(histogram(&[1.0, 0.0, 0.0, 9.0]).quantile(0.5), Some(Quantile { value: 4.0, beyond: true }));
    }

    #[test]
    fn the_highest_bucket_has_the_largest_observation() {
        let highest = |counts: &[f64]| histogram(counts).highest();
        assert_eq!(highest(&[1.0, 0.0, 0.0, 0.0]), Some(Highest { above: 0.0, up_to: Some(1.0) }));
        assert_eq!(highest(&[1.0, 0.0, 2.0, 0.0]), Some(Highest { above: 2.0, up_to: Some(4.0) }));
        assert_eq!(highest(&[1.0, 0.0, 2.0, 1.0]), Some(Highest { above: 4.0, up_to: None }));
        assert_eq!((highest(&[0.0; 4]), Histogram::default().highest()), (None, None));
    }

    #[test]
    fn an_empty_histogram_has_no_quantile_and_no_mean() {
        assert_eq!(histogram(&[0.0; 4]).quantile(0.5), None);
        assert_eq!(histogram(&[0.0; 4]).mean(), None);
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn histograms_of_two_nodes_add_up() {
        let mut all = Histogram::default();
        all.add(&histogram(&[1.0, 2.0, 3.0, 4.0])).unwrap();
        all.add(&histogram(&[10.0, 0.0, 0.0, 1.0])).unwrap();
        assert_eq!(all, Histogram::new(&[1.0, 2.0, 4.0], vec![11.0, 2.0, 3.0, 5.0], 20.0).unwrap());
        assert_eq!(all.mean(), Some(20.0 / 21.0));
    }

    #[test]
    fn histograms_with_other_buckets_do_not_add_up() {
        let other = Histogram::new(&[1.0, 3.0], vec![0.0; 3], 0.0).unwrap();
        assert_eq!(histogram(&[0.0; 4]).add(&other), Err(HistogramError::Bounds));
    }

    #[test]
    fn cumulative_buckets_become_counts_in_any_order() {
        let buckets = [(f64::INFINITY, 6.0), (1.0, 1.0), (4.0, 6.0), (2.0, 3.0)];
        assert_eq!(Histogram::from_cumulative(&buckets, 10.0), Ok(histogram(&[1.0, 2.0, 3.0, 0.0])));
    }

    #[test]
    fn inconsistent_buckets_are_refused() {
        for buckets in [&[][..], &[(1.0, 1.0)], &[(1.0, 2.0), (f64::INFINITY, 1.0)], &[(f64::NAN, 1.0)]] {
            assert_eq!(Histogram::from_cumulative(buckets, 0.0), Err(HistogramError::Shape), "{buckets:?}");
        }
        assert_eq!(Histogram::new(&[2.0, 1.0], vec![0.0; 3], 0.0), Err(HistogramError::Shape));
        assert_eq!(Histogram::new(&[1.0], vec![f64::NAN, 1.0], 0.0), Err(HistogramError::Shape));
    }
}
