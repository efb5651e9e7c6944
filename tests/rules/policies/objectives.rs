//! SLOs burn their budgets, or do not.

use serde_json::{Value, json};

use super::{fires, fleet, rules, unit_tests};
use crate::has_promtool;

fn slo(window: &str) -> Value {
    json!({ "catalogue": { "enabled": false, "labels": { "team": "review" } }, "slos": [{
        "name": "merges", "objective": "99", "window": window, "description": "Merges end well.",
        "indicator": { "taskSuccess": { "task": "merge" } },
    }] })
}

/// Tasks of the fleet that end with this result, so many every 30 seconds.
fn tasks(result: &str, values: &str) -> Value {
    let labels = format!("namespace=\"agents\",fleet=\"a\",pod=\"p\",task=\"merge\",result=\"{result}\"");
    json!({ "series": format!("fleetscope_tasks_total{{{labels}}}"), "values": values })
}

fn burns(alert: &str, severity: &str, errors: &str, how: &str, days: &str) -> Value {
    let labels = json!({
        "namespace": "agents", "fleet": "a", "slo": "merges", "policy": "agents/nightly", "severity": severity,
        "source": "fleetscope", "team": "review",
    });
    let description = format!(
        "{errors} of the events that the SLO merges counts for the fleet a in agents are bad. 99 % over {days} days are wanted to be good. Merges end well."
    );
    fires(labels, &format!("Fleet agents/a: the error budget of the SLO merges burns {how}"), &description, alert)
}

fn expect(at: &str, fast: &[Value], slowly: &[Value]) -> [Value; 2] {
    [
        json!({ "eval_time": at, "alertname": "FleetErrorBudgetBurnsFast", "exp_alerts": fast }),
        json!({ "eval_time": at, "alertname": "FleetErrorBudgetBurnsSlowly", "exp_alerts": slowly }),
    ]
}

fn sample(labels: &str, value: f64) -> Value {
    json!({ "labels": labels, "value": value })
}

#[test]
#[ignore = "needs promtool: make test-rules"]
fn check_07_an_error_budget_that_burns_fast_or_slowly_fires_and_one_that_lasts_does_not() {
    if !has_promtool(
        "rules::policies::objectives::check_07_an_error_budget_that_burns_fast_or_slowly_fires_and_one_that_lasts_does_not",
    ) {
        return;
    }
    let file = rules(&slo("30d"), &[fleet("agents", "a")]).unwrap();
    let fast = burns("FleetErrorBudgetBurnsFast", "critical", "20%", "fast", "30");
    let fast_alone = burns("FleetErrorBudgetBurnsSlowly", "warning", "20%", "slowly, and before its time", "30");
    let slowly = burns("FleetErrorBudgetBurnsSlowly", "warning", "5%", "slowly, and before its time", "30");
    let all = burns("FleetErrorBudgetBurnsFast", "critical", "100%", "fast", "30");
    let all_slowly = burns("FleetErrorBudgetBurnsSlowly", "warning", "100%", "slowly, and before its time", "30");
    let series = "{namespace=\"agents\",fleet=\"a\",slo=\"merges\",policy=\"agents/nightly\"}".to_owned();
    let tests = json!([
        {
            "name": "20 % errors", "interval": "30s",
            "input_series": [tasks("success", "0+8x240"), tasks("failed", "0+2x240")],
            "alert_rule_test": expect("90m", &[fast], &[fast_alone]),
            "promql_expr_test": [
                { "expr": "round(fleetscope:slo_errors:ratio_rate1h, 0.0001)", "eval_time": "90m",
                  "exp_samples": [sample(&series, 0.2)] },
                { "expr": "round(fleetscope:slo_error_budget:remaining_ratio, 0.001)", "eval_time": "90m",
                  "exp_samples": [sample(&series, -19.0)] },
                { "expr": "fleetscope:slo_objective:ratio", "eval_time": "90m",
                  "exp_samples": [sample("fleetscope:slo_objective:ratio{slo=\"merges\",policy=\"agents/nightly\"}", 0.99)] },
            ],
        },
        {
            "name": "5 % errors", "interval": "30s",
            "input_series": [tasks("success", "0+19x240"), tasks("failed", "0+1x240")],
            "alert_rule_test": expect("90m", &[], &[slowly]),
        },
        {
            "name": "0.5 % errors", "interval": "30s",
            "input_series": [tasks("success", "0+199x240"), tasks("failed", "0+1x240")],
            "alert_rule_test": expect("90m", &[], &[]),
        },
        {
            "name": "nothing was ever good", "interval": "30s",
            "input_series": [tasks("failed", "0+1x240")],
            "alert_rule_test": expect("90m", &[all], &[all_slowly]),
        },
        {
            "name": "it was bad for long, and is good again", "interval": "30s",
            "input_series": [tasks("success", "0+0x120 0+10x120"), tasks("failed", "0+2x120 240+0x120")],
            "alert_rule_test": [&expect("100m", &[], &[])[0]],
        },
        {
            "name": "there are no events", "interval": "30s",
            "input_series": [tasks("success", "5+0x240"), tasks("failed", "7+0x240")],
            "alert_rule_test": expect("90m", &[], &[]),
            "promql_expr_test": [{ "expr": "{__name__=~\"fleetscope:slo_errors:.*\"}", "eval_time": "90m", "exp_samples": [] }],
        },
    ]);
    unit_tests("slo", &[&file], "30s", &tests);
}

