//! Objectives: Google's SRE workbook, chapter 5, "multiwindow, multi-burn-rate alerts".
//!
//! In: an SLO and its fleets. Out: two groups of rules. The first records, at each evaluation, the rates of good and of all events
//! over five minutes, then the share of errors over longer windows, as one sum of the recorded rates over the other: each event has
//! the same weight, and nothing but the first two rules touches raw series. Windows from a day on would still read a sample of
//! every evaluation, so the second group keeps the two rates once every two minutes, and sums those: 30 days are 21,600 samples then,
//! not 86,400. Two minutes, as Prometheus forgets a series after five, and one missed evaluation must not end an alert.
//!
//! Good events that never were have no series; they count as zero as soon as there are any events. While there are none, there is no
//! share of errors: neither 0 nor NaN.

use super::checker::Checker;
use super::fleets::{Selection, indent};
use super::group::Area;
use super::indicator::events;
use super::rule::{Rule, texts};
use super::told::Told;
use crate::api::alerting::{Slo, SloWindow};
use crate::api::scalars::Severity;
use crate::promql::text::{number, quote};

/// Rates of good events over five minutes.
pub const GOOD: &str = "fleetscope:slo_good:rate5m";
/// Rates of all events over five minutes.
pub const TOTAL: &str = "fleetscope:slo_total:rate5m";
/// The same once every two minutes.
const GOOD_SPARSE: &str = "fleetscope:slo_good_sparse:rate5m";
const TOTAL_SPARSE: &str = "fleetscope:slo_total_sparse:rate5m";
/// Start of the names of shares of errors; the window follows.
pub const ERRORS: &str = "fleetscope:slo_errors:ratio_rate";
/// What is left of the error budget, from 1 down; below 0 it is overspent.
pub const REMAINING: &str = "fleetscope:slo_error_budget:remaining_ratio";
/// The wanted share of good events.
pub const OBJECTIVE: &str = "fleetscope:slo_objective:ratio";

/// Seconds between two samples of the sparse rates, unless rules are evaluated more seldom than that.
const SPARSE_SECONDS: u64 = 120;
/// The longest window that is summed from every evaluation.
const DENSE_SECONDS: u64 = 21_600;

/// One pair of windows: the long one tells that a good part of the budget is gone, the short one that it still goes.
struct Burn {
    long: &'static str,
    short: &'static str,
    /// How many times faster than the budget allows.
    factor: &'static str,
}

/// 2 % of the budget in the first long window, 5 % in the second: gone in at most five days.
const fn fast(window: SloWindow) -> [Burn; 2] {
    match window {
        SloWindow::ThirtyDays => [burn("1h", "5m", "14.4"), burn("6h", "30m", "6")],
        SloWindow::FourWeeks => [burn("1h", "5m", "13.44"), burn("6h", "30m", "5.6")],
        // A quarter of the windows of four weeks; below five minutes there is no rate.
        SloWindow::Week => [burn("15m", "5m", "13.44"), burn("90m", "10m", "5.6")],
    }
}

/// 10 % of the budget in the first long window, 10 % in the second: gone before its time. Ten percent of four weeks in three
/// days is a factor of 0.93, at which the budget would last; so the last factor is 1 everywhere.
const fn slow(window: SloWindow) -> [Burn; 2] {
    match window {
        SloWindow::ThirtyDays => [burn("1d", "2h", "3"), burn("3d", "6h", "1")],
        SloWindow::FourWeeks => [burn("1d", "2h", "2.8"), burn("3d", "6h", "1")],
        SloWindow::Week => [burn("6h", "30m", "2.8"), burn("18h", "90m", "1")],
    }
}

const fn burn(long: &'static str, short: &'static str, factor: &'static str) -> Burn {
    Burn { long, short, factor }
}

