//! Objects that something else than themselves changed for: a set per controller, so that it holds each object once, however
//! often it is pushed.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::owner::{OwnerKey, OwnerKind};

/// The sets, and who waits for them.
#[derive(Debug, Default)]
pub struct Requeue {
    queues: [Queue; OwnerKind::ALL.len()],
}

#[derive(Debug, Default)]
struct Queue {
    due: Mutex<BTreeSet<OwnerKey>>,
    added: Notify,
}

// === impl Requeue ===

impl Requeue {
    /// Adds objects, each to its controller's set.
    pub fn push(&self, keys: impl IntoIterator<Item = OwnerKey>) {
        for key in keys {
            let queue = &self.queues[key.kind as usize];
            let new = queue.due.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
            if new {
                queue.added.notify_one();
            }
        }
    }

    /// The next object of a kind, when there is one. For one reader per kind.
    pub async fn next(&self, kind: OwnerKind) -> OwnerKey {
        let queue = &self.queues[kind as usize];
        loop {
            let next = queue.due.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
            match next {
                Some(key) => return key,
                None => queue.added.notified().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn an_object_that_is_pushed_often_comes_once() {
        let queue = Requeue::default();
        let next = || queue.next(OwnerKind::AgentFleet).now_or_never();
        queue.push([OwnerKey::fleet("a", "x"), OwnerKey::fleet("a", "y")]);
        queue.push([OwnerKey::fleet("a", "x")]);
        assert_eq!(next(), Some(OwnerKey::fleet("a", "x")));
        assert_eq!(next(), Some(OwnerKey::fleet("a", "y")));
        assert_eq!(next(), None);
        queue.push([OwnerKey::fleet("a", "x")]);
        assert_eq!(next(), Some(OwnerKey::fleet("a", "x")));
    }

    #[test]
    fn each_controller_gets_its_own_objects() {
        let queue = Requeue::default();
        let policy = OwnerKey::new(OwnerKind::AlertPolicy, "a", "x");
        queue.push([OwnerKey::fleet("a", "x"), policy.clone()]);
        assert_eq!(queue.next(OwnerKind::AlertPolicy).now_or_never(), Some(policy));
        assert_eq!(queue.next(OwnerKind::ScrapePolicy).now_or_never(), None);
        assert_eq!(queue.next(OwnerKind::AgentFleet).now_or_never(), Some(OwnerKey::fleet("a", "x")));
    }
}
