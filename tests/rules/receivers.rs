//! Receivers and routes as Alertmanager reads them, and AlertmanagerConfigs as the schema of prometheus-operator has them.

mod any;

use std::path::{Path, PathBuf};

use fleetscope_core::alertmanager::{Policy, config_file, config_object, messages};
use fleetscope_core::api::admission::admit;
use fleetscope_core::api::receivers::Routing;
use fleetscope_tests::{command, skip};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// Whether amtool is there; if not, the test `name` is skipped.
fn has_amtool(name: &str) -> bool {
    let there = command::exists("amtool");
    if !there {
        skip::skip(name, "amtool is not on PATH: make setup, then make test-rules");
    }
    there
}

/// Writes a file of a test of this name. Its path.
fn write(test: &str, name: &str, content: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("receivers").join(test);
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

fn policy(routing: &Routing) -> Policy<'_> {
    Policy { namespace: "agents", name: "nightly-receivers", label: "agents/nightly", routing }
}

/// The file for one policy.
fn file(routing: &Routing) -> String {
    config_file::text(&[policy(routing)]).unwrap()
}

fn routing(value: &Value) -> Routing {
    any::read(value).unwrap()
}

/// One receiver of each kind with what it needs, and one with all that it can have.
fn kinds() -> Vec<(&'static str, Value)> {
    let secret = |name: &str| json!({ "name": name, "key": "value" });
    let mail = json!({ "to": "a@example.com", "from": "b@example.com", "smarthost": "mail.example.com:25" });
    let mut full_mail = mail.clone();
    for (field, value) in [
        ("authUsername", json!("b")),
        ("authPasswordSecret", secret("mail")),
        ("requireTls", json!(false)),
        ("headers", json!({ "Subject": "{{ .Status }}", "Reply-To": "c@example.com" })),
    ] {
        full_mail[field] = value;
    }
    let bearer = json!({ "bearerTokenSecret": secret("token") });
    let basic = json!({ "basicAuth": { "usernameSecret": secret("user"), "passwordSecret": secret("password") } });
    vec![
        ("slack", json!({ "urlSecret": secret("slack") })),
        (
            "slack",
            json!({ "urlSecret": secret("slack"), "channel": "#a", "username": "b", "title": "c", "text": "d\ne" }),
        ),
        ("email", mail),
        ("email", full_mail),
        ("webhook", json!({ "url": "http://hook.example.com:8080/a?b=c" })),
        ("webhook", json!({ "urlSecret": secret("hook"), "maxAlerts": 5, "httpConfig": bearer })),
        ("webhook", json!({ "url": "https://hook.example.com", "httpConfig": basic })),
        ("pagerduty", json!({ "routingKeySecret": secret("pager") })),
        (
            "pagerduty",
            json!({ "routingKeySecret": secret("pager"), "severity": "error", "url": "https://pager.example.com/" }),
        ),
        ("opsgenie", json!({ "apiKeySecret": secret("genie") })),
        (
            "opsgenie",
            json!({ "apiKeySecret": secret("genie"), "priority": "P2", "apiUrl": "https://genie.example.com/" }),
        ),
        ("teams", json!({ "webhookUrlSecret": secret("teams") })),
        ("teams", json!({ "webhookUrlSecret": secret("teams"), "title": "a", "text": "b" })),
    ]
}

#[test]
fn amtool_accepts_every_kind_of_receiver() {
    if !has_amtool("receivers::amtool_accepts_every_kind_of_receiver") {
        return;
    }
    for (number, (kind, value)) in kinds().into_iter().enumerate() {
        let routing = routing(&json!({ "receivers": [{ "name": "a", kind: value }] }));
        let path = write("kinds", &format!("{number}-{kind}.yaml"), &file(&routing));
        let said = command::run("amtool", &["check-config", &path]).unwrap();
        // The root's receiver, the policy's own for what no route takes, and the one under test.
        assert!(said.contains("- 3 receivers"), "{said}");
    }
}

