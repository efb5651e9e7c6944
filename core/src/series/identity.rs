//! Who a series belongs to, interned: one entry per container and one per fleet, however many series they have.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use super::entry::slot;
use crate::metrics::{ALL, IDENTITY_LABELS, OTHER};

/// Whose observation it is: the values of [`IDENTITY_LABELS`]. What does not apply is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The pod's namespace, which is its fleet's too.
    pub namespace: Arc<str>,
    /// The fleet's name.
    pub fleet: Arc<str>,
    /// The pod's name; empty for what belongs to the whole fleet.
    pub pod: Arc<str>,
    /// The container's name; empty for what belongs to the whole pod.
    pub container: Arc<str>,
    /// The workload that the pod belongs to.
    pub workload: Arc<str>,
}

// === impl Identity ===

impl Identity {
    /// The values in the order of [`IDENTITY_LABELS`].
    pub fn values(&self) -> [&str; IDENTITY_LABELS.len()] {
        [&self.namespace, &self.fleet, &self.pod, &self.container, &self.workload]
    }

    /// Stands for all containers of a fleet that found no room.
    pub(super) fn of_fleet(namespace: &Arc<str>, fleet: &Arc<str>) -> Self {
        let other: Arc<str> = OTHER.into();
        Self {
            namespace: Arc::clone(namespace),
            fleet: Arc::clone(fleet),
            pod: Arc::clone(&other),
            container: Arc::clone(&other),
            workload: other,
        }
    }

    /// Stands for all fleets that found no room, and for what belongs to no known container.
    pub(super) fn of_nobody() -> Self {
        let other: Arc<str> = OTHER.into();
        Self::of_fleet(&other, &other)
    }

    fn is_fold(&self) -> bool {
        [&self.pod, &self.container, &self.workload].into_iter().all(|value| **value == *OTHER)
    }
}

/// Number of an interned identity.
pub(super) type Id = u32;

/// The identity of series without identity labels: those of the process itself.
pub(super) const SELF: Id = 0;

/// How much one fleet holds of one metric.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    /// Series.
    pub(super) series: usize,
    /// Remembered shares of folded series.
    pub(super) shares: usize,
}

#[derive(Debug)]
struct Fleet {
    /// Identities of it, without those that stand for folded ones.
    members: usize,
    /// Identities of it, all.
    identities: usize,
    /// By [`crate::metrics::Metric::index`].
    held: Box<[Held]>,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) identity: Arc<Identity>,
    hash: u64,
    fleet: u32,
    fold: bool,
    /// Entries of all metrics that name it.
    entries: usize,
    drop_at: Option<u64>,
}

// === impl Member ===

impl Member {
    /// Whether it belongs to a fleet.
    pub(super) fn is_of(&self, namespace: &str, fleet: &str) -> bool {
        *self.identity.namespace == *namespace && *self.identity.fleet == *fleet
    }
}

/// All identities that have series.
#[derive(Debug)]
pub(super) struct Identities {
    hasher: RandomState,
    members: Vec<Option<Member>>,
    free: Vec<Id>,
    by_identity: HashTable<Id>,
    fleets: Vec<Option<Fleet>>,
    free_fleets: Vec<u32>,
    by_fleet: HashMap<(Arc<str>, Arc<str>), u32>,
}

// === impl Identities ===

impl Identities {
    pub(super) fn new() -> Self {
        let mut this = Self {
            hasher: RandomState::new(),
            members: Vec::new(),
            free: Vec::new(),
            by_identity: HashTable::new(),
            fleets: Vec::new(),
            free_fleets: Vec::new(),
            by_fleet: HashMap::new(),
        };
        let identity = Arc::new(Identity::default());
        let fleet = this.join(&identity, false);
        // One entry that never goes: it is always there. It is not looked up, so a caller's empty identity is another one.
        this.members.push(Some(Member { identity, hash: 0, fleet, fold: false, entries: 1, drop_at: None }));
        this
    }

    pub(super) fn find(&self, identity: &Arc<Identity>) -> Option<Id> {
        self.by_identity.find(self.hasher.hash_one(identity), |id| self[*id].identity == *identity).copied()
    }

    /// Whether `id` is the number of `identity` now.
    pub(super) fn is(&self, id: Id, identity: &Arc<Identity>) -> bool {
        let own = self.members.get(slot(id)).and_then(Option::as_ref);
        own.is_some_and(|own| Arc::ptr_eq(&own.identity, identity) || own.identity == *identity)
    }

    /// The number of `identity`, a new one if it has none. A new one that gets no entry must be given to [`Self::tidy`].
    pub(super) fn intern(&mut self, identity: &Arc<Identity>) -> Id {
        let hash = self.hasher.hash_one(identity);
        let members = &self.members;
        let known = self
            .by_identity
            .find(hash, |id| members[slot(*id)].as_ref().is_some_and(|member| member.identity == *identity));
        if let Some(id) = known {
            return *id;
        }
        let fold = identity.is_fold();
        let fleet = self.join(identity, fold);
        let member = Member { identity: Arc::clone(identity), hash, fleet, fold, entries: 0, drop_at: None };
        let id = place(&mut self.members, &mut self.free, member);
        let members = &self.members;
        self.by_identity.insert_unique(hash, id, |id| members[slot(*id)].as_ref().map_or(0, |member| member.hash));
        id
    }

