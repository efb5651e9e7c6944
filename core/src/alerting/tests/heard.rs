//! Alerts have what their receivers' routes ask for, or a warning says that they have not.

use super::*;

const NAMESPACE: &str = "{{ with $labels.namespace }}{{ . }}{{ else }}agents{{ end }}";

#[test]
fn alerts_of_a_policy_of_a_namespace_have_its_name_whatever_their_expressions_leave() {
    let policy = policy(&json!({
        "catalogue": { "enabled": false, "labels": { "team": "review" } },
        "rules": [
            { "alert": "Plain", "expr": "sum(x{$fleets}) > 1" },
            { "alert": "Elsewhere", "expr": "sum(x{$fleets}) > 1", "labels": { "namespace": "other" } },
            { "record": "r", "expr": "sum(x{$fleets})" },
        ],
        "invariants": [{ "name": "i", "expr": "sum(x{$fleets}) > 1" }],
        "slos": [{ "name": "s", "objective": "99", "indicator": { "ratio": {
            "good": "sum(rate(g{$fleets}[$window]))", "total": "sum(rate(t{$fleets}[$window]))",
        } } }],
    }));
    let rules = rules_of(Policy::Namespaced(&policy), &[fleet("agents", "a")]);
    let alerts = rules.iter().filter_map(|rule| Some((rule.alert.as_deref()?, rule.labels["namespace"].as_str())));
    assert_eq!(
        alerts.collect::<Vec<_>>(),
        [
            ("Plain", NAMESPACE),
            ("Elsewhere", "other"),
            ("FleetErrorBudgetBurnsFast", NAMESPACE),
            ("FleetErrorBudgetBurnsSlowly", NAMESPACE),
            ("FleetInvariantViolated", NAMESPACE),
        ]
    );
    let recorded = rules.iter().filter(|rule| rule.record.is_some());
    assert!(recorded.into_iter().all(|rule| !rule.labels.contains_key("namespace")));
}

/// What is warned of in a policy with these routes, and an own rule and an invariant that may not have what the routes ask for.
fn warned(cluster: bool, expr: &str, labels: &Value, routing: &Value) -> Vec<String> {
    let hook = |name: &str| json!({ "name": name, "webhook": { "url": format!("http://{name}/") } });
    let mut spec = json!({
        "catalogue": { "enabled": false }, "receivers": [hook("one"), hook("two")],
        "rules": [{ "alert": "Mine", "expr": expr, "labels": labels }],
        "invariants": [{ "name": "i", "expr": expr }],
    });
    spec.as_object_mut().unwrap().extend(routing.as_object().unwrap().clone());
    let fleets = [fleet("agents", "a")];
    let (of_namespace, of_cluster) = (policy(&spec), cluster_policy(&spec));
    let policy = if cluster { Policy::Cluster(&of_cluster) } else { Policy::Namespaced(&of_namespace) };
    groups(&input(policy, &fleets, &[])).unwrap().1
}

#[test]
fn an_alert_without_a_label_that_each_of_its_routes_asks_for_is_warned_of() {
    let to = |route: Value| json!({ "routes": [route] });
    let of_team = to(json!({ "receiver": "one", "namespaces": ["agents"] }));
    let nobody = |label: &str| {
        ["spec.rules[0].expr", "spec.invariants[0].expr"].map(|path| {
            format!("{path}: its result has no label {label}, which each route that could take the alert asks for: nobody is told")
        })
    };
    let (plain, none) = ("sum(x{$fleets}) > 1", json!({}));
    assert_eq!(warned(true, plain, &none, &of_team), nobody("namespace"));
    // A policy of a namespace gives it, and a label of the rule, too.
    assert_eq!(warned(false, plain, &none, &of_team), [""; 0]);
    assert_eq!(warned(true, plain, &json!({ "namespace": "agents" }), &of_team), nobody("namespace")[1..]);
    let of_fleet = to(json!({ "receiver": "one", "fleets": ["a"] }));
    assert_eq!(warned(false, plain, &none, &of_fleet), nobody("fleet"));
    // The labels are there, or nothing is known of them.
    for expr in ["sum by (namespace, fleet) (x{$fleets}) > 1", "x{$fleets} > 1", "absent(x{$fleets})"] {
        assert_eq!(warned(true, expr, &none, &of_team), [""; 0], "{expr}");
    }
    // Another route takes it; and nobody takes any alert, as the policy wants it.
    for routing in [
        json!({ "routes": [{ "receiver": "one", "namespaces": ["agents"] }, { "receiver": "two" }] }),
        json!({ "routes": [{ "receiver": "one", "namespaces": ["agents"] }], "defaultReceiver": "two" }),
        json!({ "routes": [{ "receiver": "one", "severities": ["info"] }] }),
        json!({}),
    ] {
        assert_eq!(warned(true, plain, &none, &routing), [""; 0], "{routing}");
    }
    // The other route takes other alerts only.
    let by_alert = json!({ "routes": [
        { "receiver": "one", "namespaces": ["agents"] }, { "receiver": "two", "alerts": ["FleetInv*"], "severities": ["critical"] },
    ] });
    assert_eq!(warned(true, plain, &none, &by_alert), nobody("namespace")[..1]);
}
