//! What the operator made: one watch per kind, which runs while the kind is installed.
//!
//! A kind of prometheus-operator may be absent, come later, or go. Each is followed through its definition (CRD): the watch of
//! its objects starts and stops with it, and its errors stay in it: kube's `Controller::owns` would slow down every fleet
//! while a kind is absent (measured: half of all reconciles over 32 s late).

mod store;
mod watch;

use std::sync::Mutex;

use fleetscope_core::resources::ChildKind;
use kube::core::{ApiResource, GroupVersionKind};

pub use store::{Child, Store};
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

    /// Whether something is known about every kind.
    pub fn known(&self) -> bool {
        let known = |a| !matches!(a, Availability::Unknown | Availability::Starting);
        ChildKind::ALL.into_iter().all(|kind| known(self.availability(kind)))
    }

    /// An object.
    pub fn get(&self, kind: ChildKind, namespace: &str, name: &str) -> Option<std::sync::Arc<Child>> {
        lock(self.state(kind)).store.get(namespace, name)
    }

    /// Objects of a namespace that a fleet owns, by its uid.
    pub fn owned(&self, kind: ChildKind, namespace: &str, uid: &str) -> Vec<std::sync::Arc<Child>> {
        lock(self.state(kind)).store.owned(namespace, uid)
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
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk(kind.group(), kind.version(), kind.as_str()),
        kind.plural(),
    )
}