    fn join(&mut self, identity: &Identity, fold: bool) -> u32 {
        let key = (Arc::clone(&identity.namespace), Arc::clone(&identity.fleet));
        let id = if let Some(id) = self.by_fleet.get(&key) {
            *id
        } else {
            let held = vec![Held::default(); ALL.len()].into_boxed_slice();
            let id = place(&mut self.fleets, &mut self.free_fleets, Fleet { members: 0, identities: 0, held });
            self.by_fleet.insert(key, id);
            id
        };
        let fleet = self.fleets[slot(id)].as_mut().expect("it was found or placed just now");
        fleet.identities += 1;
        fleet.members += usize::from(!fold);
        id
    }

    /// Counts an entry of metric `index` in.
    pub(super) fn hold(&mut self, id: Id, index: usize, share: bool) {
        let member = self.members[slot(id)].as_mut().expect("the caller interned it");
        member.entries += 1;
        let held = self.held_mut(id, index);
        *(if share { &mut held.shares } else { &mut held.series }) += 1;
    }

    /// Counts an entry of metric `index` out, and forgets the identity with its last one.
    pub(super) fn release(&mut self, id: Id, index: usize, share: bool) {
        let held = self.held_mut(id, index);
        *(if share { &mut held.shares } else { &mut held.series }) -= 1;
        self.members[slot(id)].as_mut().expect("it has entries").entries -= 1;
        self.tidy(id);
    }

    /// Forgets an identity that has no entry.
    pub(super) fn tidy(&mut self, id: Id) {
        if self.members[slot(id)].as_ref().is_none_or(|member| member.entries > 0) {
            return;
        }
        let Some(member) = self.members[slot(id)].take() else { return };
        if let Ok(entry) = self.by_identity.find_entry(member.hash, |other| *other == id) {
            entry.remove();
        }
        self.free.push(id);
        let place = &mut self.fleets[slot(member.fleet)];
        let fleet = place.as_mut().expect("a fleet lives as long as its identities");
        fleet.identities -= 1;
        fleet.members -= usize::from(!member.fold);
        if fleet.identities == 0 {
            *place = None;
            self.free_fleets.push(member.fleet);
            let identity = &member.identity;
            self.by_fleet.remove(&(Arc::clone(&identity.namespace), Arc::clone(&identity.fleet)));
        }
    }

    pub(super) fn held(&self, id: Id, index: usize) -> Held {
        self.fleets[slot(self[id].fleet)].as_ref().expect("a fleet lives as long as its identities").held[index]
    }

    fn held_mut(&mut self, id: Id, index: usize) -> &mut Held {
        let fleet = self[id].fleet;
        &mut self.fleets[slot(fleet)].as_mut().expect("a fleet lives as long as its identities").held[index]
    }

    pub(super) fn set_drop_at(&mut self, id: Id, at: Option<u64>) {
        if let Some(member) = self.members[slot(id)].as_mut().filter(|member| !member.fold) {
            member.drop_at = at;
        }
    }

    /// Those whose time has come at `now`, by number.
    pub(super) fn due(&self, now: u64) -> Vec<bool> {
        self.marked(|member| member.drop_at.is_some_and(|at| at <= now))
    }

    /// Those that stand for folded containers of a fleet that has no container left, by number.
    pub(super) fn orphans(&self) -> Vec<bool> {
        self.marked(|member| {
            let fleet = self.fleets[slot(member.fleet)].as_ref();
            member.fold && *member.identity.namespace != *OTHER && fleet.is_some_and(|fleet| fleet.members == 0)
        })
    }

    /// Those that `wanted` picks, by number.
    pub(super) fn marked(&self, wanted: impl Fn(&Member) -> bool) -> Vec<bool> {
        self.members.iter().map(|member| member.as_ref().is_some_and(&wanted)).collect()
    }

    /// Holds the kept counts against entries that were counted by number.
    #[cfg(test)]
    pub(super) fn assert_entries(&self, entries: &std::collections::BTreeMap<Id, usize>) {
        let fleets = self.fleets.iter().flatten();
        let (mut members, mut identities) = (0, 0);
        for (id, member) in (0..).zip(&self.members).skip(1) {
            assert_eq!(member.as_ref().map_or(0, |member| member.entries), entries.get(&id).copied().unwrap_or(0));
            assert!(member.as_ref().is_none_or(|member| member.entries > 0), "an identity without entries");
            members += usize::from(member.as_ref().is_some_and(|member| !member.fold));
            identities += usize::from(member.is_some());
        }
        assert_eq!(self.by_identity.len(), identities);
        assert_eq!(fleets.clone().map(|fleet| fleet.identities).sum::<usize>(), identities + 1);
        assert_eq!(fleets.clone().map(|fleet| fleet.members).sum::<usize>(), members + 1);
        assert_eq!(self.by_fleet.len(), fleets.count());
    }

    /// By number, the place of each in the order of identities.
    pub(super) fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<(Id, &Identity)> =
            (0..).zip(&self.members).filter_map(|(id, member)| Some((id, &*member.as_ref()?.identity))).collect();
        order.sort_unstable_by(|(id, a), (other, b)| a.cmp(b).then(id.cmp(other)));
        let mut ranks = vec![0; self.members.len()];
        for (rank, (id, _)) in (0..).zip(order) {
            ranks[slot(id)] = rank;
        }
        ranks
    }
}

impl std::ops::Index<Id> for Identities {
    type Output = Member;

    fn index(&self, id: Id) -> &Member {
        self.members[slot(id)].as_ref().expect("entries name only identities that are held")
    }
}

fn place<T>(places: &mut Vec<Option<T>>, free: &mut Vec<u32>, value: T) -> u32 {
    if let Some(id) = free.pop() {
        places[slot(id)] = Some(value);
        return id;
    }
    places.push(Some(value));
    u32::try_from(places.len() - 1).expect("the caps keep it far below 2^32")
}
