//! Which fleets there are, by namespace: what decides whose a pod is, whom a pod's change concerns, and which fleets a policy
//! selects.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fleetscope_core::api::{AgentFleet, ProfileName};
use fleetscope_core::pods::selects;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::ResourceExt as _;
use serde::Deserialize as _;
use serde_json::Value;

use crate::owner::OwnerKey;

/// What of a fleet others look at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claim {
    /// The fleet's uid.
    pub uid: String,
    /// Seconds since the epoch; the older fleet has the pod.
    pub created: i64,
    /// Which pods.
    pub selector: LabelSelector,
    /// The fleet's own labels, by which policies select it.
    pub labels: BTreeMap<String, String>,
    /// Which system its agents belong to.
    pub profile: ProfileName,
    /// Bounds of the histograms of its gRPC calls, where it has its own; else empty.
    pub call_bounds: Vec<f64>,
}

/// The fleets of all namespaces.
#[derive(Debug, Default)]
pub struct Fleets {
    by_namespace: HashMap<String, Namespace>,
}

/// The fleets of one namespace, and by which label of a pod each of them may be found.
#[derive(Debug, Default)]
struct Namespace {
    fleets: BTreeMap<String, Claim>,
    by_label: HashMap<(String, String), BTreeSet<String>>,
    /// Those that ask for no label by its value: each pod may be theirs.
    others: BTreeSet<String>,
}

/// What a change of a fleet was about.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The fleet before.
    pub before: Option<Claim>,
    /// The fleet now.
    pub now: Option<Claim>,
}

// === impl Claim ===

impl Claim {
    /// Of a fleet.
    pub fn of(fleet: &AgentFleet) -> Self {
        Self {
            uid: fleet.uid().unwrap_or_default(),
            created: fleet.creation_timestamp().map_or(0, |time| time.0.as_second()),
            selector: fleet.spec.selector.clone(),
            labels: fleet.labels().clone(),
            profile: fleet.spec.profile,
            call_bounds: fleet.spec.grpc.buckets.clone(),
        }
    }

    /// Of a fleet that cannot be read: what is known of it from before, or else what can be read of its spec. None if its selector cannot.
    pub fn of_unreadable(metadata: &ObjectMeta, spec: &Value, known: Option<&Self>) -> Option<Self> {
        let uid = metadata.uid.clone().unwrap_or_default();
        let known = known.filter(|known| known.uid == uid).cloned();
        let read = || {
            Some(Self {
                uid,
                created: metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second()),
                selector: LabelSelector::deserialize(&spec["selector"]).ok()?,
                labels: BTreeMap::new(),
                profile: ProfileName::deserialize(&spec["profile"]).unwrap_or_default(),
                call_bounds: Vec::deserialize(&spec["grpc"]["buckets"]).unwrap_or_default(),
            })
        };
        let claim = known.or_else(read)?;
        Some(Self { labels: metadata.labels.clone().unwrap_or_default(), ..claim })
    }

    /// A label that each of its pods has, if it asks for one.
    fn label(&self) -> Option<(String, String)> {
        let (key, value) = self.selector.match_labels.iter().flatten().next()?;
        Some((key.clone(), value.clone()))
    }
}

// === impl Change ===

impl Change {
    /// Whether a pod with these labels was or is selected.
    fn touches(&self, labels: &BTreeMap<String, String>) -> bool {
        [&self.before, &self.now].into_iter().flatten().any(|claim| selects(&claim.selector, labels))
    }

    /// Whether it changed whose pods are whose.
    pub fn moves_pods(&self) -> bool {
        let facts = |claim: &Option<Claim>| claim.as_ref().map(|c| (c.uid.clone(), c.created, c.selector.clone()));
        facts(&self.before) != facts(&self.now)
    }
}

// === impl Namespace ===

impl Namespace {
    fn set(&mut self, name: &str, claim: Option<Claim>) -> Option<Claim> {
        let before = self.fleets.remove(name);
        if let Some(before) = &before {
            match before.label() {
                Some(label) => {
                    if let Some(names) = self.by_label.get_mut(&label) {
                        names.remove(name);
                        if names.is_empty() {
                            self.by_label.remove(&label);
                        }
                    }
                }
                None => {
                    self.others.remove(name);
                }
            }
        }
        if let Some(claim) = claim {
            let names = match claim.label() {
                Some(label) => self.by_label.entry(label).or_default(),
                None => &mut self.others,
            };
            names.insert(name.to_owned());
            self.fleets.insert(name.to_owned(), claim);
        }
        before
    }

