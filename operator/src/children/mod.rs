//! What the operator made: one watch per kind, which runs while the kind is installed.
//!
//! Of each object only a digest of our own fields is kept, and whose it is: 20,000 rule files would be gigabytes.

mod digest;
mod store;
mod watch;

use std::sync::Mutex;

use fleetscope_core::resources::{ChildKind, Installed};
use kube::core::{ApiResource, GroupVersionKind};

pub use digest::{of_desired, of_object};
pub use store::{Child, Place, Store};
pub use watch::watch;

use crate::context::lock;

/// Whether objects of a kind can be made and are seen.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Availability {
    /// Not asked yet.
    #[default]
    Unknown,
    /// Not installed.
    Absent,
    /// Installed; its objects are being listed.
    Starting,
    /// Installed, and its objects are seen.
    Ready,
    /// It cannot be told, or its objects cannot be seen: the API server refuses, for the reason given.
    Failing(String),
}

#[derive(Debug, Default)]
struct State {
    availability: Availability,
    store: Store,
}

/// What the operator made, by kind.
#[derive(Debug, Default)]
pub struct Children {
    kinds: [Mutex<State>; ChildKind::ALL.len()],
}

// === impl Children ===

impl Children {
    /// Whether objects of a kind can be made and are seen.
    pub fn availability(&self, kind: ChildKind) -> Availability {
        lock(self.state(kind)).availability.clone()
    }

    /// Whether something is known about a kind.
    pub fn knows(&self, kind: ChildKind) -> bool {
        !matches!(lock(self.state(kind)).availability, Availability::Unknown | Availability::Starting)
    }

    /// Whether something is known about every kind.
    pub fn known(&self) -> bool {
        ChildKind::ALL.into_iter().all(|kind| self.knows(kind))
    }

    /// The kinds that are installed. One whose objects cannot be seen is among them: whoever took another in its place would have the objects of both.
    pub fn installed(&self) -> Installed {
        let there = |kind: &ChildKind| {
            matches!(lock(self.state(*kind)).availability, Availability::Ready | Availability::Failing(_))
        };
        ChildKind::ALL.into_iter().filter(there).fold(Installed::default(), Installed::with)
    }

    /// An object.
    pub fn get(&self, kind: ChildKind, place: &Place) -> Option<Child> {
        lock(self.state(kind)).store.get(place).cloned()
    }

    /// Objects that the owner with this uid controls.
    pub fn owned(&self, kind: ChildKind, uid: &str) -> Vec<(Place, Child)> {
        lock(self.state(kind)).store.owned(uid)
    }

    /// Whether the owner with this uid controls the object, and it is as desired.
    pub fn settled(&self, kind: ChildKind, place: &Place, uid: &str, desired: u64) -> bool {
        lock(self.state(kind)).store.settled(place, uid, desired)
    }

    /// Uid and newest known version of an object that can be written without another look: see [`Store::untouched`].
    pub fn untouched(&self, kind: ChildKind, place: &Place, uid: &str) -> Option<(String, String)> {
        lock(self.state(kind)).store.untouched(place, uid)
    }

    /// An object has this version by our own doing, and is as desired if that has a digest: the watch will show it, and that is no news.
    pub fn wrote(&self, kind: ChildKind, place: &Place, version: &str, desired: Option<u64>) {
        lock(self.state(kind)).store.wrote(place, version, desired);
    }

    /// An object was compared in full and is as desired, although its digest is another: the API server fills in defaults.
    pub fn compared(&self, kind: ChildKind, place: &Place, desired: u64, object: u64) {
        lock(self.state(kind)).store.compared(place, desired, object);
    }

    /// Sets the availability, and tells whether it changed.
    fn set(&self, kind: ChildKind, to: &Availability) -> bool {
        let mut state = lock(self.state(kind));
        if *to == Availability::Absent {
            state.store = Store::default();
        }
        std::mem::replace(&mut state.availability, to.clone()) != *to
    }

    fn state(&self, kind: ChildKind) -> &Mutex<State> {
        &self.kinds[kind as usize]
    }
}

/// How the API names a kind.
pub fn api_resource(kind: ChildKind) -> ApiResource {
    let gvk = GroupVersionKind::gvk(kind.group(), kind.version(), kind.as_str());
    ApiResource::from_gvk_with_plural(&gvk, kind.plural())
}
