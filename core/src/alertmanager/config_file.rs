//! A whole alertmanager.yaml, for an Alertmanager without prometheus-operator.
//!
//! It passes `amtool check-config` as it is. Secrets are files: `/etc/alertmanager/secrets/<Secret>/<key>`, which is where
//! prometheus-operator and the Helm charts put the Secrets that are named to them. Every receiver has a form that reads a file.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::config_object::given;
use super::routing_tree::{Node, tree};
use super::{Matcher, NOBODY, Policy, inhibition, messages};
use crate::api::receivers::{Notifier, Receiver, WebhookHttp, secrets};
use crate::api::scalars::SecretKey;

/// Folder of the Secrets' folders.
pub const SECRETS: &str = "/etc/alertmanager/secrets";

/// The file for these policies together; nothing if none of them has a receiver.
pub fn text(policies: &[Policy<'_>]) -> Option<String> {
    let policies: Vec<&Policy<'_>> = policies.iter().filter(|policy| policy.tells_somebody()).collect();
    if policies.is_empty() {
        return None;
    }
    Some(head(&policies) + &yaml(&file(&policies)))
}

fn yaml(file: &Value) -> String {
    let mut quoted = serde_saphyr::SerializerOptions::default();
    // Each text is quoted: a label's value may be `yes` or `1e3`, which YAML would read as something else.
    quoted.quote_all = true;
    serde_saphyr::to_string_with_options(file, quoted).expect("JSON of strings, numbers and lists is YAML")
}

/// Comments on what the file needs.
fn head(policies: &[&Policy<'_>]) -> String {
    let mut head =
        "# For Alertmanager 0.28 or later. An Alertmanager has one file: what it had before has to be put into it.\n"
            .to_owned();
    for policy in policies {
        for SecretKey { name, key } in secrets(&policy.routing.receivers) {
            let _ = writeln!(head, "# {SECRETS}/{name}/{key}: key {key} of Secret {}/{name}", policy.namespace);
        }
    }
    head
}

fn file(policies: &[&Policy<'_>]) -> Value {
    let mut receivers = vec![json!({ "name": NOBODY })];
    let mut routes = Vec::new();
    let mut inhibit_rules = Vec::new();
    for policy in policies {
        let tree = tree(policy);
        receivers.extend(policy.routing.receivers.iter().map(|one| receiver(policy, one)));
        if tree.receiver == NOBODY {
            receivers.push(json!({ "name": policy.receiver(NOBODY) }));
        }
        routes.push(route(policy, &tree));
        if policy.routing.inhibit {
            inhibit_rules.extend(inhibition::rules(policy.label).iter().map(inhibit_rule));
        }
    }
    let mut file = json!({ "route": { "receiver": NOBODY, "routes": routes }, "receivers": receivers });
    if !inhibit_rules.is_empty() {
        file["inhibit_rules"] = inhibit_rules.into();
    }
    file
}

fn route(policy: &Policy<'_>, node: &Node) -> Value {
    let mut route = json!({
        "receiver": policy.receiver(&node.receiver),
        "group_by": node.route.group_by,
        "group_wait": node.route.group_wait,
        "group_interval": node.route.group_interval,
        "repeat_interval": node.route.repeat_interval,
        "continue": node.route.goes_on,
    });
    if !node.matchers.is_empty() {
        route["matchers"] = matchers(&node.matchers);
    }
    if !node.children.is_empty() {
        route["routes"] = node.children.iter().map(|child| self::route(policy, child)).collect();
    }
    route
}

fn inhibit_rule(rule: &inhibition::Rule) -> Value {
    json!({
        "source_matchers": matchers(&rule.source),
        "target_matchers": matchers(&rule.target),
        "equal": rule.equal,
    })
}

fn matchers(all: &[Matcher]) -> Value {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    all.iter().map(|m| format!("{}{}\"{}\"", m.label, m.operator, escaped(&m.value))).collect()
}

fn receiver(policy: &Policy<'_>, receiver: &Receiver) -> Value {
    let mut object = json!({ "name": policy.receiver(&receiver.name) });
    if let Some(notifier) = receiver.notifier() {
        let (field, mut config) = notifier_config(notifier);
        config.insert("send_resolved".to_owned(), receiver.send_resolved.into());
        object[field] = json!([config]);
    }
    object
}

/// The field of a receiver, and the one configuration in it.
fn notifier_config(notifier: Notifier<'_>) -> (&'static str, Map<String, Value>) {
    let (field, config) = match notifier {
        Notifier::Slack(slack) => (
            "slack_configs",
            json!({
                "api_url_file": path(&slack.url_secret),
                "channel": slack.channel,
                "username": slack.username,
                "title": slack.title.as_deref().unwrap_or(messages::TITLE),
                "text": slack.text.as_deref().unwrap_or(messages::SLACK_TEXT),
            }),
        ),
        Notifier::Email(email) => (
            "email_configs",
            json!({
                "to": email.to,
                "from": email.from,
                "smarthost": email.smarthost,
                "auth_username": email.auth_username,
                "auth_password_file": email.auth_password_secret.as_ref().map(path),
                "require_tls": email.require_tls,
                "headers": messages::headers(email),
            }),
        ),
        Notifier::Webhook(webhook) => (
            "webhook_configs",
            json!({
                "url": webhook.url,
                "url_file": webhook.url_secret.as_ref().map(path),
                "max_alerts": webhook.max_alerts,
                "http_config": webhook.http_config.as_ref().map(http_config),
            }),
        ),
        Notifier::PagerDuty(pagerduty) => (
            "pagerduty_configs",
            json!({
                "routing_key_file": path(&pagerduty.routing_key_secret),
                "url": pagerduty.url,
                "description": messages::TITLE,
                "severity": pagerduty.severity.map_or(messages::PAGERDUTY_SEVERITY, |severity| severity.as_str()),
            }),
        ),
        Notifier::OpsGenie(opsgenie) => (
            "opsgenie_configs",
            json!({
                "api_key_file": path(&opsgenie.api_key_secret),
                "api_url": opsgenie.api_url,
                "message": messages::TITLE,
                "description": messages::PLAIN_TEXT,
                "priority": opsgenie.priority.map_or(messages::OPSGENIE_PRIORITY, |priority| priority.as_str()),
            }),
        ),
        Notifier::Teams(teams) => (
            "msteamsv2_configs",
            json!({
                "webhook_url_file": path(&teams.webhook_url_secret),
                "title": teams.title.as_deref().unwrap_or(messages::TITLE),
                "text": teams.text.as_deref().unwrap_or(messages::TEAMS_TEXT),
            }),
        ),
    };
    (field, given(config))
}

fn http_config(http: &WebhookHttp) -> Map<String, Value> {
    let bearer = |secret: &SecretKey| json!({ "type": "Bearer", "credentials_file": path(secret) });
    given(json!({
        "authorization": http.bearer_token_secret.as_ref().map(bearer),
        "basic_auth": http.basic_auth.as_ref().map(|basic| {
            json!({ "username_file": path(&basic.username_secret), "password_file": path(&basic.password_secret) })
        }),
    }))
}

/// The file that a key of a Secret is.
fn path(secret: &SecretKey) -> String {
    format!("{SECRETS}/{}/{}", secret.name, secret.key)
}
