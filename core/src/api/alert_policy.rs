//! `AlertPolicy`: what is alerted on for the fleets of a namespace, and who is told.
//!
//! What it has in common with [`super::ClusterAlertPolicy`] is in [`super::alerting`].
#![expect(unreachable_pub, reason = "kube's KubeSchema derives each struct a second time, inside a function")]
#![expect(clippy::duplicated_attributes, reason = "each printer column has a type and a path")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::alerting::{Alerting, PolicyStatus};
use super::schema;

/// Alerts, SLOs, budgets and receivers for fleets of one namespace.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "fleetscope.io",
    version = "v1alpha1",
    kind = "AlertPolicy",
    plural = "alertpolicies",
    singular = "alertpolicy",
    shortname = "alerts",
    category = "fleetscope",
    namespaced,
    status = "PolicyStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "Alerts, SLOs, budgets and receivers for fleets of one namespace. For a fleet that several policies of its namespace select, the oldest decides the catalogue's alerts; it takes the place of cluster-wide policies that are not enforced.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Fleets", type_ = "integer", json_path = ".status.fleets"),
    printcolumn(name = "Alerts", type_ = "integer", json_path = ".status.alerts"),
    printcolumn(name = "Receivers", type_ = "integer", json_path = ".status.receivers"),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AlertPolicySpec {
    /// The fleets, by the labels of their `AgentFleet` objects, in the policy's own namespace. Default: all of them.
    #[serde(default)]
    #[schemars(schema_with = "schema::fleets")]
    pub fleets: LabelSelector,
    /// What is alerted on, and who is told.
    #[serde(flatten)]
    pub alerting: Alerting,
}
