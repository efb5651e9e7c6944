//! Every bound of the schema, on a kind whose spec has nothing but receivers and routes.

/// Shared with the table of what each CEL rule refuses.
#[path = "../../../tests/cel/cases/receiver_specs.rs"]
mod receiver_specs;

use kube::{CustomResource, CustomResourceExt as _};
use serde_json::{Value, json};

use receiver_specs::{email, receiver, secret, slack, with, with_route};

use super::*;
use crate::api::admission::{Fault, admit};
use crate::api::schema;

/// Stands for the policies, whose specs have these fields among others.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[kube(group = "fleetscope.io", version = "v1alpha1", kind = "RoutingOnly", namespaced)]
#[serde(rename_all = "camelCase")]
pub struct RoutingOnlySpec {
    /// A field of its own. Default false.
    #[serde(default)]
    pub suspend: bool,
    /// The fields under test.
    #[serde(flatten)]
    pub routing: Routing,
}

fn read(spec: &Value) -> Result<Routing, Vec<String>> {
    let object = json!({
        "apiVersion": "fleetscope.io/v1alpha1", "kind": "RoutingOnly", "metadata": { "name": "a" }, "spec": spec,
    });
    let object = admit(&schema::finish(RoutingOnly::crd()), &object).map_err(|refused| {
        refused.faults.iter().map(|Fault { path, message }| format!("{path}: {message}")).collect::<Vec<_>>()
    })?;
    Ok(serde_json::from_value::<RoutingOnly>(object).unwrap().spec.routing)
}

#[test]
fn every_bound_is_enforced() {
    let url = |url: &str| with("webhook", json!({ "url": url }));
    let slack_with = |field: &str, value: Value| {
        let mut slack = slack();
        slack[field] = value;
        with("slack", slack)
    };
    let key = |name: &str, key: &str| with("slack", json!({ "urlSecret": { "name": name, "key": key } }));
    let mail = |field: &str, value: Value| {
        let mut email = email();
        email[field] = value;
        with("email", email)
    };
    for spec in [
        json!({ "receivers": (0..33).map(|i| json!({ "name": format!("r{i}"), "slack": slack() })).collect::<Vec<_>>() }),
        json!({ "receivers": [{ "name": "A", "slack": slack() }] }),
        json!({ "receivers": [{ "name": "no_receiver", "slack": slack() }] }),
        json!({ "receivers": [{ "name": "a".repeat(64), "slack": slack() }] }),
        with("slack", json!({})),
        slack_with("channel", json!("")),
        slack_with("channel", json!("#a$(HOME)")),
        slack_with("username", json!("a\nb")),
        slack_with("title", json!("$$(HOME)")),
        slack_with("title", json!("a".repeat(4097))),
        slack_with("text", json!("line\n$(HOME)")),
        slack_with("color", json!("red")),
        key("Slack", "url"),
        key("a..b", "url"),
        key(&"a".repeat(254), "url"),
        key("slack", ".."),
        key("slack", "."),
        key("slack", "..data"),
        key("slack", "a/b"),
        mail("smarthost", json!("mail.example.com")),
        mail("smarthost", json!("[::1]:25")),
        mail("to", json!("a@b\nBcc: c@d")),
        mail("from", Value::Null),
        mail("headers", json!({ "Subject": "a\nb" })),
        url("ftp://example.com/"),
        url("http://"),
        url("http://user:password@example.com/"),
        url("http://example.com/a b"),
        url("http://example.com/%zz"),
        url("http://example.com/$(HOME)"),
        url("http://example.com:port/"),
        with("webhook", json!({ "url": "http://h/", "maxAlerts": -1 })),
        with("pagerduty", json!({ "routingKeySecret": secret("p"), "severity": "Critical" })),
        with("opsgenie", json!({ "apiKeySecret": secret("o"), "priority": "P6" })),
        with("teams", json!({ "webhookUrlSecret": secret("t"), "title": "" })),
        with_route(json!({ "severities": ["fatal"] })),
        with_route(json!({ "severities": ["info", "info", "info", "info"] })),
        with_route(json!({ "fleets": ["A"] })),
        with_route(json!({ "namespaces": ["a.b"] })),
        with_route(json!({ "alerts": ["a|b"] })),
        with_route(json!({ "groupBy": ["a-b"] })),
        with_route(json!({ "groupWait": "1d" })),
    ] {
        let faults = read(&spec).unwrap_err();
        assert_eq!(faults.len(), 1, "{spec}: {faults:?}");
    }
}

