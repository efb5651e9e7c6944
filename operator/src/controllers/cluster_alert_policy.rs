//! `ClusterAlertPolicy`: the rules and receivers for fleets of all namespaces.

use std::time::Duration;

use fleetscope_core::alerting::Policy;
use fleetscope_core::api::ClusterAlertPolicy;
use fleetscope_core::api::agent_fleet::ObjectStatus;
use fleetscope_core::api::alerting::PolicyStatus;
use fleetscope_core::resources::{Desired, Site};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use kube::ResourceExt as _;

use super::alerts::{self, Made};
use super::guard::Unreadable;
use super::kind::{Decision, Kind, Told};
use crate::context::Context;
use crate::owner::{OwnerKey, OwnerKind};
use crate::policies::PolicyClaim;
use crate::secrets::Named;

/// The controller of `ClusterAlertPolicy`.
pub(crate) struct ClusterAlerts;

impl Kind for ClusterAlerts {
    type Object = ClusterAlertPolicy;
    type Status = PolicyStatus;
    type Seen = Made;

    const KIND: OwnerKind = OwnerKind::ClusterAlertPolicy;
    /// Each fleet of the cluster concerns it, and thousands may come together.
    const PERIOD: Duration = Duration::from_secs(1);

    fn enter(ctx: &Context, key: &OwnerKey, object: Option<&ClusterAlertPolicy>) {
        alerts::enter(ctx, key, object.map(PolicyClaim::of_cluster_alert_policy));
    }

    fn enter_unreadable(ctx: &Context, key: &OwnerKey, unreadable: &Unreadable) {
        alerts::enter_unreadable(ctx, key, unreadable);
    }

    fn known(ctx: &Context, _: &ClusterAlertPolicy) -> bool {
        alerts::known(ctx)
    }

    fn suspended(policy: &ClusterAlertPolicy) -> bool {
        policy.spec.alerting.suspend
    }

    fn secrets(policy: &ClusterAlertPolicy) -> Vec<Named> {
        alerts::secret_keys(Policy::Cluster(policy))
    }

    fn decide(ctx: &Context, key: &OwnerKey, policy: &ClusterAlertPolicy) -> Decision<Made> {
        alerts::decide(ctx, key, Policy::Cluster(policy))
    }

    fn accepted(ctx: &Context, key: &OwnerKey, policy: &ClusterAlertPolicy, accepted: bool) {
        alerts::accepted(ctx, key, accepted.then(|| PolicyClaim::of_cluster_alert_policy(policy)));
    }

    fn label_field(policy: &ClusterAlertPolicy) -> String {
        format!("spec.objectLabels of ClusterAlertPolicy {}", policy.name_any())
    }

    fn beyond_namespace(_: &Site, _: &Desired) -> bool {
        true
    }

    fn status_of(policy: &ClusterAlertPolicy) -> Option<PolicyStatus> {
        policy.status.clone()
    }

    fn conditions(status: &PolicyStatus) -> &[Condition] {
        &status.conditions
    }

    fn conditions_mut(status: &mut PolicyStatus) -> &mut [Condition] {
        &mut status.conditions
    }

    fn in_place(status: &PolicyStatus) -> Vec<ObjectStatus> {
        status.objects.clone()
    }

    fn status(
        ctx: &Context,
        key: &OwnerKey,
        policy: &ClusterAlertPolicy,
        told: Told<'_, PolicyStatus, Made>,
    ) -> Option<PolicyStatus> {
        Some(alerts::status(ctx, key, policy.spec.alerting.suspend, told))
    }

    fn unreadable(before: PolicyStatus, conditions: Vec<Condition>, generation: Option<i64>) -> PolicyStatus {
        PolicyStatus { observed_generation: generation, conditions, fleets: None, yielded: None, ..before }
    }
}
