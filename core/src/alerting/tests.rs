//! Whole objects, and what holds for any policy.

use std::collections::BTreeMap;

use kube::core::ObjectMeta;
use serde_json::{Value, json};

use super::*;
use crate::api::admission::admit_as;
use crate::api::{AlertPolicy, ClusterAlertPolicy};
use crate::catalogue::{self, Alert};
use crate::resources::ChildKind;

mod any_policy;
mod heard;

fn site() -> Site {
    Site {
        namespace: "fleetscope-system".to_owned(),
        monitor_labels: BTreeMap::from([("release".to_owned(), "kps".to_owned())]),
        ..Site::default()
    }
}

fn fleet(namespace: &str, name: &str) -> SelectedFleet {
    SelectedFleet {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        profile: "Generic".to_owned(),
        decides: true,
        call_bounds: Vec::new(),
    }
}

/// The catalogue's own knowledge, and all that is not ours.
fn known(metric: &str) -> bool {
    let ours = ["fleetscope_", "fleet:", "rpc_", "gen_ai_"].iter().any(|start| metric.starts_with(start));
    !ours || catalogue::known(metric).is_some()
}

fn input<'a>(policy: Policy<'a>, fleets: &'a [SelectedFleet], alerts: &'a [Alert]) -> PolicyInput<'a> {
    PolicyInput { policy, fleets, alerts, profiles: &[], known: &known }
}

fn policy(spec: &Value) -> AlertPolicy {
    let object = json!({
        "apiVersion": "fleetscope.io/v1alpha1", "kind": "AlertPolicy",
        "metadata": { "name": "nightly", "namespace": "agents", "uid": "0b1c", "generation": 3 }, "spec": spec,
    });
    admit_as(&object).unwrap()
}

fn cluster_policy(spec: &Value) -> ClusterAlertPolicy {
    let object = json!({
        "apiVersion": "fleetscope.io/v1alpha1", "kind": "ClusterAlertPolicy",
        "metadata": { "name": "fleetscope", "uid": "0b1c", "generation": 1 }, "spec": spec,
    });
    admit_as(&object).unwrap()
}

/// Names, labels and expressions of a policy's rules, those of the policy itself left out.
fn rules_of(policy: Policy<'_>, fleets: &[SelectedFleet]) -> Vec<Rule> {
    let (groups, warnings) = groups(&input(policy, fleets, &[])).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    groups.into_iter().flat_map(|group| group.rules).filter(|rule| rule.record.as_deref() != Some(GENERATION)).collect()
}

#[test]
fn a_policy_is_a_prometheus_rule_that_it_owns() {
    let policy = policy(&json!({
        "catalogue": { "enabled": false },
        "invariants": [{ "name": "one-merge", "expr": "fleetscope_tasks_running{$fleets,task=\"merge\"} > 1", "for": "30s" }],
        "objectLabels": { "team": "review" },
    }));
    let fleets = [fleet("agents", "a")];
    let rendered = desired(&input(Policy::Namespaced(&policy), &fleets, &[]), &site(), Installed::all()).unwrap();
    let body = json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {
            "name": "nightly-alerts",
            "namespace": "agents",
            "labels": {
                "app.kubernetes.io/managed-by": "fleetscope-operator",
                "app.kubernetes.io/name": "fleetscope",
                "fleetscope.io/policy": "nightly",
                "release": "kps",
                "team": "review",
            },
            "ownerReferences": [{
                "apiVersion": "fleetscope.io/v1alpha1", "controller": true, "kind": "AlertPolicy", "name": "nightly", "uid": "0b1c",
            }],
        },
        "spec": { "groups": [
            {
                "name": "AlertPolicy/agents/nightly/invariants",
                "interval": "30s",
                "rules": [{
                    "alert": "FleetInvariantViolated",
                    "expr": "fleetscope_tasks_running{namespace=\"agents\",fleet!=\"\",task=\"merge\"} > 1",
                    "for": "30s",
                    "labels": {
                        "invariant": "one-merge", "policy": "agents/nightly", "severity": "critical", "source": "fleetscope",
                        "namespace": "{{ with $labels.namespace }}{{ . }}{{ else }}agents{{ end }}",
                    },
                    "annotations": {
                        "summary": "{{ with $labels.fleet }}Fleet {{ $labels.namespace }}/{{ . }}{{ else }}Policy agents/nightly{{ end }}: the invariant one-merge is violated",
                        "description": "The invariant one-merge of the policy agents/nightly must never have a result, and has the value {{ $value }}.",
                        "runbook_url": "https://github.com/fleetscope/fleetscope/blob/main/docs/runbooks/FleetInvariantViolated.md",
                    },
                }],
            },
            {
                "name": "AlertPolicy/agents/nightly/policy",
                "interval": "30s",
                "rules": [{
                    "record": "fleetscope:policy_generation:info",
                    "expr": "vector(3)",
                    "labels": { "namespace": "agents", "policy": "agents/nightly" },
                }],
            },
        ] },
    });
    let object = Desired {
        kind: ChildKind::PrometheusRule,
        name: "nightly-alerts".to_owned(),
        namespace: "agents".to_owned(),
        body,
    };
    assert_eq!(
        rendered,
        Rendered { objects: vec![object], alerts: 1, recordings: 1, receivers: 0, warnings: Vec::new() }
    );
}

