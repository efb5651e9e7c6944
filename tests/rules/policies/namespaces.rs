//! Alerts of a policy of a namespace have the label by which prometheus-operator lets them through to its receivers.

use serde_json::{Value, json};

use super::{fleet, rules, unit_tests};
use crate::has_promtool;

#[test]
#[ignore = "needs promtool: make test-rules"]
fn an_alert_whose_expression_loses_the_namespace_has_that_of_its_policy() {
    if !has_promtool(
        "rules::policies::namespaces::an_alert_whose_expression_loses_the_namespace_has_that_of_its_policy",
    ) {
        return;
    }
    let failed = "sum(rate(fleetscope_tasks_total{$fleets,result=\"failed\"}[5m])) > 1";
    let file = rules(
        &json!({
            "catalogue": { "enabled": false },
            "rules": [
                { "alert": "Lost", "expr": failed },
                { "alert": "Kept", "expr": failed.replace("sum", "sum by (namespace)") },
                { "alert": "Foreign", "expr": "down > 0" },
            ],
            "invariants": [{ "name": "calm", "expr": failed, "description": "d" }],
        }),
        &[fleet("agents", "a")],
    )
    .unwrap();
    let alert = |namespace: &str, more: Value| {
        let mut labels = json!({
            "namespace": namespace, "policy": "agents/nightly", "severity": "warning", "source": "fleetscope",
        });
        labels.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "exp_labels": labels })
    };
    let fires = |name: &str, alerts: &[Value]| json!({ "eval_time": "10m", "alertname": name, "exp_alerts": alerts });
    let violated = super::fires(
        alert("agents", json!({ "invariant": "calm", "severity": "critical" }))["exp_labels"].clone(),
        "Policy agents/nightly: the invariant calm is violated",
        "d",
        "FleetInvariantViolated",
    );
    let tests = json!([{
        "interval": "30s",
        "input_series": [
            { "series": "fleetscope_tasks_total{namespace=\"agents\",fleet=\"a\",result=\"failed\"}", "values": "0+100x60" },
            { "series": "down{namespace=\"one\"}", "values": "1x60" },
            { "series": "down{namespace=\"two\"}", "values": "1x60" },
        ],
        "alert_rule_test": [
            fires("Lost", &[alert("agents", json!({}))]),
            fires("Kept", &[alert("agents", json!({}))]),
            // What is of other namespaces stays so: two results never become one, which Prometheus would refuse.
            fires("Foreign", &[alert("one", json!({})), alert("two", json!({}))]),
            fires("FleetInvariantViolated", &[violated]),
        ],
    }]);
    unit_tests("namespaces", &[&file], "30s", &tests);
}