/// The windows whose shares of errors are recorded, the shortest first, with their seconds.
const fn windows(window: SloWindow) -> &'static [(&'static str, u64)] {
    match window {
        SloWindow::ThirtyDays => &[
            ("30m", 1_800),
            ("1h", 3_600),
            ("2h", 7_200),
            ("6h", 21_600),
            ("1d", 86_400),
            ("3d", 259_200),
            ("30d", 2_592_000),
        ],
        SloWindow::FourWeeks => &[
            ("30m", 1_800),
            ("1h", 3_600),
            ("2h", 7_200),
            ("6h", 21_600),
            ("1d", 86_400),
            ("3d", 259_200),
            ("28d", 2_419_200),
        ],
        SloWindow::Week => &[
            ("10m", 600),
            ("15m", 900),
            ("30m", 1_800),
            ("90m", 5_400),
            ("6h", 21_600),
            ("18h", 64_800),
            ("7d", 604_800),
        ],
    }
}

/// The rules of an SLO, in two areas. None if something is wrong with it.
pub(super) fn rules(i: usize, slo: &Slo, fleets: &Selection, told: &Told<'_>, checker: &mut Checker<'_>) -> Vec<Area> {
    let path = format!("spec.slos[{i}]");
    if let Some(description) = &slo.description {
        checker.template(&format!("{path}.description"), &description.0);
    }
    let Some(events) = events(&format!("{path}.indicator"), &slo.indicator, fleets, told.fleets, checker) else {
        return Vec::new();
    };
    let labels = || texts([("slo", slo.name.as_str()), ("policy", told.policy)]);
    let matchers = format!("slo={},policy={}", quote(&slo.name), quote(told.policy));
    let good = format!("(\n{}\n)\nor\n0 * (\n{}\n)", indent(&events.good), indent(&events.total));
    let errors = |good: &str, total: &str, window: &str| {
        format!(
            "clamp_min(1 - sum_over_time({good}{{{matchers}}}[{window}]) / (sum_over_time({total}{{{matchers}}}[{window}]) > 0), 0)"
        )
    };
    let mut dense = vec![
        Rule::record(TOTAL, events.total.as_str(), labels()),
        Rule::record(GOOD, good, labels()),
        Rule::record(
            format!("{ERRORS}5m"),
            format!("clamp_min(1 - {GOOD}{{{matchers}}} / ({TOTAL}{{{matchers}}} > 0), 0)"),
            labels(),
        ),
    ];
    let mut sparse = vec![
        Rule::record(TOTAL_SPARSE, format!("{TOTAL}{{{matchers}}}"), labels()),
        Rule::record(GOOD_SPARSE, format!("{GOOD}{{{matchers}}}"), labels()),
        Rule::record(OBJECTIVE, format!("vector({})", share(&slo.objective.0)), labels()),
    ];
    for (window, seconds) in windows(slo.window) {
        let record = format!("{ERRORS}{window}");
        if *seconds <= DENSE_SECONDS {
            dense.push(Rule::record(record, errors(GOOD, TOTAL, window), labels()));
        } else {
            sparse.push(Rule::record(record, errors(GOOD_SPARSE, TOTAL_SPARSE, window), labels()));
        }
    }
    let whole = format!("{}d", slo.window.days());
    sparse.push(Rule::record(
        REMAINING,
        format!("1 - {ERRORS}{whole}{{{matchers}}} / {}", budget(&slo.objective.0)),
        labels(),
    ));
    if slo.alerting {
        dense.extend(alerts(slo, &matchers, told));
    }
    vec![
        Area::ordered(format!("slo/{}", slo.name), None, dense),
        Area::ordered(format!("slo/{}/long", slo.name), Some(SPARSE_SECONDS), sparse),
    ]
}

