//! `AgentFleet`: the objects that carry its scrape configuration, its recordings and its dashboard, and what is seen of its pods and their nodes.

use std::sync::MutexGuard;

use fleetscope_core::api::agent_fleet::ObjectStatus;
use fleetscope_core::api::{AgentFleet, AgentFleetStatus};
use fleetscope_core::resources::{ChildKind, Desired, Site, fleet, scrape_name};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::watcher::Config;
use kube::{Api, ResourceExt as _};

use super::guard::Unreadable;
use super::kind::{Decision, Kind, Told};
use super::memory::Guarded;
use super::status;
use crate::context::{Context, lock};
use crate::fleets::Claim;
use crate::owner::{OwnerKey, OwnerKind};
use crate::precedence::{self, Claims};
use crate::watched::Part;

/// The controller of `AgentFleet`.
pub(crate) struct Fleet;

impl Kind for Fleet {
    type Object = AgentFleet;
    type Status = AgentFleetStatus;
    type Seen = ();

    const KIND: OwnerKind = OwnerKind::AgentFleet;

    fn parts(ctx: &Context, config: &Config) -> Vec<Part<Guarded<Self>>> {
        ctx.scope.parts(&Api::all(ctx.client.clone()), config)
    }

    fn enter(ctx: &Context, key: &OwnerKey, object: Option<&AgentFleet>) {
        note(ctx, lock(&ctx.claims), key, object.map(Claim::of));
    }

    fn enter_unreadable(ctx: &Context, key: &OwnerKey, unreadable: &Unreadable) {
        let claims = lock(&ctx.claims);
        let known = claims.fleets.get(&key.namespace, &key.name);
        let claim = Claim::of_unreadable(&unreadable.metadata, &unreadable.spec, known);
        note(ctx, claims, key, claim);
    }

    fn known(ctx: &Context, _: &AgentFleet) -> bool {
        lock(&ctx.pods).synced() && ctx.children.known()
    }

    fn suspended(fleet: &AgentFleet) -> bool {
        fleet.spec.suspend
    }

    fn decide(ctx: &Context, _: &OwnerKey, fleet: &AgentFleet) -> Decision<()> {
        let desired = fleet::desired(fleet, &ctx.site, ctx.children.installed());
        Decision { faults: Vec::new(), desired, seen: () }
    }

    fn label_field(fleet: &AgentFleet) -> String {
        format!("spec.scrape.labels of AgentFleet {}", fleet.name_any())
    }

    fn beyond_namespace(site: &Site, wanted: &Desired) -> bool {
        // A monitor's targets are the node agents.
        let monitor = matches!(wanted.kind, ChildKind::PodMonitor | ChildKind::ServiceMonitor);
        monitor && wanted.namespace != site.namespace
    }

    fn status_of(fleet: &AgentFleet) -> Option<AgentFleetStatus> {
        fleet.status.clone()
    }

    fn conditions(status: &AgentFleetStatus) -> &[Condition] {
        &status.conditions
    }

    fn conditions_mut(status: &mut AgentFleetStatus) -> &mut [Condition] {
        &mut status.conditions
    }

    fn in_place(status: &AgentFleetStatus) -> Vec<ObjectStatus> {
        status.scrape.iter().cloned().collect()
    }

    fn status(
        ctx: &Context,
        key: &OwnerKey,
        fleet: &AgentFleet,
        told: Told<'_, AgentFleetStatus, ()>,
    ) -> Option<AgentFleetStatus> {
        let seen = {
            let claims = lock(&ctx.claims);
            status::observe(key, &claims.fleets, &lock(&ctx.pods))?
        };
        let name = scrape_name(&fleet.name_any());
        let carries = |kind: &str| ChildKind::OF_FLEETS.iter().any(|of| of.as_str() == kind);
        let scrape = match told.programmed {
            Some(programmed) => {
                programmed.objects.into_iter().find(|object| object.name == name && carries(&object.kind))
            }
            None => told.before.scrape.clone(),
        };
        let suspended = fleet.spec.suspend;
        Some(status::status(told.before, told.generation, suspended, &seen, told.facts, scrape, told.now))
    }

    fn unreadable(before: AgentFleetStatus, conditions: Vec<Condition>, generation: Option<i64>) -> AgentFleetStatus {
        let scrape = before.scrape;
        AgentFleetStatus { observed_generation: generation, conditions, scrape, ..AgentFleetStatus::default() }
    }
}

/// Notes a fleet, or that it is gone, and wakes those whom that concerns.
fn note(ctx: &Context, mut claims: MutexGuard<'_, Claims>, key: &OwnerKey, claim: Option<Claim>) {
    let Some(change) = claims.fleets.set(key, claim) else { return };
    let mut concerned = precedence::of_fleet(&claims, key, &change);
    let pods = lock(&ctx.pods);
    // Before all are known, nobody has decided anything.
    if change.moves_pods() && pods.synced() && ctx.listed(OwnerKind::AgentFleet) {
        let labels = pods.namespace(&key.namespace).map(|pod| &*pod.labels);
        concerned.extend(claims.fleets.neighbours(key, &change, labels));
    }
    drop(pods);
    drop(claims);
    ctx.requeue.push(concerned);
}
