//! Which of two policies a fleet's alert comes from.

use std::collections::BTreeMap;

use fleetscope_core::alerting::{ProfileAlert, ProfileAlerts};
use serde_json::{Value, json};

use super::{cluster_rules, fires, fleet, rules, unit_tests};
use crate::has_promtool;

const ALERT: &str = "FleetTaskFailureRatioHigh";

/// A fleet of which half of the tasks fail.
fn failing(namespace: &str, fleet: &str) -> [Value; 2] {
    let labels = format!("namespace=\"{namespace}\",fleet=\"{fleet}\"");
    [
        json!({ "series": format!("fleet:task_failure:ratio_rate5m{{{labels}}}"), "values": "0.5x60" }),
        json!({ "series": format!("fleet:tasks:rate5m{{{labels},task=\"t\",group=\"g\",result=\"failed\"}}"), "values": "1x60" }),
    ]
}

fn alert(namespace: &str, fleet: &str, policy: &str, more: &Value) -> Value {
    let mut labels = json!({
        "namespace": namespace, "fleet": fleet, "policy": policy, "severity": "warning", "source": "fleetscope",
    });
    labels.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let summary = format!("Fleet {namespace}/{fleet}: 50% of its tasks fail");
    let description = format!(
        "50% of the tasks that the fleet {fleet} in {namespace} finished in the last 5 minutes had the result failed."
    );
    fires(labels, &summary, &description, ALERT)
}

fn expect(name: &str, files: &[&Value], series: &[Value], alerts: &[Value]) {
    let tests = json!([{
        "name": name, "interval": "30s", "input_series": series,
        "alert_rule_test": [{ "eval_time": "20m", "alertname": ALERT, "exp_alerts": alerts }],
    }]);
    unit_tests(&format!("precedence-{name}"), files, "30s", &tests);
}

#[test]
#[ignore = "needs promtool: make test-rules"]
fn a_policy_of_the_namespace_takes_the_place_of_the_clusters_unless_that_is_enforced() {
    if !has_promtool(
        "rules::policies::precedence::a_policy_of_the_namespace_takes_the_place_of_the_clusters_unless_that_is_enforced",
    ) {
        return;
    }
    let (a, b) = (fleet("agents", "a"), fleet("other", "b"));
    let series: Vec<Value> = [failing("agents", "a"), failing("other", "b")].concat();
    let here = rules(&json!({}), std::slice::from_ref(&a)).unwrap();
    let quiet = rules(
        &json!({ "catalogue": { "overrides": [{ "alert": ALERT, "threshold": "0.6" }] } }),
        std::slice::from_ref(&a),
    )
    .unwrap();
    let without = rules(&json!({ "catalogue": { "enabled": false } }), std::slice::from_ref(&a)).unwrap();
    let both = [a, b];
    let everywhere = cluster_rules(&json!({}), &both, &[]);
    let enforced = cluster_rules(&json!({ "enforced": true }), &both, &[]);
    let none = json!({});
    let of_cluster = [alert("agents", "a", "everywhere", &none), alert("other", "b", "everywhere", &none)];
    let of_namespace = alert("agents", "a", "agents/nightly", &none);
    expect("cluster", &[&everywhere], &series, &of_cluster);
    expect("both", &[&everywhere, &here], &series, &[of_namespace.clone(), of_cluster[1].clone()]);
    expect("quieter", &[&everywhere, &quiet], &series, &of_cluster[1..]);
    expect("no-catalogue", &[&everywhere, &without], &series, &of_cluster);
    expect("enforced", &[&enforced, &here], &series, &[of_namespace, of_cluster[0].clone(), of_cluster[1].clone()]);
}

#[test]
#[ignore = "needs promtool: make test-rules"]
fn a_cluster_policy_with_selectors_is_for_its_fleets_alone() {
    if !has_promtool("rules::policies::precedence::a_cluster_policy_with_selectors_is_for_its_fleets_alone") {
        return;
    }
    let mut selected = [fleet("agents", "a"), fleet("agents", "c")];
    selected[1].decides = false;
    let series: Vec<Value> = [failing("agents", "a"), failing("agents", "b"), failing("agents", "c")].concat();
    let spec = json!({
        "fleets": { "matchLabels": { "tier": "production" } },
        "rules": [{ "alert": "Sum", "expr": "sum(last_over_time(fleet:task_failure:ratio_rate5m{$fleets}[5m])) > 0" }],
    });
    let file = cluster_rules(&spec, &selected, &[]);
    let none = json!({});
    expect("selectors", &[&file], &series, &[alert("agents", "a", "everywhere", &none)]);
    let tests = json!([{
        "name": "own rules are for those that it yields, too", "interval": "30s", "input_series": series,
        "promql_expr_test": [{
            "expr": "ALERTS{alertname=\"Sum\"}", "eval_time": "20m",
            "exp_samples": [{
                "labels": "ALERTS{alertname=\"Sum\",alertstate=\"firing\",policy=\"everywhere\",severity=\"warning\",source=\"fleetscope\"}",
                "value": 1,
            }],
        }],
    }]);
    unit_tests("precedence-own", &[&file], "30s", &tests);
}

#[test]
#[ignore = "needs promtool: make test-rules"]
fn fleets_of_a_profile_have_its_thresholds() {
    if !has_promtool("rules::policies::precedence::fleets_of_a_profile_have_its_thresholds") {
        return;
    }
    let changed = |threshold: &str| {
        let changed = ProfileAlert { threshold: Some(threshold.to_owned()), ..ProfileAlert::default() };
        [ProfileAlerts { name: "Atoll", alerts: BTreeMap::from([(ALERT, changed)]) }]
    };
    let mut fleets = [fleet("agents", "a"), fleet("agents", "b")];
    fleets[1].profile = "Atoll".to_owned();
    let info = |fleet: &str, profile: &str| json!({ "series": format!("fleet:info:one{{namespace=\"agents\",fleet=\"{fleet}\",profile=\"{profile}\"}}"), "values": "1x60" });
    let mut series: Vec<Value> = [failing("agents", "a"), failing("agents", "b")].concat();
    series.extend([info("a", "Generic"), info("b", "Atoll")]);
    let (none, atoll) = (json!({}), json!({ "profile": "Atoll" }));
    let of = |profiles: &[ProfileAlerts<'_>]| cluster_rules(&json!({}), &fleets, profiles);
    let a = alert("agents", "a", "everywhere", &none);
    expect("profile-higher", &[&of(&changed("0.6"))], &series, std::slice::from_ref(&a));
    expect("profile-other", &[&of(&changed("0.4"))], &series, &[a, alert("agents", "b", "everywhere", &atoll)]);
}
