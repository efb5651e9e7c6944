//! Which policies there are: what decides which fleets are theirs.

use std::collections::{BTreeMap, HashMap};

use fleetscope_core::api::alerting::{Alerting, PolicyStatus};
use fleetscope_core::api::conditions::ConditionType;
use fleetscope_core::api::{AlertPolicy, ClusterAlertPolicy, ScrapePolicy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::{Resource as _, ResourceExt as _};
use serde::Deserialize as _;
use serde_json::Value;

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
    /// The claim of its last spec that made sense, whose rules are in place.
    pub last_good: Option<Box<Self>>,
    /// Of such a claim: since when the spec is another one that makes no sense, in seconds since the epoch. Younger fleets are not in its rules.
    pub until: Option<i64>,
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
        let claim = Self { fleets: policy.spec.fleets.clone(), ..Self::of(policy.meta(), &policy.spec.alerting) };
        claim.by_status(policy.meta().generation, policy.status.as_ref())
    }

    /// Of a policy of the fleets of all namespaces.
    pub fn of_cluster_alert_policy(policy: &ClusterAlertPolicy) -> Self {
        let spec = &policy.spec;
        let claim = Self {
            fleets: spec.fleets.clone(),
            namespaces: spec.namespaces.clone(),
            enforced: spec.enforced,
            ..Self::of(policy.meta(), &spec.alerting)
        };
        claim.by_status(policy.meta().generation, policy.status.as_ref())
    }

    /// Of a policy of alerts that cannot be read: by what can be read of it. None if its selectors cannot.
    pub fn of_unreadable(metadata: &ObjectMeta, spec: &Value, status: &Value) -> Option<Self> {
        let selector = |field: &str| Option::<LabelSelector>::deserialize(&spec[field]).ok();
        let claim = Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            created: created(metadata),
            fleets: selector("fleets")?.unwrap_or_default(),
            namespaces: selector("namespaces")?.unwrap_or_default(),
            catalogue: spec["catalogue"]["enabled"] != false && spec["suspend"] != true,
            enforced: spec["enforced"] == true,
            accepted: true,
            ..Self::default()
        };
        Some(claim.by_status(metadata.generation, PolicyStatus::deserialize(status).ok().as_ref()))
    }

    /// Of a policy of scrapes, which decides no alerts.
    pub fn of_scrape_policy(policy: &ScrapePolicy) -> Self {
        Self {
            uid: policy.uid().unwrap_or_default(),
            created: created(policy.meta()),
            fleets: policy.spec.fleets.clone(),
            accepted: true,
            ..Self::default()
        }
    }

    fn of(metadata: &ObjectMeta, alerting: &Alerting) -> Self {
        Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            created: created(metadata),
            catalogue: alerting.catalogue.enabled && !alerting.suspend,
            accepted: true,
            ..Self::default()
        }
    }

    /// As it was said before this process began; the first reconcile says it again. What the rules in place say is not told: they are taken to be by
    /// the selectors of now.
    fn by_status(mut self, generation: Option<i64>, status: Option<&PolicyStatus>) -> Self {
        let Some(status) = status else { return self };
        let refused =
            status.conditions.iter().find(|c| c.type_ == ConditionType::Accepted.as_str() && c.status == "False");
        if status.alerts.is_some_and(|alerts| alerts > 0) {
            let until = refused.map(|condition| condition.last_transition_time.0.as_second());
            self.last_good = Some(Box::new(Self { until, ..self.clone() }));
        }
        self.accepted = refused.is_none_or(|condition| condition.observed_generation != generation);
        self
    }

    /// The claim that its rules in place are by.
    pub fn in_place(&self) -> &Self {
        self.last_good.as_deref().filter(|_| !self.accepted).unwrap_or(self)
    }

    /// Whether it is among those that decide the catalogue's alerts of fleets.
    pub fn decides(&self) -> bool {
        let claim = self.in_place();
        claim.catalogue && claim.accepted
    }

    /// Whether its rules in place can be about a fleet of this age, in seconds since the epoch.
    pub fn knows(&self, created: i64) -> bool {
        self.in_place().until.is_none_or(|until| created <= until)
    }
}