#[test]
fn without_the_kind_it_is_a_rule_file_with_the_same_groups() {
    let policy =
        policy(&json!({ "catalogue": { "enabled": false }, "rules": [{ "alert": "yes", "expr": "up == 0" }] }));
    let fleets = [fleet("agents", "a")];
    let input = input(Policy::Namespaced(&policy), &fleets, &[]);
    let rendered = desired(&input, &site(), Installed::default()).unwrap();
    let [object] = &rendered.objects[..] else { panic!("{rendered:?}") };
    assert_eq!((object.kind, object.name.as_str()), (ChildKind::ConfigMap, "nightly-alerts"));
    let file: Value = serde_saphyr::from_str(object.body["data"][RULES].as_str().unwrap()).unwrap();
    assert_eq!(file, json!({ "groups": groups(&input).unwrap().0 }));
}

#[test]
fn a_suspended_policy_asks_for_nothing_and_is_still_checked() {
    let suspended = policy(&json!({ "suspend": true }));
    let rendered = desired(&input(Policy::Namespaced(&suspended), &[], &[]), &site(), Installed::all()).unwrap();
    assert_eq!(rendered, Rendered::default());
    let wrong = policy(&json!({ "suspend": true, "rules": [{ "alert": "A", "expr": "sum(" }] }));
    assert!(desired(&input(Policy::Namespaced(&wrong), &[], &[]), &site(), Installed::all()).is_err());
}

