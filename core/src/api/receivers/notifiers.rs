//! What a receiver can be, with the fields of each. Titles and texts are Alertmanager's templates; their defaults are in
//! [`crate::alertmanager::messages`].

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::super::scalars::SecretKey;
use super::{Content, Notifier, TEXT, URL, default_true};

/// A mail server by name or IPv4 address, and its port: of an IPv6 address prometheus-operator loses the brackets.
const SMARTHOST: &str = "^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?:[0-9]{1,5}$";
/// Text without `$(` and control characters.
const LINE: &str = "^([^$\\x00-\\x1f]|[$]+[^$(\\x00-\\x1f])*[$]*$";

/// A Slack channel, by an incoming webhook.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlackReceiver {
    /// Where the URL of the incoming webhook is. Required.
    pub url_secret: SecretKey,
    /// Channel or user, for example `#alerts` or `@somebody`. Default: the webhook's own channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = LINE))]
    pub channel: Option<String>,
    /// Name that messages come from. Default `Alertmanager`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = LINE))]
    pub username: Option<String>,
    /// Template of the title. Default: state, severity, alert and fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096), regex(pattern = TEXT))]
    pub title: Option<String>,
    /// Template of the text. Default: summary, description and runbook of each alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16384), regex(pattern = TEXT))]
    pub text: Option<String>,
}

/// Mail.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.authUsername) == has(self.authPasswordSecret)")
    .message("authUsername and authPasswordSecret go together").field_path(".authUsername"))]
pub struct EmailReceiver {
    /// Address or addresses, with commas between them. Required.
    #[schemars(length(min = 3, max = 2048), regex(pattern = LINE))]
    #[x_kube(validation = Rule::new("self.contains('@')").message("to is an address: name@example.com"))]
    pub to: String,
    /// Address that mail comes from. Required, as without it an Alertmanager that has no global one refuses the
    /// configuration of all.
    #[schemars(length(min = 3, max = 512), regex(pattern = LINE))]
    #[x_kube(validation = Rule::new("self.contains('@')").message("from is an address: name@example.com"))]
    pub from: String,
    /// Mail server, as `host:port`. Required, as without it an Alertmanager that has no global one refuses the
    /// configuration of all.
    #[schemars(length(min = 3, max = 260), regex(pattern = SMARTHOST))]
    pub smarthost: String,
    /// User name at the mail server, with `authPasswordSecret`. Default: no authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = LINE))]
    pub auth_username: Option<String>,
    /// Where the password for `authUsername` is. Default: no authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_password_secret: Option<SecretKey>,
    /// Sends nothing unless the mail server speaks TLS. Default true.
    #[serde(default = "default_true")]
    pub require_tls: bool,
    /// Further headers: names as in `Reply-To`, and templates of their values. Default: `Subject`, with state, severity,
    /// alert and fleet.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[A-Z][a-z0-9]*(-[A-Z][a-z0-9]*){0,15}$'))")
        .message("names of headers are words with a capital first letter and dashes between them: Reply-To"))]
    pub headers: BTreeMap<String, HeaderValue>,
}

/// Template of the value of a header of a mail.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct HeaderValue(#[schemars(length(min = 1, max = 1024), regex(pattern = LINE))] pub String);

/// An HTTP endpoint that gets Alertmanager's JSON.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.url) != has(self.urlSecret)").message("a webhook has either url or urlSecret"))]
pub struct WebhookReceiver {
    /// URL, `http` or `https`, without a password in it. Default: the one of `urlSecret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = URL))]
    pub url: Option<String>,
    /// Where the URL is, when it is a secret itself. Default: `url` is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_secret: Option<SecretKey>,
    /// Most alerts in one request; how many were left out is in the field `truncatedAlerts`. 0 is no limit. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_alerts: i32,
    /// How the request authenticates. Default: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_config: Option<WebhookHttp>,
}

/// How a webhook's request authenticates.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.bearerTokenSecret) != has(self.basicAuth)")
    .message("httpConfig has either bearerTokenSecret or basicAuth"))]
