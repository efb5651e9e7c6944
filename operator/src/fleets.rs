//! Which fleets there are, by namespace: what decides whose a pod is, and whom a pod's change concerns.

use std::collections::{BTreeMap, HashMap};

use fleetscope_core::api::AgentFleet;
use fleetscope_core::pods::selects;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt as _;

use crate::requeue::FleetKey;

/// What of a fleet decides on pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The fleet's uid.
    pub uid: String,
    /// Seconds since the epoch; the older fleet has the pod.
    pub created: i64,
    /// Which pods.
    pub selector: LabelSelector,
}

/// The fleets of all namespaces.
#[derive(Debug, Default)]
pub struct Fleets {
    by_namespace: HashMap<String, BTreeMap<String, Claim>>,
}

// === impl Claim ===

impl Claim {
    /// Of a fleet.
    pub fn of(fleet: &AgentFleet) -> Self {
        Self {
            uid: fleet.uid().unwrap_or_default(),
            created: fleet.creation_timestamp().map_or(0, |time| time.0.as_second()),
            selector: fleet.spec.selector.clone(),
        }
    }
}

// === impl Fleets ===

impl Fleets {
    /// Puts a fleet in, and gives its neighbours if that changes whose their pods are.
    pub fn put(&mut self, key: &FleetKey, claim: Claim) -> Vec<FleetKey> {
        let fleets = self.by_namespace.entry(key.namespace.clone()).or_default();
        if fleets.get(&key.name) == Some(&claim) {
            return Vec::new();
        }
        fleets.insert(key.name.clone(), claim);
        self.neighbours(key)
    }

    /// Takes a fleet out, and gives its neighbours.
    pub fn remove(&mut self, key: &FleetKey) -> Vec<FleetKey> {
        let Some(fleets) = self.by_namespace.get_mut(&key.namespace) else { return Vec::new() };
        if fleets.remove(&key.name).is_none() {
            return Vec::new();
        }
        if fleets.is_empty() {
            self.by_namespace.remove(&key.namespace);
        }
        self.neighbours(key)
    }

    /// All fleets.
    pub fn all(&self) -> Vec<FleetKey> {
        let fleets = self.by_namespace.iter();
        fleets.flat_map(|(namespace, all)| all.keys().map(move |name| FleetKey::new(namespace, name))).collect()
    }

    /// The fleets of a namespace that select a pod with one of these sets of labels.
    pub fn concerned<'a>(
        &'a self,
        namespace: &'a str,
        labels: &'a [&BTreeMap<String, String>],
    ) -> impl Iterator<Item = FleetKey> + 'a {
        let fleets = self.by_namespace.get(namespace).into_iter().flatten();
        fleets
            .filter(move |(_, claim)| labels.iter().any(|labels| selects(&claim.selector, labels)))
            .map(move |(name, _)| FleetKey::new(namespace, name))
    }

    /// The fleet, and those of its namespace that have a pod before it does.
    pub fn with_elders(&self, key: &FleetKey) -> Option<(&Claim, Vec<(&str, &Claim)>)> {
        let fleets = self.by_namespace.get(&key.namespace)?;
        let own = fleets.get(&key.name)?;
        let elder =
            |(name, claim): &(&String, &Claim)| (claim.created, name.as_str()) < (own.created, key.name.as_str());
        Some((own, fleets.iter().filter(elder).map(|(name, claim)| (name.as_str(), claim)).collect()))
    }

    fn neighbours(&self, key: &FleetKey) -> Vec<FleetKey> {
        let fleets = self.by_namespace.get(&key.namespace).into_iter().flatten();
        fleets.filter(|(name, _)| **name != key.name).map(|(name, _)| FleetKey::new(&key.namespace, name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(created: i64, label: &str) -> Claim {
        let labels = BTreeMap::from([("app".to_owned(), label.to_owned())]);
        let selector = LabelSelector { match_labels: Some(labels), ..LabelSelector::default() };
        Claim { uid: created.to_string(), created, selector }
    }

    fn key(name: &str) -> FleetKey {
        FleetKey::new("ns", name)
    }

    #[test]
    fn elders_are_older_or_named_before() {
        let mut fleets = Fleets::default();
        for (name, claim) in [("b", claim(5, "x")), ("a", claim(5, "x")), ("c", claim(9, "x"))] {
            fleets.put(&key(name), claim);
        }
        fleets.put(&FleetKey::new("other", "z"), claim(0, "x"));
        let elders = |name| -> Vec<&str> {
            fleets.with_elders(&key(name)).unwrap().1.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!((elders("a"), elders("b"), elders("c")), (vec![], vec!["a"], vec!["a", "b"]));
        assert_eq!(fleets.with_elders(&key("none")), None);
    }

    #[test]
    fn neighbours_hear_of_a_change_and_of_nothing_else() {
        let mut fleets = Fleets::default();
        assert_eq!(fleets.put(&key("a"), claim(1, "x")), []);
        assert_eq!(fleets.put(&key("b"), claim(2, "x")), [key("a")]);
        assert_eq!(fleets.put(&key("b"), claim(2, "x")), []);
        assert_eq!(fleets.put(&key("b"), claim(2, "y")), [key("a")]);
        assert_eq!(fleets.remove(&key("b")), [key("a")]);
        assert_eq!(fleets.remove(&key("b")), []);
        assert_eq!(fleets.all(), [key("a")]);
    }

    #[test]
    fn a_pod_concerns_the_fleets_that_select_its_labels_before_or_after() {
        let mut fleets = Fleets::default();
        fleets.put(&key("a"), claim(1, "x"));
        fleets.put(&key("b"), claim(1, "y"));
        fleets.put(&key("c"), claim(1, "z"));
        let labels = |value: &str| BTreeMap::from([("app".to_owned(), value.to_owned())]);
        let (before, after) = (labels("x"), labels("y"));
        let all: Vec<FleetKey> = fleets.concerned("ns", &[&before, &after]).collect();
        assert_eq!(all, [key("a"), key("b")]);
        assert_eq!(fleets.concerned("elsewhere", &[&before]).count(), 0);
    }
}
