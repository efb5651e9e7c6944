//! What the CEL rules of the policies say: for each rule a spec that is good, and one that is bad, with the sentence.

use fleetscope_core::api::admission::{Fault, admit_any, admit_as};
use fleetscope_core::api::{
    AlertPolicy, AlertPolicySpec, ClusterAlertPolicy, ClusterAlertPolicySpec, ScrapePolicy, ScrapePolicySpec,
};
use serde_json::{Value, json};

/// A kind, a spec that is good, one that is bad, and what is said about it.
type Case = (&'static str, Value, Value, &'static str);

fn object(kind: &str, spec: &Value) -> Value {
    json!({ "apiVersion": "fleetscope.io/v1alpha1", "kind": kind, "metadata": { "name": "p" }, "spec": spec })
}

fn said(kind: &str, spec: &Value) -> String {
    let faults = admit_any(&object(kind, spec)).err().map(|refused| refused.faults).unwrap_or_default();
    faults.iter().map(|Fault { path, message }| format!("{path}: {message}")).collect::<Vec<_>>().join("; ")
}

fn scrape_cases() -> Vec<Case> {
    let kind = "ScrapePolicy";
    let (secret, label) = (json!({ "name": "s", "key": "k" }), json!({ "matchLabels": { "a": "b" } }));
    let relabelings = |relabeling: Value| json!({ "pods": {}, "relabelings": [relabeling] });
    let modulus = "spec.relabelings[0].modulus: modulus goes with hashmod alone";
    let both = json!({ "pods": {}, "basicAuth": { "username": secret, "password": secret }, "authorization": { "credentials": secret } });
    let target = "spec.relabelings[0].targetLabel: this action takes targetLabel";
    let identity = "spec.relabelings[0].targetLabel: namespace and fleet say whose a series is, and stay";
    let names = "keys are label names of Prometheus; namespace, fleet, job and instance are set already";
    let timeout = "spec.scrapeTimeout: scrapeTimeout (default 10s) must not be longer than interval";
    let vm = |labels: Value| json!({ "static": [{ "targets": ["a:1"], "fleet": "f", "labels": labels }] });
    vec![
        (kind, json!({ "pods": {} }), json!({}), "spec: a policy says what is scraped: set pods, static, or both"),
        (kind, json!({ "pods": {}, "interval": "10s" }), json!({ "pods": {}, "interval": "9s" }), timeout),
        (
            kind,
            json!({ "pods": {}, "interval": "2m" }),
            json!({ "pods": {}, "interval": "121s" }),
            "spec.interval: interval is from 1s to 2m: rules take rates over 5m, and Prometheus forgets a sample after as long",
        ),
        (
            kind,
            json!({ "pods": {}, "scrapeTimeout": "1s" }),
            json!({ "pods": {}, "scrapeTimeout": "0s" }),
            "spec.scrapeTimeout: scrapeTimeout is at least 1s",
        ),
        (
            kind,
            json!({ "pods": {}, "output": "ServiceMonitor", "services": label }),
            json!({ "pods": {}, "output": "ServiceMonitor" }),
            "spec.services: output ServiceMonitor takes services: which Services have the fleets' pods behind them",
        ),
        (
            kind,
            json!({ "pods": {}, "authorization": { "credentials": secret } }),
            both,
            "spec: at most one of basicAuth, authorization and oauth2",
        ),
        (
            kind,
            json!({ "pods": { "port": "m" } }),
            json!({ "pods": { "port": "m", "portNumber": 1 } }),
            "spec.pods: at most one of port and portNumber",
        ),
        (
            kind,
            json!({ "pods": {}, "authorization": { "type": "Token", "credentials": secret } }),
            json!({ "pods": {}, "authorization": { "type": "BASIC", "credentials": secret } }),
            "spec.authorization.type: for Basic, set basicAuth",
        ),
        (
            kind,
            json!({ "pods": {}, "tls": { "cert": secret, "key": secret } }),
            json!({ "pods": {}, "tls": { "cert": secret } }),
            "spec.tls: cert and key go together",
        ),
        (kind, relabelings(json!({ "targetLabel": "a" })), relabelings(json!({})), target),
        (kind, relabelings(json!({ "action": "labeldrop" })), relabelings(json!({ "action": "lowercase" })), target),
        (
            kind,
            relabelings(json!({ "action": "hashmod", "targetLabel": "a", "modulus": 2 })),
            relabelings(json!({ "action": "hashmod", "targetLabel": "a" })),
            modulus,
        ),
        (
            kind,
            relabelings(json!({ "targetLabel": "fleets" })),
            relabelings(json!({ "targetLabel": "namespace" })),
            identity,
        ),
        (
            kind,
            json!({ "pods": {}, "targetLabels": { "env": "x" } }),
            json!({ "pods": {}, "targetLabels": { "job": "x" } }),
            Box::leak(format!("spec.targetLabels: {names}").into_boxed_str()),
        ),
        (
            kind,
            vm(json!({ "env": "x" })),
            vm(json!({ "e-v": "x" })),
            "spec.static[0].labels: keys are label names of Prometheus; namespace, fleet and job are set already",
        ),
        (
            kind,
            json!({ "pods": {}, "objectLabels": { "example.com/a": "b" } }),
            json!({ "pods": {}, "objectLabels": { "-a": "b" } }),
            "spec.objectLabels: keys are label keys: an optional DNS prefix and /, then at most 63 letters, digits, and - _ . inside",
        ),
        (
            kind,
            json!({ "pods": {}, "objectLabels": { "a": "b" } }),
            json!({ "pods": {}, "objectLabels": { "app.kubernetes.io/name": "b" } }),
            "spec.objectLabels: labels of fleetscope.io/ and app.kubernetes.io/ are the operator's own",
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn alert_cases(kind: &'static str) -> Vec<Case> {
    let slo = |objective: &str, indicator: Value| json!({ "slos": [{ "name": "s", "objective": objective, "indicator": indicator }] });
    let ratio = |good: &str| slo("99", json!({ "ratio": { "good": good, "total": "rate(b[$window])" } }));
    let overrides = |all: Value| json!({ "catalogue": { "overrides": all } });
    let twice = |list: &str, item: Value, other: Value| (json!({ list: [item, other] }), json!({ list: [item, item] }));
    let labels =
        "keys are label names of Prometheus; alertname, namespace, fleet, severity, policy and source are set already";
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
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
            kind,
            own(json!({ "alert": "A", "expr": "up" })),
            own(json!({ "expr": "up" })),
            "spec.rules[0]: a rule has either alert or record",
        ),
        (
            kind,
            own(json!({ "record": "a:b", "expr": "up", "labels": { "a": "b" } })),
            own(json!({ "record": "a:b", "expr": "up", "annotations": { "a": "b" } })),
            "spec.rules[0]: a recording has no severity, keepFiringFor or annotations",
        ),
        (
            kind,
            own(json!({ "alert": "A", "expr": "up", "labels": { "team": "a" } })),
            own(json!({ "alert": "A", "expr": "up", "labels": { "source": "a" } })),
            "spec.rules[0].labels: keys are label names of Prometheus; alertname, severity, policy and source are set already",
        ),
        (
            kind,
            own(json!({ "alert": "A", "expr": "up", "annotations": { "a_b": "a" } })),
            own(json!({ "alert": "A", "expr": "up", "annotations": { "a-b": "a" } })),
            "spec.rules[0].annotations: keys are label names of Prometheus",
        ),
        (
            kind,
            json!({ "catalogue": { "labels": { "team": "a" } } }),
            json!({ "catalogue": { "labels": { "fleet": "a" } } }),
            leak(format!("spec.catalogue.labels: {labels}")),
        ),
        (
            kind,
            overrides(json!([{ "alert": "A", "labels": { "team": "a" } }])),
            overrides(json!([{ "alert": "A", "labels": { "policy": "a" } }])),
            leak(format!("spec.catalogue.overrides[0].labels: {labels}")),
        ),
        (
            kind,
            overrides(json!([{ "alert": "A", "annotations": { "a": "a" } }])),
            overrides(json!([{ "alert": "A", "annotations": { "1a": "a" } }])),
            "spec.catalogue.overrides[0].annotations: keys are label names of Prometheus",
        ),
        (
            kind,
            overrides(json!([{ "alert": "A" }, { "alert": "A", "severity": "critical" }, { "alert": "B" }])),
            overrides(json!([{ "alert": "A", "severity": "critical" }, { "alert": "A", "severity": "critical" }])),
            "spec.catalogue.overrides: one alert is not overridden twice at the same severity",
        ),
        (kind, good_slos, bad_slos, "spec.slos: names of SLOs are unique"),
        (kind, good_budgets, bad_budgets, "spec.budgets: names of budgets are unique"),
        (kind, good_invariants, bad_invariants, "spec.invariants: names of invariants are unique"),
        (kind, slo("50", json!({ "taskSuccess": {} })), slo("49.99", json!({ "taskSuccess": {} })), objective),
        (kind, slo("99.999", json!({ "taskSuccess": {} })), slo("100", json!({ "taskSuccess": {} })), objective),
        (kind, slo("99", json!({ "callSuccess": {} })), slo("99", json!({})), one),
        (
            kind,
            slo("99", json!({ "taskLatency": { "thresholdSeconds": "5" } })),
            slo("99", json!({ "callSuccess": {}, "taskSuccess": {} })),
            one,
        ),
        (
            kind,
            ratio("rate(a[$window])"),
            ratio("rate(a[5m])"),
            "spec.slos[0].indicator.ratio: both expressions take rates over [$window]",
        ),
        (
            kind,
            json!({ "budgets": [{ "name": "a", "limit": "0.01" }] }),
            json!({ "budgets": [{ "name": "a", "limit": "0.00" }] }),
            "spec.budgets[0].limit: a limit is above 0",
        ),
        (
            kind,
            json!({ "objectLabels": { "a": "b" } }),
            json!({ "objectLabels": { "a/b/c": "b" } }),
            "spec.objectLabels: keys are label keys: an optional DNS prefix and /, then at most 63 letters, digits, and - _ . inside",
        ),
        (
            kind,
            json!({ "objectLabels": { "a": "b" } }),
            json!({ "objectLabels": { "fleetscope.io/a": "b" } }),
            "spec.objectLabels: labels of fleetscope.io/ and app.kubernetes.io/ are the operator's own",
        ),
    ]
}

#[test]
fn every_rule_of_the_policies_says_what_is_wrong() {
    let selectors = |kind: &'static str, field: &'static str| -> Case {
        let selector = |values: Value| json!({ "pods": {}, field: { "matchExpressions": [{ "key": "a", "operator": "In", "values": values }] } });
        let fit = |mut spec: Value| {
            if kind != "ScrapePolicy" {
                spec.as_object_mut().unwrap().remove("pods");
            }
            spec
        };
        let says = format!(
            "spec.{field}.matchExpressions[0].values: In and NotIn take values, Exists and DoesNotExist take none"
        );
        (kind, fit(selector(json!(["b"]))), fit(selector(json!([]))), Box::leak(says.into_boxed_str()))
    };
    let prices = |from: &str, until: &str| json!({ "models": [{ "model": "m", "from": from, "until": until, "perMillion": { "input": "1", "output": "1" } }] });
    let mut cases = scrape_cases();
    cases.extend(alert_cases("AlertPolicy"));
    cases.extend(alert_cases("ClusterAlertPolicy"));
    cases.extend([
        selectors("ScrapePolicy", "fleets"),
        selectors("ScrapePolicy", "services"),
        selectors("AlertPolicy", "fleets"),
        selectors("ClusterAlertPolicy", "fleets"),
        selectors("ClusterAlertPolicy", "namespaces"),
        (
            "ModelPriceList",
            prices("2026-01-01", "2026-01-02"),
            prices("2026-01-02", "2026-01-02"),
            "spec.models[0].until: from is before until",
        ),
    ]);
    for (kind, good, bad, says) in cases {
        assert_eq!(said(kind, &good), "", "{kind} {good}");
        assert_eq!(said(kind, &bad), says, "{kind} {bad}");
    }
}

#[test]
fn defaults_of_the_schemas_are_those_of_the_types() {
    let read: ScrapePolicy = admit_as(&object("ScrapePolicy", &json!({ "pods": {} }))).unwrap();
    let wanted = ScrapePolicySpec { pods: read.spec.pods.clone(), ..serde_json::from_value(json!({})).unwrap() };
    assert_eq!(read.spec, wanted);
    let read: AlertPolicy = admit_as(&object("AlertPolicy", &json!({}))).unwrap();
    assert_eq!(read.spec, AlertPolicySpec::default());
    let read: ClusterAlertPolicy = admit_as(&object("ClusterAlertPolicy", &json!({}))).unwrap();
    assert_eq!(read.spec, ClusterAlertPolicySpec { self_alerts: true, ..ClusterAlertPolicySpec::default() });
}
