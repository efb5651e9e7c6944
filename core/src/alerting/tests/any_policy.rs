//! What holds for any policy that the API server would take.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::alerting::expression;

/// Values that a field may have or may not: names, durations, numbers, expressions, templates, lists, and what is none of these.
fn values() -> impl Strategy<Value = Value> {
    let texts = prop::sample::select(vec![
        "",
        "a",
        "A",
        "x-1",
        "FleetTaskSlow",
        "FleetscopeProbeFailed",
        "critical",
        "info",
        "5m",
        "0s",
        "1w2d",
        "99.9",
        "50",
        "0.000",
        "010",
        "30d",
        "7d",
        "Day",
        "Month",
        "Policy",
        "AgentType",
        "USD",
        "merge",
        "success",
        "a.B/C",
        "0.25",
        "300",
        "ConfigMap",
        "x{$fleets} > 1",
        "rate(x{$fleets}[$window])",
        "sum(",
        "up[1e300]",
        "-x{$fleets}",
        "\u{1F600}",
        "{{ $value }}",
        "{{ oops",
        "fleetscope:alert_policy:info",
        "Server",
        "Client",
        "http://r",
    ])
    .prop_map(Value::from);
    let leaf = prop_oneof![8 => texts, 1 => any::<bool>().prop_map(Value::from), 1 => (-1..200_i64).prop_map(Value::from), 1 => Just(Value::Null)];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys(), inner), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn keys() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "alert",
        "record",
        "expr",
        "for",
        "keepFiringFor",
        "severity",
        "labels",
        "annotations",
        "name",
        "objective",
        "window",
        "indicator",
        "taskSuccess",
        "taskLatency",
        "callSuccess",
        "callLatency",
        "ratio",
        "good",
        "total",
        "thresholdSeconds",
        "task",
        "group",
        "goodResults",
        "role",
        "method",
        "limit",
        "currency",
        "period",
        "per",
        "softPercent",
        "forecast",
        "threshold",
        "minimum",
        "enabled",
        "overrides",
        "team",
        "slo",
        "matchLabels",
    ])
    .prop_map(str::to_owned)
}

fn list(item: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::vec(item, 0..4).prop_map(Value::from)
}

/// A field of a spec with a value that it could have, and sometimes with any.
fn fields() -> impl Strategy<Value = (String, Value)> {
    let text = |options: &[&str]| prop::sample::select(options.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
    let expr = || {
        text(&[
            "x{$fleets} > 1",
            "sum(rate(x_total{$fleets}[5m]))",
            "absent(y{$fleets})",
            "-fleet:tasks:rate5m{$fleets}",
            "vector(1)",
        ])
    };
    let duration = || text(&["30s", "5m", "1h30m", "1d", "0s"]);
    let severity = || text(&["critical", "warning", "info"]);
    let alert = (text(&["A", "B", "FleetTaskSlow"]), expr(), duration(), severity(), text(&["a", "{{ $labels.fleet }}"])).prop_map(
        |(alert, expr, hold, severity, text)| {
            json!({ "alert": alert, "expr": expr, "for": hold, "severity": severity, "labels": { "team": text }, "annotations": { "summary": text } })
        },
    );
    let record = (text(&["r:a", "r:b"]), expr()).prop_map(|(record, expr)| json!({ "record": record, "expr": expr }));
    let indicator = prop_oneof![
        Just(json!({ "taskSuccess": { "task": "merge", "goodResults": ["success", "conflict"] } })),
        Just(json!({ "taskLatency": { "thresholdSeconds": "300" } })),
        Just(json!({ "callSuccess": { "role": "Client", "method": "a.\"B\\/C" } })),
        Just(json!({ "callLatency": { "thresholdSeconds": "0.25" } })),
        Just(json!({ "ratio": { "good": "rate(a{$fleets}[$window])", "total": "rate(b{$fleets}[$window])" } })),
    ];
    let slo = (text(&["s", "t"]), text(&["99.9", "50", "99.999"]), text(&["7d", "28d", "30d"]), indicator, any::<bool>()).prop_map(
        |(name, objective, window, indicator, alerting)| {
            json!({ "name": name, "objective": objective, "window": window, "indicator": indicator, "alerting": alerting })
        },
    );
    let budget = (text(&["b", "c"]), text(&["0.01", "100", "000100.50"]), text(&["Day", "Week", "Month"]), text(&["Fleet", "Model", "AgentType", "Policy"]), 0..100_i64)
        .prop_map(|(name, limit, period, per, soft)| json!({ "name": name, "limit": limit, "period": period, "per": per, "softPercent": soft }));
    let invariant = (text(&["i", "j"]), expr()).prop_map(|(name, expr)| json!({ "name": name, "expr": expr }));
    let over = (
        text(&["FleetTaskSlow", "FleetTaskFailureRatioHigh", "FleetLlmCostOverBudget"]),
        severity(),
        any::<Option<bool>>(),
    )
        .prop_map(|(alert, severity, enabled)| match enabled {
            Some(enabled) => json!({ "alert": alert, "severity": severity, "enabled": enabled }),
            None => json!({ "alert": alert, "severity": severity, "threshold": "0.5" }),
        });
    prop_oneof![
        4 => list(prop_oneof![alert, record]).prop_map(|v| ("rules".to_owned(), v)),
        4 => list(slo).prop_map(|v| ("slos".to_owned(), v)),
        4 => list(budget).prop_map(|v| ("budgets".to_owned(), v)),
        2 => list(invariant).prop_map(|v| ("invariants".to_owned(), v)),
        2 => list(over).prop_map(|v| ("catalogue".to_owned(), json!({ "overrides": v, "labels": { "team": "x" } }))),
        1 => duration().prop_map(|v| ("evaluationInterval".to_owned(), json!(v))),
        1 => text(&["Auto", "ConfigMap", "PrometheusRule"]).prop_map(|v| ("output".to_owned(), json!(v))),
        1 => Just(("fleets".to_owned(), json!({ "matchLabels": { "a": "b" } }))),
        1 => (keys(), values()),
        2 => (text(&["rules", "slos", "budgets", "invariants", "catalogue", "fleets", "objectLabels"]), values()),
    ]
}

fn fleets() -> impl Strategy<Value = Vec<SelectedFleet>> {
    let fleet =
        ("[a-z0-9]([-a-z0-9.]{0,40}[a-z0-9])?", any::<bool>(), any::<bool>()).prop_map(|(name, decides, other)| {
            SelectedFleet {
                decides,
                profile: if other { "Atoll" } else { "Generic" }.to_owned(),
                ..fleet("agents", &name)
            }
        });
    prop::collection::vec(fleet, 0..60).prop_map(|mut fleets| {
        fleets.sort_by(|a, b| a.name.cmp(&b.name));
        fleets.dedup_by(|a, b| a.name == b.name);
        fleets
    })
}

static PROFILES: LazyLock<Vec<ProfileAlerts<'static>>> = LazyLock::new(|| {
    let slow = ProfileAlert { threshold: Some("10".to_owned()), ..ProfileAlert::default() };
    let off = ProfileAlert { enabled: Some(false), ..ProfileAlert::default() };
    vec![ProfileAlerts { name: "Atoll", alerts: BTreeMap::from([("FleetTaskSlow", slow), ("FleetAgentFailed", off)]) }]
});

