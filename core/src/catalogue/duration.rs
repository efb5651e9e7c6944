//! Durations as Prometheus writes them: `90s`, `1h30m`, `1d`, `0s`.

use std::time::Duration;

/// Units from large to small, with their milliseconds: the order in which a duration has to name them.
const UNITS: [(&str, u64); 7] = [
    ("y", 31_536_000_000),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A duration out of its text, or `None` if Prometheus would refuse it. `0` needs no unit.
pub fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut total, mut units) = (text, 0_u64, UNITS.iter());
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = &rest[..rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len())];
        let (_, milliseconds) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(*milliseconds)?)?;
        rest = &rest[unit.len()..];
    }
    (!text.is_empty()).then_some(Duration::from_millis(total))
}

/// Whether a text is a duration that a range can have: more than nothing.
pub fn is_duration(text: &str) -> bool {
    duration(text).is_some_and(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{duration, is_duration};

    #[test]
    fn durations_of_prometheus_are_read() {
        let cases =
            [("0", 0), ("0s", 0), ("90s", 90_000), ("1h30m", 5_400_000), ("1d", 86_400_000), ("1m500ms", 60_500)];
        for (text, milliseconds) in cases {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn what_prometheus_refuses_is_refused() {
        for text in
            ["", "5", "m", "5 m", "-5m", "1.5h", "30m1h", "1h1h", "5min", "99999999999999999999y", "9999999999999y"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
        assert!(is_duration("5m") && !is_duration("0s") && !is_duration("5"));
    }
}
