//! Objects of one kind that carry our label. Pure: watch events in, the fleets that they concern out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt as _;
use kube::core::DynamicObject;
use kube::runtime::watcher::Event;

use fleetscope_core::api::GROUP;

use crate::requeue::FleetKey;

/// An object as the API server last showed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// The object, without `managedFields`.
    pub object: DynamicObject,
}

/// All objects of one kind.
#[derive(Debug, Default)]
pub struct Store {
    by_name: BTreeMap<(String, String), Arc<Child>>,
    listed: Option<BTreeSet<(String, String)>>,
}

// === impl Child ===

impl Child {
    /// Of an object.
    pub fn of(mut object: DynamicObject) -> Self {
        object.metadata.managed_fields = None;
        Self { object }
    }

    /// Its controller.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.object.owner_references().iter().find(|owner| owner.controller == Some(true))
    }

    /// Whether the fleet with this uid controls it.
    pub fn controlled_by(&self, uid: &str) -> bool {
        self.controller().is_some_and(|owner| owner.uid == uid)
    }

    fn key(&self) -> (String, String) {
        (self.object.namespace().unwrap_or_default(), self.object.name_any())
    }

    /// The fleet that controls it, by name: also one that was made again under the same name has to look at it.
    fn fleet(&self) -> Option<FleetKey> {
        let ours =
            |owner: &&OwnerReference| owner.kind == "AgentFleet" && owner.api_version.split('/').next() == Some(GROUP);
        let owner = self.controller().filter(ours)?;
        Some(FleetKey::new(self.object.namespace()?, &owner.name))
    }
}

// === impl Store ===

impl Store {
    /// Takes in an event, and gives the fleets whose children changed.
    pub fn handle(&mut self, event: Event<DynamicObject>) -> Vec<FleetKey> {
        match event {
            Event::Init => {
                self.listed = Some(BTreeSet::new());
                Vec::new()
            }
            Event::InitApply(object) => {
                let child = Child::of(object);
                if let Some(listed) = &mut self.listed {
                    listed.insert(child.key());
                }
                self.put(child)
            }
            Event::Apply(object) => self.put(Child::of(object)),
            Event::Delete(object) => {
                let child = Child::of(object);
                let before = self.by_name.remove(&child.key());
                child.fleet().into_iter().chain(before.and_then(|before| before.fleet())).collect()
            }
            Event::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                let gone: Vec<_> = self.by_name.extract_if(.., |key, _| !listed.contains(key)).collect();
                gone.iter().filter_map(|(_, child)| child.fleet()).collect()
            }
        }
    }

    /// An object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Child>> {
        self.by_name.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// Objects of a namespace that the fleet with this uid controls.
    pub fn owned(&self, namespace: &str, uid: &str) -> Vec<Arc<Child>> {
        let from = (namespace.to_owned(), String::new());
        let all = self.by_name.range(from..).take_while(|((ns, _), _)| ns == namespace);
        all.filter(|(_, child)| child.controlled_by(uid)).map(|(_, child)| Arc::clone(child)).collect()
    }

    fn put(&mut self, child: Child) -> Vec<FleetKey> {
        let child = Arc::new(child);
        let before = self.by_name.insert(child.key(), Arc::clone(&child));
        if before.as_ref() == Some(&child) {
            return Vec::new();
        }
        let fleets: BTreeSet<FleetKey> = child.fleet().into_iter().chain(before.and_then(|b| b.fleet())).collect();
        fleets.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, owner: &str, spec: i32) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PodMonitor",
            "metadata": { "name": name, "namespace": "ns", "uid": name, "ownerReferences": [{
                "apiVersion": "fleetscope.io/v1alpha1", "kind": "AgentFleet", "name": owner, "uid": format!("uid-{owner}"),
                "controller": true,
            }] },
            "spec": spec,
        }))
        .unwrap()
    }

    fn key(name: &str) -> FleetKey {
        FleetKey::new("ns", name)
    }

    #[test]
    fn a_change_concerns_the_fleet_that_owns_it_and_an_equal_object_nobody() {
        let mut store = Store::default();
        assert_eq!(store.handle(Event::Apply(object("m", "f", 1))), [key("f")]);
        assert_eq!(store.handle(Event::Apply(object("m", "f", 1))), []);
        assert_eq!(store.handle(Event::Apply(object("m", "f", 2))), [key("f")]);
        assert_eq!(store.owned("ns", "uid-f").len(), 1);
        assert_eq!(store.owned("ns", "uid-other").len(), 0);
        assert_eq!(store.owned("n", "uid-f").len(), 0);
    }

    #[test]
    fn a_deleted_object_concerns_its_fleet() {
        let mut store = Store::default();
        store.handle(Event::Apply(object("m", "f", 1)));
        assert!(store.handle(Event::Delete(object("m", "f", 1))).contains(&key("f")));
        assert_eq!(store.get("ns", "m"), None);
    }

    #[test]
    fn an_object_that_went_while_the_watch_was_down_concerns_its_fleet() {
        let mut store = Store::default();
        store.handle(Event::Apply(object("m", "f", 1)));
        store.handle(Event::Apply(object("n", "g", 1)));
        store.handle(Event::Init);
        assert_eq!(store.handle(Event::InitApply(object("n", "g", 1))), []);
        assert_eq!(store.handle(Event::InitDone), [key("f")]);
    }

    #[test]
    fn an_object_that_changes_its_owner_concerns_both() {
        let mut store = Store::default();
        store.handle(Event::Apply(object("m", "f", 1)));
        assert_eq!(store.handle(Event::Apply(object("m", "g", 1))), [key("f"), key("g")]);
    }

    #[test]
    fn an_object_of_somebody_else_concerns_nobody() {
        let mut foreign = object("m", "f", 1);
        foreign.metadata.owner_references.as_mut().unwrap()[0].api_version = "other.io/v1".to_owned();
        assert_eq!(Store::default().handle(Event::Apply(foreign)), []);
    }
}
