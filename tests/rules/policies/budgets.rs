//! Budgets are spent, nearly spent, or will be; and invariants are violated.

use serde_json::{Value, json};

use super::{fires, fleet, rules, unit_tests};
use crate::has_promtool;

#[expect(clippy::needless_pass_by_value, reason = "written as json!(..) where it is called")]
fn budget(more: Value) -> Value {
    let mut budget = json!({ "name": "daily", "limit": "100" });
    budget.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "catalogue": { "enabled": false }, "budgets": [budget] })
}

fn cost(record: &str, model: &str, currency: &str, values: &str) -> Value {
    let labels = format!("namespace=\"agents\",fleet=\"a\",provider=\"p\",model=\"{model}\",currency=\"{currency}\"");
    json!({ "series": format!("{record}{{{labels}}}"), "values": values })
}

fn alert(alert: &str, severity: &str, summary: &str, description: &str) -> Value {
    let labels = json!({
        "namespace": "agents", "fleet": "a", "budget": "daily", "currency": "USD", "policy": "agents/nightly",
        "severity": severity, "source": "fleetscope",
    });
    fires(labels, &format!("Fleet agents/a: {summary}"), &format!("Fleet agents/a: {description}"), alert)
}

fn soft(spent: &str) -> Value {
    let of = "the budget daily of 100 USD";
    let description = format!("LLM calls cost {spent} USD in the last 24 hours, which is 80 % of {of} or more.");
    alert("FleetBudgetNearlySpent", "warning", &format!("{spent} USD of {of} are spent"), &description)
}

fn hard(spent: &str) -> Value {
    let of = "the budget daily of 100 USD is used up";
    let description = format!("LLM calls cost {spent} USD in the last 24 hours; {of}.");
    alert("FleetBudgetSpent", "critical", &format!("{spent} USD are spent, {of}"), &description)
}

fn forecast(cost: &str) -> Value {
    let of = "the budget daily of 100 USD";
    let description =
        format!("at the pace of the last 6 hours LLM calls cost {cost} USD in 1 days, which is above {of}.");
    alert(
        "FleetBudgetForecastOver",
        "warning",
        &format!("at the pace of the last 6 hours {of} will not last"),
        &description,
    )
}

fn expect(at: &str, soft: &[Value], hard: &[Value], forecast: &[Value]) -> Value {
    json!([
        { "eval_time": at, "alertname": "FleetBudgetNearlySpent", "exp_alerts": soft },
        { "eval_time": at, "alertname": "FleetBudgetSpent", "exp_alerts": hard },
        { "eval_time": at, "alertname": "FleetBudgetForecastOver", "exp_alerts": forecast },
    ])
}

#[test]
#[ignore = "needs promtool: make test-rules"]
fn a_budget_tells_when_it_is_nearly_spent_spent_and_will_be() {
    if !has_promtool("rules::policies::budgets::a_budget_tells_when_it_is_nearly_spent_spent_and_will_be") {
        return;
    }
    let file = rules(&budget(json!({})), &[fleet("agents", "a")]).unwrap();
    let day = "fleet:llm_cost:increase1d";
    let hour = "fleet:llm_cost:increase1h";
    let tests = json!([
        {
            "name": "two models together, another currency apart", "interval": "1m",
            "input_series": [cost(day, "x", "USD", "45x60"), cost(day, "y", "USD", "40x60"), cost(day, "z", "EUR", "900x60")],
            "alert_rule_test": expect("30m", &[soft("85.00")], &[], &[]),
        },
        {
            "name": "spent", "interval": "1m",
            "input_series": [cost(day, "x", "USD", "60x60"), cost(day, "y", "USD", "40x60"), cost(hour, "x", "USD", "100x60")],
            "alert_rule_test": expect("50m", &[soft("100.00")], &[hard("100.00")], &[]),
        },
        {
            "name": "little is spent", "interval": "1m",
            "input_series": [cost(day, "x", "USD", "79.9x60"), cost(hour, "x", "USD", "4x60")],
            "alert_rule_test": expect("50m", &[], &[], &[]),
        },
        {
            // 5 in each of the last six hours is 30, four times that is 120.
            "name": "the pace is too high", "interval": "10m",
            "input_series": [cost(day, "x", "USD", "50x60"), cost(hour, "x", "USD", "5x60")],
            "alert_rule_test": expect("8h", &[], &[], &[forecast("120.00")]),
        },
    ]);
    unit_tests("budget", &[&file], "1m", &tests);
}

