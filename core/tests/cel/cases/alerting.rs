//! Of what `AlertPolicy` and `ClusterAlertPolicy` have in common, but for receivers and routes.

use serde_json::{Value, json};

use super::{Pair, leak};

pub(super) fn cases() -> Vec<Pair> {
    let slo = |objective: &str, indicator: Value| json!({ "slos": [{ "name": "s", "objective": objective, "indicator": indicator }] });
    let ratio = |good: &str| slo("99", json!({ "ratio": { "good": good, "total": "rate(b[$window])" } }));
    let overrides = |all: Value| json!({ "catalogue": { "overrides": all } });
    let twice = |list: &str, item: Value, other: Value| (json!({ list: [item, other] }), json!({ list: [item, item] }));
    let labels =
        "keys are label names of Prometheus; alertname, namespace, fleet, severity, policy and source are set already";
    let budget = |name: &str| json!({ "name": name, "limit": "1" });
    let invariant = |name: &str| json!({ "name": name, "expr": "up == 0" });
    let objective = |name: &str| json!({ "name": name, "objective": "99", "indicator": { "taskSuccess": {} } });
    let (good_slos, bad_slos) = twice("slos", objective("a"), objective("b"));
    let (good_budgets, bad_budgets) = twice("budgets", budget("a"), budget("b"));
    let (good_invariants, bad_invariants) = twice("invariants", invariant("a"), invariant("b"));
    let objective = "spec.slos[0].objective: an objective is a percentage from 50 to 99.999, for example 99.9";
    let one = "spec.slos[0].indicator: an indicator is exactly one of taskSuccess, taskLatency, callSuccess, callLatency and ratio";
    let own = |rule: Value| json!({ "rules": [rule] });
    vec![
        (
            own(json!({ "alert": "A", "expr": "up" })),
            own(json!({ "expr": "up" })),
            "spec.rules[0]: a rule has either alert or record",
        ),
        (
            own(json!({ "record": "a:b", "expr": "up", "labels": { "a": "b" } })),
            own(json!({ "record": "a:b", "expr": "up", "annotations": { "a": "b" } })),
            "spec.rules[0]: a recording has no severity, keepFiringFor or annotations",
        ),
        (
            own(json!({ "alert": "A", "expr": "up", "labels": { "team": "a" } })),
            own(json!({ "alert": "A", "expr": "up", "labels": { "source": "a" } })),
            "spec.rules[0].labels: keys are label names of Prometheus; alertname, severity, policy and source are set already",
        ),
        (
            own(json!({ "alert": "A", "expr": "up", "annotations": { "a_b": "a" } })),
            own(json!({ "alert": "A", "expr": "up", "annotations": { "a-b": "a" } })),
            "spec.rules[0].annotations: keys are label names of Prometheus",
        ),
        (
            json!({ "catalogue": { "labels": { "team": "a" } } }),
            json!({ "catalogue": { "labels": { "fleet": "a" } } }),
            leak(format!("spec.catalogue.labels: {labels}")),
        ),
        (
            overrides(json!([{ "alert": "A", "labels": { "team": "a" } }])),
            overrides(json!([{ "alert": "A", "labels": { "policy": "a" } }])),
            leak(format!("spec.catalogue.overrides[0].labels: {labels}")),
        ),
        (
            overrides(json!([{ "alert": "A", "annotations": { "a": "a" } }])),
            overrides(json!([{ "alert": "A", "annotations": { "1a": "a" } }])),
            "spec.catalogue.overrides[0].annotations: keys are label names of Prometheus",
        ),
        (
            overrides(json!([{ "alert": "A" }, { "alert": "A", "severity": "critical" }, { "alert": "B" }])),
            overrides(json!([{ "alert": "A", "severity": "critical" }, { "alert": "A", "severity": "critical" }])),
            "spec.catalogue.overrides: one alert is not overridden twice at the same severity",
        ),
        (good_slos, bad_slos, "spec.slos: names of SLOs are unique"),
        (good_budgets, bad_budgets, "spec.budgets: names of budgets are unique"),
        (good_invariants, bad_invariants, "spec.invariants: names of invariants are unique"),
        (slo("50", json!({ "taskSuccess": {} })), slo("49.99", json!({ "taskSuccess": {} })), objective),
        (slo("99.999", json!({ "taskSuccess": {} })), slo("100", json!({ "taskSuccess": {} })), objective),
        (slo("99", json!({ "callSuccess": {} })), slo("99", json!({})), one),
        (
            slo("99", json!({ "taskLatency": { "thresholdSeconds": "5" } })),
            slo("99", json!({ "callSuccess": {}, "taskSuccess": {} })),
            one,
        ),
        (
            ratio("rate(a[$window])"),
            ratio("rate(a[5m])"),
            "spec.slos[0].indicator.ratio: both expressions take rates over [$window]",
        ),
        (
            json!({ "budgets": [{ "name": "a", "limit": "0.01" }] }),
            json!({ "budgets": [{ "name": "a", "limit": "0.00" }] }),
            "spec.budgets[0].limit: a limit is above 0",
        ),
        (
            json!({ "objectLabels": { "a": "b" } }),
            json!({ "objectLabels": { "a/b/c": "b" } }),
            "spec.objectLabels: keys are label keys: an optional DNS prefix and /, then at most 63 letters, digits, and - _ . inside",
        ),
        (
            json!({ "objectLabels": { "a": "b" } }),
            json!({ "objectLabels": { "fleetscope.io/a": "b" } }),
            "spec.objectLabels: labels of fleetscope.io/ and app.kubernetes.io/ are the operator's own",
        ),
    ]
}
