//! Budgets: what LLM calls cost in a period that slides, against a limit.
//!
//! In: a budget and its fleets. Out: a group of rules, evaluated once a minute.
//!
//! What a day cost is `increase` over a day of raw series: exact but for the edges of the day, over restarts of agents and gaps of scrapes
//! alike. For fleets and models it is there already, as the fleets' recording `fleet:llm_cost:increase1d`, so a budget
//! costs nothing more, and knows the days before it was made. A week or a month of raw series would be a hundred thousand samples for each of
//! them, and more than Prometheus takes in one query for a large fleet; so they are the sum of seven or thirty such days, each
//! one day before the other: a look-up each, and every event counts once. Sums of hourly increases would need hundreds of them, or lose what
//! falls between two.

use super::checker::Checker;
use super::fleets::{Selection, indent};
use super::group::Area;
use super::rule::{Rule, texts};
use super::told::Told;
use crate::api::alerting::{Budget, BudgetPeriod, BudgetShare};
use crate::api::scalars::Severity;
use crate::promql::text::{number, quote};

/// Start of the names of what was spent; the period follows.
pub const SPENT: &str = "fleetscope:budget_spent:increase";
/// Start of the names of what a period at the pace of the last six hours would cost; the period follows.
pub const FORECAST: &str = "fleetscope:budget_forecast:increase";
/// The limit.
pub const LIMIT: &str = "fleetscope:budget:limit";

/// Seconds between two evaluations.
const SECONDS: u64 = 60;
/// How long Prometheus may have missed a sample of the past: how far back each look-up goes.
const BRIDGED: &str = "2h";
/// Hours whose pace a forecast takes.
const PACE_HOURS: u32 = 6;
/// How long a forecast must hold.
const FORECAST_HOLD: &str = "30m";

/// The rules of a budget.
pub(super) fn rules(
    i: usize,
    budget: &Budget,
    fleets: &Selection,
    told: &Told<'_>,
    checker: &mut Checker<'_>,
) -> Vec<Area> {
    if budget.limit.value() <= 0.0 {
        checker.value(format!("spec.budgets[{i}].limit"), "a limit is above 0", "set the most that may be spent");
        return Vec::new();
    }
    let labels = || texts([("budget", budget.name.as_str()), ("policy", told.policy), ("currency", &budget.currency)]);
    let period = format!("{}d", budget.period.days());
    let days = budget.period.days();
    let mut rules = vec![Rule::record(LIMIT, format!("vector({})", number(&budget.limit.0)), labels())];
    let matchers = format!("budget={},policy={}", quote(&budget.name), quote(told.policy));
    let currency = format!("currency={}", quote(&budget.currency));
    let cost = format!("{},{currency}", fleets.matchers);
    let day = if budget.per == BudgetShare::AgentType {
        let spent = format!("sum by (namespace, fleet, workload) (increase(fleetscope_llm_cost_total{{{cost}}}[1d]))");
        rules.push(Rule::record(format!("{SPENT}1d"), fleets.filter(&spent), labels()));
        format!("{SPENT}1d{{{matchers}}}")
    } else {
        format!("fleet:llm_cost:increase1d{{{cost}}}")
    };
    // What the policy itself has recorded is held to its fleets already.
    let filter = |expr: &str| if budget.per == BudgetShare::AgentType { expr.to_owned() } else { fleets.filter(expr) };
    if !(budget.per == BudgetShare::AgentType && days == 1) {
        let spent = summed(&filter(&past(&day, days, "d")), budget.per, told);
        rules.push(Rule::record(format!("{SPENT}{period}"), spent, labels()));
    }
    let pace = if budget.per == BudgetShare::AgentType {
        let hours = format!("increase(fleetscope_llm_cost_total{{{cost}}}[{PACE_HOURS}h])");
        fleets.filter(&format!("sum by (namespace, fleet, workload) ({hours})"))
    } else {
        fleets.filter(&past(&format!("fleet:llm_cost:increase1h{{{cost}}}"), PACE_HOURS, "h"))
    };
    if budget.forecast {
        let forecast = format!("{} * {}", days * 24 / PACE_HOURS, summed(&pace, budget.per, told));
        rules.push(Rule::record(format!("{FORECAST}{period}"), forecast, labels()));
    }
    rules.extend(alerts(budget, &period, &matchers, told));
    vec![Area::ordered(format!("budget/{}", budget.name), Some(SECONDS), rules)]
}

