//! Figures of several slices as cells of a table.

use fleetscope_tests::signed_rank::Estimate;

/// The one in the middle; of an even number the mean of both.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2])
}

/// By how many percent figures are more than those that they are compared with one by one, and the interval of that.
pub(crate) fn change(own: &[f64], base: &[f64]) -> String {
    let more: Vec<f64> = own.iter().zip(base).map(|(own, base)| 100.0 * (own / base - 1.0)).collect();
    // Tenths, without -0.0.
    let tenths = |value: f64| (10.0 * value).round() / 10.0 + 0.0;
    Estimate::of(&more).map_or(String::new(), |Estimate { value, low, high }| {
        format!("**{:+.1} %** ({:+.1} to {:+.1})", tenths(value), tenths(low), tenths(high))
    })
}

/// By nearest rank.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}
