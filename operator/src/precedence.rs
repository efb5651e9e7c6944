//! Which policy decides which fleet's catalogue alerts, and whom a change concerns. Pure.
//!
//! A fleet's catalogue alerts are decided by one policy of its own namespace: the oldest of those that select it, take the
//! catalogue, are not suspended and are accepted. Where there is none, by the oldest such cluster-wide policy that is not
//! enforced. Enforced ones hold in any case. The others yield. What a policy says itself (rules, SLOs, budgets, invariants)
//! holds for each fleet that it selects.

use std::collections::{BTreeMap, BTreeSet};

use fleetscope_core::pods::{disjoint, selects};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::fleets::{self, Fleets};
use crate::namespaces::{Namespaces, Relabelled};
use crate::owner::{OwnerKey, OwnerKind};
use crate::policies::{Policies, PolicyChange, PolicyClaim};

/// Fleets, policies and namespaces: all that decides who is whose.
#[derive(Debug, Default)]
pub struct Claims {
    /// The fleets.
    pub fleets: Fleets,
    /// The policies.
    pub policies: Policies,
    /// The namespaces.
    pub namespaces: Namespaces,
}

/// A fleet that is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fleet<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What is known of it.
    pub claim: &'a fleets::Claim,
}

/// A policy's share of the fleets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Share<'a> {
    /// Those that it selects; true, where its catalogue rules are about the fleet: it decides, or would if there were no policy of the
    /// fleet's namespace, which its rules look for themselves.
    pub selected: Vec<(Fleet<'a>, bool)>,
    /// Those of them whose catalogue alerts it decides.
    pub decided: Vec<Fleet<'a>>,
    /// Those whose catalogue alerts another policy decides, by that one.
    pub yielded: BTreeMap<&'a OwnerKey, Vec<Fleet<'a>>>,
}

// === impl Claims ===

impl Claims {
    /// The fleets that a policy selects.
    pub fn selected<'a>(&'a self, key: &OwnerKey, claim: &PolicyClaim) -> Vec<Fleet<'a>> {
        let of = |namespace: &'a str| {
            let fleets = self.fleets.namespace(namespace).filter(|(_, fleet)| selects(&claim.fleets, &fleet.labels));
            fleets.map(move |(name, claim)| Fleet { namespace, name, claim })
        };
        if key.kind.namespaced() {
            return self.fleets.namespace_name(&key.namespace).into_iter().flat_map(of).collect();
        }
        let mut namespaces: Vec<&str> =
            self.fleets.namespaces().filter(|name| self.in_namespace(claim, name)).collect();
        namespaces.sort_unstable();
        namespaces.into_iter().flat_map(of).collect()
    }

    /// The share of a policy for which this is claimed.
    pub fn share<'a>(&'a self, key: &OwnerKey, claim: &PolicyClaim) -> Share<'a> {
        let mut share = Share::default();
        let claim = claim.in_place();
        for fleet in self.selected(key, claim) {
            let elder = self.elder(key, claim, fleet);
            let decides = claim.decides() && claim.knows(fleet.claim.created);
            let leads = decides && (claim.enforced || elder.is_none());
            share.selected.push((fleet, leads));
            if !decides {
                continue;
            }
            let local = (!key.kind.namespaced()).then(|| self.oldest(OwnerKind::AlertPolicy, fleet, None)).flatten();
            match local.or(elder) {
                Some((other, _)) if !claim.enforced => share.yielded.entry(other).or_default().push(fleet),
                _ => share.decided.push(fleet),
            }
        }
        share
    }

    /// Selectors of the older fleets that may take pods which this one selects: those are theirs.
    pub fn elders(&self, fleet: Fleet<'_>) -> Vec<LabelSelector> {
        let age = |name: &str, claim: &fleets::Claim| (claim.created, name.to_owned());
        let own = age(fleet.name, fleet.claim);
        let others = self.fleets.namespace(fleet.namespace).filter(|(name, claim)| age(name, claim) < own);
        let others = others.filter(|(_, claim)| !disjoint(&claim.selector, &fleet.claim.selector));
        others.map(|(_, claim)| claim.selector.clone()).collect()
    }

    /// The policy of the same kind that comes before this one for a fleet.
    fn elder(&self, key: &OwnerKey, claim: &PolicyClaim, fleet: Fleet<'_>) -> Option<(&OwnerKey, &PolicyClaim)> {
        let oldest = self.oldest(key.kind, fleet, Some(key))?;
        ((oldest.1.created, oldest.0) < (claim.created, key)).then_some(oldest)
    }

    /// Of the policies of a kind that may decide a fleet's catalogue alerts the oldest, `without` left out.
    fn oldest(
        &self,
        kind: OwnerKind,
        fleet: Fleet<'_>,
        without: Option<&OwnerKey>,
    ) -> Option<(&OwnerKey, &PolicyClaim)> {
        let policies = self.policies.of(kind, if kind.namespaced() { fleet.namespace } else { "" });
        let deciding = policies.filter(|(key, claim)| {
            let decides = Some(*key) != without && claim.decides() && claim.knows(fleet.claim.created);
            let claim = claim.in_place();
            decides && !claim.enforced && self.takes(key, claim, fleet)
        });
        deciding.min_by_key(|(key, claim)| (claim.created, *key))
    }

    fn takes(&self, key: &OwnerKey, claim: &PolicyClaim, fleet: Fleet<'_>) -> bool {
        let there = if key.kind.namespaced() {
            key.namespace == fleet.namespace
        } else {
            self.in_namespace(claim, fleet.namespace)
        };
        there && selects(&claim.fleets, &fleet.claim.labels)
    }

    /// Whether a policy without a namespace takes the fleets of this one. One whose labels are not known has none.
    fn in_namespace(&self, claim: &PolicyClaim, namespace: &str) -> bool {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        selects(&claim.namespaces, self.namespaces.labels(namespace).unwrap_or(&NONE))
    }
}

