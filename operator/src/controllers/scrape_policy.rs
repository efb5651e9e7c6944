//! `ScrapePolicy`: the objects by which Prometheus scrapes what the agents of the policy's fleets expose themselves.

use fleetscope_core::api::agent_fleet::ObjectStatus;
use fleetscope_core::api::conditions::{merge, policy_ready};
use fleetscope_core::api::{ScrapePolicy, ScrapePolicyStatus};
use fleetscope_core::profiles;
use fleetscope_core::resources::scrape_policy::{self, FleetRef, Port};
use fleetscope_core::resources::{Desired, Site};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use kube::runtime::watcher::Config;
use kube::{Api, ResourceExt as _};

use super::kind::{Decision, Kind, Told, count, listed};
use super::memory::Guarded;
use crate::context::{Context, lock};
use crate::owner::{OwnerKey, OwnerKind};
use crate::policies::PolicyClaim;
use crate::precedence::Fleet;
use crate::secrets::Named;
use crate::watched::Part;

/// The controller of `ScrapePolicy`.
pub(crate) struct Scrape;

/// What a policy scrapes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Scraped {
    fleets: usize,
    static_targets: usize,
}

impl Kind for Scrape {
    type Object = ScrapePolicy;
    type Status = ScrapePolicyStatus;
    type Seen = Scraped;

    const KIND: OwnerKind = OwnerKind::ScrapePolicy;

    fn parts(ctx: &Context, config: &Config) -> Vec<Part<Guarded<Self>>> {
        ctx.scope.parts(&Api::all(ctx.client.clone()), config)
    }

    fn enter(ctx: &Context, key: &OwnerKey, object: Option<&ScrapePolicy>) {
        // It decides nothing that others look at.
        lock(&ctx.claims).policies.set(key, object.map(PolicyClaim::of_scrape_policy));
    }

    fn known(ctx: &Context, _: &ScrapePolicy) -> bool {
        ctx.listed(OwnerKind::AgentFleet) && ctx.children.known()
    }

    fn suspended(policy: &ScrapePolicy) -> bool {
        policy.spec.suspend
    }

    fn secrets(policy: &ScrapePolicy) -> Vec<Named> {
        let named = |reference: scrape_policy::Reference<'_>| Named {
            path: reference.path.to_owned(),
            key: reference.secret.clone(),
            content: None,
        };
        scrape_policy::secrets(&policy.spec).into_iter().map(named).collect()
    }

    fn decide(ctx: &Context, key: &OwnerKey, policy: &ScrapePolicy) -> Decision<Scraped> {
        let fleets = fleets(ctx, key);
        let pods = if policy.spec.pods.is_some() { fleets.len() } else { 0 };
        let seen = Scraped { fleets: pods, static_targets: scrape_policy::static_targets(&policy.spec) };
        match scrape_policy::desired(policy, &fleets, &ctx.site, ctx.children.installed()) {
            Ok(desired) => Decision { faults: Vec::new(), desired, seen },
            Err(faults) => Decision { faults, desired: Vec::new(), seen },
        }
    }

    fn label_field(policy: &ScrapePolicy) -> String {
        format!("spec.objectLabels of ScrapePolicy {}", policy.name_any())
    }

    fn beyond_namespace(_: &Site, _: &Desired) -> bool {
        false
    }

    fn status_of(policy: &ScrapePolicy) -> Option<ScrapePolicyStatus> {
        policy.status.clone()
    }

    fn conditions(status: &ScrapePolicyStatus) -> &[Condition] {
        &status.conditions
    }

    fn conditions_mut(status: &mut ScrapePolicyStatus) -> &mut [Condition] {
        &mut status.conditions
    }

    fn in_place(status: &ScrapePolicyStatus) -> Vec<ObjectStatus> {
        status.objects.clone()
    }

    fn status(
        _: &Context,
        _: &OwnerKey,
        policy: &ScrapePolicy,
        told: Told<'_, ScrapePolicyStatus, Scraped>,
    ) -> Option<ScrapePolicyStatus> {
        let (suspended, seen) = (policy.spec.suspend, told.seen);
        let good = match (seen.fleets, seen.static_targets) {
            (0, 0) => "no fleet of the namespace matches the selector".to_owned(),
            (fleets, 0) => format!("{} scraped", counted(fleets, "fleet")),
            (0, targets) => format!("{} scraped", counted(targets, "static target")),
            (fleets, targets) => {
                format!("{} scraped, and {}", counted(fleets, "fleet"), counted(targets, "static target"))
            }
        };
        let mut facts = told.facts;
        facts.insert(0, policy_ready(&facts, suspended, &good));
        let conditions = merge(&told.before.conditions, &facts, told.generation, told.now);
        let observed_generation = told.generation;
        let Some(programmed) = told.programmed else {
            // What is in place is what was counted before.
            return Some(ScrapePolicyStatus { observed_generation, conditions, ..told.before.clone() });
        };
        let of = |number| count(if suspended { 0 } else { number });
        Some(ScrapePolicyStatus {
            observed_generation,
            conditions,
            fleets: Some(of(seen.fleets)),
            static_targets: Some(of(seen.static_targets)),
            objects: listed(programmed.objects),
        })
    }

    fn unreadable(
        before: ScrapePolicyStatus,
        conditions: Vec<Condition>,
        generation: Option<i64>,
    ) -> ScrapePolicyStatus {
        let objects = before.objects;
        ScrapePolicyStatus { observed_generation: generation, conditions, objects, ..ScrapePolicyStatus::default() }
    }
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what} is") } else { format!("{number} {what}s are") }
}

fn fleets(ctx: &Context, key: &OwnerKey) -> Vec<FleetRef> {
    let claims = lock(&ctx.claims);
    let Some(claim) = claims.policies.get(key) else { return Vec::new() };
    let fleet = |fleet: Fleet<'_>| {
        let scrape = profiles::get(fleet.claim.profile).scrape.as_ref();
        FleetRef {
            name: fleet.name.to_owned(),
            selector: fleet.claim.selector.clone(),
            elders: claims.elders(fleet),
            port: scrape.map(|scrape| Port::Number(scrape.port.into())),
            path: scrape.map(|scrape| scrape.path.clone()),
        }
    };
    claims.selected(key, claim).into_iter().map(fleet).collect()
}
