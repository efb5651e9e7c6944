//! Identities that have series now, by number, with what runs under each.

use std::collections::HashMap;
use std::sync::Arc;

use crate::metrics::{AGENT_INFO, TASKS_RUNNING};
use crate::series::{Identity, Registry};
use crate::slab::Slab;
use crate::tasks::rules::Named;

/// Number of an identity.
pub(super) type Iid = u32;

#[derive(Debug)]
struct Entry {
    identity: Arc<Identity>,
    /// Pods, containers and running processes that use it. With the last one its series retire.
    users: u32,
    running: HashMap<(Arc<str>, Arc<str>), u64>,
    /// Own labels of its [`AGENT_INFO`].
    info: Option<[Box<str>; 2]>,
}

/// All identities in use. Two containers of one name (the one that ended and its successor, or two pods of one name) share one.
#[derive(Debug)]
pub(super) struct Identities {
    entries: Slab<Entry>,
    by_identity: HashMap<Arc<Identity>, Iid>,
}

// === impl Entry ===

impl Entry {
    fn inform(&mut self, info: Option<[&str; 2]>, registry: &mut Registry) {
        let before = self.info.as_ref().map(|[image, node]| [&**image, &**node]);
        if let Some(before) = before
            && info != Some(before)
        {
            registry.remove(&AGENT_INFO, Some(&self.identity), &before);
        }
        if let Some(info) = info {
            registry.set(&AGENT_INFO, Some(&self.identity), &info, 1.0);
        }
        if info != before {
            self.info = info.map(|info| info.map(Box::from));
        }
    }
}

// === impl Identities ===

impl Identities {
    pub(super) fn new() -> Self {
        Self { entries: Slab::new(), by_identity: HashMap::new() }
    }

    /// The number of `identity`, with one user more; the caller gives it back by [`Self::release`].
    pub(super) fn acquire(&mut self, identity: Identity, registry: &mut Registry) -> Iid {
        if let Some(iid) = self.by_identity.get(&identity).copied() {
            self.hold(iid);
            return iid;
        }
        let identity = Arc::new(identity);
        registry.revive(&identity);
        let entry = Entry { identity: Arc::clone(&identity), users: 1, running: HashMap::new(), info: None };
        let iid = self.entries.insert(entry);
        self.by_identity.insert(identity, iid);
        iid
    }

    /// One user more.
    pub(super) fn hold(&mut self, iid: Iid) {
        if let Some(entry) = self.entries.get_mut(iid) {
            entry.users += 1;
        }
    }

    /// One user less; with the last one, its series are dropped at `drop_at`, and what it is made of is no more told at once.
    pub(super) fn release(&mut self, iid: Iid, registry: &mut Registry, drop_at: u64) {
        let Some(entry) = self.entries.get_mut(iid) else { return };
        entry.users -= 1;
        if entry.users == 0
            && let Some(mut entry) = self.entries.remove(iid)
        {
            entry.inform(None, registry);
            registry.retire(&entry.identity, drop_at);
            self.by_identity.remove(&entry.identity);
        }
    }

    pub(super) fn get(&self, iid: Iid) -> Option<&Arc<Identity>> {
        self.entries.get(iid).map(|entry| &entry.identity)
    }

    /// One process of this name more.
    pub(super) fn begin(&mut self, iid: Iid, named: &Named, registry: &mut Registry) {
        self.shift(iid, named, registry, |running| running.saturating_add(1));
    }

    /// One process of this name less.
    pub(super) fn end(&mut self, iid: Iid, named: &Named, registry: &mut Registry) {
        self.shift(iid, named, registry, |running| running.saturating_sub(1));
    }

    /// Makes the gauge of a name appear at 0, unless it is there.
    pub(super) fn announce(&mut self, iid: Iid, task: &Arc<str>, group: &Arc<str>, registry: &mut Registry) {
        let Some(entry) = self.entries.get_mut(iid) else { return };
        if !entry.running.contains_key(&(Arc::clone(group), Arc::clone(task))) {
            registry.set(&TASKS_RUNNING, Some(&entry.identity), &[group, task], 0.0);
        }
    }

    /// Tells what a container is made of, in place of what was told before: it may be another pod's that had its name.
    pub(super) fn inform(&mut self, iid: Iid, info: [&str; 2], registry: &mut Registry) {
        if let Some(entry) = self.entries.get_mut(iid) {
            entry.inform(Some(info), registry);
        }
    }

    /// Processes that run under an identity.
    pub(super) fn running(&self, iid: Iid) -> u64 {
        self.entries.get(iid).map_or(0, |entry| entry.running.values().sum())
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers of processes are below 2^53")]
    fn shift(&mut self, iid: Iid, named: &Named, registry: &mut Registry, by: impl Fn(u64) -> u64) {
        let Some(entry) = self.entries.get_mut(iid) else { return };
        let running = entry.running.entry((Arc::clone(&named.group), Arc::clone(&named.task))).or_default();
        *running = by(*running);
        registry.set(&TASKS_RUNNING, Some(&entry.identity), &[&named.group, &named.task], *running as f64);
    }
}
