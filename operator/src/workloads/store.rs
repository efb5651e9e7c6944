//! Workloads by kind, namespace and name, trimmed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use fleetscope_core::selected::{Workload, WorkloadKind};
use kube::ResourceExt as _;
use kube::core::DynamicObject;
use kube::runtime::watcher::Event;
use serde_json::{Map, Value, json};

type Place = (String, String);

/// Fields of their specs that decide what they select, beside those that end with `Selector`.
const FIELDS: [&str; 6] = [
    "alertmanagerConfigMatcherStrategy",
    "enforcedNamespaceLabel",
    "excludedFromEnforcement",
    "ignoreNamespaceSelectors",
    "mode",
    "paused",
];

/// All of one kind.
#[derive(Debug, Default)]
struct OfKind {
    by_place: BTreeMap<Place, Workload>,
    listed: Option<BTreeSet<Place>>,
    known: bool,
}

/// All workloads.
#[derive(Debug, Default)]
pub struct Workloads {
    kinds: [OfKind; WorkloadKind::ALL.len()],
}

// === impl Workloads ===

impl Workloads {
    /// Takes in an event, and tells whether that changes what is selected.
    pub fn handle(&mut self, kind: WorkloadKind, event: Event<DynamicObject>) -> bool {
        let of = &mut self.kinds[kind as usize];
        match event {
            Event::Init => {
                of.listed = Some(BTreeSet::new());
                false
            }
            Event::InitApply(object) => {
                if let Some(listed) = &mut of.listed {
                    listed.insert(place(&object));
                }
                of.put(kind, &object)
            }
            Event::Apply(object) => of.put(kind, &object),
            Event::Delete(object) => of.by_place.remove(&place(&object)).is_some(),
            Event::InitDone => {
                let first = !std::mem::replace(&mut of.known, true);
                let listed = of.listed.take().unwrap_or_default();
                let gone = of.by_place.extract_if(.., |place, _| !listed.contains(place)).count();
                first || gone > 0
            }
        }
    }

    /// The kind is not installed, or cannot be seen: there are none. Tells whether that changes what is selected.
    pub fn none(&mut self, kind: WorkloadKind) -> bool {
        let of = &mut self.kinds[kind as usize];
        let known = of.known;
        let had = !std::mem::take(&mut of.by_place).is_empty();
        of.known = true;
        !known || had
    }

    /// Whether what can be known is known.
    pub fn known(&self) -> bool {
        self.kinds.iter().all(|of| of.known)
    }

    /// All of them.
    pub fn all(&self) -> Vec<Workload> {
        self.kinds.iter().flat_map(|of| of.by_place.values()).cloned().collect()
    }
}

// === impl OfKind ===

impl OfKind {
    fn put(&mut self, kind: WorkloadKind, object: &DynamicObject) -> bool {
        let Some(workload) = trimmed(kind, object) else { return false };
        let before = self.by_place.insert(place(object), workload.clone());
        before.as_ref() != Some(&workload)
    }
}

fn place(object: &DynamicObject) -> Place {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn trimmed(kind: WorkloadKind, object: &DynamicObject) -> Option<Workload> {
    let spec = object.data.get("spec").and_then(Value::as_object).into_iter().flatten();
    let decides = |name: &str| name.ends_with("Selector") || FIELDS.contains(&name);
    let spec: Map<String, Value> =
        spec.filter(|(name, _)| decides(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
    let metadata = json!({ "namespace": object.namespace(), "name": object.name_any() });
    Workload::of(&json!({ "kind": kind.as_str(), "metadata": metadata, "spec": spec }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: WorkloadKind = WorkloadKind::Prometheus;

    fn prometheus(name: &str, spec: &Value) -> DynamicObject {
        let object =
            json!({ "metadata": { "namespace": "ns", "name": name }, "spec": spec, "status": { "replicas": 1 } });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn only_what_selects_is_kept_and_only_its_changes_count() {
        let mut all = Workloads::default();
        let spec = json!({ "podMonitorSelector": {}, "mode": "DaemonSet", "image": "a", "containers": [{}] });
        assert!(all.handle(KIND, Event::Apply(prometheus("p", &spec))));
        let image = json!({ "podMonitorSelector": {}, "mode": "DaemonSet", "image": "b" });
        assert!(!all.handle(KIND, Event::Apply(prometheus("p", &image))));
        assert!(all.handle(KIND, Event::Apply(prometheus("p", &json!({ "podMonitorSelector": {} })))));
        let kept = Workload::of(&json!({
            "kind": "Prometheus", "metadata": { "namespace": "ns", "name": "p" }, "spec": { "podMonitorSelector": {} },
        }));
        assert_eq!(all.all(), Vec::from_iter(kept));
        assert!(all.handle(KIND, Event::Delete(prometheus("p", &spec))));
        assert!(!all.handle(KIND, Event::Delete(prometheus("p", &spec))));
    }

    #[test]
    fn all_kinds_have_to_be_known_and_one_that_goes_takes_its_objects_along() {
        let mut all = Workloads::default();
        for kind in &WorkloadKind::ALL[1..] {
            assert!(all.none(*kind));
            assert!(!all.none(*kind));
        }
        assert!(!all.known());
        all.handle(KIND, Event::Init);
        all.handle(KIND, Event::InitApply(prometheus("p", &json!({}))));
        assert!(all.handle(KIND, Event::InitDone) && all.known());
        all.handle(KIND, Event::Init);
        assert!(all.handle(KIND, Event::InitDone), "it went while the watch was down");
        all.handle(KIND, Event::Apply(prometheus("p", &json!({}))));
        assert!(all.none(KIND));
        assert_eq!(all.all(), []);
    }
}
