//! Golden objects and files, and what holds for any policy.

use proptest::prelude::*;
use regex::Regex;
use serde_json::{Value, json};

use super::*;
use crate::api::receivers::{Receiver, Route};
use crate::api::scalars::Severity;

fn routing(value: Value) -> Routing {
    serde_json::from_value(value).unwrap()
}

fn policy(routing: &Routing) -> Policy<'_> {
    Policy { namespace: "agents", name: "nightly-receivers", label: "agents/nightly", routing }
}

/// One receiver of each kind, with every field.
fn everything() -> Routing {
    let secret = |name: &str| json!({ "name": name, "key": "value" });
    routing(json!({
        "receivers": [
            { "name": "chat", "slack": {
                "urlSecret": secret("slack"), "channel": "#alerts", "username": "fleet", "title": "T", "text": "X",
            } },
            { "name": "post", "sendResolved": false, "email": {
                "to": "ops@example.com", "from": "fleetscope@example.com", "smarthost": "mail.example.com:587",
                "authUsername": "fleetscope", "authPasswordSecret": secret("mail"), "requireTls": false,
                "headers": { "Reply-To": "ops@example.com" },
            } },
            { "name": "hook", "webhook": { "urlSecret": secret("hook"), "maxAlerts": 10, "httpConfig": {
                "basicAuth": { "usernameSecret": secret("user"), "passwordSecret": secret("password") },
            } } },
            { "name": "bearer", "webhook": { "url": "http://hook.example.com/", "httpConfig": {
                "bearerTokenSecret": secret("token"),
            } } },
            { "name": "pager", "pagerduty": {
                "routingKeySecret": secret("pager"), "severity": "critical", "url": "https://events.example.com/",
            } },
            { "name": "genie", "opsgenie": {
                "apiKeySecret": secret("genie"), "apiUrl": "https://api.eu.opsgenie.com/", "priority": "P1",
            } },
            { "name": "teams", "teams": { "webhookUrlSecret": secret("teams"), "title": "T", "text": "X" } },
        ],
        "defaultReceiver": "chat",
        "routes": [
            { "receiver": "pager", "severities": ["critical"], "continue": true, "groupBy": ["alertname"],
              "groupWait": "0s", "groupInterval": "1m", "repeatInterval": "1h" },
            { "receiver": "post", "severities": ["info", "warning"], "namespaces": ["agents"], "fleets": ["review", "a.b"],
              "alerts": ["FleetTask*", "Mine"] },
        ],
    }))
}

#[test]
fn every_kind_of_receiver_becomes_an_object_of_prometheus_operator() {
    let routing = everything();
    let spec = config_object::spec(&policy(&routing)).unwrap();
    let secret = |name: &str| json!({ "name": name, "key": "value" });
    assert_eq!(
        spec["receivers"],
        json!([
            { "name": "chat", "slackConfigs": [{
                "apiURL": secret("slack"), "channel": "#alerts", "username": "fleet", "title": "T", "text": "X",
                "sendResolved": true,
            }] },
            { "name": "post", "emailConfigs": [{
                "to": "ops@example.com", "from": "fleetscope@example.com", "smarthost": "mail.example.com:587",
                "authUsername": "fleetscope", "authPassword": secret("mail"), "requireTLS": false,
                "headers": [
                    { "key": "Reply-To", "value": "ops@example.com" },
                    { "key": "Subject", "value": messages::TITLE },
                ],
                "sendResolved": false,
            }] },
            { "name": "hook", "webhookConfigs": [{
                "urlSecret": secret("hook"), "maxAlerts": 10, "sendResolved": true,
                "httpConfig": { "basicAuth": { "username": secret("user"), "password": secret("password") } },
            }] },
            { "name": "bearer", "webhookConfigs": [{
                "url": "http://hook.example.com/", "maxAlerts": 0, "sendResolved": true,
                "httpConfig": { "authorization": { "type": "Bearer", "credentials": secret("token") } },
            }] },
            { "name": "pager", "pagerdutyConfigs": [{
                "routingKey": secret("pager"), "severity": "critical", "url": "https://events.example.com/",
                "description": messages::TITLE, "sendResolved": true,
            }] },
            { "name": "genie", "opsgenieConfigs": [{
                "apiKey": secret("genie"), "apiURL": "https://api.eu.opsgenie.com/", "priority": "P1",
                "message": messages::TITLE, "description": messages::PLAIN_TEXT, "sendResolved": true,
            }] },
            { "name": "teams", "msteamsv2Configs": [{
                "webhookURL": secret("teams"), "title": "T", "text": "X", "sendResolved": true,
            }] },
        ])
    );
}

