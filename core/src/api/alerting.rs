//! What `AlertPolicy` and `ClusterAlertPolicy` have in common: the catalogue's alerts and how they differ here, own rules,
//! objectives, budgets, invariants, receivers; and their status.
#![expect(unreachable_pub, reason = "kube's KubeSchema derives each struct a second time, inside a function")]

mod objective;
mod spending;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::agent_fleet::{LabelValue, ObjectStatus};
use super::receivers::Routing;
use super::scalars::{Decimal, Expression, PromDuration, Severity, TemplateText};
use super::schema;
pub use objective::{CallLatency, CallSuccess, Indicator, Ratio, Role, Slo, SloWindow, TaskLatency, TaskSuccess};
pub use spending::{Budget, BudgetPeriod, BudgetShare};

/// What is alerted on, and who is told.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alerting {
    /// Stops alerting: what was generated is removed. Default false.
    #[serde(default)]
    pub suspend: bool,
    /// The catalogue's alerts (docs/alerts.md), and how they differ here. Those about LLM calls, tokens and cost have no result until
    /// something that exports their series is scraped: this version does not itself. Default: all that the catalogue has on.
    #[serde(default)]
    pub catalogue: CatalogueSpec,
    /// Own alerting and recording rules, in the order of evaluation. Default none.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub rules: Vec<OwnRule>,
    /// Objectives, each with alerts on how fast its error budget burns. Default none.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b.name == a.name))").message("names of SLOs are unique"))]
    pub slos: Vec<Slo>,
    /// Limits of what LLM calls may cost. They have no result until something that exports `fleetscope_llm_cost_total` is scraped: this
    /// version does not itself. Default none.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b.name == a.name))").message("names of budgets are unique"))]
    pub budgets: Vec<Budget>,
    /// Expressions that must never have a result. Default none.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b.name == a.name))").message("names of invariants are unique"))]
    pub invariants: Vec<Invariant>,
    /// Who is told of the alerts.
    #[serde(flatten)]
    pub routing: Routing,
    /// Which objects carry the rules and the receivers: `Auto` (PrometheusRule and AlertmanagerConfig where these kinds are installed, else
    /// ConfigMaps), `PrometheusRule` (with AlertmanagerConfig), or `ConfigMap`. Default Auto.
    #[serde(default)]
    pub output: RuleOutput,
    /// Time between two evaluations of the rules. Default 30s.
    #[serde(default = "default_evaluation")]
    pub evaluation_interval: PromDuration,
    /// Labels on the generated objects, for installations that select by label, in addition to those that the operator puts
    /// on all of them. Default none.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))")
        .message("keys are label keys: an optional DNS prefix and /, then at most 63 letters, digits, and - _ . inside"))]
    #[x_kube(validation = Rule::new("!self.exists(k, k.startsWith('fleetscope.io/') || k.startsWith('app.kubernetes.io/'))")
        .message("labels of fleetscope.io/ and app.kubernetes.io/ are the operator's own"))]
    pub object_labels: BTreeMap<String, LabelValue>,
}

fn default_evaluation() -> PromDuration {
    "30s".into()
}

impl Default for Alerting {
    fn default() -> Self {
        Self {
            suspend: false,
            catalogue: CatalogueSpec::default(),
            rules: Vec::new(),
            slos: Vec::new(),
            budgets: Vec::new(),
            invariants: Vec::new(),
            routing: Routing::default(),
            output: RuleOutput::default(),
            evaluation_interval: default_evaluation(),
            object_labels: BTreeMap::new(),
        }
    }
}

/// Which objects carry rules and receivers.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
pub enum RuleOutput {
    /// PrometheusRule and AlertmanagerConfig where these kinds are installed, else ConfigMaps.
    #[default]
    Auto,
    /// PrometheusRule and AlertmanagerConfig of prometheus-operator.
    PrometheusRule,
    /// Rule files and an alertmanager.yaml in ConfigMaps.
    ConfigMap,
}

/// The catalogue's alerts, and how they differ here.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CatalogueSpec {
    /// Takes the catalogue's alerts. Without them the policy has only what it says itself, and others decide them. Default true.
    #[serde(default = "default_on")]
    pub enabled: bool,
    /// Labels on all alerts of this policy, for example `team`. Default none.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[a-zA-Z_][a-zA-Z0-9_]{0,62}$') && !(k in ['alertname', 'namespace', 'fleet', 'severity', 'policy', 'source', '__name__']))")
        .message("keys are label names of Prometheus; alertname, namespace, fleet, severity, policy and source are set already"))]
    pub labels: BTreeMap<String, TemplateText>,
    /// Folder of the runbook pages: each alert's `runbook_url` is this, `/`, the alert's name and `.md`. Default: Fleetscope's own pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^https?://[!-~]+$"))]
    pub runbook_base: Option<String>,
    /// How single alerts differ. Two entries for one alert with different severities are two alerts. Default none.
    #[serde(default)]
    #[schemars(length(max = 128))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b.alert == a.alert && (has(b.severity) ? b.severity : '') == (has(a.severity) ? a.severity : '')))")
        .message("one alert is not overridden twice at the same severity"))]
    pub overrides: Vec<AlertOverride>,
}

fn default_on() -> bool {
    true
}