#[test]
fn amtool_accepts_any_file_and_prometheus_operator_any_object() {
    if !has_amtool("receivers::amtool_accepts_any_file_and_prometheus_operator_any_object") {
        return;
    }
    let crd = upstream("alertmanagerconfigs");
    let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    runner
        .run(&any::policies(), |specs| {
            let routings: Result<Vec<Routing>, _> = specs.iter().map(any::read).collect();
            let routings = routings.map_err(|refused| TestCaseError::fail(refused.to_string()))?;
            let labels: Vec<String> = (0..routings.len()).map(|number| format!("agents/p{number}")).collect();
            let policies: Vec<Policy<'_>> = routings
                .iter()
                .zip(&labels)
                .map(|(routing, label)| Policy { namespace: "agents", name: &label["agents/".len()..], label, routing })
                .collect();
            if let Some(text) = config_file::text(&policies) {
                let path = write("any", "alertmanager.yaml", &text);
                let ran = command::run_with("amtool", &["check-config", &path], "").unwrap();
                prop_assert_eq!(ran.code, 0, "{}{}\n{}", ran.stderr, ran.stdout, text);
            }
            for spec in policies.iter().filter_map(config_object::spec) {
                let object = json!({
                    "apiVersion": "monitoring.coreos.com/v1alpha1", "kind": "AlertmanagerConfig",
                    "metadata": { "name": "p" }, "spec": spec,
                });
                prop_assert_eq!(admit(&crd, &object).err(), None, "{}", object);
            }
            Ok(())
        })
        .unwrap();
}