fn created(metadata: &ObjectMeta) -> i64 {
    metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second())
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

    /// Notes the claim of a policy whose spec was found to make sense, or that it does not, at this second; and tells what changed, if anything did.
    pub fn accepted(&mut self, key: &OwnerKey, good: Option<PolicyClaim>, now: i64) -> Option<PolicyChange> {
        let mut claim = self.get(key)?.clone();
        claim.accepted = good.is_some();
        match good {
            Some(good) => {
                claim.last_good = Some(Box::new(PolicyClaim { accepted: true, last_good: None, until: None, ..good }));
            }
            None => _ = claim.last_good.as_mut().map(|good| good.until.get_or_insert(now)),
        }
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
    use serde_json::json;

    use super::*;

    /// A policy of generation 2, created in second 7, of which this was said, 3 s later, with so many alerts in place.
    fn policy(spec: &Value, accepted: &str, generation: i64, alerts: i32) -> PolicyClaim {
        let condition = json!({
            "type": "Accepted", "status": accepted, "reason": "Valid", "message": "",
            "observedGeneration": generation, "lastTransitionTime": "1970-01-01T00:00:10Z",
        });
        let policy = json!({
            "apiVersion": "fleetscope.io/v1alpha1", "kind": "AlertPolicy",
            "metadata": { "name": "p", "namespace": "ns", "generation": 2, "creationTimestamp": "1970-01-01T00:00:07Z" },
            "spec": spec, "status": { "conditions": [condition], "alerts": alerts },
        });
        PolicyClaim::of_alert_policy(&serde_json::from_value(policy).unwrap())
    }

    #[test]
    fn one_decides_unless_it_is_suspended_without_the_catalogue_or_was_never_accepted() {
        let plain = policy(&json!({}), "True", 2, 0);
        assert_eq!((plain.created, plain.decides()), (7, true));
        assert!(!policy(&json!({ "suspend": true }), "True", 2, 0).decides());
        assert!(!policy(&json!({ "catalogue": { "enabled": false } }), "True", 2, 0).decides());
        assert!(!policy(&json!({}), "False", 2, 0).decides());
        assert!(policy(&json!({}), "False", 1, 0).decides(), "what was said of another spec does not count");
    }

    #[test]
    fn one_whose_last_good_rules_are_in_place_decides_the_fleets_of_then() {
        let began = policy(&json!({}), "False", 2, 5);
        assert_eq!(
            [9, 10, 11].map(|created| (began.decides(), began.knows(created))),
            [(true, true), (true, true), (true, false)]
        );
        // What it says now counts for nothing.
        let (mut all, key) = (Policies::default(), OwnerKey::new(OwnerKind::AlertPolicy, "ns", "p"));
        let good = policy(&json!({}), "True", 2, 0);
        all.set(&key, Some(good.clone()));
        all.accepted(&key, Some(good.clone()), 20);
        let last_good = all.get(&key).unwrap().last_good.clone();
        let wrong = policy(&json!({ "catalogue": { "enabled": false } }), "True", 2, 0);
        all.set(&key, Some(PolicyClaim { last_good, ..wrong.clone() }));
        for now in [30, 40] {
            all.accepted(&key, None, now);
            let claim = all.get(&key).unwrap();
            assert_eq!((claim.decides(), claim.knows(30), claim.knows(31)), (true, true, false));
            assert!(claim.in_place().catalogue);
        }
        all.accepted(&key, Some(wrong), 50);
        assert!(!all.get(&key).unwrap().decides(), "it was accepted without the catalogue");
        all.accepted(&key, None, 60);
        assert!(!all.get(&key).unwrap().decides());
    }

    #[test]
    fn of_one_that_cannot_be_read_counts_what_can() {
        let metadata = ObjectMeta { uid: Some("u".to_owned()), generation: Some(1), ..ObjectMeta::default() };
        let spec = json!({ "fleets": { "matchLabels": { "team": "a" } }, "enforced": true, "later": 1 });
        let claim = PolicyClaim::of_unreadable(&metadata, &spec, &json!({ "alerts": 3 })).unwrap();
        assert!(claim.enforced && claim.decides() && claim.last_good.is_some());
        assert_eq!(claim.fleets.match_labels.unwrap()["team"], "a");
        let suspended = PolicyClaim::of_unreadable(&metadata, &json!({ "suspend": true }), &Value::Null).unwrap();
        assert!(!suspended.decides());
        assert_eq!(PolicyClaim::of_unreadable(&metadata, &json!({ "fleets": 1 }), &Value::Null), None);
    }

    #[test]
    fn a_change_is_told_with_both_states_and_none_is_not_told() {
        let (mut all, key) = (Policies::default(), OwnerKey::new(OwnerKind::AlertPolicy, "ns", "p"));
        let claim = policy(&json!({}), "True", 2, 0);
        let change = all.set(&key, Some(claim.clone()));
        assert_eq!(change, Some(PolicyChange { before: None, now: Some(claim.clone()) }));
        assert_eq!(all.set(&key, Some(claim.clone())), None);
        let refused = PolicyClaim { accepted: false, ..claim.clone() };
        let change = all.accepted(&key, None, 1);
        assert_eq!(change, Some(PolicyChange { before: Some(claim.clone()), now: Some(refused.clone()) }));
        assert_eq!(all.accepted(&key, None, 2), None);
        assert_eq!(all.set(&key, None), Some(PolicyChange { before: Some(refused), now: None }));
        assert_eq!((all.get(&key), all.of(OwnerKind::AlertPolicy, "ns").count()), (None, 0));
        assert_eq!(all.accepted(&key, Some(claim), 3), None, "it is gone");
    }
}
