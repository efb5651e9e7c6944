//! What a policy is refused for, in whole sentences.

use super::*;

fn faults(changes: &Value) -> Vec<String> {
    let policy = policy(MINIMAL, changes);
    let faults = desired(&policy, &fleets(), &site(), Installed::all()).err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn settings_that_a_form_does_not_have_are_told() {
    let oauth2 = json!({
        "output": "ConfigMap",
        "scrapeClass": "own",
        "oauth2": { "clientId": { "name": "s", "key": "a" }, "clientSecret": { "name": "s", "key": "b" }, "tokenUrl": "https://a.b" },
    });
    assert_eq!(
        faults(&oauth2),
        [
            "spec.oauth2: a plain scrape configuration takes the client id in clear, not from a Secret: set output to PodMonitor or ScrapeConfig, with prometheus-operator, or use basicAuth or authorization",
            "spec.scrapeClass: a plain scrape configuration has no scrape classes, they are prometheus-operator's: remove it, or set output to PodMonitor or ScrapeConfig, with prometheus-operator",
        ]
    );
    assert_eq!(
        faults(&json!({ "followRedirects": false })),
        [
            "spec.followRedirects: a ScrapeConfig of prometheus-operator cannot refuse redirects: remove it, or move the static targets to a policy of their own, or set output to ConfigMap"
        ]
    );
    assert_eq!(faults(&json!({ "followRedirects": false, "static": [] })), [""; 0]);
}

#[test]
fn a_suspended_policy_is_checked_too() {
    assert_eq!(faults(&json!({ "suspend": true, "followRedirects": false })).len(), 1);
}

/// Relabelings that Prometheus refuses, and the field that is told.
#[test]
fn relabelings_that_prometheus_refuses_are_told() {
    let only = "means nothing to this action, and Prometheus refuses it: remove it";
    let name = "targetLabel: is no name of a label: use letters, digits and _, and with replace ${1}";
    for (step, says) in [
        (
            json!({ "regex": "a(", "targetLabel": "a" }),
            "regex: is no regular expression: unclosed group: correct it; the syntax is RE2's".to_owned(),
        ),
        (json!({ "targetLabel": "a${}" }), name.to_owned()),
        (json!({ "action": "lowercase", "targetLabel": "${1}" }), name.to_owned()),
        (
            json!({ "action": "labelmap", "replacement": "1-" }),
            "replacement: is no name of a label: use letters, digits, _ and ${1}".to_owned(),
        ),
        (json!({ "action": "labeldrop", "regex": "a", "sourceLabels": ["b"] }), format!("sourceLabels: {only}")),
        (json!({ "action": "labelkeep", "regex": "a", "separator": "/" }), format!("separator: {only}")),
        (
            json!({ "action": "keepequal", "sourceLabels": ["a"], "targetLabel": "b", "regex": "a" }),
            format!("regex: {only}"),
        ),
        (
            json!({ "action": "uppercase", "sourceLabels": ["a"], "targetLabel": "b", "replacement": "a" }),
            format!("replacement: {only}"),
        ),
    ] {
        for field in ["relabelings", "metricRelabelings"] {
            assert_eq!(faults(&json!({ field: [step] })), [format!("spec.{field}[0].{says}")], "{step}");
        }
    }
}

#[test]
fn relabelings_that_prometheus_takes_are_taken() {
    let steps = json!([
        { "sourceLabels": ["a"], "targetLabel": "b_${1}_$2" },
        { "action": "labeldrop", "regex": "a|b" },
        { "action": "labelmap", "regex": "x_(.+)" },
        { "action": "labelmap", "regex": "x_(.+)", "replacement": "y_${1}" },
        { "action": "dropequal", "sourceLabels": ["a"], "targetLabel": "b" },
        { "action": "hashmod", "sourceLabels": ["a"], "targetLabel": "__tmp", "modulus": 7 },
        { "action": "uppercase", "sourceLabels": ["a"], "targetLabel": "b" },
        { "action": "keep", "sourceLabels": ["a", "b"], "separator": "", "regex": "\\d+|x?" },
    ]);
    assert_eq!(faults(&json!({ "relabelings": steps, "metricRelabelings": steps })), [""; 0]);
}