/// Renders the policy in both forms, if the API server would take it, and looks at what comes out.
fn render(object: &Value, cluster: bool, fleets: &[SelectedFleet]) -> Result<(), TestCaseError> {
    let (of_namespace, of_cluster): (Option<AlertPolicy>, Option<ClusterAlertPolicy>) =
        if cluster { (None, admit_as(object).ok()) } else { (admit_as(object).ok(), None) };
    let policy = match (&of_namespace, &of_cluster) {
        (Some(policy), _) => Policy::Namespaced(policy),
        (_, Some(policy)) => Policy::Cluster(policy),
        _ => return Ok(()),
    };
    let input = PolicyInput { policy, fleets, alerts: catalogue::alerts(), profiles: &PROFILES, known: &known };
    for installed in [Installed::all(), Installed::default()] {
        match desired(&input, &site(), installed) {
            Err(faults) => prop_assert!(!faults.is_empty()),
            Ok(rendered) => {
                for object in &rendered.objects {
                    prop_assert!(serde_json::to_vec(&object.body).unwrap().len() < 400 * 1024);
                }
            }
        }
    }
    let Ok((groups, warnings)) = groups(&input) else { return Ok(()) };
    prop_assert!(warnings.len() <= 32 && warnings.iter().all(|warning| warning.len() <= 1024));
    let (mut seen, mut names) = (BTreeSet::new(), BTreeSet::new());
    for group in &groups {
        prop_assert!(names.insert(&group.name), "{} is there twice", group.name);
        prop_assert!(!group.rules.is_empty() && group.weight() <= GROUP_BYTES + 1024);
        for rule in &group.rules {
            prop_assert!(seen.insert(rule.identity()), "{rule:?}");
            prop_assert!(expression::parse(&rule.expr).is_ok(), "{}", rule.expr);
            prop_assert!(rule.labels.contains_key("policy"), "{rule:?}");
        }
    }
    Ok(())
}

fn object(spec: &Value, cluster: bool) -> Value {
    let kind = if cluster { "ClusterAlertPolicy" } else { "AlertPolicy" };
    json!({
        "apiVersion": "fleetscope.io/v1alpha1", "kind": kind, "metadata": { "name": "p.q", "namespace": "agents" }, "spec": spec,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_policy_gives_rules_that_parse_and_are_there_once_or_is_refused(
        fields in prop::collection::vec(fields(), 0..6), cluster in any::<bool>(), fleets in fleets(),
    ) {
        let spec = Value::Object(fields.into_iter().collect());
        render(&object(&spec, cluster), cluster, &fleets)?;
    }

    #[test]
    fn check_09_any_json_is_refused_or_rendered_without_a_panic(spec in values(), cluster in any::<bool>()) {
        render(&object(&spec, cluster), cluster, &[fleet("agents", "a")])?;
    }
}