#[test]
fn an_slo_records_two_rates_and_derives_the_rest() {
    let policy = policy(&json!({ "catalogue": { "enabled": false }, "slos": [{
        "name": "merges", "objective": "99.9", "indicator": { "taskSuccess": { "task": "merge" } },
    }] }));
    let rules = rules_of(Policy::Namespaced(&policy), &[fleet("agents", "a")]);
    let total =
        "sum by (namespace, fleet) (rate(fleetscope_tasks_total{namespace=\"agents\",fleet!=\"\",task=\"merge\"}[5m]))";
    let good = total.replace("task=\"merge\"", "task=\"merge\",result=~\"success\"");
    let m = "{slo=\"merges\",policy=\"agents/nightly\"}";
    let of = |rule: &Rule| (rule.record.clone().or(rule.alert.clone()).unwrap(), rule.expr.clone());
    let dense = |w: &str| {
        let sums = format!(
            "sum_over_time(fleetscope:slo_good:rate5m{m}[{w}]) / (sum_over_time(fleetscope:slo_total:rate5m{m}[{w}]) > 0)"
        );
        (format!("fleetscope:slo_errors:ratio_rate{w}"), format!("clamp_min(1 - {sums}, 0)"))
    };
    let sparse = |w: &str| {
        let (name, expr) = dense(w);
        (name, expr.replace("_good:", "_good_sparse:").replace("_total:", "_total_sparse:"))
    };
    let owned = |name: &str, expr: String| (name.to_owned(), expr);
    let burn = |long: &str, short: &str, factor: &str| {
        format!(
            "(\n  fleetscope:slo_errors:ratio_rate{long}{m} > {factor} * 0.001\nand\n  fleetscope:slo_errors:ratio_rate{short}{m} > {factor} * 0.001\n)"
        )
    };
    let expected = [
        owned("fleetscope:slo_total:rate5m", total.to_owned()),
        owned("fleetscope:slo_good:rate5m", format!("(\n  {good}\n)\nor\n0 * (\n  {total}\n)")),
        owned(
            "fleetscope:slo_errors:ratio_rate5m",
            format!("clamp_min(1 - fleetscope:slo_good:rate5m{m} / (fleetscope:slo_total:rate5m{m} > 0), 0)"),
        ),
        dense("30m"),
        dense("1h"),
        dense("2h"),
        dense("6h"),
        owned("FleetErrorBudgetBurnsFast", format!("{}\nor\n{}", burn("1h", "5m", "14.4"), burn("6h", "30m", "6"))),
        owned("FleetErrorBudgetBurnsSlowly", format!("{}\nor\n{}", burn("1d", "2h", "3"), burn("3d", "6h", "1"))),
        owned("fleetscope:slo_total_sparse:rate5m", format!("fleetscope:slo_total:rate5m{m}")),
        owned("fleetscope:slo_good_sparse:rate5m", format!("fleetscope:slo_good:rate5m{m}")),
        owned("fleetscope:slo_objective:ratio", "vector(0.999)".to_owned()),
        sparse("1d"),
        sparse("3d"),
        sparse("30d"),
        owned(
            "fleetscope:slo_error_budget:remaining_ratio",
            format!("1 - fleetscope:slo_errors:ratio_rate30d{m} / 0.001"),
        ),
    ];
    assert_eq!(rules.iter().map(of).collect::<Vec<_>>(), expected);
    let identity = texts([("slo", "merges"), ("policy", "agents/nightly")]);
    assert!(rules.iter().all(|rule| identity.iter().all(|(name, value)| rule.labels.get(name) == Some(value))));
}

#[test]
fn a_latency_objective_names_the_bucket_in_both_spellings_and_refuses_what_is_no_bound() {
    let spec = |threshold: &str| {
        json!({ "catalogue": { "enabled": false }, "slos": [{ "name": "s", "objective": "95", "alerting": false,
        "indicator": { "callLatency": { "role": "Client", "method": "a.B/C", "thresholdSeconds": threshold } } }] })
    };
    let fleets = [fleet("agents", "a"), SelectedFleet { call_bounds: vec![0.3, 1.0, 2.0], ..fleet("agents", "b") }];
    let policy_of_one = policy(&spec("1"));
    let rules = rules_of(Policy::Namespaced(&policy_of_one), &fleets);
    let bucket = "sum by (namespace, fleet) (rate(rpc_client_call_duration_seconds_bucket{namespace=\"agents\",fleet!=\"\",rpc_method=\"a.B/C\",le=~\"1|1\\\\.0\"}[5m]))";
    assert!(rules[1].expr.contains(bucket), "{}", rules[1].expr);
    let of_half = policy(&spec("0.5"));
    let faults = groups(&input(Policy::Namespaced(&of_half), &fleets, &[])).unwrap_err();
    assert_eq!(
        faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "spec.slos[0].indicator.callLatency.thresholdSeconds: 0.5 s is no bound of the histogram rpc_client_call_duration_seconds: set one of 1"
        ]
    );
    let of_half = groups(&input(Policy::Namespaced(&of_half), &fleets[..1], &[])).unwrap().0;
    assert!(serde_json::to_string(&of_half).unwrap().contains("le=\\\"0.5\\\""));
}

