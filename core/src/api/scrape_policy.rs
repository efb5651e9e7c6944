//! `ScrapePolicy`: how Prometheus scrapes what the fleets' agents expose themselves, and agents outside of the cluster.
//!
//! The fleets' series from the node agents need none: they are scraped as `AgentFleet.spec.scrape` says.
#![expect(unreachable_pub, reason = "kube's KubeSchema derives each struct a second time, inside a function")]
#![expect(clippy::duplicated_attributes, reason = "each printer column has a type and a path")]
#![expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of prometheus-operator's kinds, independent of the others"
)]

mod access;
mod relabeling;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::agent_fleet::{LabelValue, ObjectStatus};
use super::schema;
pub use access::{Authorization, BasicAuth, OAuth2, Tls};
pub use relabeling::{RelabelAction, Relabeling};

/// How Prometheus scrapes what the fleets' agents expose themselves, and agents outside of the cluster.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "fleetscope.io",
    version = "v1alpha1",
    kind = "ScrapePolicy",
    plural = "scrapepolicies",
    singular = "scrapepolicy",
    shortname = "scrape",
    category = "fleetscope",
    namespaced,
    status = "ScrapePolicyStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "How Prometheus scrapes what the agents of a namespace's fleets expose themselves, and agents outside of the cluster. A pod's annotations fleetscope.io/metrics-port and fleetscope.io/metrics-path are taken before the policy; fleetscope.io/telemetry: \"false\" leaves the pod out.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Fleets", type_ = "integer", json_path = ".status.fleets"),
    printcolumn(name = "Static", type_ = "integer", json_path = ".status.staticTargets"),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.pods) || self.static.size() > 0").message("a policy says what is scraped: set pods, static, or both"))]
#[x_kube(validation = Rule::new("duration(self.scrapeTimeout) <= duration(self.interval)")
    .message("scrapeTimeout (default 10s) must not be longer than interval").field_path(".scrapeTimeout"))]
#[x_kube(validation = Rule::new("self.output != 'ServiceMonitor' || has(self.services)")
    .message("output ServiceMonitor takes services: which Services have the fleets' pods behind them").field_path(".services"))]
#[x_kube(validation = Rule::new("[has(self.basicAuth), has(self.authorization), has(self.oauth2)].filter(x, x).size() <= 1")
    .message("at most one of basicAuth, authorization and oauth2"))]