impl Default for CatalogueSpec {
    fn default() -> Self {
        Self { enabled: true, labels: BTreeMap::new(), runbook_base: None, overrides: Vec::new() }
    }
}

/// How one alert of the catalogue differs. What is not set stays as the fleet's profile and the catalogue have it.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertOverride {
    /// Name of the alert in the catalogue, for example `FleetTaskFailureRatioHigh`. Required.
    #[schemars(length(min = 1, max = 80), regex(pattern = r"^[A-Z][A-Za-z0-9]*$"))]
    pub alert: String,
    /// Turns the alert on or off. Default: as the catalogue has it; on where anything else is set here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The value that is compared with, in the alert's own unit (docs/alerts.md). Default: the catalogue's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Decimal>,
    /// The least traffic at which the alert says anything, in the alert's own unit. Default: the catalogue's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Decimal>,
    /// The time over which it looks. Default: the catalogue's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<PromDuration>,
    /// How long it must hold before the alert fires. Default: the catalogue's.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<PromDuration>,
    /// How long the alert goes on after it holds no more. Default: the catalogue's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_firing_for: Option<PromDuration>,
    /// How urgent it is. Default: the catalogue's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Labels on this alert, before those of the policy. Default none.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[a-zA-Z_][a-zA-Z0-9_]{0,62}$') && !(k in ['alertname', 'namespace', 'fleet', 'severity', 'policy', 'source', '__name__']))")
        .message("keys are label names of Prometheus; alertname, namespace, fleet, severity, policy and source are set already"))]
    pub labels: BTreeMap<String, TemplateText>,
    /// Annotations on this alert; those that the catalogue has, too, are replaced. Default none.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[a-zA-Z_][a-zA-Z0-9_]{0,62}$'))").message("keys are label names of Prometheus"))]
    pub annotations: BTreeMap<String, TemplateText>,
    /// The runbook page of this alert. Default: by `runbookBase`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^https?://[!-~]+$"))]
    pub runbook_url: Option<String>,
}

/// An own rule: an alert, or a recording.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.alert) != has(self.record)").message("a rule has either alert or record"))]
#[x_kube(validation = Rule::new("!has(self.record) || !(has(self.severity) || has(self.keepFiringFor) || has(self.annotations) && self.annotations.size() > 0)")
    .message("a recording has no severity, keepFiringFor or annotations"))]
pub struct OwnRule {
    /// Name of the alert. Either this or `record`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub alert: Option<String>,
    /// Name of the recorded series. Either this or `alert`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[A-Za-z_:][A-Za-z0-9_:]*$"))]
    pub record: Option<String>,
    /// The expression of `PromQL`. `$fleets` in braces stands for the matchers of the policy's fleets:
    /// `fleetscope_tasks_total{$fleets,task="merge"}`. Required.
    pub expr: Expression,
    /// How long it must hold before the alert fires. Default: at once.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<PromDuration>,
    /// How long the alert goes on after it holds no more. Default: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_firing_for: Option<PromDuration>,
    /// How urgent the alert is. Default warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Labels on what the rule gives. An alert of an `AlertPolicy` has `namespace` without being told. Default none.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[a-zA-Z_][a-zA-Z0-9_]{0,62}$') && !(k in ['alertname', 'severity', 'policy', 'source', '__name__']))")
        .message("keys are label names of Prometheus; alertname, severity, policy and source are set already"))]
    pub labels: BTreeMap<String, TemplateText>,
    /// Annotations of the alert, for example `summary` and `description`. Default none.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[a-zA-Z_][a-zA-Z0-9_]{0,62}$'))").message("keys are label names of Prometheus"))]
    pub annotations: BTreeMap<String, TemplateText>,
}

/// Something that must never be so.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Invariant {
    /// Its name, which the alert `FleetInvariantViolated` has as the label `invariant`. Required.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// An expression of `PromQL` whose every result is a violation; `$fleets` in braces stands for the matchers of the policy's fleets.
    /// For example `sum by (namespace, fleet) (fleetscope_tasks_running{$fleets,task="merge"}) > 1`. Required.
    pub expr: Expression,
    /// How long it must be violated before the alert fires. Default: at once.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<PromDuration>,
    /// How urgent a violation is. Default critical.
    #[serde(default = "default_critical")]
    pub severity: Severity,
    /// What a violation means, as a sentence. Default: that the invariant is violated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<TemplateText>,
}

fn default_critical() -> Severity {
    Severity::Critical
}

/// What the operator observed of a policy.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// The `metadata.generation` that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Accepted`, `Programmed`, `Selected`, `Degraded`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// Fleets whose catalogue alerts this policy decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub fleets: Option<i32>,
    /// Fleets that it selects and whose catalogue alerts another policy decides: an older one of the same kind, or, for a
    /// cluster-wide policy, one of the fleet's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub yielded: Option<i32>,
    /// Alerting rules that are in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub alerts: Option<i32>,
    /// Recording rules that are in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub recordings: Option<i32>,
    /// Receivers that are in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub receivers: Option<i32>,
    /// What is not wrong, and still hardly meant: rules over metrics that nothing emits, for example.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 1024)))]
    pub warnings: Vec<String>,
    /// The objects that carry rules and receivers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub objects: Vec<ObjectStatus>,
}