pub struct WebhookHttp {
    /// Where the token of the header `Authorization: Bearer` is. Default: no token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_secret: Option<SecretKey>,
    /// User name and password. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
}

/// User name and password of HTTP's basic authentication.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// Where the user name is. Required.
    pub username_secret: SecretKey,
    /// Where the password is. Required.
    pub password_secret: SecretKey,
}

/// A service of PagerDuty, by its Events API v2.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PagerDutyReceiver {
    /// Where the integration key is. Required.
    pub routing_key_secret: SecretKey,
    /// Severity of the incidents: `critical`, `error`, `warning` or `info`. Default: the alert's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<PagerDutySeverity>,
    /// URL of the Events API. Default: Alertmanager's, <https://events.pagerduty.com/v2/enqueue>.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = URL))]
    pub url: Option<String>,
}

/// Severity of an incident of PagerDuty.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PagerDutySeverity {
    /// The highest.
    Critical,
    /// The second.
    Error,
    /// The third.
    Warning,
    /// The lowest.
    Info,
}

/// OpsGenie.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpsGenieReceiver {
    /// Where the API key is. Required.
    pub api_key_secret: SecretKey,
    /// URL of the API, for example <https://api.eu.opsgenie.com/>. Default: Alertmanager's, <https://api.opsgenie.com/>.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = URL))]
    pub api_url: Option<String>,
    /// Priority, `P1` to `P5`. Default: P1 for critical, P3 for warning, P5 for info.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<OpsGeniePriority>,
}

/// Priority of an alert of OpsGenie.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
pub enum OpsGeniePriority {
    /// The highest.
    P1,
    /// The second.
    P2,
    /// The third.
    P3,
    /// The fourth.
    P4,
    /// The lowest.
    P5,
}

/// A channel of Microsoft Teams, by a workflow ("When a Teams webhook request is received"). Alertmanager 0.28 or later. The
/// connectors of Office 365, which came before the workflows, are retired.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TeamsReceiver {
    /// Where the URL of the workflow is. Required.
    pub webhook_url_secret: SecretKey,
    /// Template of the title. Default: state, severity, alert and fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096), regex(pattern = TEXT))]
    pub title: Option<String>,
    /// Template of the text. Default: summary, description and runbook of each alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16384), regex(pattern = TEXT))]
    pub text: Option<String>,
}

// === impl PagerDutySeverity ===

impl PagerDutySeverity {
    /// The word that PagerDuty knows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

// === impl OpsGeniePriority ===

impl OpsGeniePriority {
    /// The word that OpsGenie knows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
            Self::P4 => "P4",
            Self::P5 => "P5",
        }
    }
}

// === impl Notifier ===

impl<'a> Notifier<'a> {
    /// The keys of Secrets that it names, and what their values have to be.
    pub(super) fn secrets(self) -> Vec<(&'a SecretKey, Content)> {
        match self {
            Self::Slack(slack) => vec![(&slack.url_secret, Content::Url)],
            Self::Email(email) => email.auth_password_secret.iter().map(|key| (key, Content::Text)).collect(),
            Self::Webhook(webhook) => {
                let http = webhook.http_config.as_ref();
                let basic = http.and_then(|http| http.basic_auth.as_ref());
                let basic = basic.into_iter().flat_map(|basic| [&basic.username_secret, &basic.password_secret]);
                let texts = http.and_then(|http| http.bearer_token_secret.as_ref()).into_iter().chain(basic);
                let url = webhook.url_secret.iter().map(|key| (key, Content::Url));
                url.chain(texts.map(|key| (key, Content::Text))).collect()
            }
            Self::PagerDuty(pagerduty) => vec![(&pagerduty.routing_key_secret, Content::Text)],
            Self::OpsGenie(opsgenie) => vec![(&opsgenie.api_key_secret, Content::Text)],
            Self::Teams(teams) => vec![(&teams.webhook_url_secret, Content::Url)],
        }
    }
}
