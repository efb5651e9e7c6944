//! `AgentFleet`: which pods are a fleet, which of their processes are tasks, which of their calls are told, and how the
//! fleet's series are scraped.
//!
//! Each limit stands in the schema, as a bound or as a CEL rule, so the API server refuses a faulty fleet. A field that a
//! newer version may know is skipped when a fleet is read, so that agents of one version and fleets of the next get along;
//! that a user's file has no unknown field is for the API server, and [`super::admission`] offline, to say.
#![expect(unreachable_pub, reason = "kube's KubeSchema derives each struct a second time, inside a function")]
#![expect(clippy::duplicated_attributes, reason = "each printer column has a type and a path")]

mod grpc;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{ProfileName, schema};
pub use grpc::GrpcSpec;

/// A fleet of agents: pods of one namespace whose tasks are observed together.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "fleetscope.io",
    version = "v1alpha1",
    kind = "AgentFleet",
    plural = "agentfleets",
    singular = "agentfleet",
    shortname = "fleet",
    shortname = "fleets",
    category = "fleetscope",
    namespaced,
    status = "AgentFleetStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "A fleet of agents: pods of one namespace whose tasks are observed together.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Agents", type_ = "integer", json_path = ".status.agents.total"),
    printcolumn(name = "Running", type_ = "integer", json_path = ".status.agents.running"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.agents.failed"),
    printcolumn(name = "Nodes", type_ = "string", json_path = ".status.nodes.summary"),
    printcolumn(name = "Targets", type_ = "integer", json_path = ".status.targets"),
    printcolumn(name = "Scrape", type_ = "string", json_path = ".status.scrape.kind", priority = 1),
    printcolumn(name = "Profile", type_ = "string", json_path = ".spec.profile", priority = 1),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AgentFleetSpec {
    /// Labels of the pods that are the fleet's agents, in the fleet's own namespace. A pod that several fleets select
    /// belongs to the oldest of them. Required; an empty selector selects every pod of the namespace.
    #[schemars(schema_with = "schema::selector")]
    pub selector: LabelSelector,
    /// Stops observing: no task of the fleet is recorded, and what was generated for it is removed. Its pods stay its own: no
    /// other fleet takes them over. Default false.
    #[serde(default)]
    pub suspend: bool,
    /// Which system the agents belong to: `Generic`, `SlothRunner`, `GoldenArmada`, `AgentOrchestrator`, `Atoll` or
    /// `DevOpsAgent`. It brings task rules behind the fleet's own, thresholds of alerts, and recording rules that give the metric
    /// names which that system's users know; docs/profiles.md has them all. What the fleet and its policies say comes first. Default Generic.
    #[serde(default)]
    pub profile: ProfileName,
    /// Which processes are tasks, and how their exit codes read. Default: the rules of the profile; every other process
    /// is grouped by executable.
    #[serde(default)]
    pub tasks: TasksSpec,
    /// Whether the fleet's gRPC calls are observed, and how they are told. Default: all methods are observed.
    #[serde(default)]
    pub grpc: GrpcSpec,
    /// How Prometheus scrapes the fleet's series from the node agents. Default: a monitor every 15 s.
    #[serde(default)]
    pub scrape: ScrapeSpec,
    /// A dashboard of the fleet's own, beside those for all fleets that the chart installs: `None`, or `Overview`, with the
    /// thresholds of the fleet's profile. A GrafanaDashboard where grafana-operator's kind is installed, else a ConfigMap that Grafana's sidecar
    /// finds (label `grafana_dashboard: "1"`). Default None.
    #[serde(default)]
    pub dashboard: FleetDashboard,
}

/// A dashboard of a fleet's own.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
pub enum FleetDashboard {
    /// None.
    #[default]
    None,
    /// The overview, bound to this fleet.
    Overview,
}

/// Which processes are tasks, and how their exit codes read.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TasksSpec {
    /// Rules in order, and behind them those of the profile; the first that matches a process names it. A process that no rule
    /// matches is a task named after its executable, in the group `other`. Default none.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub rules: Vec<TaskRule>,
    /// Most different task names that are taken from executables, per node; further ones are counted under the task
    /// `_OTHER`. Names that rules give do not count. Default 100.
    #[serde(default = "default_max_tasks")]
    #[schemars(range(min = 0, max = 10000))]
    pub max_unmatched: i32,
    /// What happens to processes that no rule matches: `Group` by executable, or `Ignore`. Default Group.
    #[serde(default)]
    pub unmatched: Unmatched,
}