#[test]
fn text_may_have_dollars_but_no_variables() {
    let title = |text: &str| {
        let mut slack = slack();
        slack["title"] = json!(text);
        read(&with("slack", slack)).is_ok()
    };
    for good in ["$", "$$", "5 $", "{{ $v := 1 }}{{ $v }}", "( $ )", "$ (", "zwölf\nZeilen", "$.CommonLabels", "a$)("]
    {
        assert!(title(good), "{good}");
    }
    for bad in ["$(", "$$(", "a $(b)", "$$$(", "$ $(", "\n$("] {
        assert!(!title(bad), "{bad}");
    }
}

#[test]
fn defaults_of_the_schema_are_those_of_the_types() {
    assert_eq!(read(&json!({})).unwrap(), Routing::default());
    let read = read(&with_route(json!({}))).unwrap();
    assert_eq!(read.routes, [Route::to("a")]);
    assert!(read.receivers[0].send_resolved);
}

#[test]
fn what_was_read_is_written_as_it_was() {
    let mut spec = with_route(json!({ "continue": true, "severities": ["critical"], "fleets": ["a.b"] }));
    spec["receivers"] = json!([receiver("webhook", json!({ "url": "http://h/", "maxAlerts": 5 })), {
        "name": "b", "sendResolved": false, "email": email(),
    }]);
    let routing = read(&spec).unwrap();
    assert_eq!(read(&serde_json::to_value(&routing).unwrap()).unwrap(), routing);
}

#[test]
fn secrets_are_named_once_and_in_order() {
    let basic = json!({ "basicAuth": { "usernameSecret": secret("u"), "passwordSecret": secret("p") } });
    let mut mail = email();
    mail["authUsername"] = json!("me");
    mail["authPasswordSecret"] = secret("mail");
    let receivers: Vec<Value> = [
        ("slack", json!({ "urlSecret": secret("slack") })),
        ("teams", json!({ "webhookUrlSecret": secret("slack") })),
        ("email", mail),
        ("pagerduty", json!({ "routingKeySecret": secret("pager") })),
        ("opsgenie", json!({ "apiKeySecret": secret("genie") })),
        ("webhook", json!({ "urlSecret": secret("hook"), "httpConfig": { "bearerTokenSecret": secret("token") } })),
        ("webhook", json!({ "url": "http://h/", "httpConfig": basic })),
    ]
    .into_iter()
    .enumerate()
    .map(|(i, (kind, value))| json!({ "name": format!("r{i}"), kind: value }))
    .collect();
    let routing = read(&json!({ "receivers": receivers })).unwrap();
    let names: Vec<String> = secrets(&routing.receivers).into_iter().map(|secret| secret.name).collect();
    assert_eq!(names, ["genie", "hook", "mail", "p", "pager", "slack", "token", "u"]);
    let urls = secret_contents(&routing.receivers).into_iter().filter(|(_, content)| *content == Content::Url);
    assert_eq!(urls.map(|(secret, _)| secret.name).collect::<Vec<_>>(), ["hook", "slack"]);
}

#[test]
fn values_of_secrets_that_would_spoil_the_configuration_are_told() {
    for (content, value, fault) in [
        (Content::Text, "key", None),
        (Content::Text, "", Some("is empty")),
        (Content::Text, " \n", Some("is empty")),
        (Content::Url, "", Some("is empty")),
        (Content::Url, "not a url", Some("is not a URL of http or https")),
        (Content::Url, "ftp://example.com/", Some("is not a URL of http or https")),
        (Content::Url, "http:///a", Some("is not a URL of http or https")),
        (Content::Url, "http://h/%zz", Some("is not a URL of http or https")),
        (Content::Url, "https://hooks.slack.com/services/T0/B0/x$y\n", None),
        (Content::Url, "http://user:p$ss@hook.example.com:8080", None),
        (
            Content::Url,
            "https://a.logic.azure.com:443/workflows/0/triggers/manual/paths/invoke?sp=%2Ftriggers&sig=a_b-c",
            None,
        ),
    ] {
        assert_eq!(content.fault(value.as_bytes()), fault, "{value:?}");
    }
}