#[test]
fn routes_become_one_tree_below_the_policy() {
    let routing = everything();
    let spec = config_object::spec(&policy(&routing)).unwrap();
    assert_eq!(
        spec["route"],
        json!({
            "receiver": "chat",
            "groupBy": ["alertname", "namespace", "fleet"],
            "groupWait": "30s",
            "groupInterval": "5m",
            "repeatInterval": "4h",
            "continue": true,
            "matchers": [
                { "name": "source", "value": "fleetscope", "matchType": "=" },
                { "name": "policy", "value": "agents/nightly", "matchType": "=" },
            ],
            "routes": [
                {
                    "receiver": "pager",
                    "groupBy": ["alertname"],
                    "groupWait": "0s",
                    "groupInterval": "1m",
                    "repeatInterval": "1h",
                    "continue": true,
                    "matchers": [{ "name": "severity", "value": "critical", "matchType": "=" }],
                },
                {
                    "receiver": "post",
                    "groupBy": ["alertname", "namespace", "fleet"],
                    "groupWait": "30s",
                    "groupInterval": "5m",
                    "repeatInterval": "4h",
                    "continue": false,
                    "matchers": [
                        { "name": "severity", "value": "warning|info", "matchType": "=~" },
                        { "name": "namespace", "value": "agents", "matchType": "=" },
                        { "name": "fleet", "value": "review|a[.]b", "matchType": "=~" },
                        { "name": "alertname", "value": "FleetTask.*|Mine", "matchType": "=~" },
                    ],
                },
            ],
        })
    );
}

#[test]
fn causes_hold_back_consequences_of_the_same_policy() {
    let routing = everything();
    let spec = config_object::spec(&policy(&routing)).unwrap();
    let ours = [
        json!({ "name": "source", "value": "fleetscope", "matchType": "=" }),
        json!({ "name": "policy", "value": "agents/nightly", "matchType": "=" }),
    ];
    let rules = spec["inhibitRules"].as_array().unwrap();
    assert_eq!(rules.len(), 2 + inhibition::CAUSES.len());
    for rule in rules {
        for side in ["sourceMatch", "targetMatch"] {
            assert!(rule[side].as_array().unwrap().len() > 2, "{rule}");
            assert_eq!(&rule[side].as_array().unwrap()[..2], &ours[..]);
        }
    }
    let last = |rule: &Value, side: &str| rule[side][2].clone();
    assert_eq!(last(&rules[0], "sourceMatch"), json!({ "name": "severity", "value": "critical", "matchType": "=" }));
    assert_eq!(
        last(&rules[0], "targetMatch"),
        json!({ "name": "severity", "value": "warning|info", "matchType": "=~" })
    );
    assert_eq!(
        (last(&rules[2], "sourceMatch"), last(&rules[2], "targetMatch"), &rules[2]["equal"]),
        (
            json!({ "name": "alertname", "value": "FleetscopeNodeAgentDown", "matchType": "=" }),
            json!({ "name": "alertname", "value": "FleetScrapeDown", "matchType": "=" }),
            &json!(["node"])
        )
    );
    let routing = Routing { inhibit: false, ..routing };
    assert_eq!(config_object::spec(&policy(&routing)).unwrap().get("inhibitRules"), None);
}

/// Labels of an alert of the policy `agents/nightly`.
fn alert(name: &str, severity: &str, labels: &[(&str, &str)]) -> Value {
    let mut alert =
        json!({ "source": "fleetscope", "policy": "agents/nightly", "alertname": name, "severity": severity });
    for (label, value) in labels {
        alert[label] = json!(value);
    }
    alert
}

/// Whether the first alert holds back the second one, as Alertmanager decides: some rule's matchers hold for each, and the labels that
/// are to be equal are, absent ones as empty.
fn holds_back(source: &Value, target: &Value) -> bool {
    let routing = everything();
    let spec = config_object::spec(&policy(&routing)).unwrap();
    let of = |alert: &Value, label: &Value| alert[label.as_str().unwrap()].as_str().unwrap_or_default().to_owned();
    let takes = |matchers: &Value, alert: &Value| {
        matchers.as_array().unwrap().iter().all(|matcher| holds(matcher, &of(alert, &matcher["name"])))
    };
    spec["inhibitRules"].as_array().unwrap().iter().any(|rule| {
        let equal = rule["equal"].as_array().unwrap();
        takes(&rule["sourceMatch"], source)
            && takes(&rule["targetMatch"], target)
            && equal.iter().all(|label| of(source, label) == of(target, label))
    })
}

