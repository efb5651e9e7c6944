//! Figures of several rounds as cells of a table.

/// What a case gave in its rounds, in the order of the rounds.
pub(crate) struct Figures(pub(crate) Vec<f64>);

// === impl Figures ===

impl Figures {
    /// The one in the middle; of an even number the mean of both.
    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        f64::midpoint(low, high)
    }

    /// The median, and from where to where all are.
    pub(crate) fn cell(&self, digits: usize) -> String {
        let sorted = self.sorted();
        let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
        format!("{:.digits$} ({least:.digits$} to {most:.digits$})", self.median())
    }

    /// The same, and by how much it is more than `base` in percent: the median of the rounds' own differences, so that what changes from
    /// round to round is not in it.
    pub(crate) fn beside(&self, base: &Self, digits: usize) -> String {
        let more = self.0.iter().zip(&base.0).map(|(own, base)| 100.0 * (own / base - 1.0)).collect();
        // Tenths, without -0.0.
        let more = (10.0 * Self(more).median()).round() / 10.0 + 0.0;
        format!("{} **{more:+.1} %**", self.cell(digits))
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// By nearest rank.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}