    /// The fleets that select a pod with these labels.
    fn selecting<'a>(&'a self, labels: &'a BTreeMap<String, String>) -> impl Iterator<Item = (&'a str, &'a Claim)> {
        let labelled = labels.iter().filter_map(|(key, value)| self.by_label.get(&(key.clone(), value.clone())));
        let may = labelled.flatten().chain(&self.others);
        may.filter_map(|name| Some((name.as_str(), self.fleets.get(name)?)))
            .filter(|(_, claim)| selects(&claim.selector, labels))
    }
}

// === impl Fleets ===

impl Fleets {
    /// Puts a fleet in (takes it out, without a claim), and tells what changed, if anything did.
    pub fn set(&mut self, key: &OwnerKey, claim: Option<Claim>) -> Option<Change> {
        let namespace = self.by_namespace.entry(key.namespace.clone()).or_default();
        let before = namespace.set(&key.name, claim.clone());
        if namespace.fleets.is_empty() {
            self.by_namespace.remove(&key.namespace);
        }
        (before != claim).then_some(Change { before, now: claim })
    }

    /// All fleets.
    pub fn all(&self) -> Vec<OwnerKey> {
        let fleets = self.by_namespace.iter();
        fleets.flat_map(|(ns, all)| all.fleets.keys().map(move |name| OwnerKey::fleet(ns, name))).collect()
    }