impl Default for TasksSpec {
    fn default() -> Self {
        Self { rules: Vec::new(), max_unmatched: default_max_tasks(), unmatched: Unmatched::default() }
    }
}

fn default_max_tasks() -> i32 {
    100
}

/// What happens to processes that no rule matches.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
pub enum Unmatched {
    /// They are tasks named after their executable, in the group `other`.
    #[default]
    Group,
    /// They are not tasks.
    Ignore,
}

/// One task rule: which processes it matches, and what they are called.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.ignore || (has(self.name) && self.name.size() > 0)")
    .message("a rule names its tasks: set name, or ignore: true").field_path(".name"))]
#[x_kube(validation = Rule::new("!self.ignore || !has(self.name) || self.name.size() == 0")
    .message("an ignored process has no name: remove name, or ignore").field_path(".ignore"))]
pub struct TaskRule {
    /// Value of the label `task`, for example `merge`. Letters, digits and `._/:-`, at most 63. Required unless `ignore`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63), regex(pattern = r"^([A-Za-z0-9][A-Za-z0-9._/:-]*)?$"))]
    pub name: String,
    /// Value of the label `group`, for example `git`. Default `default`.
    #[serde(default = "default_group")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._/:-]*$"))]
    pub group: String,
    /// Which processes. Required.
    #[serde(rename = "match")]
    pub matches: TaskMatch,
    /// Value of the label `result` by how the process ended: an exit code (`0` to `255`), a signal (`sigkill`,
    /// `sigterm`, ...), `oom`, or `*` for all else. Results are lower-case words such as `success`, `failed`,
    /// `conflict`. What is not named here: `0` is success, all else failed. Default none.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 64))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^([*]|oom|sig[a-z0-9]{2,8}|[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])$'))")
        .message("keys are an exit code 0 to 255, a signal such as sigterm, oom, or *"))]
    pub result_by_exit_code: BTreeMap<String, ResultName>,
    /// The processes that match are not tasks at all. Default false.
    #[serde(default)]
    pub ignore: bool,
}

fn default_group() -> String {
    "default".to_owned()
}

/// A value of the label `result`: a lower-case word, at most 32 characters.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct ResultName(#[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z][a-z0-9_]*$"))] pub String);

/// Which processes a rule matches.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskMatch {
    /// Base name of the executable, for example `git`, `python3`, or a script's own name when it is run by its `#!` line.
    /// A `*` at the end matches any ending: `python*`. Required.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[^/*]+[*]?$|^[*]$"))]
    pub executable: String,
    /// The first arguments after the executable, in order. Each is compared whole, and with the argument's base name, so
    /// that `agent.py` matches `/app/agent.py`; `*` matches any one argument. Default: any arguments.
    #[serde(default)]
    #[schemars(length(max = 16), inner(length(min = 1, max = 255)))]
    pub arguments: Vec<String>,
}

/// How Prometheus scrapes the fleet's series from the node agents.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.scrapeTimeout) <= duration(self.interval)")
    .message("scrapeTimeout (default 10s) must not be longer than interval").field_path(".scrapeTimeout"))]
