//! `AlertPolicy`: the rules and receivers for fleets of its namespace.

use std::time::Duration;

use fleetscope_core::alerting::Policy;
use fleetscope_core::api::AlertPolicy;
use fleetscope_core::api::agent_fleet::ObjectStatus;
use fleetscope_core::api::alerting::PolicyStatus;
use fleetscope_core::resources::{Desired, Site};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use kube::runtime::watcher::Config;
use kube::{Api, ResourceExt as _};

use super::alerts::{self, Made};
use super::guard::Unreadable;
use super::kind::{Decision, Kind, Told};
use super::memory::Guarded;
use crate::context::Context;
use crate::owner::{OwnerKey, OwnerKind};
use crate::policies::PolicyClaim;
use crate::secrets::Named;
use crate::watched::Part;

/// The controller of `AlertPolicy`.
pub(crate) struct Alerts;

impl Kind for Alerts {
    type Object = AlertPolicy;
    type Status = PolicyStatus;
    type Seen = Made;

    const KIND: OwnerKind = OwnerKind::AlertPolicy;
    /// Fleets that come together make one turn, not one each.
    const PERIOD: Duration = Duration::from_millis(100);

    fn parts(ctx: &Context, config: &Config) -> Vec<Part<Guarded<Self>>> {
        ctx.scope.parts(&Api::all(ctx.client.clone()), config)
    }

    fn enter(ctx: &Context, key: &OwnerKey, object: Option<&AlertPolicy>) {
        alerts::enter(ctx, key, object.map(PolicyClaim::of_alert_policy));
    }

    fn enter_unreadable(ctx: &Context, key: &OwnerKey, unreadable: &Unreadable) {
        alerts::enter_unreadable(ctx, key, unreadable);
    }

    fn known(ctx: &Context, _: &AlertPolicy) -> bool {
        alerts::known(ctx)
    }

    fn suspended(policy: &AlertPolicy) -> bool {
        policy.spec.alerting.suspend
    }

    fn secrets(policy: &AlertPolicy) -> Vec<Named> {
        alerts::secret_keys(Policy::Namespaced(policy))
    }

    fn decide(ctx: &Context, key: &OwnerKey, policy: &AlertPolicy) -> Decision<Made> {
        alerts::decide(ctx, key, Policy::Namespaced(policy))
    }

    fn accepted(ctx: &Context, key: &OwnerKey, policy: &AlertPolicy, accepted: bool) {
        alerts::accepted(ctx, key, accepted.then(|| PolicyClaim::of_alert_policy(policy)));
    }

    fn label_field(policy: &AlertPolicy) -> String {
        format!("spec.objectLabels of AlertPolicy {}", policy.name_any())
    }

    fn beyond_namespace(_: &Site, _: &Desired) -> bool {
        false
    }

    fn status_of(policy: &AlertPolicy) -> Option<PolicyStatus> {
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
        policy: &AlertPolicy,
        told: Told<'_, PolicyStatus, Made>,
    ) -> Option<PolicyStatus> {
        Some(alerts::status(ctx, key, policy.spec.alerting.suspend, told))
    }

    fn unreadable(before: PolicyStatus, conditions: Vec<Condition>, generation: Option<i64>) -> PolicyStatus {
        PolicyStatus { observed_generation: generation, conditions, fleets: None, yielded: None, ..before }
    }
}
