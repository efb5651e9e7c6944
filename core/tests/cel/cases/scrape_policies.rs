//! Of `ScrapePolicy`.

use serde_json::{Value, json};

use super::{Pair, leak};

pub(super) fn cases() -> Vec<Pair> {
    let (secret, label) = (json!({ "name": "s", "key": "k" }), json!({ "matchLabels": { "a": "b" } }));
    let both = json!({ "pods": {}, "basicAuth": { "username": secret, "password": secret }, "authorization": { "credentials": secret } });
    let names = "keys are label names of Prometheus; namespace, fleet, job and instance are set already";
    let timeout = "spec.scrapeTimeout: scrapeTimeout (default 10s) must not be longer than interval";
    let vm = |labels: Value| json!({ "static": [{ "targets": ["a:1"], "fleet": "f", "labels": labels }] });
    let mut cases = vec![
        (json!({ "pods": {} }), json!({}), "spec: a policy says what is scraped: set pods, static, or both"),
        (json!({ "pods": {}, "interval": "10s" }), json!({ "pods": {}, "interval": "9s" }), timeout),
        (
            json!({ "pods": {}, "interval": "2m" }),
            json!({ "pods": {}, "interval": "121s" }),
            "spec.interval: interval is from 1s to 2m: rules take rates over 5m, and Prometheus forgets a sample after as long",
        ),
        (
            json!({ "pods": {}, "scrapeTimeout": "1s" }),
            json!({ "pods": {}, "scrapeTimeout": "0s" }),
            "spec.scrapeTimeout: scrapeTimeout is at least 1s",
        ),
        (
            json!({ "pods": {}, "output": "ServiceMonitor", "services": label }),
            json!({ "pods": {}, "output": "ServiceMonitor" }),
            "spec.services: output ServiceMonitor takes services: which Services have the fleets' pods behind them",
        ),
        (
            json!({ "pods": {}, "authorization": { "credentials": secret } }),
            both,
            "spec: at most one of basicAuth, authorization and oauth2",
        ),
        (
            json!({ "pods": { "port": "m" } }),
            json!({ "pods": { "port": "m", "portNumber": 1 } }),
            "spec.pods: at most one of port and portNumber",
        ),
        (
            json!({ "pods": {}, "authorization": { "type": "Token", "credentials": secret } }),
            json!({ "pods": {}, "authorization": { "type": "BASIC", "credentials": secret } }),
            "spec.authorization.type: for Basic, set basicAuth",
        ),
        (
            json!({ "pods": {}, "tls": { "cert": secret, "key": secret } }),
            json!({ "pods": {}, "tls": { "cert": secret } }),
            "spec.tls: cert and key go together",
        ),
        (
            json!({ "pods": {}, "targetLabels": { "env": "x" } }),
            json!({ "pods": {}, "targetLabels": { "job": "x" } }),
            leak(format!("spec.targetLabels: {names}")),
        ),
        (
            vm(json!({ "env": "x" })),
            vm(json!({ "e-v": "x" })),
            "spec.static[0].labels: keys are label names of Prometheus; namespace, fleet and job are set already",
        ),
        (
            json!({ "pods": {}, "objectLabels": { "example.com/a": "b" } }),
            json!({ "pods": {}, "objectLabels": { "-a": "b" } }),
            "spec.objectLabels: keys are label keys: an optional DNS prefix and /, then at most 63 letters, digits, and - _ . inside",
        ),
        (
            json!({ "pods": {}, "objectLabels": { "a": "b" } }),
            json!({ "pods": {}, "objectLabels": { "app.kubernetes.io/name": "b" } }),
            "spec.objectLabels: labels of fleetscope.io/ and app.kubernetes.io/ are the operator's own",
        ),
    ];
    cases.extend(["relabelings", "metricRelabelings"].into_iter().flat_map(relabelings));
    cases
}

/// Of one of the lists of steps.
fn relabelings(list: &str) -> Vec<Pair> {
    let step = |step: Value| json!({ "pods": {}, list: [step] });
    let says = |text: &str| leak(format!("spec.{list}[0].{text}"));
    let target = says("targetLabel: this action takes targetLabel");
    let identity = says("targetLabel: namespace and fleet say whose a series is, and stay");
    let modulus = says("modulus: modulus goes with hashmod alone");
    vec![
        (step(json!({ "targetLabel": "a" })), step(json!({})), target),
        (step(json!({ "action": "labeldrop" })), step(json!({ "action": "lowercase" })), target),
        (
            step(json!({ "action": "hashmod", "targetLabel": "a", "modulus": 2 })),
            step(json!({ "action": "hashmod", "targetLabel": "a" })),
            modulus,
        ),
        (step(json!({ "targetLabel": "fleets" })), step(json!({ "targetLabel": "namespace" })), identity),
    ]
}