pub struct ScrapePolicySpec {
    /// The fleets whose agents are scraped, by the labels of their `AgentFleet` objects, in the policy's own namespace. Default: all
    /// of them.
    #[serde(default)]
    #[schemars(schema_with = "schema::fleets")]
    pub fleets: LabelSelector,
    /// Stops scraping: what was generated is removed. Default false.
    #[serde(default)]
    pub suspend: bool,
    /// Scrapes the fleets' pods. Default: only `static` is scraped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<PodTargets>,
    /// The Services that have the fleets' pods behind them, by the labels of the Services; for output ServiceMonitor, where `pods.port` is
    /// the Service's port. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::services")]
    pub services: Option<LabelSelector>,
    /// Targets outside of the cluster: an agent on a virtual machine, or on the host. Default none.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[serde(rename = "static")]
    pub static_targets: Vec<StaticTargets>,
    /// Which objects carry it: `Auto` (PodMonitor for pods and ScrapeConfig for static targets where these kinds are installed, else a
    /// ConfigMap), `PodMonitor`, `ServiceMonitor`, `ScrapeConfig`, or `ConfigMap` (plain scrape configuration, where the keys of a Secret
    /// are files in /etc/prometheus/secrets/NAME; it has no oauth2 and no scrapeClass). Static targets are in a ScrapeConfig also with `PodMonitor` and
    /// `ServiceMonitor`. Default Auto.
    #[serde(default)]
    pub output: ScrapePolicyOutput,
    /// Time between two scrapes, `1s` to `2m`: rules take rates over 5 minutes, and Prometheus forgets a sample after as long. Default 15s.
    #[serde(default = "fifteen_seconds")]
    #[schemars(length(max = 16), regex(pattern = r"^([0-9]{1,5}s|[0-9]{1,3}m|1h)$"))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('2m')")
        .message("interval is from 1s to 2m: rules take rates over 5m, and Prometheus forgets a sample after as long"))]
    pub interval: String,
    /// How long one scrape may take, not longer than `interval`. Default 10s.
    #[serde(default = "ten_seconds")]
    #[schemars(length(max = 16), regex(pattern = r"^([0-9]{1,5}s|[0-9]{1,3}m|1h)$"))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s')").message("scrapeTimeout is at least 1s"))]
    pub scrape_timeout: String,
    /// How the targets are spoken to: `HTTP` or `HTTPS`. Default HTTP.
    #[serde(default)]
    pub scheme: Scheme,
    /// Parameters of the request. Default none.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    pub params: BTreeMap<String, ParamValues>,
    /// Labels that the targets expose win over those that are set here. Default false.
    #[serde(default)]
    pub honor_labels: bool,
    /// Timestamps that the targets expose are taken. Default true.
    #[serde(default = "on")]
    pub honor_timestamps: bool,
    /// Redirects are followed. A ScrapeConfig always follows them, so `false` is refused where one is made. Default true.
    #[serde(default = "on")]
    pub follow_redirects: bool,
    /// Labels on all series that are scraped, for example `environment: production`. Default none.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[a-zA-Z_][a-zA-Z0-9_]{0,62}$') && !(k in ['namespace', 'fleet', 'job', 'instance', '__name__']))")
        .message("keys are label names of Prometheus; namespace, fleet, job and instance are set already"))]
    pub target_labels: BTreeMap<String, TargetLabel>,
    /// Labels of the pods that become labels of their series. Default none.
    #[serde(default)]
    #[schemars(length(max = 16), inner(length(min = 1, max = 317)))]
    pub pod_target_labels: Vec<String>,
    /// Only pods that run are targets; failed and finished ones are left out. Default true.
    #[serde(default = "on")]
    pub filter_running: bool,
    /// The pod's node is known to `relabelings` (`__meta_kubernetes_node_...`). Default false.
    #[serde(default)]
    pub attach_node_metadata: bool,
    /// Changes of a target's labels before the scrape. Default none.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub relabelings: Vec<Relabeling>,
    /// Changes of the series' labels after the scrape. Default none.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub metric_relabelings: Vec<Relabeling>,
    /// Formats that are asked for, in order of preference. Default: Prometheus' own order.
    #[serde(default)]
    #[schemars(length(max = 8))]
    pub scrape_protocols: Vec<ScrapeProtocol>,
    /// The format that is taken where a target does not say one. Default: none, the scrape fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_scrape_protocol: Option<ScrapeProtocol>,
    /// Native histograms are taken where targets have them and Prometheus is set to take them, and classic ones are kept beside them.
    /// Default false.
    #[serde(default)]
    pub native_histograms: bool,
    /// A scrape class of the Prometheus. Default: its own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub scrape_class: Option<String>,
    /// Limits of what one target may give; one that gives more fails as a whole. Default: on, see each.
    #[serde(default)]
    pub limits: ScrapeLimits,
    /// Name and password. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// A token. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// OAuth 2, client credentials. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2>,
    /// TLS, for scheme HTTPS. Default: the system's authorities, the target's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Proxy that scrapes go through. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^https?://[!-~]+$"))]
    pub proxy_url: Option<String>,
    /// Labels on the generated objects, for Prometheus installations that select by label, in addition to those that the
    /// operator puts on all of them. Default none.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))")
        .message("keys are label keys: an optional DNS prefix and /, then at most 63 letters, digits, and - _ . inside"))]
    #[x_kube(validation = Rule::new("!self.exists(k, k.startsWith('fleetscope.io/') || k.startsWith('app.kubernetes.io/'))")
        .message("labels of fleetscope.io/ and app.kubernetes.io/ are the operator's own"))]
    pub object_labels: BTreeMap<String, LabelValue>,
}

fn fifteen_seconds() -> String {
    "15s".to_owned()
}

fn ten_seconds() -> String {
    "10s".to_owned()
}

fn on() -> bool {
    true
}

/// Which port and path of the fleets' pods. What is not set here is taken from the fleet's profile.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.port) && has(self.portNumber))").message("at most one of port and portNumber"))]
pub struct PodTargets {
    /// Name of the port, as the container (or the Service) declares it. Default: the profile's, else `metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub port: Option<String>,
    /// Number of the port, declared or not. Default: none, `port` counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port_number: Option<i32>,
    /// Path of the request. Default: the profile's, else `/metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^/[!-~]*$"))]
    pub path: Option<String>,
}