#[test]
fn a_graver_alert_holds_back_the_same_one_and_no_other() {
    let fleet = [("namespace", "agents"), ("fleet", "review")];
    let slow = |severity: &str, task: &str| alert("FleetTaskSlow", severity, &[&fleet[..], &[("task", task)]].concat());
    assert!(holds_back(&slow("critical", "merge"), &slow("warning", "merge")));
    assert!(holds_back(&slow("warning", "merge"), &slow("info", "merge")));
    assert!(!holds_back(&slow("warning", "merge"), &slow("critical", "merge")));
    assert!(!holds_back(&slow("critical", "merge"), &slow("warning", "lint")));
    for row in crate::catalogue::alerts() {
        for label in row.labels() {
            let about = |severity: &str, value: &str| alert(&row.name, severity, &[(label, value)]);
            assert!(holds_back(&about("critical", "a"), &about("warning", "a")), "{} {label}", row.name);
            assert!(!holds_back(&about("critical", "a"), &about("warning", "b")), "{} {label}", row.name);
        }
    }
}

#[test]
fn an_own_rule_holds_back_nothing_whatever_its_labels_are() {
    let full = |severity: &str, pod: &str| alert("DiskFull", severity, &[("namespace", "agents"), ("pod", pod)]);
    assert!(!holds_back(&full("critical", "a"), &full("warning", "b")));
    assert!(!holds_back(&full("critical", "a"), &full("warning", "a")));
}

#[test]
fn a_node_agent_that_is_down_holds_back_scrapes_of_its_node_alone() {
    let down = alert("FleetscopeNodeAgentDown", "warning", &[("node", "node-1")]);
    let of = |name: &str, labels: &[(&str, &str)]| {
        alert(name, "warning", &[&[("namespace", "agents"), ("fleet", "review")], labels].concat())
    };
    assert!(holds_back(&down, &of("FleetScrapeDown", &[("node", "node-1")])));
    let others = [
        of("FleetScrapeDown", &[("node", "node-2")]), // too many samples
        of("FleetTargetDown", &[]),
        of("FleetNotScraped", &[]),
    ];
    for other in &others {
        assert!(!holds_back(&down, other), "{other}");
    }
    let absent = alert("FleetscopeNodeAgentAbsent", "critical", &[]);
    assert!(holds_back(&absent, &down) && holds_back(&absent, &others[2]));
    assert!(!holds_back(&absent, &others[0]) && !holds_back(&absent, &others[1]));
}

#[test]
fn no_cause_holds_back_itself() {
    for cause in inhibition::CAUSES {
        assert!(cause.alerts.iter().all(|alert| !cause.hides.contains(alert)), "{cause:?}");
    }
}

#[test]
fn without_routes_every_receiver_is_told_of_everything() {
    let hook = |name: &str| json!({ "name": name, "webhook": { "url": "http://h/" } });
    let mut routing = routing(json!({ "receivers": [hook("a"), hook("b")] }));
    let spec = config_object::spec(&policy(&routing)).unwrap();
    assert_eq!(spec["receivers"][2], json!({ "name": "no_receiver" }));
    let told = |spec: &Value| -> Vec<(Value, Value, Value)> {
        let routes = spec["route"]["routes"].as_array().into_iter().flatten();
        routes.map(|r| (r["receiver"].clone(), r["continue"].clone(), r["matchers"].clone())).collect()
    };
    assert_eq!(spec["route"]["receiver"], "no_receiver");
    assert_eq!(told(&spec), [("a", true), ("b", true)].map(|(name, on)| (json!(name), json!(on), json!([]))));

    routing.default_receiver = Some("b".to_owned());
    let spec = config_object::spec(&policy(&routing)).unwrap();
    assert_eq!((&spec["route"]["receiver"], told(&spec)), (&json!("b"), Vec::new()));
    assert_eq!(spec["receivers"].as_array().unwrap().len(), 2);

    routing.default_receiver = None;
    routing.routes = vec![Route::to("a")];
    let spec = config_object::spec(&policy(&routing)).unwrap();
    assert_eq!(told(&spec), [(json!("a"), json!(false), json!([]))]);
}

#[test]
fn without_receivers_nothing_is_made() {
    let routing = Routing::default();
    assert_eq!(config_object::spec(&policy(&routing)), None);
    assert_eq!(config_file::text(&[policy(&routing)]), None);
    assert_eq!(config_file::text(&[]), None);
}

#[test]
fn a_file_has_secrets_as_paths_and_receivers_by_namespace_and_policy() {
    let routing = everything();
    let text = config_file::text(&[policy(&routing)]).unwrap();
    assert_eq!(text, include_str!("testdata/alertmanager.yaml"));
}

