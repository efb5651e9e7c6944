//! Objects of one kind that carry our label. Pure: watch events in, the owners that they concern out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt as _;
use kube::core::DynamicObject;
use kube::runtime::watcher::Event;
use serde_json::Value;

use super::digest;
use crate::owner::{OwnerKey, OwnerKind};

/// Namespace and name of an object.
pub type Place = (String, String);

/// What is kept of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its uid.
    pub uid: String,
    /// Its version.
    pub resource_version: String,
    /// Uid of its controller.
    pub controller: Option<String>,
    /// Its deletion was asked for.
    pub deleting: bool,
    /// Digest of our fields in it.
    pub digest: u64,
    /// `status.bindings`, where prometheus-operator writes who takes it, without times; as text, for it is read rarely.
    pub bindings: Option<Box<str>>,
    /// Its controller, if that is of our kinds: also one that was made again under the same name has to look at it.
    owner: Option<OwnerKey>,
    /// The digest of what was desired when it was last seen to be as desired, since it changed. It need not be its own: the API server fills in
    /// defaults.
    wanted: Option<u64>,
}

/// All objects of one kind.
#[derive(Debug, Default)]
pub struct Store {
    by_place: BTreeMap<Place, Child>,
    by_controller: HashMap<String, BTreeSet<Place>>,
    listed: Option<BTreeSet<Place>>,
    /// Versions that we wrote ourselves and that the watch has not shown yet, with the digest of what was desired where they are so.
    written: HashMap<Place, (String, Option<u64>)>,
}

// === impl Child ===

impl Child {
    /// Of an object, with its `managedFields`.
    pub fn of(object: &DynamicObject) -> Self {
        let controller = object.owner_references().iter().find(|owner| owner.controller == Some(true));
        Self {
            uid: object.uid().unwrap_or_default(),
            resource_version: object.resource_version().unwrap_or_default(),
            controller: controller.map(|owner| owner.uid.clone()),
            deleting: object.metadata.deletion_timestamp.is_some(),
            digest: digest::of_object(object),
            bindings: bindings(object),
            owner: controller.and_then(|owner| owner_key(object, owner)),
            wanted: None,
        }
    }

    /// What of it its owner looks at.
    fn facts(&self) -> (&str, Option<&str>, bool, u64, Option<&str>) {
        (&self.uid, self.controller.as_deref(), self.deleting, self.digest, self.bindings.as_deref())
    }

    /// Whether the owner with this uid controls it, and our fields in it are those of the desired object with this digest.
    pub fn is(&self, uid: &str, desired: u64) -> bool {
        self.controller.as_deref() == Some(uid) && (self.digest == desired || self.wanted == Some(desired))
    }
}

fn bindings(object: &DynamicObject) -> Option<Box<str>> {
    let mut bindings = object.data.pointer("/status/bindings")?.clone();
    for condition in
        bindings.as_array_mut()?.iter_mut().filter_map(|binding| binding.get_mut("conditions")?.as_array_mut())
    {
        for condition in condition.iter_mut().filter_map(Value::as_object_mut) {
            condition.remove("lastTransitionTime");
        }
    }
    Some(bindings.to_string().into())
}

fn owner_key(object: &DynamicObject, owner: &OwnerReference) -> Option<OwnerKey> {
    Some(OwnerKey::new(OwnerKind::of(owner)?, object.namespace()?, &owner.name))
}

/// Whether a version is older than another of the same object. They are numbers that grow (Kubernetes' KEP-5504); of what is none nothing is
/// concluded.
fn is_older(version: &str, than: &str) -> bool {
    matches!((version.parse::<u64>(), than.parse::<u64>()), (Ok(version), Ok(than)) if version < than)
}

fn place(object: &DynamicObject) -> Place {
    (object.namespace().unwrap_or_default(), object.name_any())
}

// === impl Store ===

