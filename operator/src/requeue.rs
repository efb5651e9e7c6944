//! Fleets that something else than themselves changed for: a set, so that it holds each fleet once, however often it is pushed.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Namespace and name of a fleet.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FleetKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The set, and who waits for it.
#[derive(Debug, Default)]
pub struct Requeue {
    due: Mutex<BTreeSet<FleetKey>>,
    added: Notify,
}

// === impl FleetKey ===

impl FleetKey {
    /// A key.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for FleetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

// === impl Requeue ===

impl Requeue {
    /// Adds fleets.
    pub fn push(&self, keys: impl IntoIterator<Item = FleetKey>) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let before = due.len();
        due.extend(keys);
        if due.len() > before {
            self.added.notify_one();
        }
    }

    /// The next fleet, when there is one. For one reader.
    pub async fn next(&self) -> FleetKey {
        loop {
            let next = self.due.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
            match next {
                Some(key) => return key,
                None => self.added.notified().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_fleet_that_is_pushed_often_comes_once() {
        let queue = Requeue::default();
        queue.push([FleetKey::new("a", "x"), FleetKey::new("a", "y")]);
        queue.push([FleetKey::new("a", "x")]);
        assert_eq!(queue.next().now_or_never(), Some(FleetKey::new("a", "x")));
        assert_eq!(queue.next().now_or_never(), Some(FleetKey::new("a", "y")));
        assert_eq!(queue.next().now_or_never(), None);
        queue.push([FleetKey::new("a", "x")]);
        assert_eq!(queue.next().now_or_never(), Some(FleetKey::new("a", "x")));
    }
}
