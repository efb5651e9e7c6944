//! Namespaces by name. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;

/// What is kept of a namespace.
#[derive(Clone, Debug, Default, PartialEq)]
struct View {
    labels: BTreeMap<String, String>,
    deleting: bool,
}

/// A namespace has other labels than before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Relabelled {
    /// Its name.
    pub namespace: String,
    /// Its labels before; none, before it was known.
    pub before: Option<BTreeMap<String, String>>,
    /// Its labels now; none, when it is gone.
    pub now: Option<BTreeMap<String, String>>,
}

/// All namespaces.
#[derive(Debug, Default)]
pub struct Namespaces {
    by_name: BTreeMap<String, View>,
    listed: Option<BTreeSet<String>>,
    known: bool,
}

// === impl Namespaces ===

impl Namespaces {
    /// Takes in an event, and tells what was labelled otherwise by it.
    pub fn handle(&mut self, event: Event<PartialObjectMeta<Namespace>>) -> Vec<Relabelled> {
        match event {
            Event::Init => {
                self.listed = Some(BTreeSet::new());
                Vec::new()
            }
            Event::InitApply(namespace) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert(namespace.name_any());
                }
                self.put(&namespace).into_iter().collect()
            }
            Event::Apply(namespace) => self.put(&namespace).into_iter().collect(),
            Event::Delete(namespace) => self.remove(&namespace.name_any()).into_iter().collect(),
            Event::InitDone => {
                self.known = true;
                let listed = self.listed.take().unwrap_or_default();
                let gone: Vec<String> = self.by_name.keys().filter(|name| !listed.contains(*name)).cloned().collect();
                gone.iter().filter_map(|name| self.remove(name)).collect()
            }
        }
    }

    /// They cannot be seen: then none has labels, and none is known to be deleted.
    pub fn unseen(&mut self) {
        self.known = true;
    }

    /// Whether what can be known is known.
    pub fn known(&self) -> bool {
        self.known
    }

    /// Labels of a namespace.
    pub fn labels(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        self.by_name.get(name).map(|view| &view.labels)
    }

    /// Whether a namespace is being deleted: then nothing can be made in it, and what is in it goes.
    pub fn deleting(&self, name: &str) -> bool {
        self.by_name.get(name).is_some_and(|view| view.deleting)
    }

    fn put(&mut self, namespace: &PartialObjectMeta<Namespace>) -> Option<Relabelled> {
        let view =
            View { labels: namespace.labels().clone(), deleting: namespace.metadata.deletion_timestamp.is_some() };
        let now = view.labels.clone();
        let before = self.by_name.insert(namespace.name_any(), view).map(|view| view.labels);
        (before.as_ref() != Some(&now)).then(|| Relabelled { namespace: namespace.name_any(), before, now: Some(now) })
    }

    fn remove(&mut self, name: &str) -> Option<Relabelled> {
        let view = self.by_name.remove(name)?;
        Some(Relabelled { namespace: name.to_owned(), before: Some(view.labels), now: None })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn namespace(name: &str, team: &str) -> PartialObjectMeta<Namespace> {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": { "team": team } },
        }))
        .unwrap()
    }

    /// The namespace with another team than before.
    fn relabelled(before: Option<&str>, now: Option<&str>) -> Vec<Relabelled> {
        let labels = |team: &str| BTreeMap::from([("team".to_owned(), team.to_owned())]);
        vec![Relabelled { namespace: "ns".to_owned(), before: before.map(labels), now: now.map(labels) }]
    }

    #[test]
    fn labels_that_change_are_told_and_nothing_else() {
        let mut all = Namespaces::default();
        assert_eq!(all.handle(Event::Apply(namespace("ns", "a"))), relabelled(None, Some("a")));
        assert_eq!(all.handle(Event::Apply(namespace("ns", "a"))), []);
        assert_eq!(all.handle(Event::Apply(namespace("ns", "b"))), relabelled(Some("a"), Some("b")));
        assert_eq!(all.handle(Event::Delete(namespace("ns", "b"))), relabelled(Some("b"), None));
        assert_eq!(all.labels("ns"), None);
    }

    #[test]
    fn one_that_went_while_the_watch_was_down_is_told_by_the_next_list() {
        let mut all = Namespaces::default();
        all.handle(Event::Apply(namespace("ns", "a")));
        assert!(!all.known());
        all.handle(Event::Init);
        all.handle(Event::InitApply(namespace("other", "a")));
        assert_eq!(all.handle(Event::InitDone), relabelled(Some("a"), None));
        assert!(all.known());
    }

    #[test]
    fn a_namespace_that_is_being_deleted_is_known_as_such() {
        let mut all = Namespaces::default();
        let mut going = namespace("ns", "a");
        all.handle(Event::Apply(going.clone()));
        assert!(!all.deleting("ns"));
        going.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(all.handle(Event::Apply(going)), []);
        assert!(all.deleting("ns") && !all.deleting("other"));
    }
}
