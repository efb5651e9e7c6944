//! `ClusterAlertPolicy`: what is alerted on for fleets of all namespaces, and Fleetscope's alerts about itself.
#![expect(unreachable_pub, reason = "kube's KubeSchema derives each struct a second time, inside a function")]
#![expect(clippy::duplicated_attributes, reason = "each printer column has a type and a path")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::alerting::{Alerting, PolicyStatus};
use super::schema;

/// Alerts, SLOs, budgets and receivers for fleets of all namespaces, and Fleetscope's alerts about itself.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "fleetscope.io",
    version = "v1alpha1",
    kind = "ClusterAlertPolicy",
    plural = "clusteralertpolicies",
    singular = "clusteralertpolicy",
    shortname = "clusteralerts",
    category = "fleetscope",
    status = "PolicyStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "Alerts, SLOs, budgets and receivers for fleets of all namespaces, and Fleetscope's alerts about itself. What it generates is in the operator's namespace; Secrets that its receivers name are there, too. An AlertPolicy of a fleet's own namespace takes its place for that fleet, unless it is enforced.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Fleets", type_ = "integer", json_path = ".status.fleets"),
    printcolumn(name = "Yielded", type_ = "integer", json_path = ".status.yielded"),
    printcolumn(name = "Alerts", type_ = "integer", json_path = ".status.alerts"),
    printcolumn(name = "Receivers", type_ = "integer", json_path = ".status.receivers"),
    printcolumn(name = "Enforced", type_ = "boolean", json_path = ".spec.enforced", priority = 1),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterAlertPolicySpec {
    /// The fleets, by the labels of their `AgentFleet` objects. Default: all of them.
    #[serde(default)]
    #[schemars(schema_with = "schema::fleets")]
    pub fleets: LabelSelector,
    /// The namespaces whose fleets these are, by the labels of the namespaces. Default: all of them.
    #[serde(default)]
    #[schemars(schema_with = "schema::namespaces")]
    pub namespaces: LabelSelector,
    /// The catalogue's alerts hold also for fleets that an AlertPolicy of their own namespace covers: those alerts fire
    /// twice then, each with its own label `policy`. Default false.
    #[serde(default)]
    pub enforced: bool,
    /// Adds the alerts about Fleetscope itself: probes, losses, scrapes, the operator. Default true.
    #[serde(default = "default_self_alerts")]
    pub self_alerts: bool,
    /// What is alerted on, and who is told.
    #[serde(flatten)]
    pub alerting: Alerting,
}

fn default_self_alerts() -> bool {
    true
}
