//! A list that is read again, as what changed since the one before.
//!
//! A watch that ends has to list anew. kube's cache keeps the old objects until that list is complete, but its controller looks at an object as soon
//! as its page is read: of an edit that was made between two watches it would see the object as it was before, and nobody would look
//! again. Here what a list shows is told as changes, each in the cache before anybody looks; and what did not change wakes nobody.

use std::collections::HashSet;
use std::fmt::Debug;

use kube::Resource;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;

/// Lists after the first one, as changes of what is in the cache.
pub(super) struct Changes<K: Resource<DynamicType = ()> + Clone + 'static> {
    cache: Store<K>,
    /// Whether the first list is complete: it fills the cache, which is not looked at before.
    filled: bool,
    /// Objects of the list that is being read, to find those that are gone.
    listed: HashSet<ObjectRef<K>>,
}

// === impl Changes ===

impl<K: Resource<DynamicType = ()> + Clone + Debug + 'static> Changes<K> {
    /// Of a cache that each event given out is applied to before the next one is taken in.
    pub(super) fn new(cache: Store<K>) -> Self {
        Self { cache, filled: false, listed: HashSet::new() }
    }

    /// What an event of the watch means for the cache.
    pub(super) fn of(&mut self, event: Event<K>) -> Vec<Event<K>> {
        if !self.filled {
            self.filled = matches!(event, Event::InitDone);
            return vec![event];
        }
        match event {
            Event::Init => {
                self.listed.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                let reference = ObjectRef::from_obj(&object);
                let same = self.cache.get(&reference).is_some_and(|cached| version(&*cached) == version(&object));
                self.listed.insert(reference);
                if same { Vec::new() } else { vec![Event::Apply(object)] }
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let cached = self.cache.state().into_iter();
                let gone = cached.filter(|object| !listed.contains(&ObjectRef::from_obj(&**object)));
                gone.map(|object| Event::Delete((*object).clone())).collect()
            }
            Event::Apply(_) | Event::Delete(_) => vec![event],
        }
    }
}

/// Which object it is, as it is now.
fn version<K: Resource>(object: &K) -> (Option<&str>, Option<&str>) {
    let meta = object.meta();
    (meta.uid.as_deref(), meta.resource_version.as_deref())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::reflector;

    use super::*;

    fn object(name: &str, uid: &str, version: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.name = Some(name.to_owned());
        object.metadata.namespace = Some("ns".to_owned());
        object.metadata.uid = Some(uid.to_owned());
        object.metadata.resource_version = Some(version.to_owned());
        object
    }

    /// Events as they come out, with what the cache says of the object at that moment.
    fn told(events: Vec<Event<ConfigMap>>) -> Vec<String> {
        let (reader, mut writer) = reflector::store();
        let mut changes = Changes::new(reader.clone());
        let mut told = Vec::new();
        for event in events {
            for event in changes.of(event) {
                writer.apply_watcher_event(&event);
                let (what, object) = match event {
                    Event::Init => ("init", None),
                    Event::InitDone => ("done", None),
                    Event::InitApply(object) => ("listed", Some(object)),
                    Event::Apply(object) => ("changed", Some(object)),
                    Event::Delete(object) => ("gone", Some(object)),
                };
                let of = |object: &ConfigMap| format!("{:?}", version(object)).replace("Some(", "").replace(')', "");
                told.push(object.map_or_else(
                    || what.to_owned(),
                    |object| {
                        let cached =
                            reader.get(&ObjectRef::from_obj(&object)).map_or_else(|| "-".to_owned(), |c| of(&c));
                        format!("{what} {} {cached}", object.metadata.name.unwrap_or_default())
                    },
                ));
            }
        }
        told
    }

    #[test]
    fn a_later_list_tells_what_changed_when_the_cache_has_it() {
        let first = [
            Event::Init,
            Event::InitApply(object("same", "1", "1")),
            Event::InitApply(object("edited", "2", "2")),
            Event::InitApply(object("again", "3", "3")),
            Event::InitApply(object("gone", "4", "4")),
            Event::InitDone,
        ];
        let second = [
            Event::Init,
            Event::InitApply(object("same", "1", "1")),
            Event::InitApply(object("edited", "2", "9")),
            Event::InitApply(object("again", "8", "3")),
            Event::InitApply(object("new", "5", "5")),
            Event::InitDone,
            Event::Apply(object("same", "1", "10")),
            Event::Delete(object("new", "5", "11")),
        ];
        let told = told(first.into_iter().chain(second).collect());
        assert_eq!(
            told,
            [
                "init",
                "listed same -",
                "listed edited -",
                "listed again -",
                "listed gone -",
                "done",
                r#"changed edited ("2", "9""#,
                r#"changed again ("8", "3""#,
                r#"changed new ("5", "5""#,
                "gone gone -",
                r#"changed same ("1", "10""#,
                "gone new -",
            ]
        );
    }

    #[test]
    fn a_list_that_begins_again_forgets_what_was_read_of_it() {
        let events = vec![
            Event::Init,
            Event::InitApply(object("a", "1", "1")),
            Event::Init,
            Event::InitApply(object("a", "1", "1")),
            Event::InitDone,
            Event::Init,
            Event::InitApply(object("a", "1", "1")),
            Event::Init,
            Event::InitDone,
        ];
        assert_eq!(told(events), ["init", "listed a -", "init", "listed a -", "done", "gone a -"]);
    }
}