impl Store {
    /// Takes in an event, and gives the owners whose children changed.
    pub fn handle(&mut self, event: Event<DynamicObject>) -> Vec<OwnerKey> {
        match event {
            Event::Init => {
                self.listed = Some(BTreeSet::new());
                Vec::new()
            }
            Event::InitApply(object) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert(place(&object));
                }
                self.put(&object)
            }
            Event::Apply(object) => self.put(&object),
            Event::Delete(object) => {
                let before = self.remove(&place(&object));
                owners(Child::of(&object).owner, before.and_then(|before| before.owner))
            }
            Event::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                let gone: Vec<Place> = self.by_place.keys().filter(|place| !listed.contains(*place)).cloned().collect();
                gone.iter().filter_map(|place| self.remove(place)?.owner).collect()
            }
        }
    }

    /// An object.
    pub fn get(&self, place: &Place) -> Option<&Child> {
        self.by_place.get(place)
    }

    /// Objects that the owner with this uid controls.
    pub fn owned(&self, uid: &str) -> Vec<(Place, Child)> {
        let places = self.by_controller.get(uid).into_iter().flatten();
        places.filter_map(|place| Some((place.clone(), self.by_place.get(place)?.clone()))).collect()
    }

    /// Whether the owner with this uid controls the object, and it is as desired: as it was seen, or, while the watch lags behind our own write, as
    /// we wrote it.
    pub fn settled(&mut self, place: &Place, uid: &str, desired: u64) -> bool {
        let Some(child) = self.by_place.get_mut(place) else { return false };
        if let Some((version, written)) = self.written.get(place)
            && is_older(&child.resource_version, version)
        {
            return *written == Some(desired) && child.controller.as_deref() == Some(uid) && !child.deleting;
        }
        let settled = child.is(uid, desired);
        if settled {
            child.wanted = Some(desired);
        }
        settled
    }

    /// The uid and the newest known version of an object that this owner controls, if it was seen to be as desired and nobody else changed it since:
    /// it can be written without another look.
    pub fn untouched(&self, place: &Place, uid: &str) -> Option<(String, String)> {
        let own =
            |child: &&Child| child.controller.as_deref() == Some(uid) && !child.deleting && child.wanted.is_some();
        let child = self.by_place.get(place).filter(own)?;
        let version = self.written.get(place).map_or(&child.resource_version, |(version, _)| version);
        Some((child.uid.clone(), version.clone()))
    }

    /// We wrote this object ourselves, with this version as the result, and it is as desired if that has a digest: when the watch shows the version,
    /// nobody has to look.
    pub fn wrote(&mut self, place: &Place, version: &str, desired: Option<u64>) {
        match self.by_place.get_mut(place).filter(|child| child.resource_version == version) {
            Some(child) => child.wanted = desired,
            None => _ = self.written.insert(place.clone(), (version.to_owned(), desired)),
        }
    }

    /// An object with this digest was compared in full with what is desired, and is as desired.
    pub fn compared(&mut self, place: &Place, desired: u64, object: u64) {
        if let Some(child) = self.by_place.get_mut(place).filter(|child| child.digest == object) {
            child.wanted = Some(desired);
        }
    }

    fn put(&mut self, object: &DynamicObject) -> Vec<OwnerKey> {
        let (place, mut child) = (place(object), Child::of(object));
        let before = self.remove_from_index(&place);
        if let Some(before) = before.as_ref().filter(|b| (&b.uid, b.digest) == (&child.uid, child.digest)) {
            child.wanted = before.wanted;
        }
        if let Some(controller) = &child.controller {
            self.by_controller.entry(controller.clone()).or_default().insert(place.clone());
        }
        let own = self.written.get(&place).is_some_and(|(version, _)| *version == child.resource_version);
        if own && let Some((_, desired)) = self.written.remove(&place) {
            child.wanted = desired;
        }
        let same = before.as_ref().is_some_and(|before| before.facts() == child.facts());
        let concerned = owners(child.owner.clone(), before.and_then(|before| before.owner));
        self.by_place.insert(place, child);
        if own || same { Vec::new() } else { concerned }
    }

    fn remove(&mut self, place: &Place) -> Option<Child> {
        self.written.remove(place);
        self.remove_from_index(place)
    }

    fn remove_from_index(&mut self, place: &Place) -> Option<Child> {
        let child = self.by_place.remove(place)?;
        if let Some(controller) = &child.controller
            && let Some(places) = self.by_controller.get_mut(controller)
        {
            places.remove(place);
            if places.is_empty() {
                self.by_controller.remove(controller);
            }
        }
        Some(child)
    }
}