/// A vector with what a series was now, one unit of time ago, two units ago, and so on: each with a label `ago`.
fn past(series: &str, times: u32, unit: &str) -> String {
    let at = |ago: u32| {
        let offset = if ago == 0 { String::new() } else { format!(" offset {ago}{unit}") };
        format!("label_replace(last_over_time({series}[{BRIDGED}]{offset}), \"ago\", \"{ago}\", \"\", \"\")")
    };
    match times {
        1 => series.to_owned(),
        _ => (0..times).map(at).collect::<Vec<_>>().join("\nor\n"),
    }
}

fn summed(expr: &str, per: BudgetShare, told: &Told<'_>) -> String {
    let by = match per {
        BudgetShare::Fleet => " by (namespace, fleet)",
        BudgetShare::Model => " by (namespace, fleet, model)",
        BudgetShare::AgentType => " by (namespace, fleet, workload)",
        // A namespace's policy sums up its namespace, whose name Alertmanager's routes may want.
        BudgetShare::Policy if told.namespaced => " by (namespace)",
        BudgetShare::Policy => "",
    };
    format!("sum{by} (\n{}\n)", indent(expr))
}

fn alerts(budget: &Budget, period: &str, matchers: &str, told: &Told<'_>) -> Vec<Rule> {
    let limit = number(&budget.limit.0);
    let spent = format!("{SPENT}{period}{{{matchers}}}");
    let whose = match budget.per {
        BudgetShare::Fleet => "Fleet {{ $labels.namespace }}/{{ $labels.fleet }}".to_owned(),
        BudgetShare::Model => "Fleet {{ $labels.namespace }}/{{ $labels.fleet }}, model {{ $labels.model }}".to_owned(),
        BudgetShare::AgentType => {
            "Fleet {{ $labels.namespace }}/{{ $labels.fleet }}, workload {{ $labels.workload }}".to_owned()
        }
        BudgetShare::Policy => format!("Fleets of the policy {}", told.policy),
    };
    let currency = &budget.currency;
    let over = match budget.period {
        BudgetPeriod::Day => "the last 24 hours",
        BudgetPeriod::Week => "the last 7 days",
        BudgetPeriod::Month => "the last 30 days",
    };
    let value = format!("{{{{ printf \"%.2f\" $value }}}} {currency}");
    let of = format!("the budget {} of {limit} {currency}", budget.name);
    let alert = |name: &str, expr: String, severity: Severity, summary: &str, description: &str| {
        let labels = texts([("budget", budget.name.as_str()), ("currency", currency)]);
        told.alert(name, expr, severity, labels, &format!("{whose}: {summary}"), &format!("{whose}: {description}"))
    };
    let mut alerts = Vec::new();
    if budget.soft_percent > 0 {
        let share = number(&format!("0.{:02}", budget.soft_percent));
        alerts.push(alert(
            "FleetBudgetNearlySpent",
            format!("{spent} >= {share} * {limit}"),
            budget.soft_severity,
            &format!("{value} of {of} are spent"),
            &format!("LLM calls cost {value} in {over}, which is {} % of {of} or more.", budget.soft_percent),
        ));
    }
    alerts.push(alert(
        "FleetBudgetSpent",
        format!("{spent} >= {limit}"),
        budget.hard_severity,
        &format!("{value} are spent, {of} is used up"),
        &format!("LLM calls cost {value} in {over}; {of} is used up."),
    ));
    if budget.forecast {
        let days = budget.period.days();
        let forecast = alert(
            "FleetBudgetForecastOver",
            format!("{FORECAST}{period}{{{matchers}}} > {limit}\nunless\n{spent} >= {limit}"),
            budget.soft_severity,
            &format!("at the pace of the last {PACE_HOURS} hours {of} will not last"),
            &format!(
                "at the pace of the last {PACE_HOURS} hours LLM calls cost {value} in {days} days, which is above {of}."
            ),
        );
        alerts.push(forecast.holding(Some(FORECAST_HOLD)));
    }
    alerts
}