#[test]
fn a_file_for_several_policies_has_all_of_them() {
    let (one, other) =
        (everything(), routing(json!({ "receivers": [{ "name": "a", "webhook": { "url": "http://h/" } }] })));
    let silent = Routing::default();
    let second = Policy { namespace: "other", name: "p", label: "other/p", routing: &other };
    let text = config_file::text(&[policy(&one), policy(&silent), second]).unwrap();
    let file: Value = serde_saphyr::from_str(&text).unwrap();
    let of = |list: &Value, field: &str| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of(&file["route"]["routes"], "receiver"), ["agents/nightly-receivers/chat", "other/p/no_receiver"]);
    let names = of(&file["receivers"], "name");
    assert_eq!(
        (names.len(), &names[0], &names[8..]),
        (10, &"no_receiver".to_owned(), &["other/p/a".to_owned(), "other/p/no_receiver".to_owned()][..])
    );
    assert_eq!(file["inhibit_rules"].as_array().unwrap().len(), 2 * (2 + inhibition::CAUSES.len()));
}

#[test]
fn an_object_sees_other_namespaces_only_where_the_alertmanager_says_so() {
    let except = "OnNamespaceExceptForAlertmanagerNamespace";
    for (strategy, namespace, own) in [
        (None, "monitoring", true),
        (Some("OnNamespace"), "monitoring", true),
        (Some("None"), "agents", false),
        (Some(except), "agents", true),
        (Some(except), "monitoring", false),
    ] {
        assert_eq!(
            config_object::sees_own_namespace_only(strategy, "monitoring", namespace),
            own,
            "{strategy:?} {namespace}"
        );
    }
}

/// As Alertmanager compares: the whole value.
fn holds(matcher: &Value, value: &str) -> bool {
    let wanted = matcher["value"].as_str().unwrap();
    match matcher["matchType"].as_str().unwrap() {
        "=" => wanted == value,
        _ => Regex::new(&format!("^(?s:{wanted})$")).unwrap().is_match(value),
    }
}

fn route_of(fleets: Vec<String>, alerts: Vec<String>, severities: Vec<Severity>) -> Value {
    let receiver: Receiver = serde_json::from_value(json!({ "name": "a", "webhook": { "url": "http://h/" } })).unwrap();
    let route = Route { severities, fleets, alerts, ..Route::to("a") };
    let routing = Routing { receivers: vec![receiver], routes: vec![route], ..Routing::default() };
    config_object::spec(&policy(&routing)).unwrap()["route"]["routes"][0].clone()
}

proptest! {
    #[test]
    fn a_route_takes_the_fleets_that_it_names_and_no_other(
        fleets in proptest::collection::btree_set("[a-b]([.-]?[a-b]){0,2}", 1..4),
        other in "[a-b]([.-]?[a-b]){0,2}",
    ) {
        let route = route_of(fleets.iter().cloned().collect(), Vec::new(), Vec::new());
        prop_assert_eq!(route["matchers"].as_array().unwrap().len(), 1);
        let matcher = &route["matchers"][0];
        for fleet in &fleets {
            prop_assert!(holds(matcher, fleet));
        }
        prop_assert_eq!(holds(matcher, &other), fleets.contains(&other));
    }

    #[test]
    fn a_star_stands_for_any_characters(start in "[A-C]{0,2}", end in "[A-C]{0,2}", name in "[A-C]{0,5}") {
        let route = route_of(Vec::new(), vec![format!("{start}*{end}")], Vec::new());
        let wanted = name.len() >= start.len() + end.len() && name.starts_with(&start) && name.ends_with(&end);
        prop_assert_eq!(holds(&route["matchers"][0], &name), wanted);
    }

    #[test]
    fn any_text_survives_the_file(title in "\\PC{0,40}|[\"\\\\\n{}$#:'-]{0,12}|yes|null|1e3", label in "\\PC{0,20}|[\"\\\\\n]{0,6}") {
        let mut routing = everything();
        let slack = routing.receivers[0].slack.as_mut().unwrap();
        slack.title = Some(title.clone());
        let text = config_file::text(&[Policy { label: &label, ..policy(&routing) }]).unwrap();
        let file: Value = serde_saphyr::from_str(&text).unwrap();
        prop_assert_eq!(&file["receivers"][1]["slack_configs"][0]["title"], &json!(title));
        let escaped = label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        prop_assert_eq!(&file["route"]["routes"][0]["matchers"][1], &json!(format!("policy=\"{escaped}\"")));
    }
}