#[test]
fn a_budget_of_a_week_is_the_sum_of_seven_days() {
    let policy = policy(
        &json!({ "catalogue": { "enabled": false }, "budgets": [{ "name": "weekly", "limit": "0100.50", "period": "Week" }] }),
    );
    let rules = rules_of(Policy::Namespaced(&policy), &[fleet("agents", "a")]);
    let cost = "{namespace=\"agents\",fleet!=\"\",currency=\"USD\"}";
    let past = |series: &str, times: u32, unit: &str| {
        let term = |ago: u32| {
            let offset = if ago == 0 { String::new() } else { format!(" offset {ago}{unit}") };
            format!("  label_replace(last_over_time({series}{cost}[2h]{offset}), \"ago\", \"{ago}\", \"\", \"\")")
        };
        (0..times).map(term).collect::<Vec<_>>().join("\n  or\n")
    };
    let spent = "fleetscope:budget_spent:increase7d{budget=\"weekly\",policy=\"agents/nightly\"}";
    let of = |rule: &Rule| (rule.record.clone().or(rule.alert.clone()).unwrap(), rule.expr.clone());
    let expected = [
        ("fleetscope:budget:limit", "vector(100.5)".to_owned()),
        (
            "fleetscope:budget_spent:increase7d",
            format!("sum by (namespace, fleet) (\n{}\n)", past("fleet:llm_cost:increase1d", 7, "d")),
        ),
        (
            "fleetscope:budget_forecast:increase7d",
            format!("28 * sum by (namespace, fleet) (\n{}\n)", past("fleet:llm_cost:increase1h", 6, "h")),
        ),
        ("FleetBudgetNearlySpent", format!("{spent} >= 0.8 * 100.5")),
        ("FleetBudgetSpent", format!("{spent} >= 100.5")),
        (
            "FleetBudgetForecastOver",
            format!("{} > 100.5\nunless\n{spent} >= 100.5", spent.replace("spent", "forecast")),
        ),
    ];
    assert_eq!(rules.iter().map(of).collect::<Vec<_>>(), expected.map(|(name, expr)| (name.to_owned(), expr)));
    let labels = texts([
        ("budget", "weekly"),
        ("currency", "USD"),
        ("namespace", "{{ with $labels.namespace }}{{ . }}{{ else }}agents{{ end }}"),
        ("policy", "agents/nightly"),
        ("severity", "critical"),
        ("source", "fleetscope"),
    ]);
    assert_eq!(rules[4].labels, labels);
}

#[test]
fn a_cluster_policy_gives_way_to_those_of_namespaces_and_has_alerts_about_fleetscope() {
    let fleets = [fleet("agents", "a")];
    let of = |spec: &Value| {
        let policy = cluster_policy(spec);
        let (groups, _) = groups(&input(Policy::Cluster(&policy), &fleets, catalogue::alerts())).unwrap();
        groups.into_iter().flat_map(|group| group.rules).filter(|rule| rule.alert.is_some()).collect::<Vec<_>>()
    };
    let unless = "unless on (namespace, fleet) fleetscope:alert_policy:info";
    let by_default = of(&json!({}));
    for rule in &by_default {
        let about_itself = rule.alert.as_ref().is_some_and(|name| name.starts_with("Fleetscope"));
        assert_eq!(rule.expr.ends_with(unless), !about_itself, "{}", rule.expr);
    }
    let on = catalogue::alerts().iter().filter(|alert| alert.default_enabled).count();
    assert_eq!(by_default.len(), on);
    let enforced = of(&json!({ "enforced": true, "selfAlerts": false }));
    assert!(enforced.iter().all(|rule| !rule.expr.contains(unless) && rule.expr.contains("fleet!=\"\"")));
    assert!(enforced.len() < on);
}

#[test]
fn a_policy_of_a_namespace_records_what_it_covers() {
    let policy = policy(&json!({}));
    let fleets = [fleet("agents", "a"), SelectedFleet { decides: false, ..fleet("agents", "b") }];
    let (groups, _) = groups(&input(Policy::Namespaced(&policy), &fleets, catalogue::alerts())).unwrap();
    let covered = Rule::record(
        "fleetscope:alert_policy:info",
        "vector(1)",
        texts([("namespace", "agents"), ("fleet", "a"), ("policy", "agents/nightly")]),
    );
    assert_eq!(
        groups[0],
        Group {
            name: "AlertPolicy/agents/nightly/covered".to_owned(),
            interval: "30s".to_owned(),
            rules: vec![covered]
        }
    );
    let alerts = groups.iter().flat_map(|group| &group.rules).filter(|rule| rule.alert.is_some());
    assert!(alerts.into_iter().all(|rule| rule.expr.contains("namespace=\"agents\",fleet=\"a\"")));
}

