//! Objectives (SLOs): what is good, how much of it is wanted, over which time.
#![expect(unreachable_pub, reason = "kube's KubeSchema derives each struct a second time, inside a function")]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::super::scalars::{Decimal, Expression, Severity, TemplateText};

/// An objective: the share of good events that is wanted over a time.
///
/// Alerts follow Google's SRE workbook, chapter 5: several windows, several burn rates.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Slo {
    /// Its name, which its series and alerts have as the label `slo`. Required.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Wanted share of good events in percent, from 50 to 99.999: `99.9` is 99.9 %. Required.
    #[x_kube(validation = Rule::new("double(self) >= 50.0 && double(self) <= 99.999")
        .message("an objective is a percentage from 50 to 99.999, for example 99.9"))]
    pub objective: Decimal,
    /// The time over which the objective is wanted: `7d`, `28d` or `30d`. Default 30d.
    #[serde(default)]
    pub window: SloWindow,
    /// What is good. Required.
    pub indicator: Indicator,
    /// What a violation means, as a sentence. Default: that the error budget burns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<TemplateText>,
    /// How urgent it is when the budget burns fast (gone in at most five days). Default critical.
    #[serde(default = "critical")]
    pub fast_burn_severity: Severity,
    /// How urgent it is when the budget burns slowly (gone before its time). Default warning.
    #[serde(default)]
    pub slow_burn_severity: Severity,
    /// Makes alerts; without them only the recordings are made. Default true.
    #[serde(default = "on")]
    pub alerting: bool,
}

fn critical() -> Severity {
    Severity::Critical
}

fn on() -> bool {
    true
}

/// The time over which an objective is wanted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
pub enum SloWindow {
    /// A week.
    #[serde(rename = "7d")]
    Week,
    /// Four weeks.
    #[serde(rename = "28d")]
    FourWeeks,
    /// Thirty days.
    #[default]
    #[serde(rename = "30d")]
    ThirtyDays,
}

impl SloWindow {
    /// Its days.
    pub const fn days(self) -> u32 {
        match self {
            Self::Week => 7,
            Self::FourWeeks => 28,
            Self::ThirtyDays => 30,
        }
    }
}

/// What is good: exactly one of these.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.taskSuccess), has(self.taskLatency), has(self.callSuccess), has(self.callLatency), has(self.ratio)].filter(x, x).size() == 1")
    .message("an indicator is exactly one of taskSuccess, taskLatency, callSuccess, callLatency and ratio"))]
pub struct Indicator {
    /// Tasks that succeed, of all that end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_success: Option<TaskSuccess>,
    /// Tasks that end within a time, of all that end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_latency: Option<TaskLatency>,
    /// gRPC calls that succeed, of all that end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_success: Option<CallSuccess>,
    /// gRPC calls that end within a time, of all that end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_latency: Option<CallLatency>,
    /// Any two counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Ratio>,
}

/// Tasks that succeed, of all that end.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskSuccess {
    /// The task. Default: all tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9._/:-]*$"))]
    pub task: Option<String>,
    /// The tasks' group. Default: all groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._/:-]*$"))]
    pub group: Option<String>,
    /// Results that are good. Default `success`.
    #[serde(default = "success")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 32), regex(pattern = r"^[a-z][a-z0-9_]*$")))]
    pub good_results: Vec<String>,
}

fn success() -> Vec<String> {
    vec!["success".to_owned()]
}

/// Tasks that end within a time, of all that end.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskLatency {
    /// The time in seconds: one of the bounds of `fleetscope_task_duration_seconds` (docs/metrics.md). Required.
    pub threshold_seconds: Decimal,
    /// The task. Default: all tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9._/:-]*$"))]
    pub task: Option<String>,
    /// The tasks' group. Default: all groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._/:-]*$"))]
    pub group: Option<String>,
}

/// The end of a call that is looked at.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
pub enum Role {
    /// Calls that the fleet serves.
    #[default]
    Server,
    /// Calls that the fleet makes.
    Client,
}

/// gRPC calls that succeed, of all that end.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallSuccess {
    /// `Server`: calls that the fleet serves, of which only errors of the server are bad; `Client`: calls that it makes, of which all but OK
    /// are. Default Server.
    #[serde(default)]
    pub role: Role,
    /// The method, as `package.Service/Method`. Default: all methods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[!-~]+$"))]
    pub method: Option<String>,
}

/// gRPC calls that end within a time, of all that end.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallLatency {
    /// `Server`: calls that the fleet serves; `Client`: calls that it makes. Default Server.
    #[serde(default)]
    pub role: Role,
    /// The method, as `package.Service/Method`. Default: all methods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[!-~]+$"))]
    pub method: Option<String>,
    /// The time in seconds: one of the bounds of the calls' histograms (docs/metrics.md, or `spec.grpc.buckets` of the fleets). Required.
    pub threshold_seconds: Decimal,
}

/// Any two counts.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.good.contains('$window') && self.total.contains('$window')")
    .message("both expressions take rates over [$window]"))]
pub struct Ratio {
    /// Rate of good events over `[$window]`, for example
    /// `sum by (namespace, fleet) (rate(http_requests_total{$fleets,code!~"5.."}[$window]))`. Required.
    pub good: Expression,
    /// Rate of all events over `[$window]`, with the same labels. Required.
    pub total: Expression,
}