pub struct ScrapeSpec {
    /// Which object the operator makes: `Auto` (a PodMonitor where that kind is installed, else a ServiceMonitor, else
    /// the plain scrape configuration in a ConfigMap), `PodMonitor`, `ServiceMonitor`, `ConfigMap`, or `None`. Default Auto.
    #[serde(default)]
    pub output: ScrapeOutput,
    /// Time between two scrapes, `1s` to `1m`: the rules take rates over 5 minutes, which want some scrapes in them. Default 15s.
    #[serde(default = "default_interval")]
    #[schemars(length(max = 16), regex(pattern = r"^([0-9]{1,5}s|[0-9]{1,3}m|1h)$"))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('1m')")
        .message("interval is from 1s to 1m: the rules take rates over 5m, which want some scrapes in them"))]
    pub interval: String,
    /// How long one scrape may take, not longer than `interval`. Default 10s.
    #[serde(default = "default_timeout")]
    #[schemars(length(max = 16), regex(pattern = r"^([0-9]{1,5}s|[0-9]{1,3}m|1h)$"))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s')").message("scrapeTimeout is at least 1s"))]
    pub scrape_timeout: String,
    /// Labels on the generated monitor, for Prometheus installations that select by label, in addition to those that the
    /// operator puts on all monitors. Default none.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))")
        .message("keys are label keys: an optional DNS prefix and /, then at most 63 letters, digits, and - _ . inside"))]
    #[x_kube(validation = Rule::new("!self.exists(k, k.startsWith('fleetscope.io/') || k.startsWith('app.kubernetes.io/'))")
        .message("labels of fleetscope.io/ and app.kubernetes.io/ are the operator's own"))]
    pub labels: BTreeMap<String, LabelValue>,
    /// Most samples that Prometheus accepts from one node agent for this fleet; beyond it the scrape fails as a whole. 0
    /// is no limit. Default 50000.
    #[serde(default = "default_sample_limit")]
    #[schemars(range(min = 0, max = 10_000_000))]
    pub sample_limit: i64,
}

/// A value of a Kubernetes label.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct LabelValue(
    #[schemars(length(max = 63), regex(pattern = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"))] pub String,
);

impl Default for ScrapeSpec {
    fn default() -> Self {
        Self {
            output: ScrapeOutput::default(),
            interval: default_interval(),
            scrape_timeout: default_timeout(),
            labels: BTreeMap::new(),
            sample_limit: default_sample_limit(),
        }
    }
}

fn default_interval() -> String {
    "15s".to_owned()
}

fn default_timeout() -> String {
    "10s".to_owned()
}

fn default_sample_limit() -> i64 {
    50_000
}

/// Which object carries the fleet's scrape configuration.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
pub enum ScrapeOutput {
    /// The first of `PodMonitor`, `ServiceMonitor`, `ConfigMap` whose kind is installed.
    #[default]
    Auto,
    /// A PodMonitor of prometheus-operator.
    PodMonitor,
    /// A ServiceMonitor of prometheus-operator.
    ServiceMonitor,
    /// The plain `scrape_configs` entry in a ConfigMap, for a Prometheus without its operator.
    ConfigMap,
    /// Nothing is made.
    None,
}

/// What the operator observed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentFleetStatus {
    /// The `metadata.generation` that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Accepted`, `Programmed`, `Selected`, `NodesReady`, `Degraded`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The fleet's agents, by state. One pod is one agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<AgentsStatus>,
    /// The nodes that the fleet's pods run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodesStatus>,
    /// Node agents that serve the fleet's series: what a Prometheus that selects the monitor shows as targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub targets: Option<i32>,
    /// The object that carries the scrape configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrape: Option<ObjectStatus>,
}

/// The fleet's agents, by state.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentsStatus {
    /// All of them.
    #[schemars(range(min = 0))]
    pub total: i32,
    /// Not running yet.
    #[schemars(range(min = 0))]
    pub discovered: i32,
    /// Running.
    #[schemars(range(min = 0))]
    pub running: i32,
    /// Ended without failure.
    #[schemars(range(min = 0))]
    pub stopped: i32,
    /// Ended with a failure, or crashing.
    #[schemars(range(min = 0))]
    pub failed: i32,
}

/// The nodes that the fleet's pods run on.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodesStatus {
    /// Nodes with pods of the fleet.
    #[schemars(range(min = 0))]
    pub total: i32,
    /// Those of them whose node agent is ready.
    #[schemars(range(min = 0))]
    pub covered: i32,
    /// `covered/total`, for the printer column.
    #[schemars(length(max = 32))]
    pub summary: String,
}

/// An object that the operator made.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStatus {
    /// Its kind.
    #[schemars(length(max = 63))]
    pub kind: String,
    /// Its name, in the fleet's namespace.
    #[schemars(length(max = 253))]
    pub name: String,
}