#[test]
fn own_expressions_of_a_policy_with_selectors_are_held_to_its_fleets() {
    let policy = cluster_policy(&json!({
        "fleets": { "matchLabels": { "tier": "production" } },
        "catalogue": { "enabled": false },
        "rules": [{ "alert": "A", "expr": "sum(rate(x_total{$fleets}[5m])) > 1" }],
    }));
    let rules = rules_of(Policy::Cluster(&policy), &[fleet("agents", "a")]);
    let member = texts([("namespace", "agents"), ("fleet", "a"), ("policy", "fleetscope"), ("catalogue", "true")]);
    assert_eq!(rules[0], Rule::record("fleetscope:policy_member:info", "vector(1)", member));
    assert_eq!(
        rules[1].expr,
        "sum((rate(x_total{fleet!=\"\"}[5m]) and on (namespace, fleet) fleetscope:policy_member:info{policy=\"fleetscope\"})) > 1"
    );
}

#[test]
fn a_policy_of_500_large_rules_is_split_into_objects_below_the_limit() {
    let rules: Vec<Value> = (0..500)
        .map(|i| json!({ "alert": format!("Rule{i}"), "expr": format!("x{{$fleets}} > {i}"), "annotations": { "a": "\u{1F600}".repeat(1000) } }))
        .collect();
    let mut policy = policy(&json!({ "rules": rules }));
    policy.metadata = ObjectMeta { name: Some("n".repeat(253)), ..policy.metadata };
    let fleets = [fleet("agents", "a")];
    for installed in [Installed::all(), Installed::default()] {
        let rendered =
            desired(&input(Policy::Namespaced(&policy), &fleets, catalogue::alerts()), &site(), installed).unwrap();
        assert!(rendered.objects.len() > 5);
        let mut names = BTreeSet::new();
        for object in &rendered.objects {
            assert!(serde_json::to_vec(&object.body).unwrap().len() < 400 * 1024);
            assert!(object.name.len() <= 63 && names.insert(&object.name), "{}", object.name);
        }
        assert!(rendered.alerts > 500);
    }
}

#[test]
fn a_fleet_has_its_recordings_and_its_info() {
    let groups = recordings::fleet_recordings(
        "agents",
        "a",
        "Generic",
        catalogue::recordings(),
        vec![Rule::record("c", "d", Texts::new())],
    );
    let info = Rule::record(
        "fleet:info:one",
        "vector(1)",
        texts([("namespace", "agents"), ("fleet", "a"), ("profile", "Generic")]),
    );
    let shape: Vec<_> =
        groups.iter().map(|group| (group.name.as_str(), group.interval.as_str(), group.rules.len())).collect();
    let all = catalogue::recordings().len() + 1;
    assert_eq!(shape, [("AgentFleet/agents/a/recordings", "30s", all), ("AgentFleet/agents/a/profile", "15s", 1)]);
    assert_eq!(groups[0].rules[0], info);
    let rules: Vec<&Rule> = groups.iter().flat_map(|group| &group.rules).collect();
    let about = |rule: &&Rule| rule.expr.contains("namespace=\"agents\",fleet=\"a\"");
    assert_eq!(rules.iter().filter(|rule| about(rule)).count(), catalogue::recordings().len());
}

#[test]
fn the_sample_with_every_field_is_rendered() {
    let read = |text: &str| serde_saphyr::from_str::<Value>(text).unwrap();
    let mut object = read(include_str!("../../../tests/samples/alert-policy-everything.yaml"));
    object["metadata"]["namespace"] = json!("agents");
    let policy: AlertPolicy = admit_as(&object).unwrap();
    let rendered = desired(
        &input(Policy::Namespaced(&policy), &[fleet("agents", "a")], catalogue::alerts()),
        &site(),
        Installed::all(),
    );
    assert_eq!(rendered.map(|rendered| (rendered.objects.len(), rendered.warnings)), Ok((1, Vec::new())));
    let object = read(include_str!("../../../tests/samples/cluster-alert-policy-everything.yaml"));
    let policy: ClusterAlertPolicy = admit_as(&object).unwrap();
    let rendered = desired(
        &input(Policy::Cluster(&policy), &[fleet("agents", "a")], catalogue::alerts()),
        &site(),
        Installed::all(),
    );
    assert_eq!(rendered.map(|rendered| (rendered.objects.len(), rendered.warnings)), Ok((1, Vec::new())));
}
