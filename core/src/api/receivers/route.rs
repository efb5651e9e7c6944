//! A route: which alerts go to a receiver, in which groups, and how often they are told again.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::super::scalars::Severity;
use super::{NAME, SUBDOMAIN};

/// A name of an alert, where `*` stands for any characters.
const ALERTS: &str = "^[A-Za-z_*][A-Za-z0-9_*]*$";
/// A name of a label.
const LABEL: &str = "^[a-zA-Z_][a-zA-Z0-9_]*$";
/// A time that both CEL and Alertmanager read.
const TIME: &str = "^([0-9]{1,6}s|[0-9]{1,5}m|[0-9]{1,3}h)$";

/// Which of the policy's alerts go to a receiver. What is not named does not matter: a route with nothing but `receiver` takes all.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.repeatInterval) >= duration(self.groupInterval)")
    .message("repeatInterval (default 4h) must not be shorter than groupInterval (default 5m)").field_path(".repeatInterval"))]
pub struct Route {
    /// Name of the receiver. Required.
    #[schemars(length(min = 1, max = 63), regex(pattern = NAME))]
    pub receiver: String,
    /// Severities of the alerts: `critical`, `warning`, `info`. Default: all.
    #[serde(default)]
    #[schemars(length(max = 3))]
    pub severities: Vec<Severity>,
    /// Namespaces of the alerts' fleets, by name. Of use in a `ClusterAlertPolicy`, as an `AlertPolicy` has alerts of its own
    /// namespace alone. Default: all.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63), regex(pattern = NAME)))]
    pub namespaces: Vec<String>,
    /// Fleets of the alerts, by name. Default: all, and alerts that are about no fleet.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253), regex(pattern = SUBDOMAIN)))]
    pub fleets: Vec<String>,
    /// Names of the alerts, where `*` stands for any characters: `FleetTask*`. Default: all.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 128), regex(pattern = ALERTS)))]
    pub alerts: Vec<String>,
    /// Labels by which alerts are put together into one message. Default: alertname, namespace, fleet.
    #[serde(default = "default_group_by")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 128), regex(pattern = LABEL)))]
    #[x_kube(validation = Rule::new("self.size() > 0 && self.all(a, self.exists_one(b, b == a))")
        .message("groupBy names labels, at least one, and none twice"))]
    pub group_by: Vec<String>,
    /// How long the first message of a group waits for further alerts, `0s` to `1h`. Default 30s.
    #[serde(default = "default_group_wait")]
    #[schemars(length(max = 16), regex(pattern = TIME))]
    #[x_kube(validation = Rule::new("duration(self) <= duration('1h')").message("groupWait is at most 1h"))]
    pub group_wait: String,
    /// Time between two messages about a group that has changed, `1s` to `24h`. Default 5m.
    #[serde(default = "default_group_interval")]
    #[schemars(length(max = 16), regex(pattern = TIME))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')").message("groupInterval is from 1s to 24h"))]
    pub group_interval: String,
    /// Time after which a group that has not changed is told again, `1m` to `120h`, which is as long as Alertmanager
    /// remembers. Default 4h.
    #[serde(default = "default_repeat_interval")]
    #[schemars(length(max = 16), regex(pattern = TIME))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1m') && duration(self) <= duration('120h')").message("repeatInterval is from 1m to 120h"))]
    pub repeat_interval: String,
    /// The routes after this one see the alert too. Default false.
    #[serde(default, rename = "continue")]
    pub goes_on: bool,
}

// === impl Route ===

impl Route {
    /// A route that takes all alerts, with the defaults of the schema.
    pub fn to(receiver: &str) -> Self {
        Self {
            receiver: receiver.to_owned(),
            severities: Vec::new(),
            namespaces: Vec::new(),
            fleets: Vec::new(),
            alerts: Vec::new(),
            group_by: default_group_by(),
            group_wait: default_group_wait(),
            group_interval: default_group_interval(),
            repeat_interval: default_repeat_interval(),
            goes_on: false,
        }
    }
}

fn default_group_by() -> Vec<String> {
    ["alertname", "namespace", "fleet"].map(str::to_owned).to_vec()
}

fn default_group_wait() -> String {
    "30s".to_owned()
}

fn default_group_interval() -> String {
    "5m".to_owned()
}

fn default_repeat_interval() -> String {
    "4h".to_owned()
}