    /// A fleet.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Claim> {
        self.by_namespace.get(namespace)?.fleets.get(name)
    }

    /// The fleets of a namespace.
    pub fn namespace(&self, namespace: &str) -> impl Iterator<Item = (&str, &Claim)> {
        let fleets = self.by_namespace.get(namespace).into_iter().flat_map(|all| &all.fleets);
        fleets.map(|(name, claim)| (name.as_str(), claim))
    }

    /// A namespace's name as it is held here, if it has fleets.
    pub fn namespace_name(&self, namespace: &str) -> Option<&str> {
        self.by_namespace.get_key_value(namespace).map(|(name, _)| name.as_str())
    }

    /// Namespaces that have fleets.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.by_namespace.keys().map(String::as_str)
    }

    /// The fleets of a namespace that select a pod with one of these sets of labels.
    pub fn concerned(&self, namespace: &str, labels: &[&BTreeMap<String, String>]) -> BTreeSet<OwnerKey> {
        let Some(fleets) = self.by_namespace.get(namespace) else { return BTreeSet::new() };
        let names = labels.iter().flat_map(|labels| fleets.selecting(labels));
        names.map(|(name, _)| OwnerKey::fleet(namespace, name)).collect()
    }

    /// The other fleets that a change of this one concerns: the younger ones that select a pod which it selects, or selected. `pods` are
    /// the labels of the pods of its namespace.
    pub fn neighbours<'a>(
        &self,
        key: &OwnerKey,
        change: &Change,
        pods: impl Iterator<Item = &'a BTreeMap<String, String>>,
    ) -> BTreeSet<OwnerKey> {
        let Some(fleets) = self.by_namespace.get(&key.namespace) else { return BTreeSet::new() };
        let oldest = [&change.before, &change.now].into_iter().flatten().map(|claim| claim.created).min();
        let younger = |(name, claim): &(&str, &Claim)| Some((claim.created, *name)) > oldest.map(|o| (o, &*key.name));
        let shared: BTreeSet<&BTreeMap<String, String>> = pods.filter(|labels| change.touches(labels)).collect();
        let names = shared.into_iter().flat_map(|labels| fleets.selecting(labels)).filter(younger);
        names.filter(|(name, _)| *name != key.name).map(|(name, _)| OwnerKey::fleet(&key.namespace, name)).collect()
    }

    /// The fleet that has a pod with these labels: of those that select it the oldest.
    pub fn holder<'a>(&'a self, namespace: &str, labels: &'a BTreeMap<String, String>) -> Option<&'a str> {
        let selecting = self.by_namespace.get(namespace)?.selecting(labels);
        selecting.min_by_key(|(name, claim)| (claim.created, *name)).map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("app".to_owned(), value.to_owned())])
    }

    fn claim(created: i64, label: &str) -> Claim {
        let selector = LabelSelector { match_labels: Some(labels(label)), ..LabelSelector::default() };
        Claim { uid: created.to_string(), created, selector, ..Claim::default() }
    }

    fn key(name: &str) -> OwnerKey {
        OwnerKey::fleet("ns", name)
    }

    fn fleets(all: &[(&str, Claim)]) -> Fleets {
        let mut fleets = Fleets::default();
        for (name, claim) in all {
            fleets.set(&key(name), Some(claim.clone()));
        }
        fleets
    }

    #[test]
    fn a_fleet_that_cannot_be_read_is_what_was_known_of_it_or_what_can_be_read() {
        let metadata = ObjectMeta { uid: Some("5".to_owned()), labels: Some(labels("new")), ..ObjectMeta::default() };
        let spec = serde_json::json!({ "selector": { "matchLabels": { "app": "y" } }, "profile": "Later" });
        let known = Claim { profile: ProfileName::Atoll, ..claim(5, "x") };
        let of = |known: Option<&Claim>| Claim::of_unreadable(&metadata, &spec, known).unwrap();
        assert_eq!(of(Some(&known)), Claim { labels: labels("new"), ..known });
        let read = Claim { labels: labels("new"), created: 0, ..claim(5, "y") };
        assert_eq!(of(None), read);
        assert_eq!(of(Some(&claim(6, "x"))), read, "that was another fleet of the name");
        assert_eq!(Claim::of_unreadable(&metadata, &Value::Null, None), None);
    }

    #[test]
    fn a_pod_belongs_to_the_oldest_fleet_or_the_one_named_before() {
        let mut fleets = fleets(&[("b", claim(5, "x")), ("a", claim(5, "x")), ("c", claim(9, "x"))]);
        fleets.set(&OwnerKey::fleet("other", "z"), Some(claim(0, "x")));
        assert_eq!(fleets.holder("ns", &labels("x")), Some("a"));
        fleets.set(&key("all"), Some(Claim { created: 1, ..Claim::default() }));
        assert_eq!((fleets.holder("ns", &labels("x")), fleets.holder("ns", &labels("y"))), (Some("all"), Some("all")));
        fleets.set(&key("all"), None);
        fleets.set(&key("a"), None);
        assert_eq!((fleets.holder("ns", &labels("x")), fleets.holder("ns", &labels("y"))), (Some("b"), None));
    }

    #[test]
    fn younger_fleets_with_the_same_pods_hear_of_a_change_and_nobody_else() {
        let all = [("old", claim(1, "x")), ("b", claim(5, "x")), ("young", claim(9, "x")), ("else", claim(9, "y"))];
        let mut fleets = fleets(&all);
        let pods = [labels("x"), labels("y")];
        let heard = |fleets: &Fleets, change: &Change| fleets.neighbours(&key("b"), change, pods.iter());
        assert_eq!(fleets.set(&key("b"), Some(claim(5, "x"))), None);
        let change = fleets.set(&key("b"), Some(claim(5, "z"))).unwrap();
        assert_eq!(heard(&fleets, &change), BTreeSet::from([key("young")]));
        let change = fleets.set(&key("b"), None).unwrap();
        assert_eq!(heard(&fleets, &change), BTreeSet::new(), "it had no pod");
        let change = fleets.set(&key("b"), Some(claim(5, "y"))).unwrap();
        assert_eq!(heard(&fleets, &change), BTreeSet::from([key("else")]));
        assert_eq!(fleets.neighbours(&key("b"), &change, [].iter()), BTreeSet::new(), "there is no pod");
    }

    #[test]
    fn a_fleet_that_changes_its_own_labels_moves_no_pod() {
        let mut fleets = fleets(&[("a", claim(1, "x"))]);
        let change = fleets.set(&key("a"), Some(Claim { labels: labels("t"), ..claim(1, "x") })).unwrap();
        assert!(!change.moves_pods());
        assert!(fleets.set(&key("a"), Some(claim(1, "y"))).unwrap().moves_pods());
    }

    #[test]
    fn a_pod_concerns_the_fleets_that_select_its_labels_before_or_after() {
        let fleets = fleets(&[("a", claim(1, "x")), ("b", claim(1, "y")), ("c", claim(1, "z"))]);
        let (before, after) = (labels("x"), labels("y"));
        assert_eq!(fleets.concerned("ns", &[&before, &after]), BTreeSet::from([key("a"), key("b")]));
        assert_eq!(fleets.concerned("elsewhere", &[&before]), BTreeSet::new());
    }

    #[test]
    fn namespaces_without_fleets_are_forgotten() {
        let mut fleets = fleets(&[("a", claim(1, "x"))]);
        assert_eq!((fleets.all(), fleets.namespaces().count()), (vec![key("a")], 1));
        assert!(fleets.get("ns", "a").is_some());
        fleets.set(&key("a"), None);
        assert_eq!((fleets.all().len(), fleets.namespaces().count(), fleets.namespace("ns").count()), (0, 0, 0));
    }
}