fn owners(now: Option<OwnerKey>, before: Option<OwnerKey>) -> Vec<OwnerKey> {
    let all: BTreeSet<OwnerKey> = now.into_iter().chain(before).collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use fleetscope_core::resources::MANAGER;
    use serde_json::json;

    use super::*;

    fn object(name: &str, owner: &str, spec: i32) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PodMonitor",
            "metadata": {
                "name": name, "namespace": "ns", "uid": name, "resourceVersion": format!("v{spec}"),
                "ownerReferences": [{
                    "apiVersion": "fleetscope.io/v1alpha1", "kind": "AgentFleet", "name": owner, "uid": format!("uid-{owner}"),
                    "controller": true,
                }],
                "managedFields": [{ "manager": MANAGER, "operation": "Apply", "fieldsV1": { "f:spec": {} } }],
            },
            "spec": spec,
        }))
        .unwrap()
    }

    fn key(name: &str) -> OwnerKey {
        OwnerKey::fleet("ns", name)
    }

    fn at(name: &str) -> Place {
        ("ns".to_owned(), name.to_owned())
    }

    #[test]
    fn a_change_concerns_the_fleet_that_owns_it_and_an_equal_object_nobody() {
        let mut store = Store::default();
        assert_eq!(store.handle(Event::Apply(object("m", "f", 1))), [key("f")]);
        assert_eq!(store.handle(Event::Apply(object("m", "f", 1))), []);
        assert_eq!(store.handle(Event::Apply(object("m", "f", 2))), [key("f")]);
        assert_eq!((store.owned("uid-f").len(), store.owned("uid-other").len()), (1, 0));
    }

    #[test]
    fn a_deleted_object_concerns_its_fleet() {
        let mut store = Store::default();
        store.handle(Event::Apply(object("m", "f", 1)));
        assert_eq!(store.handle(Event::Delete(object("m", "f", 1))), [key("f")]);
        assert_eq!((store.get(&at("m")), store.owned("uid-f").len()), (None, 0));
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
        assert_eq!((store.owned("uid-f").len(), store.owned("uid-g").len()), (0, 1));
    }

    #[test]
    fn an_object_of_somebody_else_concerns_nobody() {
        let mut foreign = object("m", "f", 1);
        foreign.metadata.owner_references.as_mut().unwrap()[0].api_version = "other.io/v1".to_owned();
        assert_eq!(Store::default().handle(Event::Apply(foreign)), []);
    }

    #[test]
    fn an_object_of_a_policy_without_a_namespace_concerns_that_policy() {
        let mut rule = object("m", "p", 1);
        rule.metadata.owner_references.as_mut().unwrap()[0].kind = "ClusterAlertPolicy".to_owned();
        assert_eq!(
            Store::default().handle(Event::Apply(rule)),
            [OwnerKey::new(OwnerKind::ClusterAlertPolicy, "", "p")]
        );
    }

    #[test]
    fn what_we_wrote_ourselves_is_no_news_and_what_others_wrote_after_it_is() {
        let mut store = Store::default();
        store.wrote(&at("m"), "v1", None);
        assert_eq!(store.handle(Event::Apply(object("m", "f", 1))), []);
        assert_eq!(store.handle(Event::Apply(object("m", "f", 2))), [key("f")]);
        // The watch was faster than the answer.
        store.wrote(&at("m"), "v2", None);
        assert!(store.written.is_empty());
        // Somebody was faster than the watch.
        store.wrote(&at("m"), "v3", None);
        assert_eq!(store.handle(Event::Apply(object("m", "f", 4))), [key("f")]);
        store.handle(Event::Delete(object("m", "f", 4)));
        assert!(store.written.is_empty());
    }

    #[test]
    fn who_takes_an_object_is_news_and_when_is_not() {
        let mut store = Store::default();
        let bound = |accepted: &str, time: i32| {
            let mut object = object("m", "f", 1);
            object.data["status"] = json!({ "bindings": [{
                "resource": "prometheuses", "conditions": [{ "status": accepted, "lastTransitionTime": time }],
            }] });
            object
        };
        store.handle(Event::Apply(object("m", "f", 1)));
        assert_eq!(store.handle(Event::Apply(bound("True", 1))), [key("f")]);
        assert_eq!(store.handle(Event::Apply(bound("True", 2))), []);
        assert_eq!(store.handle(Event::Apply(bound("False", 2))), [key("f")]);
        let kept = store.get(&at("m")).unwrap().bindings.clone().unwrap();
        assert_eq!(&*kept, r#"[{"conditions":[{"status":"False"}],"resource":"prometheuses"}]"#);
    }

    #[test]
    fn a_comparison_holds_until_the_object_changes() {
        let mut store = Store::default();
        store.handle(Event::Apply(object("m", "f", 1)));
        let digest = store.get(&at("m")).unwrap().digest;
        assert!(store.get(&at("m")).unwrap().is("uid-f", digest));
        assert!(!store.get(&at("m")).unwrap().is("uid-g", digest));
        store.compared(&at("m"), 77, digest);
        assert!(store.get(&at("m")).unwrap().is("uid-f", 77));
        store.handle(Event::Apply(object("m", "f", 1)));
        assert!(store.get(&at("m")).unwrap().is("uid-f", 77));
        store.handle(Event::Apply(object("m", "f", 2)));
        assert!(!store.get(&at("m")).unwrap().is("uid-f", 77));
        store.compared(&at("m"), 78, digest);
        assert!(!store.get(&at("m")).unwrap().is("uid-f", 78), "that was another state of the object");
    }

    #[test]
    fn while_the_watch_lags_an_object_is_as_we_wrote_it_and_not_as_it_was_seen() {
        let mut store = Store::default();
        let version = |number: i32| {
            let mut object = object("m", "f", number);
            object.metadata.resource_version = Some(number.to_string());
            object
        };
        store.handle(Event::Apply(version(9)));
        let seen = store.get(&at("m")).unwrap().digest;
        assert!(store.settled(&at("m"), "uid-f", seen));
        store.wrote(&at("m"), "10", Some(7));
        assert!(store.settled(&at("m"), "uid-f", 7), "it is not written twice");
        assert!(!store.settled(&at("m"), "uid-g", 7));
        assert!(!store.settled(&at("m"), "uid-f", seen), "an edit that is taken back is written");
        // Ours was skipped by a new list: somebody wrote after us.
        store.handle(Event::Apply(version(11)));
        assert!(!store.settled(&at("m"), "uid-f", 7));
    }

    #[test]
    fn what_was_as_wanted_is_written_without_a_look_until_somebody_else_writes() {
        let mut store = Store::default();
        let known = |store: &Store| store.untouched(&at("m"), "uid-f").map(|(_, version)| version);
        store.handle(Event::Apply(object("m", "f", 1)));
        assert_eq!(known(&store), None, "nobody compared it");
        let digest = store.get(&at("m")).unwrap().digest;
        assert!(!store.settled(&at("m"), "uid-f", digest.wrapping_add(1)));
        assert!(!store.settled(&at("m"), "uid-g", digest));
        assert!(store.settled(&at("m"), "uid-f", digest));
        assert_eq!(known(&store).as_deref(), Some("v1"));
        assert_eq!(store.untouched(&at("m"), "uid-g"), None);
        // Twice by ourselves before the watch shows it.
        store.wrote(&at("m"), "v2", Some(7));
        assert_eq!(known(&store).as_deref(), Some("v2"));
        store.wrote(&at("m"), "v3", Some(8));
        assert_eq!(known(&store).as_deref(), Some("v3"));
        store.handle(Event::Apply(object("m", "f", 3)));
        assert!(
            store.get(&at("m")).unwrap().is("uid-f", 8),
            "what we wrote is as wanted, although its digest is another"
        );
        assert_eq!(known(&store).as_deref(), Some("v3"));
        store.handle(Event::Apply(object("m", "f", 4)));
        assert_eq!(known(&store), None, "somebody else wrote it");
        // A write that was changed on its way is looked at again.
        store.wrote(&at("m"), "v5", None);
        store.handle(Event::Apply(object("m", "f", 5)));
        assert_eq!(known(&store), None);
    }
}
