//! Which policies there are: what decides which fleets are theirs.

use std::collections::{BTreeMap, HashMap};

use fleetscope_core::api::alerting::{Alerting, PolicyStatus};
use fleetscope_core::api::conditions::ConditionType;
use fleetscope_core::api::{AlertPolicy, ClusterAlertPolicy, ScrapePolicy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{Resource, ResourceExt as _};

use crate::owner::{OwnerKey, OwnerKind};

/// What of a policy others look at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyClaim {
    /// The policy's uid.
    pub uid: String,
    /// Seconds since the epoch; of several policies the oldest decides.
    pub created: i64,
    /// Its fleets, by their labels.
    pub fleets: LabelSelector,
    /// The namespaces of its fleets, by their labels; of a policy with a namespace, empty.
    pub namespaces: LabelSelector,
    /// It takes the catalogue's alerts.
    pub catalogue: bool,
    /// It is suspended.
    pub suspended: bool,
    /// Its catalogue alerts hold whatever others decide.
    pub enforced: bool,
    /// Its spec makes sense.
    pub accepted: bool,
}

/// The policies of all namespaces, and those without one.
#[derive(Debug, Default)]
pub struct Policies {
    by_namespace: HashMap<String, BTreeMap<OwnerKey, PolicyClaim>>,
}

/// What a change of a policy was about.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyChange {
    /// The policy before.
    pub before: Option<PolicyClaim>,
    /// The policy now.
    pub now: Option<PolicyClaim>,
}

// === impl PolicyClaim ===

impl PolicyClaim {
    /// Of a policy of a namespace's fleets.
    pub fn of_alert_policy(policy: &AlertPolicy) -> Self {
        let status = policy.status.as_ref();
        Self { fleets: policy.spec.fleets.clone(), ..Self::of(policy, &policy.spec.alerting, status) }
    }

    /// Of a policy of the fleets of all namespaces.
    pub fn of_cluster_alert_policy(policy: &ClusterAlertPolicy) -> Self {
        let spec = &policy.spec;
        Self {
            fleets: spec.fleets.clone(),
            namespaces: spec.namespaces.clone(),
            enforced: spec.enforced,
            ..Self::of(policy, &spec.alerting, policy.status.as_ref())
        }
    }

    /// Of a policy of scrapes, which decides no alerts.
    pub fn of_scrape_policy(policy: &ScrapePolicy) -> Self {
        Self {
            uid: policy.uid().unwrap_or_default(),
            created: created(policy),
            fleets: policy.spec.fleets.clone(),
            suspended: policy.spec.suspend,
            accepted: true,
            ..Self::default()
        }
    }

    fn of(policy: &impl Resource, alerting: &Alerting, status: Option<&PolicyStatus>) -> Self {
        // As it was said before this process began; the first reconcile says it again.
        let generation = policy.meta().generation;
        let said = |c: &Condition| c.type_ == ConditionType::Accepted.as_str() && c.observed_generation == generation;
        let said = status.and_then(|status| status.conditions.iter().find(|condition| said(condition)));
        Self {
            uid: policy.meta().uid.clone().unwrap_or_default(),
            created: created(policy),
            catalogue: alerting.catalogue.enabled,
            suspended: alerting.suspend,
            accepted: said.is_none_or(|condition| condition.status != "False"),
            ..Self::default()
        }
    }

    /// Whether it is among those that decide the catalogue's alerts of fleets.
    pub fn decides(&self) -> bool {
        self.catalogue && !self.suspended && self.accepted
    }
}

fn created(object: &impl Resource) -> i64 {
    object.meta().creation_timestamp.as_ref().map_or(0, |time| time.0.as_second())
}

// === impl Policies ===

impl Policies {
    /// Puts a policy in (takes it out, without a claim), and tells what changed, if anything did.
    pub fn set(&mut self, key: &OwnerKey, claim: Option<PolicyClaim>) -> Option<PolicyChange> {
        let policies = self.by_namespace.entry(key.namespace.clone()).or_default();
        let before = match claim.clone() {
            Some(claim) => policies.insert(key.clone(), claim),
            None => policies.remove(key),
        };
        if policies.is_empty() {
            self.by_namespace.remove(&key.namespace);
        }
        (before != claim).then_some(PolicyChange { before, now: claim })
    }

    /// Notes whether a policy's spec makes sense, and tells what changed, if anything did.
    pub fn accepted(&mut self, key: &OwnerKey, accepted: bool) -> Option<PolicyChange> {
        let claim = PolicyClaim { accepted, ..self.get(key)?.clone() };
        self.set(key, Some(claim))
    }

    /// A policy.
    pub fn get(&self, key: &OwnerKey) -> Option<&PolicyClaim> {
        self.by_namespace.get(&key.namespace)?.get(key)
    }

    /// The policies of a kind in a namespace; of a kind without namespaces, in none (`""`).
    pub fn of(&self, kind: OwnerKind, namespace: &str) -> impl Iterator<Item = (&OwnerKey, &PolicyClaim)> {
        let policies = self.by_namespace.get(namespace).into_iter().flatten();
        policies.filter(move |(key, _)| key.kind == kind)
    }
}