/// The CRD of a kind of prometheus-operator, as its own release has it.
fn upstream(plural: &str) -> CustomResourceDefinition {
    let bin = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .find(|folder| folder.join("amtool").is_file())
        .unwrap_or_else(|| PathBuf::from("amtool"));
    let path = bin.join("prometheus-operator-crds").join(format!("monitoring.coreos.com_{plural}.yaml"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap()
}

#[test]
fn alerts_reach_the_receivers_of_the_routes_that_take_them() {
    if !has_amtool("receivers::alerts_reach_the_receivers_of_the_routes_that_take_them") {
        return;
    }
    let hook = |name: &str| json!({ "name": name, "webhook": { "url": format!("http://{name}/") } });
    let routed = json!({
        "receivers": [hook("all"), hook("pager"), hook("team"), hook("cost")],
        "defaultReceiver": "all",
        "routes": [
            { "receiver": "pager", "severities": ["critical"], "continue": true },
            { "receiver": "team", "namespaces": ["agents"], "fleets": ["review", "a.b"] },
            { "receiver": "cost", "alerts": ["FleetLlm*", "Mine"], "severities": ["warning", "info"] },
        ],
    });
    let routed = write("routes", "routed.yaml", &file(&routing(&routed)));
    let plain = json!({ "receivers": [hook("one"), hook("two")] });
    let plain = write("routes", "plain.yaml", &file(&routing(&plain)));
    let reached = |path: &str, labels: &[&str]| -> Vec<String> {
        let config = format!("--config.file={path}");
        let mut arguments = vec!["config", "routes", "test", &config];
        arguments.extend(labels);
        let said = command::run("amtool", &arguments).unwrap();
        said.trim().split(',').map(|name| name.trim_start_matches("agents/nightly-receivers/").to_owned()).collect()
    };
    let ours = ["source=fleetscope", "policy=agents/nightly"];
    let ours = |labels: &[&'static str]| -> Vec<&str> { ours.into_iter().chain(labels.iter().copied()).collect() };
    for (labels, names) in [
        (ours(&["severity=critical"]), &["pager"][..]),
        (ours(&["severity=critical", "namespace=agents", "fleet=a.b"]), &["pager", "team"]),
        (ours(&["severity=warning", "namespace=agents", "fleet=review"]), &["team"]),
        (ours(&["severity=warning", "namespace=agents", "fleet=axb"]), &["all"]),
        (ours(&["severity=warning", "namespace=other", "fleet=review"]), &["all"]),
        (ours(&["severity=info", "alertname=FleetLlmSlow"]), &["cost"]),
        (ours(&["severity=info", "alertname=Minex"]), &["all"]),
        (vec!["source=fleetscope", "policy=agents/other", "severity=critical"], &["no_receiver"]),
        (vec!["alertname=Watchdog", "severity=critical"], &["no_receiver"]),
    ] {
        assert_eq!(reached(&routed, &labels), names, "{labels:?}");
    }
    assert_eq!(reached(&plain, &ours(&["severity=info"])), ["one", "two"]);
}

#[test]
fn messages_say_what_is_wrong_with_which_fleet() {
    if !has_amtool("receivers::messages_say_what_is_wrong_with_which_fleet") {
        return;
    }
    let alert = |status: &str, task: &str, runbook: bool| {
        let mut annotations = json!({ "summary": format!("{task} fails"), "description": "10% of its runs." });
        if runbook {
            annotations["runbook_url"] = json!("https://example.com/r.md");
        }
        json!({ "status": status, "labels": { "alertname": "FleetTasksFail", "task": task }, "annotations": annotations })
    };
    let data = |status: &str, alerts: Value, common: Value| json!({ "status": status, "alerts": alerts, "commonLabels": common, "groupLabels": {}, "commonAnnotations": {} });
    let common = json!({
        "alertname": "FleetTasksFail", "severity": "critical", "namespace": "agents", "fleet": "review",
    });
    let firing = data(
        "firing",
        json!([alert("firing", "merge", true), alert("firing", "build", false), alert("resolved", "test", false)]),
        common.clone(),
    );
    let resolved = data("resolved", json!([alert("resolved", "merge", false)]), common);
    let mixed = data(
        "firing",
        json!([{ "status": "firing", "labels": { "alertname": "Mine" }, "annotations": {} }]),
        json!({}),
    );
    let none = write("messages", "none.tmpl", "");
    let render = |data: &Value, template: &str| {
        let data = write("messages", "data.json", &data.to_string());
        let arguments = [
            "template",
            "render",
            &format!("--template.glob={none}"),
            &format!("--template.text={template}"),
            &format!("--template.data={data}"),
        ];
        command::run("amtool", &arguments).unwrap()
    };
    for (data, template, wanted) in [
        (&firing, messages::TITLE, "[FIRING:2] critical FleetTasksFail in fleet agents/review"),
        (&resolved, messages::TITLE, "[RESOLVED] critical FleetTasksFail in fleet agents/review"),
        (&mixed, messages::TITLE, "[FIRING:1]"),
        (
            &firing,
            messages::SLACK_TEXT,
            "*merge fails*\n10% of its runs.\n<https://example.com/r.md|Runbook>\n\n*build fails*\n10% of its runs.\n\n\
             Resolved: *test fails*\n10% of its runs.\n\n",
        ),
        (
            &firing,
            messages::TEAMS_TEXT,
            "**merge fails**\n\n10% of its runs.\n\n[Runbook](https://example.com/r.md)\n\n**build fails**\n\n10% of its runs.\n\n\
             Resolved: **test fails**\n\n10% of its runs.\n\n",
        ),
        (&resolved, messages::PLAIN_TEXT, "Resolved: merge fails\n10% of its runs.\n\n"),
        (&mixed, messages::PLAIN_TEXT, "Mine\n\n"),
        (&firing, messages::PAGERDUTY_SEVERITY, "critical"),
        (&mixed, messages::PAGERDUTY_SEVERITY, "error"),
        (&firing, messages::OPSGENIE_PRIORITY, "P1"),
        (&mixed, messages::OPSGENIE_PRIORITY, "P3"),
    ] {
        assert_eq!(render(data, template), wanted, "{template}");
    }
}