#[test]
#[ignore = "needs promtool: make test-rules"]
fn a_month_counts_every_day_once_and_a_gap_of_an_hour_does_not_matter() {
    if !has_promtool("rules::policies::budgets::a_month_counts_every_day_once_and_a_gap_of_an_hour_does_not_matter") {
        return;
    }
    let month =
        rules(&budget(json!({ "period": "Month", "forecast": false, "per": "Policy" })), &[fleet("agents", "a")])
            .unwrap();
    let week = rules(
        &budget(json!({ "name": "weekly", "period": "Week", "forecast": false, "per": "AgentType" })),
        &[fleet("agents", "a")],
    )
    .unwrap();
    let expect = |record: &str, at: &str, labels: &str, value: f64| json!({ "expr": format!("round({record}, 0.01)"), "eval_time": at, "exp_samples": [{ "labels": labels, "value": value }] });
    let policy = "policy=\"agents/nightly\",currency=\"USD\"";
    let of_policy = format!("{{namespace=\"agents\",budget=\"daily\",{policy}}}");
    let of_workload = format!("{{namespace=\"agents\",fleet=\"a\",workload=\"w\",budget=\"weekly\",{policy}}}");
    // 2 an hour, in two pods one after the other: what a pod had when it was first seen is not known.
    let raw = |pod: &str, values: &str| {
        let labels = format!("namespace=\"agents\",fleet=\"a\",pod=\"{pod}\",workload=\"w\",currency=\"USD\"");
        json!({ "series": format!("fleetscope_llm_cost_total{{{labels}}}"), "values": values })
    };
    let tests = json!([
        {
            // Three models, of which one came late, and an hour without a sample.
            "name": "a month", "interval": "1h",
            "input_series": [
                cost("fleet:llm_cost:increase1d", "x", "USD", "10x479 _ 10x767"),
                cost("fleet:llm_cost:increase1d", "y", "USD", "_x600 1x647"),
            ],
            "promql_expr_test": [
                expect("fleetscope:budget_spent:increase30d", "960h", &of_policy, 316.0),
                expect("fleetscope:budget_spent:increase30d", "720h", &of_policy, 306.0),
            ],
        },
        {
            "name": "a week", "interval": "30m",
            "input_series": [raw("a", "0+1x480"), raw("b", "0+1x480")],
            "promql_expr_test": [expect("fleetscope:budget_spent:increase7d", "216h", &of_workload, 672.0)],
        },
    ]);
    unit_tests("budget-long", &[&month, &week], "1h", &tests);
}

#[test]
#[ignore = "needs promtool: make test-rules"]
fn an_invariant_fires_while_it_is_violated() {
    if !has_promtool("rules::policies::budgets::an_invariant_fires_while_it_is_violated") {
        return;
    }
    let spec = json!({ "catalogue": { "enabled": false }, "invariants": [{
        "name": "one-merge", "expr": "sum by (namespace, fleet) (fleetscope_tasks_running{$fleets,task=\"merge\"}) > 1", "for": "30s",
        "description": "{{ $value }} merges run at once.",
    }] });
    let file = rules(&spec, &[fleet("agents", "a")]).unwrap();
    let running = |fleet: &str, pod: &str, values: &str| {
        let labels = format!("namespace=\"agents\",fleet=\"{fleet}\",pod=\"{pod}\",task=\"merge\"");
        json!({ "series": format!("fleetscope_tasks_running{{{labels}}}"), "values": values })
    };
    let labels = json!({
        "namespace": "agents", "fleet": "a", "invariant": "one-merge", "policy": "agents/nightly", "severity": "critical",
        "source": "fleetscope",
    });
    let violated = fires(
        labels,
        "Fleet agents/a: the invariant one-merge is violated",
        "2 merges run at once.",
        "FleetInvariantViolated",
    );
    let expect = |at: &str, alerts: &[&Value]| json!({ "eval_time": at, "alertname": "FleetInvariantViolated", "exp_alerts": alerts });
    let tests = json!([{
        "name": "two pods of one fleet, one of another", "interval": "15s",
        "input_series": [running("a", "p", "1x20"), running("a", "q", "0 0 1x8 0x8"), running("b", "r", "1x20")],
        "alert_rule_test": [expect("30s", &[]), expect("1m30s", &[&violated]), expect("4m", &[])],
    }]);
    unit_tests("invariant", &[&file], "15s", &tests);
}