fn alerts(slo: &Slo, matchers: &str, told: &Told<'_>) -> Vec<Rule> {
    let budget = budget(&slo.objective.0);
    let expr = |burns: [Burn; 2]| {
        let pair = |burn: &Burn| {
            let above = |window: &str| format!("{ERRORS}{window}{{{matchers}}} > {} * {budget}", burn.factor);
            format!("(\n  {}\nand\n  {}\n)", above(burn.long), above(burn.short))
        };
        burns.iter().map(pair).collect::<Vec<_>>().join("\nor\n")
    };
    let objective = number(&slo.objective.0);
    let days = slo.window.days();
    let alert = |name: &str, burns: [Burn; 2], severity: Severity, soon: &str| {
        let summary = format!(
            "Fleet {{{{ $labels.namespace }}}}/{{{{ $labels.fleet }}}}: the error budget of the SLO {} burns {soon}",
            slo.name
        );
        let meaning = slo.description.as_ref().map_or_else(String::new, |text| format!(" {}", text.0.trim()));
        let description = format!(
            "{{{{ $value | humanizePercentage }}}} of the events that the SLO {} counts for the fleet {{{{ $labels.fleet }}}} in \
             {{{{ $labels.namespace }}}} are bad. {objective} % over {days} days are wanted to be good.{meaning}",
            slo.name
        );
        told.alert(name, expr(burns), severity, texts([("slo", slo.name.as_str())]), &summary, &description)
    };
    let mut alerts = vec![
        alert("FleetErrorBudgetBurnsFast", fast(slo.window), slo.fast_burn_severity, "fast"),
        alert("FleetErrorBudgetBurnsSlowly", slow(slo.window), slo.slow_burn_severity, "slowly, and before its time"),
    ];
    // A minute of grace against one odd evaluation; the short windows end the alert.
    for alert in &mut alerts {
        alert.hold = Some("1m".to_owned());
    }
    alerts
}

/// The objective as a share: 99.9 is 0.999.
fn share(percent: &str) -> String {
    let (whole, fraction) = percent.split_once('.').unwrap_or((percent, ""));
    let whole = format!("{whole:0>2}");
    let (hundreds, rest) = whole.split_at(whole.len() - 2);
    number(&format!("{hundreds}.{rest}{fraction}"))
}

/// What may be bad, as a share: 0.001 for 99.9. Exact, which 1 - 0.999 of floating-point numbers is not.
fn budget(percent: &str) -> String {
    /// Digits of a share, which an objective's two digits and eight decimals give.
    const DIGITS: usize = 10;
    let share = share(percent);
    let (whole, fraction) = share.split_once('.').unwrap_or((&share, ""));
    let scaled = format!("{whole}{fraction:0<DIGITS$}").parse::<u64>().unwrap_or_default();
    let left = 10_u64.pow(10).saturating_sub(scaled);
    number(&format!("0.{left:0>DIGITS$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objective_is_a_share_and_its_rest_the_budget_without_a_rounding_error() {
        for (objective, whole, rest) in [
            ("99.9", "0.999", "0.001"),
            ("99", "0.99", "0.01"),
            ("50", "0.5", "0.5"),
            ("99.999", "0.99999", "0.00001"),
            ("099.95", "0.9995", "0.0005"),
            ("99.12345678", "0.9912345678", "0.0087654322"),
        ] {
            assert_eq!((share(objective).as_str(), budget(objective).as_str()), (whole, rest), "{objective}");
        }
    }

    #[test]
    fn windows_of_burns_are_recorded_and_each_factor_burns_the_workbooks_part_of_the_budget() {
        for window in [SloWindow::Week, SloWindow::FourWeeks, SloWindow::ThirtyDays] {
            let seconds = |name: &str| match name {
                "5m" => 300,
                _ => windows(window).iter().find(|(known, _)| *known == name).map(|(_, seconds)| *seconds).unwrap(),
            };
            let period = f64::from(window.days()) * 86_400.0;
            for (burn, part) in fast(window).iter().chain(&slow(window)).zip([0.02, 0.05, 0.1, 0.1]) {
                assert!(seconds(burn.short) < seconds(burn.long));
                #[expect(clippy::cast_precision_loss, reason = "a few days of seconds are far below 2^52")]
                let factor = part * period / seconds(burn.long) as f64;
                let written: f64 = burn.factor.parse().unwrap();
                assert!((written - factor.max(1.0)).abs() < 1e-9, "{}: {written} {factor}", burn.long);
            }
            let names: Vec<String> = windows(window).iter().map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(names.last().unwrap(), &format!("{}d", window.days()));
        }
    }
}
