//! The names of methods that each fleet has, under its cap.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::cells::Told;
use crate::rpc::Settings;
use crate::tasks::tracker::CallIdentity;

/// Namespace and name of a fleet.
pub(super) type FleetKey = (Arc<str>, Arc<str>);

#[derive(Debug)]
struct Names {
    /// Under which they were admitted.
    settings: Arc<Settings>,
    names: HashSet<Arc<str>>,
}

/// All fleets' names.
#[derive(Debug, Default)]
pub(super) struct Methods {
    fleets: HashMap<FleetKey, Names>,
}

// === impl Methods ===

impl Methods {
    /// How a fleet tells a method. After an edit of the fleet all come anew.
    pub(super) fn admit(&mut self, own: &CallIdentity, name: &str) -> Told {
        let settings = &own.settings;
        if !settings.observes(name) {
            return Told::Never;
        }
        let key = (Arc::clone(&own.identity.namespace), Arc::clone(&own.identity.fleet));
        let none = || Names { settings: Arc::clone(settings), names: HashSet::new() };
        let names = self.fleets.entry(key).or_insert_with(none);
        if !Arc::ptr_eq(&names.settings, settings) {
            *names = none();
        }
        if names.names.contains(name) {
            return Told::ByName;
        }
        if names.names.len() >= settings.max_methods {
            return Told::AsOther;
        }
        names.names.insert(name.into());
        Told::ByName
    }

    /// Forgets the names of all other fleets.
    pub(super) fn keep(&mut self, fleets: &HashSet<FleetKey>) {
        self.fleets.retain(|key, _| fleets.contains(key));
    }
}