#[test]
#[ignore = "needs promtool: make test-rules"]
fn an_objective_of_a_week_looks_over_shorter_times() {
    if !has_promtool("rules::policies::objectives::an_objective_of_a_week_looks_over_shorter_times") {
        return;
    }
    let file = rules(&slo("7d"), &[fleet("agents", "a")]).unwrap();
    let fast = burns("FleetErrorBudgetBurnsFast", "critical", "20%", "fast", "7");
    let tests = json!([{
        "name": "20 % errors for a quarter of an hour", "interval": "30s",
        "input_series": [tasks("success", "0+10x120 1208+8x40"), tasks("failed", "0+0x120 2+2x40")],
        "alert_rule_test": [expect("66m", &[], &[])[0], expect("80m", &[fast], &[])[0]],
    }]);
    unit_tests("slo-week", &[&file], "30s", &tests);
}

#[test]
#[ignore = "needs promtool: make test-rules"]
fn slow_calls_burn_the_budget_of_a_latency_objective_under_either_spelling_of_the_bound() {
    if !has_promtool(
        "rules::policies::objectives::slow_calls_burn_the_budget_of_a_latency_objective_under_either_spelling_of_the_bound",
    ) {
        return;
    }
    let spec = json!({ "catalogue": { "enabled": false }, "slos": [{
        "name": "plans", "objective": "90", "indicator": { "callLatency": { "thresholdSeconds": "1", "method": "a.B/C" } },
    }] });
    let file = rules(&spec, &[fleet("agents", "a")]).unwrap();
    let of = |series: &str, more: &str, values: &str| {
        let labels = format!("namespace=\"agents\",fleet=\"a\",pod=\"p\",rpc_method=\"a.B/C\"{more}");
        json!({ "series": format!("rpc_server_call_duration_seconds_{series}{{{labels}}}"), "values": values })
    };
    let labels = "{namespace=\"agents\",fleet=\"a\",slo=\"plans\",policy=\"agents/nightly\"}";
    let tests: Vec<Value> = ["1", "1.0"]
        .iter()
        .map(|le| {
            json!({
                "name": format!("le {le}"), "interval": "30s",
                "input_series": [
                    of("bucket", &format!(",le=\"{le}\""), "0+3x60"),
                    of("bucket", ",le=\"0.75\"", "0+1x60"),
                    of("bucket", ",le=\"10\"", "0+4x60"),
                    of("count", "", "0+4x60"),
                ],
                "promql_expr_test": [{
                    "expr": "round(fleetscope:slo_errors:ratio_rate5m, 0.0001)", "eval_time": "20m",
                    "exp_samples": [sample(labels, 0.25)],
                }],
            })
        })
        .collect();
    unit_tests("slo-latency", &[&file], "30s", &json!(tests));
}
