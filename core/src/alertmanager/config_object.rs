//! The `spec` of an AlertmanagerConfig (`monitoring.coreos.com/v1alpha1`) of prometheus-operator.
//!
//! It names receivers by the policy's own names; prometheus-operator puts `<namespace>/<object>/` before them, and lets every
//! alert go on to the other objects' routes.

use serde_json::{Map, Value, json};

use super::routing_tree::{Node, tree};
use super::{Matcher, NOBODY, Policy, inhibition, messages};
use crate::api::receivers::{Notifier, Receiver, WebhookHttp};
use crate::api::scalars::SecretKey;

/// The spec for a policy; nothing for one without receivers.
pub fn spec(policy: &Policy<'_>) -> Option<Value> {
    policy.tells_somebody().then(|| {
        let tree = tree(policy);
        let mut receivers: Vec<Value> = policy.routing.receivers.iter().map(receiver).collect();
        if tree.receiver == NOBODY {
            receivers.push(json!({ "name": NOBODY }));
        }
        let mut spec = json!({ "receivers": receivers, "route": route(&tree) });
        if policy.routing.inhibit {
            spec["inhibitRules"] = inhibition::rules(policy.label).iter().map(inhibit_rule).collect();
        }
        spec
    })
}

/// Whether an Alertmanager with this `spec.alertmanagerConfigMatcherStrategy.type` lets the objects of `namespace` see alerts of
/// their own namespace alone. It does unless told otherwise. For an `AlertPolicy` nothing depends on it; the alerts of
/// a `ClusterAlertPolicy` are of all namespaces, so its routes need `None`, or
/// `OnNamespaceExceptForAlertmanagerNamespace` and the operator in the Alertmanager's namespace.
pub fn sees_own_namespace_only(strategy: Option<&str>, alertmanager_namespace: &str, namespace: &str) -> bool {
    match strategy {
        Some("None") => false,
        Some("OnNamespaceExceptForAlertmanagerNamespace") => namespace != alertmanager_namespace,
        _ => true,
    }
}

fn route(node: &Node) -> Value {
    let mut route = json!({
        "receiver": node.receiver,
        "groupBy": node.route.group_by,
        "groupWait": node.route.group_wait,
        "groupInterval": node.route.group_interval,
        "repeatInterval": node.route.repeat_interval,
        "continue": node.route.goes_on,
        "matchers": matchers(&node.matchers),
    });
    if !node.children.is_empty() {
        route["routes"] = node.children.iter().map(self::route).collect();
    }
    route
}

fn inhibit_rule(rule: &inhibition::Rule) -> Value {
    json!({ "sourceMatch": matchers(&rule.source), "targetMatch": matchers(&rule.target), "equal": rule.equal })
}

fn matchers(all: &[Matcher]) -> Vec<Value> {
    all.iter().map(|m| json!({ "name": m.label, "value": m.value, "matchType": m.operator })).collect()
}

fn receiver(receiver: &Receiver) -> Value {
    let mut object = json!({ "name": receiver.name });
    if let Some(notifier) = receiver.notifier() {
        let (field, mut config) = notifier_config(notifier);
        config.insert("sendResolved".to_owned(), receiver.send_resolved.into());
        object[field] = json!([config]);
    }
    object
}

/// The field of a receiver, and the one configuration in it.
fn notifier_config(notifier: Notifier<'_>) -> (&'static str, Map<String, Value>) {
    let (field, config) = match notifier {
        Notifier::Slack(slack) => (
            "slackConfigs",
            json!({
                "apiURL": slack.url_secret,
                "channel": slack.channel,
                "username": slack.username,
                "title": slack.title.as_deref().unwrap_or(messages::TITLE),
                "text": slack.text.as_deref().unwrap_or(messages::SLACK_TEXT),
            }),
        ),
        Notifier::Email(email) => (
            "emailConfigs",
            json!({
                "to": email.to,
                "from": email.from,
                "smarthost": email.smarthost,
                "authUsername": email.auth_username,
                "authPassword": email.auth_password_secret,
                "requireTLS": email.require_tls,
                "headers": messages::headers(email)
                    .iter()
                    .map(|(key, value)| json!({ "key": key, "value": value }))
                    .collect::<Vec<Value>>(),
            }),
        ),
        Notifier::Webhook(webhook) => (
            "webhookConfigs",
            json!({
                "url": webhook.url,
                "urlSecret": webhook.url_secret,
                "maxAlerts": webhook.max_alerts,
                "httpConfig": webhook.http_config.as_ref().map(http_config),
            }),
        ),
        Notifier::PagerDuty(pagerduty) => (
            "pagerdutyConfigs",
            json!({
                "routingKey": pagerduty.routing_key_secret,
                "url": pagerduty.url,
                "description": messages::TITLE,
                "severity": pagerduty.severity.map_or(messages::PAGERDUTY_SEVERITY, |severity| severity.as_str()),
            }),
        ),
        Notifier::OpsGenie(opsgenie) => (
            "opsgenieConfigs",
            json!({
                "apiKey": opsgenie.api_key_secret,
                "apiURL": opsgenie.api_url,
                "message": messages::TITLE,
                "description": messages::PLAIN_TEXT,
                "priority": opsgenie.priority.map_or(messages::OPSGENIE_PRIORITY, |priority| priority.as_str()),
            }),
        ),
        Notifier::Teams(teams) => (
            "msteamsv2Configs",
            json!({
                "webhookURL": teams.webhook_url_secret,
                "title": teams.title.as_deref().unwrap_or(messages::TITLE),
                "text": teams.text.as_deref().unwrap_or(messages::TEAMS_TEXT),
            }),
        ),
    };
    (field, given(config))
}

fn http_config(http: &WebhookHttp) -> Map<String, Value> {
    let bearer = |secret: &SecretKey| json!({ "type": "Bearer", "credentials": secret });
    given(json!({
        "authorization": http.bearer_token_secret.as_ref().map(bearer),
        "basicAuth": http.basic_auth.as_ref().map(|basic| {
            json!({ "username": basic.username_secret, "password": basic.password_secret })
        }),
    }))
}

/// The fields that are given. The API server refuses a null.
pub(super) fn given(config: Value) -> Map<String, Value> {
    match config {
        Value::Object(fields) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}
