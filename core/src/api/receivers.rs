//! Receivers and routes of alerts, fields of the alert policies: who is told of which alerts, and how often.
//!
//! [`crate::alertmanager`] makes Alertmanager's configuration of them. A secret is named, never contained: a [`SecretKey`] of
//! the namespace that the policy's objects are in. One Alertmanager serves many policies, and takes a configuration whole or
//! not at all; so what a single policy could spoil for all others is refused here: mail without a server, an address that Go
//! does not parse. So is `$(`, in place of which prometheus-operator's reloader puts variables of its own environment.
#![expect(unreachable_pub, reason = "kube's KubeSchema derives each struct a second time, inside a function")]

mod notifiers;
mod route;

use std::collections::BTreeSet;

use kube::KubeSchema;
use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use super::scalars::SecretKey;

pub use notifiers::{
    BasicAuth, EmailReceiver, HeaderValue, OpsGeniePriority, OpsGenieReceiver, PagerDutyReceiver, PagerDutySeverity,
    SlackReceiver, TeamsReceiver, WebhookHttp, WebhookReceiver,
};
pub use route::Route;

/// A name of a receiver: a DNS label.
const NAME: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// A name of a Kubernetes object: a DNS subdomain.
const SUBDOMAIN: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// Text without `$(`.
const TEXT: &str = "^([^$]|[$]+[^$(])*[$]*$";
/// A URL that every Go parses: a host by name or IPv4 address, a port, and printable ASCII without `$`.
const URL: &str = "^https?://[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?([/?]([!-#&-~]|%[0-9A-Fa-f]{2})*)?$";

/// A URL in a Secret: as [`URL`], and with user name, password and `$`.
const SECRET_URL: &str = "^https?://(([-A-Za-z0-9._:~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*@)?[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?([/?]([!-$&-~]|%[0-9A-Fa-f]{2})*)?$";

/// Who is told of a policy's alerts. Its fields are fields of the policy's spec.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.receivers.all(r, self.receivers.exists_one(other, other.name == r.name))")
    .message("receivers have different names").field_path(".receivers"))]
#[x_kube(validation = Rule::new("self.routes.all(route, self.receivers.exists(r, r.name == route.receiver))")
    .message("each route's receiver is one of receivers").field_path(".routes"))]
#[x_kube(validation = Rule::new("!has(self.defaultReceiver) || self.receivers.exists(r, r.name == self.defaultReceiver)")
    .message("defaultReceiver is one of receivers").field_path(".defaultReceiver"))]
pub struct Routing {
    /// Whom Alertmanager tells: Slack, e-mail, a webhook, PagerDuty, OpsGenie or Teams. Without any, the policy leaves
    /// Alertmanager's configuration alone. Default none.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub receivers: Vec<Receiver>,
    /// Name of the receiver of alerts that no route takes. Default: none, the policy tells nobody of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = NAME))]
    pub default_receiver: Option<String>,
    /// Which alerts go to which receiver: the first route that takes an alert, and those after a route with `continue`.
    /// Default: every alert goes to every receiver, or to `defaultReceiver` alone if that is set.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub routes: Vec<Route>,
    /// Holds back alerts whose cause is told already: a warning while the same alert of the catalogue is critical, and what
    /// merely follows from another alert of the policy. Own rules are never held back. Default true.
    #[serde(default = "default_true")]
    pub inhibit: bool,
}

/// Somebody whom Alertmanager tells of alerts.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.slack), has(self.email), has(self.webhook), has(self.pagerduty), has(self.opsgenie), has(self.teams)].filter(given, given).size() == 1")
    .message("a receiver is exactly one of slack, email, webhook, pagerduty, opsgenie, teams"))]
pub struct Receiver {
    /// Its name in `routes` and `defaultReceiver`: lower-case letters, digits and dashes. Required.
    #[schemars(length(min = 1, max = 63), regex(pattern = NAME))]
    pub name: String,
    /// Tells also when an alert is over. Default true.
    #[serde(default = "default_true")]
    pub send_resolved: bool,
    /// A Slack channel, by an incoming webhook. Default: not Slack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<SlackReceiver>,
    /// Mail. Default: no mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailReceiver>,
    /// An HTTP endpoint that gets Alertmanager's JSON. Default: no webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookReceiver>,
    /// A service of PagerDuty, by its Events API v2. Default: not PagerDuty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagerduty: Option<PagerDutyReceiver>,
    /// OpsGenie. Default: not OpsGenie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opsgenie: Option<OpsGenieReceiver>,
    /// A channel of Microsoft Teams, by a workflow. Default: not Teams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teams: Option<TeamsReceiver>,
}

/// What a receiver is.
#[derive(Clone, Copy, Debug)]
pub enum Notifier<'a> {
    /// Slack.
    Slack(&'a SlackReceiver),
    /// Mail.
    Email(&'a EmailReceiver),
    /// A webhook.
    Webhook(&'a WebhookReceiver),
    /// PagerDuty.
    PagerDuty(&'a PagerDutyReceiver),
    /// OpsGenie.
    OpsGenie(&'a OpsGenieReceiver),
    /// Microsoft Teams.
    Teams(&'a TeamsReceiver),
}

/// What the value of a key of a Secret has to be.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Content {
    /// Anything but nothing.
    Text,
    /// A URL of http or https.
    Url,
}

// === impl Routing ===

impl Default for Routing {
    fn default() -> Self {
        Self { receivers: Vec::new(), default_receiver: None, routes: Vec::new(), inhibit: true }
    }
}

// === impl Receiver ===

impl Receiver {
    /// What it is; nothing for an object that no schema has checked.
    pub fn notifier(&self) -> Option<Notifier<'_>> {
        let Self { slack, email, webhook, pagerduty, opsgenie, teams, .. } = self;
        slack
            .as_ref()
            .map(Notifier::Slack)
            .or(email.as_ref().map(Notifier::Email))
            .or(webhook.as_ref().map(Notifier::Webhook))
            .or(pagerduty.as_ref().map(Notifier::PagerDuty))
            .or(opsgenie.as_ref().map(Notifier::OpsGenie))
            .or(teams.as_ref().map(Notifier::Teams))
    }
}

// === impl Content ===

impl Content {
    /// What is wrong with a value, if anything is. prometheus-operator takes such a value from a Secret as it is, and then
    /// has no configuration for anybody; so an object that names it must not be made.
    pub fn fault(self, value: &[u8]) -> Option<&'static str> {
        let is_url = |value: &[u8]| Regex::new(SECRET_URL).is_ok_and(|url| url.is_match(value));
        match (self, value.trim_ascii()) {
            (_, []) => Some("is empty"),
            (Self::Url, value) if !is_url(value) => Some("is not a URL of http or https"),
            _ => None,
        }
    }
}

/// Every key of a Secret that the receivers name, once, in order.
pub fn secrets(receivers: &[Receiver]) -> Vec<SecretKey> {
    let mut keys: Vec<SecretKey> = secret_contents(receivers).into_iter().map(|(key, _)| key).collect();
    keys.dedup();
    keys
}

/// The same with what the values have to be, in order. A key that is used for both is there twice.
pub fn secret_contents(receivers: &[Receiver]) -> Vec<(SecretKey, Content)> {
    let named: BTreeSet<(&SecretKey, Content)> =
        receivers.iter().filter_map(Receiver::notifier).flat_map(Notifier::secrets).collect();
    named.into_iter().map(|(key, content)| (key.clone(), content)).collect()
}

pub(super) fn default_true() -> bool {
    true
}

#[cfg(test)]
mod tests;