/// The other policies that a change of this one concerns: those that select a fleet which it selects, or selected.
pub fn of_policy(claims: &Claims, key: &OwnerKey, change: &PolicyChange) -> BTreeSet<OwnerKey> {
    let facts = |claim: &Option<PolicyClaim>| {
        let claim = claim.as_ref().filter(|claim| claim.decides())?.in_place();
        Some((claim.created, claim.until, claim.fleets.clone(), claim.namespaces.clone(), claim.enforced))
    };
    if facts(&change.before) == facts(&change.now) {
        return BTreeSet::new();
    }
    let mut touched = Vec::new();
    for claim in [&change.before, &change.now].into_iter().flatten().filter(|claim| claim.decides()) {
        touched.extend(claims.selected(key, claim.in_place()));
    }
    let mut concerned = BTreeSet::new();
    for kind in [OwnerKind::AlertPolicy, OwnerKind::ClusterAlertPolicy] {
        // A cluster-wide policy changes nothing for those of namespaces.
        if kind.namespaced() && !key.kind.namespaced() {
            continue;
        }
        let others = claims.policies.of(kind, if kind.namespaced() { &key.namespace } else { "" });
        let others = others.filter(|(other, claim)| *other != key && claim.decides());
        let others = others.map(|(other, claim)| (other, claim.in_place())).filter(|(_, claim)| !claim.enforced);
        concerned.extend(
            others
                .filter(|(other, claim)| touched.iter().any(|fleet| claims.takes(other, claim, *fleet)))
                .map(|(other, _)| other.clone()),
        );
    }
    concerned
}

/// The policies that a change of a fleet concerns: those that select it, or selected it; and those that scrape pods of other fleets which may be
/// its own.
pub fn of_fleet(claims: &Claims, key: &OwnerKey, change: &fleets::Change) -> BTreeSet<OwnerKey> {
    let states: Vec<Fleet<'_>> = [&change.before, &change.now]
        .into_iter()
        .flatten()
        .map(|claim| Fleet { namespace: &key.namespace, name: &key.name, claim })
        .collect();
    let kinds = [
        (OwnerKind::ScrapePolicy, key.namespace.as_str()),
        (OwnerKind::AlertPolicy, key.namespace.as_str()),
        (OwnerKind::ClusterAlertPolicy, ""),
    ];
    let policies = kinds.into_iter().flat_map(|(kind, namespace)| claims.policies.of(kind, namespace));
    let mut concerned: BTreeSet<OwnerKey> = policies
        .filter(|(policy, claim)| {
            // By its spec too, if that is refused: perhaps for want of this fleet.
            [*claim, claim.in_place()]
                .into_iter()
                .any(|claim| states.iter().any(|fleet| claims.takes(policy, claim, *fleet)))
        })
        .map(|(policy, _)| policy.clone())
        .collect();
    if change.moves_pods() {
        let shares = |other: &Fleet<'_>| {
            other.name != key.name && states.iter().any(|fleet| !disjoint(&fleet.claim.selector, &other.claim.selector))
        };
        let scrapes = claims.policies.of(OwnerKind::ScrapePolicy, &key.namespace);
        let scrapes = scrapes.filter(|(policy, claim)| claims.selected(policy, claim).iter().any(shares));
        concerned.extend(scrapes.map(|(policy, _)| policy.clone()));
    }
    concerned
}

/// Whom other labels of a namespace concern: the cluster-wide policies that select fleets of it only now, or no more; and all that is in it, for a
/// Prometheus may select its objects only now, or no more.
pub fn of_namespace(claims: &Claims, relabelled: &Relabelled) -> BTreeSet<OwnerKey> {
    let namespace = relabelled.namespace.as_str();
    let fleets: Vec<(&str, &fleets::Claim)> = claims.fleets.namespace(namespace).collect();
    let none = BTreeMap::new();
    let [before, now] = [&relabelled.before, &relabelled.now].map(|labels| labels.as_ref().unwrap_or(&none));
    let turned = |claim: &PolicyClaim| {
        let claim = claim.in_place();
        selects(&claim.namespaces, before) != selects(&claim.namespaces, now)
            && fleets.iter().any(|(_, fleet)| selects(&claim.fleets, &fleet.labels))
    };
    let cluster = claims.policies.of(OwnerKind::ClusterAlertPolicy, "").filter(|(_, claim)| turned(claim));
    let local = [OwnerKind::ScrapePolicy, OwnerKind::AlertPolicy];
    let local = local.into_iter().flat_map(|kind| claims.policies.of(kind, namespace));
    let policies = cluster.chain(local).map(|(key, _)| key.clone());
    fleets.iter().map(|(name, _)| OwnerKey::fleet(namespace, *name)).chain(policies).collect()
}

#[cfg(test)]
mod tests;