/// Targets outside of the cluster.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StaticTargets {
    /// Each `host:port`. Required.
    #[schemars(
        length(min = 1, max = 256),
        inner(
            length(min = 3, max = 300),
            regex(pattern = r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?):[0-9]{1,5}$")
        )
    )]
    pub targets: Vec<String>,
    /// The fleet that they are shown as, the label `fleet` of their series. Required.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub fleet: String,
    /// Path of the request. Default `/metrics`.
    #[serde(default = "metrics_path")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^/[!-~]*$"))]
    pub path: String,
    /// Labels on their series. Default none.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[a-zA-Z_][a-zA-Z0-9_]{0,62}$') && !(k in ['namespace', 'fleet', 'job', '__name__']))")
        .message("keys are label names of Prometheus; namespace, fleet and job are set already"))]
    pub labels: BTreeMap<String, TargetLabel>,
}

fn metrics_path() -> String {
    "/metrics".to_owned()
}

/// A value of a label that targets get.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct TargetLabel(#[schemars(length(max = 1024))] pub String);

/// The values of one parameter.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct ParamValues(#[schemars(length(max = 16), inner(length(max = 1024)))] pub Vec<String>);

/// Which objects carry a policy.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
pub enum ScrapePolicyOutput {
    /// PodMonitor and ScrapeConfig where these kinds are installed, else a ConfigMap.
    #[default]
    Auto,
    /// A PodMonitor per fleet.
    PodMonitor,
    /// A ServiceMonitor per fleet.
    ServiceMonitor,
    /// A ScrapeConfig for pods and static targets alike.
    ScrapeConfig,
    /// Plain scrape configuration in a ConfigMap.
    ConfigMap,
}

/// How targets are spoken to.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
pub enum Scheme {
    /// Without TLS.
    #[default]
    HTTP,
    /// With TLS.
    HTTPS,
}

/// A format of exposition, as Prometheus calls it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
pub enum ScrapeProtocol {
    /// Protobuf, which has native histograms.
    PrometheusProto,
    /// Text 0.0.4.
    #[serde(rename = "PrometheusText0.0.4")]
    PrometheusText004,
    /// Text 1.0.0.
    #[serde(rename = "PrometheusText1.0.0")]
    PrometheusText100,
    /// OpenMetrics 0.0.1.
    #[serde(rename = "OpenMetricsText0.0.1")]
    OpenMetricsText001,
    /// OpenMetrics 1.0.0.
    #[serde(rename = "OpenMetricsText1.0.0")]
    OpenMetricsText100,
}

/// Limits of what one target may give; 0 is no limit.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrapeLimits {
    /// Most samples of a scrape. Default 50000.
    #[serde(default = "default_samples")]
    #[schemars(range(min = 0, max = 10_000_000))]
    pub samples: i64,
    /// Most targets of a monitor. Default 1000.
    #[serde(default = "default_targets")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub targets: i64,
    /// Most labels of a series. Default 64.
    #[serde(default = "default_labels")]
    #[schemars(range(min = 0, max = 10_000))]
    pub labels: i64,
    /// Longest name of a label. Default 128.
    #[serde(default = "default_name_length")]
    #[schemars(range(min = 0, max = 100_000))]
    pub label_name_length: i64,
    /// Longest value of a label. Default 1024.
    #[serde(default = "default_value_length")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub label_value_length: i64,
    /// Most bytes of a scrape, uncompressed, as `16MB`; `0` is no limit. A ScrapeConfig has no such limit. Default 16MB.
    #[serde(default = "default_body")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^(0|[0-9]{1,6}([KMG]i?)?B)$"))]
    pub body_size: String,
    /// Dropped targets that are kept for Prometheus' page of targets. Default 100.
    #[serde(default = "default_dropped")]
    #[schemars(range(min = 0, max = 100_000))]
    pub keep_dropped_targets: i64,
}

fn default_samples() -> i64 {
    50_000
}

fn default_targets() -> i64 {
    1_000
}

fn default_labels() -> i64 {
    64
}

fn default_name_length() -> i64 {
    128
}

fn default_value_length() -> i64 {
    1_024
}

fn default_body() -> String {
    "16MB".to_owned()
}

fn default_dropped() -> i64 {
    100
}

impl Default for ScrapeLimits {
    fn default() -> Self {
        Self {
            samples: default_samples(),
            targets: default_targets(),
            labels: default_labels(),
            label_name_length: default_name_length(),
            label_value_length: default_value_length(),
            body_size: default_body(),
            keep_dropped_targets: default_dropped(),
        }
    }
}

/// What the operator observed of a policy.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScrapePolicyStatus {
    /// The `metadata.generation` that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Accepted`, `Programmed`, `Selected`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// Fleets whose pods are scraped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub fleets: Option<i32>,
    /// Static targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub static_targets: Option<i32>,
    /// The objects that carry the scrape configuration, at most 64 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub objects: Vec<ObjectStatus>,
}
