//! The API server refuses what the operator would have to guess at.

use fleetscope_tests::command;
use serde_json::{Value, json};

use crate::scene::Scene;

/// What kubectl says to a fleet with this spec. `strict` refuses unknown fields, as kubectl does by default.
fn apply(namespace: &str, spec: &Value) -> (i32, String) {
    let fleet = json!({
        "apiVersion": "fleetscope.io/v1alpha1", "kind": "AgentFleet",
        "metadata": {"name": "wrong", "namespace": namespace}, "spec": spec,
    });
    let ran = command::run_with("kubectl", &["apply", "--validate=strict", "-f", "-"], &fleet.to_string()).unwrap();
    (ran.code, ran.stderr)
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn wrong_specs_are_refused_and_the_message_names_the_field() {
    let scene = Scene::open("refusals").await;
    let selector = json!({"matchLabels": {"a": "b"}});
    let rule = |rule: Value| json!({"selector": selector, "tasks": {"rules": [rule]}});
    for (spec, named) in [
        (json!({}), "spec.selector"),
        (json!({"selector": "app=x"}), "spec.selector"),
        (json!({"selector": selector, "selectr": {}}), "spec.selectr"),
        (json!({"selector": selector, "suspend": "yes"}), "spec.suspend"),
        (json!({"selector": selector, "tasks": {"rules": {}}}), "spec.tasks.rules"),
        (json!({"selector": selector, "tasks": {"maxUnmatched": -1}}), "maxUnmatched"),
        (json!({"selector": selector, "tasks": {"unmatched": "Drop"}}), "unmatched"),
        (json!({"selector": selector, "scrape": {"interval": "fast"}}), "spec.scrape.interval"),
        (json!({"selector": selector, "scrape": {"interval": "5s", "scrapeTimeout": "10s"}}), "scrapeTimeout"),
        (json!({"selector": selector, "scrape": {"output": "File"}}), "spec.scrape.output"),
        (rule(json!({"name": "merge"})), "match"),
        (rule(json!({"match": {"executable": "git"}})), "name"),
        (rule(json!({"name": "merge", "match": {"executable": "a/b"}})), "executable"),
        (rule(json!({"name": "merge", "match": {"executable": "git", "args": ["merge"]}})), "args"),
        (rule(json!({"name": "a b", "match": {"executable": "git"}})), "name"),
        (rule(json!({"name": "x", "ignore": true, "match": {"executable": "git"}})), "ignore"),
        (
            rule(json!({"name": "x", "match": {"executable": "git"}, "resultByExitCode": {"256": "failed"}})),
            "resultByExitCode",
        ),
        (
            rule(json!({"name": "x", "match": {"executable": "git"}, "resultByExitCode": {"1": "No!"}})),
            "resultByExitCode",
        ),
    ] {
        let (code, message) = apply(scene.namespace(), &spec);
        assert_ne!(code, 0, "{spec} was accepted");
        assert!(message.contains(named), "{spec}: {named} is not in {message}");
    }
    let (code, message) = apply(scene.namespace(), &rule(json!({"name": "merge", "match": {"executable": "git"}})));
    assert_eq!(code, 0, "{message}");
}
