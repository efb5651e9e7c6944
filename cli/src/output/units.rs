//! Figures for people: durations, counts, sizes, ages.

use crate::histogram::{Highest, Quantile};

/// Seconds as `1.2ms`, `350ms`, `2.35s`, `4m12s`, `3h05m`, `12d4h`: about three digits.
pub(crate) fn seconds(value: f64) -> String {
    let sign = if value < 0.0 { "-" } else { "" };
    let value = value.abs();
    if !value.is_finite() {
        return format!("{value}");
    }
    // Each limit is where rounding would already show the next unit's first value.
    let text = if value == 0.0 {
        "0s".to_owned()
    } else if value < 0.000_999_5 {
        format!("{}us", three_digits(value * 1e6))
    } else if value < 0.999_5 {
        format!("{}ms", three_digits(value * 1e3))
    } else if value < 59.95 {
        format!("{}s", three_digits(value))
    } else if value < 3_599.5 {
        let whole = whole(value);
        format!("{}m{:02}s", whole / 60, whole % 60)
    } else if value < 86_370.0 {
        let minutes = whole(value / 60.0);
        format!("{}h{:02}m", minutes / 60, minutes % 60)
    } else {
        let hours = whole(value / 3_600.0);
        format!("{}d{}h", hours / 24, hours % 24)
    };
    format!("{sign}{text}")
}

/// A quantile in seconds; `>2h00m` when all that is known is that it is above.
pub(crate) fn quantile(quantile: Quantile) -> String {
    format!("{}{}", if quantile.beyond { ">" } else { "" }, seconds(quantile.value))
}

/// What is known of the largest duration, in seconds: `<=5s`, or `>2h00m` above the last bound.
pub(crate) fn highest(highest: Highest) -> String {
    let Highest { above, up_to } = highest;
    up_to.map_or_else(|| format!(">{}", seconds(above)), |bound| format!("<={}", seconds(bound)))
}

/// A number without needless digits: whole numbers whole, others with three significant ones.
pub(crate) fn number(value: f64) -> String {
    if value.is_finite() && value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value:.0}")
    } else if value.is_finite() && (0.001..1e15).contains(&value.abs()) {
        three_digits(value)
    } else {
        format!("{value:.3e}").replace("NaNe0", "NaN")
    }
}

/// Bytes as `512B`, `1.5KiB`, `22.1MiB`, `3GiB`.
pub(crate) fn bytes(value: f64) -> String {
    let mut value = value;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value.abs() < 1023.95 {
            return format!("{}{unit}", if unit == "B" { number(value.round()) } else { three_digits(value) });
        }
        value /= 1024.0;
    }
    format!("{}TiB", three_digits(value))
}

/// A share as `97.3%`; never rounded up to 100% nor down to 0% when something is missing.
pub(crate) fn percent(part: f64, whole: f64) -> Option<String> {
    (whole > 0.0).then(|| {
        let percent = 100.0 * part / whole;
        let rounded = if percent < 100.0 { percent.min(99.9) } else { 100.0 };
        let rounded = if percent > 0.0 { rounded.max(0.1) } else { 0.0 };
        if rounded == 0.0 || rounded >= 100.0 { format!("{rounded:.0}%") } else { format!("{rounded:.1}%") }
    })
}

fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "callers pass finite values that are not negative; a float saturates"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_about_three_digits_and_the_right_unit() {
        for (value, text) in [
            (0.0, "0s"),
            (0.000_001_5, "1.5us"),
            (0.001, "1ms"),
            (0.0355, "35.5ms"),
            (0.999_4, "999ms"),
            (0.999_6, "1s"),
            (2.345, "2.35s"),
            (59.94, "59.9s"),
            (59.96, "1m00s"),
            (252.0, "4m12s"),
            (3_599.6, "1h00m"),
            (11_100.0, "3h05m"),
            (86_399.0, "1d0h"),
            (1_051_200.0, "12d4h"),
            (-5.0, "-5s"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(seconds(value), text, "{value}");
        }
    }

    #[test]
    fn a_quantile_beyond_the_last_bound_is_marked() {
        assert_eq!(quantile(Quantile { value: 7200.0, beyond: true }), ">2h00m");
        assert_eq!(quantile(Quantile { value: 0.5, beyond: false }), "500ms");
    }

    #[test]
    fn the_largest_duration_is_told_by_its_bucket() {
        assert_eq!(highest(Highest { above: 2.5, up_to: Some(5.0) }), "<=5s");
        assert_eq!(highest(Highest { above: 7200.0, up_to: None }), ">2h00m");
    }

    #[test]
    fn numbers_have_no_needless_digits() {
        for (value, text) in [
            (0.0, "0"),
            (1234.0, "1234"),
            (0.5, "0.5"),
            (1.0 / 3.0, "0.33"),
            (123_456.7, "123457"),
            (1e300, "1.000e300"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(number(value), text, "{value}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        for (value, text) in [
            (0.0, "0B"),
            (512.0, "512B"),
            (1536.0, "1.5KiB"),
            (1_048_575.0, "1MiB"),
            (23_173_530.0, "22.1MiB"),
            (5e15, "4547TiB"),
        ] {
            assert_eq!(bytes(value), text, "{value}");
        }
    }

    #[test]
    fn a_share_is_not_rounded_to_all_or_nothing() {
        for (part, whole, text) in [
            (0.0, 9.0, "0%"),
            (9.0, 9.0, "100%"),
            (99_999.0, 100_000.0, "99.9%"),
            (1.0, 100_000.0, "0.1%"),
            (2.0, 3.0, "66.7%"),
        ] {
            assert_eq!(percent(part, whole).as_deref(), Some(text), "{part}/{whole}");
        }
        assert_eq!(percent(0.0, 0.0), None);
    }
}
