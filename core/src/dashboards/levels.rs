//! From the threshold of an alert to green, yellow and red: the one place that judges.
//!
//! A panel is red where its alert fires, and yellow from three quarters of the way there. What no threshold is known for is
//! blue: it is not judged.

use super::Thresholds;
use super::json::Step;

/// All is well.
pub(super) const GREEN: &str = "green";
/// On the way to an alert.
pub(super) const YELLOW: &str = "yellow";
/// Where the alert fires.
pub(super) const RED: &str = "red";
/// Not judged.
pub(super) const BLUE: &str = "blue";
/// Neither good nor bad: ended.
pub(super) const GREY: &str = "#808080";
/// Stands out, and is not a failure: conflicts.
pub(super) const ORANGE: &str = "orange";

/// Part of the way to the threshold from which on a value is yellow.
const YELLOW_FROM: f64 = 0.75;
/// A step counts from its value on, an alert fires above its threshold: this far above zero a value is not zero any more.
const ABOVE_ZERO: f64 = 1e-6;

/// How the values of a panel are judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Levels {
    /// Not at all.
    Unjudged,
    /// The alert fires above its threshold.
    Above(&'static str),
    /// The same for whole numbers: the threshold itself is still good.
    CountAbove(&'static str),
    /// The alert fires below its threshold; `full` is the best value that there is.
    Below { alert: &'static str, full: f64 },
    /// The share that is left where the alert fires above its threshold: successes where failures have an alert.
    Rest(&'static str),
    /// No alert judges it. With `red` below `yellow` it is low values that are bad.
    Given { yellow: f64, red: f64 },
    /// More than none is bad, and no alert says from when on.
    AnyIsBad,
    /// Down is 0, up is 1.
    Up,
    /// One is good; none and several are bad.
    ExactlyOne,
    /// Whether something is going on, which is neither good nor bad.
    Activity,
}

/// A word for a value, in a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    pub(super) from: f64,
    pub(super) to: Option<f64>,
    pub(super) text: &'static str,
    pub(super) colour: &'static str,
}

// === impl Levels ===

impl Levels {
    /// The alert whose threshold it takes.
    pub(super) const fn alert(self) -> Option<&'static str> {
        match self {
            Self::Above(alert) | Self::CountAbove(alert) | Self::Rest(alert) | Self::Below { alert, .. } => Some(alert),
            Self::Unjudged | Self::Given { .. } | Self::AnyIsBad | Self::Up | Self::ExactlyOne | Self::Activity => None,
        }
    }

    /// Grafana's steps: the first has no value and is where all begins.
    pub(super) fn steps(self, thresholds: Thresholds<'_>) -> Vec<Step> {
        let rising = |yellow: f64, red: f64| {
            let yellow = (yellow < red).then(|| Step::at(tidy(yellow), YELLOW));
            [Some(Step::base(GREEN)), yellow, Some(Step::at(tidy(red), RED))].into_iter().flatten().collect()
        };
        let falling =
            |yellow: f64, red: f64| vec![Step::base(RED), Step::at(tidy(red), YELLOW), Step::at(tidy(yellow), GREEN)];
        let found = self.alert().and_then(thresholds);
        match (self, found) {
            (Self::AnyIsBad, _) => rising(ABOVE_ZERO, ABOVE_ZERO),
            (Self::Up, _) => vec![Step::base(RED), Step::at(1.0, GREEN)],
            (Self::Activity, _) => vec![Step::base("transparent"), Step::at(ABOVE_ZERO, BLUE)],
            (Self::Above(_), Some(threshold)) if threshold <= 0.0 => rising(ABOVE_ZERO, ABOVE_ZERO),
            (Self::Above(_), Some(threshold)) => rising(YELLOW_FROM * threshold, threshold),
            (Self::CountAbove(_), Some(threshold)) => {
                let red = threshold.floor() + 1.0;
                rising((YELLOW_FROM * red).ceil(), red)
            }
            (Self::Below { full, .. }, Some(threshold)) => falling(full - YELLOW_FROM * (full - threshold), threshold),
            (Self::Rest(_), Some(threshold)) => falling(1.0 - YELLOW_FROM * threshold, 1.0 - threshold),
            (Self::Given { yellow, red }, _) if red < yellow => falling(yellow, red),
            (Self::Given { yellow, red }, _) => rising(yellow, red),
            (Self::ExactlyOne, _) => vec![Step::base(RED), Step::at(1.0, GREEN), Step::at(2.0, RED)],
            (_, None) | (Self::Unjudged, _) => vec![Step::base(BLUE)],
        }
    }

    /// The judgement as words for durations: fast up to a fifth of the threshold, slow from it on. None without a threshold.
    pub(super) fn words(self, thresholds: Thresholds<'_>) -> Vec<Word> {
        let Some(slow) = self.alert().and_then(thresholds) else { return Vec::new() };
        let fast = tidy(slow / 5.0);
        vec![
            Word { from: 0.0, to: Some(fast), text: "Fast", colour: GREEN },
            Word { from: fast, to: Some(slow), text: "Normal", colour: YELLOW },
            Word { from: slow, to: None, text: "Slow", colour: RED },
        ]
    }
}

/// Colours of what has a meaning of its own, by the name of the series.
pub(super) const NAMED: [(&str, &str); 8] = [
    ("running", GREEN),
    ("success", GREEN),
    ("failed", RED),
    ("failure", RED),
    ("conflict", ORANGE),
    ("stopped", GREY),
    ("discovered", BLUE),
    ("queued", YELLOW),
];

/// Without the noise of binary fractions: 0.75 times 0.1 is 0.075.
fn tidy(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(levels: Levels, threshold: f64) -> Vec<(Option<f64>, &'static str)> {
        let thresholds = |alert: &str| (alert == "Known").then_some(threshold);
        levels.steps(&thresholds).into_iter().map(|step| (step.value, step.color)).collect()
    }

    #[test]
    fn red_begins_at_the_threshold_and_yellow_at_three_quarters_of_it() {
        assert_eq!(steps(Levels::Above("Known"), 0.1), [(None, GREEN), (Some(0.075), YELLOW), (Some(0.1), RED)]);
    }

    #[test]
    fn a_threshold_of_zero_leaves_zero_green() {
        assert_eq!(steps(Levels::Above("Known"), 0.0), [(None, GREEN), (Some(1e-6), RED)]);
        assert_eq!(steps(Levels::AnyIsBad, 0.0), [(None, GREEN), (Some(1e-6), RED)]);
    }

    #[test]
    fn a_count_is_red_above_its_threshold_and_not_at_it() {
        assert_eq!(steps(Levels::CountAbove("Known"), 0.0), [(None, GREEN), (Some(1.0), RED)]);
        assert_eq!(steps(Levels::CountAbove("Known"), 1.0), [(None, GREEN), (Some(2.0), RED)]);
        assert_eq!(steps(Levels::CountAbove("Known"), 10.0), [(None, GREEN), (Some(9.0), YELLOW), (Some(11.0), RED)]);
    }

    #[test]
    fn what_should_be_high_is_red_below_its_threshold() {
        let levels = Levels::Below { alert: "Known", full: 1.0 };
        assert_eq!(steps(levels, 0.9), [(None, RED), (Some(0.9), YELLOW), (Some(0.925), GREEN)]);
    }

    #[test]
    fn the_rest_of_what_an_alert_allows_is_red_below() {
        assert_eq!(steps(Levels::Rest("Known"), 0.1), [(None, RED), (Some(0.9), YELLOW), (Some(0.925), GREEN)]);
    }

    #[test]
    fn given_levels_rise_or_fall() {
        let rising = [(None, GREEN), (Some(5.0), YELLOW), (Some(10.0), RED)];
        assert_eq!(steps(Levels::Given { yellow: 5.0, red: 10.0 }, 0.0), rising);
        let falling = [(None, RED), (Some(0.95), YELLOW), (Some(0.98), GREEN)];
        assert_eq!(steps(Levels::Given { yellow: 0.98, red: 0.95 }, 0.0), falling);
    }

    #[test]
    fn what_has_no_threshold_is_not_judged() {
        assert_eq!(steps(Levels::Above("Unknown"), 1.0), [(None, BLUE)]);
        assert_eq!(steps(Levels::Unjudged, 1.0), [(None, BLUE)]);
        assert_eq!(Levels::Above("Unknown").words(&|_| None), []);
    }

    #[test]
    fn words_of_durations_join_without_a_gap() {
        let words = Levels::Above("Known").words(&|_| Some(5.0));
        let parts: Vec<_> = words.iter().map(|word| (word.from, word.to, word.text)).collect();
        assert_eq!(parts, [(0.0, Some(1.0), "Fast"), (1.0, Some(5.0), "Normal"), (5.0, None, "Slow")]);
    }
}
