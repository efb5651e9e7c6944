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
    /// It takes the catalogue's alerts, and is not suspended.
    pub catalogue: bool,
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
            catalogue: alerting.catalogue.enabled && !alerting.suspend,
            accepted: said.is_none_or(|condition| condition.status != "False"),
            ..Self::default()
        }
    }

    /// Whether it is among those that decide the catalogue's alerts of fleets.
    pub fn decides(&self) -> bool {
        self.catalogue && self.accepted
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn policy(spec: &Value, accepted: &str, generation: i64) -> PolicyClaim {
        let condition = json!({
            "type": "Accepted", "status": accepted, "reason": "Valid", "message": "",
            "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        let policy = json!({
            "apiVersion": "fleetscope.io/v1alpha1", "kind": "AlertPolicy",
            "metadata": { "name": "p", "namespace": "ns", "generation": 2, "creationTimestamp": "1970-01-01T00:00:07Z" },
            "spec": spec, "status": { "conditions": [condition] },
        });
        PolicyClaim::of_alert_policy(&serde_json::from_value(policy).unwrap())
    }

    #[test]
    fn one_decides_unless_it_is_suspended_without_the_catalogue_or_was_refused() {
        let plain = policy(&json!({}), "True", 2);
        assert_eq!((plain.created, plain.decides()), (7, true));
        assert!(!policy(&json!({ "suspend": true }), "True", 2).decides());
        assert!(!policy(&json!({ "catalogue": { "enabled": false } }), "True", 2).decides());
        assert!(!policy(&json!({}), "False", 2).decides());
        assert!(policy(&json!({}), "False", 1).decides(), "what was said of another spec does not count");
    }

    #[test]
    fn a_change_is_told_with_both_states_and_none_is_not_told() {
        let (mut all, key) = (Policies::default(), OwnerKey::new(OwnerKind::AlertPolicy, "ns", "p"));
        let claim = policy(&json!({}), "True", 2);
        let change = all.set(&key, Some(claim.clone()));
        assert_eq!(change, Some(PolicyChange { before: None, now: Some(claim.clone()) }));
        assert_eq!((all.set(&key, Some(claim.clone())), all.accepted(&key, true)), (None, None));
        let refused = PolicyClaim { accepted: false, ..claim.clone() };
        let change = all.accepted(&key, false);
        assert_eq!(change, Some(PolicyChange { before: Some(claim), now: Some(refused.clone()) }));
        assert_eq!(all.set(&key, None), Some(PolicyChange { before: Some(refused), now: None }));
        assert_eq!((all.get(&key), all.of(OwnerKind::AlertPolicy, "ns").count()), (None, 0));
    }
}
