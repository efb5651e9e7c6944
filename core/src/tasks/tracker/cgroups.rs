//! Cgroups, by id: which container each belongs to, and what the kernel shall do with its processes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use fleetscope_ebpf::verdict;

use super::containers::{Cid, Container, State};
use super::fleets::Fid;
use super::lost::LostReason;
use super::{SETTLE, Tracker};
use crate::cgroup::{parse_below, parse_path, standalone_name};
use crate::records::{CgroupGone, CgroupMade};
use crate::series::Identity;

/// What a group is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Neither its path nor what is above it is known.
    Unknown,
    /// Above the pods: no process of a pod is in it.
    Above,
    /// A pod's own group, by the uid that it carries.
    Pod(Arc<str>),
    /// A container's, or below it.
    Container(Cid),
}

/// Whose figures those of a group are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner<'a> {
    /// An observed container's.
    Known {
        /// Whose its series are.
        identity: &'a Arc<Identity>,
        /// The group was not removed.
        there: bool,
    },
    /// Nobody's, or not known whose yet.
    Nobody,
    /// There is no such group, or no more.
    Unknown,
}

#[derive(Debug)]
struct Group {
    parent: u64,
    place: Place,
    /// What the kernel has for it, as far as is known.
    verdict: Option<u32>,
    /// The last scan at whose beginning or after it was there.
    seen: u32,
    /// Its making was recorded: whatever exec'd in it was seen.
    made: bool,
    gone: bool,
}

/// All cgroups.
#[derive(Debug)]
pub(super) struct Cgroups {
    groups: HashMap<u64, Group>,
    /// Those that were removed, and when: records of their processes may still come.
    gone: VecDeque<(u64, u64)>,
    verdicts: Vec<(u64, u32)>,
    scan: u32,
}

// === impl Cgroups ===

impl Cgroups {
    pub(super) fn new() -> Self {
        Self { groups: HashMap::new(), gone: VecDeque::new(), verdicts: Vec::new(), scan: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Number of the last scan.
    pub(super) fn scan(&self) -> u32 {
        self.scan
    }

    /// The container that a group belongs to; none if it is none's or not known.
    pub(super) fn container(&self, id: u64) -> Option<&Place> {
        self.groups.get(&id).map(|group| &group.place)
    }
}

impl Tracker {
    pub(super) fn cgroup_made(&mut self, made: &CgroupMade<'_>, now: u64) {
        let path = made.path.map(String::from_utf8_lossy);
        self.place(made.cgroup, made.parent, path.as_deref(), 0, now);
        let scan = self.cgroups.scan;
        let Some(group) = self.cgroups.groups.get_mut(&made.cgroup) else { return };
        group.seen = scan;
        group.made = true;
        group.verdict = made.verdict;
        let place = group.place.clone();
        if path.is_none() && matches!(place, Place::Unknown | Place::Pod(_)) {
            self.scan_wanted = true;
        }
        // Every process that exec'd in a group that was made while the kernel looked is known by its record.
        if let Place::Container(cid) = place
            && let Some(container) = self.containers.all.get_mut(cid)
            && container.root == made.cgroup
        {
            container.alive_before = 0;
        }
        self.verdict_of(made.cgroup);
    }

    pub(super) fn cgroup_gone(&mut self, gone: &CgroupGone, now: u64) {
        let Some(group) = self.cgroups.groups.get_mut(&gone.cgroup) else { return };
        if std::mem::replace(&mut group.gone, true) {
            return;
        }
        self.cgroups.gone.push_back((gone.cgroup, now));
        if let Place::Container(cid) = group.place
            && let Some(container) = self.containers.all.get_mut(cid)
        {
            container.groups = container.groups.saturating_sub(1);
            if (container.root == gone.cgroup && self.standalone.is_none()) || container.groups == 0 {
                container.gone.get_or_insert(now);
            }
        }
    }

    /// Whose figures those of a group are, for what the kernel measures per group. Removed groups are told for 34 s.
    pub fn owner(&self, cgroup: u64) -> Owner<'_> {
        let Some(group) = self.cgroups.groups.get(&cgroup) else { return Owner::Unknown };
        let Place::Container(cid) = group.place else { return Owner::Nobody };
        let state = self.containers.all.get(cid).map(|container| container.state);
        let Some(State::Known { iid, .. }) = state else { return Owner::Nobody };
        let identity = self.identities.get(iid);
        identity.map_or(Owner::Nobody, |identity| Owner::Known { identity, there: !group.gone })
    }

    /// A scan of the cgroup tree and of `/proc` begins, at `now`. What is found and was not known before was alive before it.
    pub fn scan_started(&mut self, now: u64) {
        self.now = self.now.max(now);
        self.cgroups.scan += 1;
        self.scan_at = now;
        self.scan_wanted = false;
    }

    /// A group was found by a scan. `path` is from the root of its hierarchy. Its verdict is among the next
    /// [`Tracker::take_verdicts`].
    pub fn cgroup_found(&mut self, id: u64, parent: u64, path: &str) {
        let made = self.cgroups.groups.get(&id).is_some_and(|group| group.made);
        self.place(id, parent, Some(path), if made { 0 } else { self.scan_at }, self.now);
        let scan = self.cgroups.scan;
        if let Some(group) = self.cgroups.groups.get_mut(&id) {
            group.seen = scan;
            group.verdict = None;
            self.verdict_of(id);
        }
    }

    /// The scan is over: groups and processes that were there before it and that it did not find are gone.
    pub fn scan_finished(&mut self, now: u64) {
        let scan = self.cgroups.scan;
        let missing = |group: &Group| group.seen < scan && !group.gone;
        let missing: Vec<CgroupGone> = self
            .cgroups
            .groups
            .iter()
            .filter(|(_, group)| missing(group))
            .map(|(id, group)| CgroupGone { time: now, cgroup: *id, parent: group.parent })
            .collect();
        for gone in missing {
            self.cgroup_gone(&gone, now);
        }
        self.suspect_processes(now);
    }

    /// Whether a scan is needed: groups whose path is not known, processes that were not looked at before, or lost records.
    pub fn scan_wanted(&self) -> bool {
        self.scan_wanted
    }

    /// What the kernel shall do with the processes of groups, as (cgroup id, bits of [`verdict`]), since the last call. To be
    /// written to existing entries only, so that a group that was removed meanwhile does not come back.
    pub fn take_verdicts(&mut self) -> Vec<(u64, u32)> {
        std::mem::take(&mut self.cgroups.verdicts)
    }

    /// The container of a process's group; makes one that waits if the group is not known.
    pub(super) fn container_of(&mut self, group: u64, now: u64) -> Option<Cid> {
        match self.cgroups.container(group) {
            Some(Place::Container(cid)) => return Some(*cid),
            Some(Place::Above) => return None,
            Some(Place::Pod(_) | Place::Unknown) | None => {}
        }
        if !self.cgroups.groups.contains_key(&group) {
            self.scan_wanted = true;
            self.place(group, 0, None, 0, now);
        }
        let pod = match self.cgroups.container(group)? {
            // The pod's own group holds no process of a container; what the runtime runs there for a moment is no task.
            // A group that only is below the pod's may well be a container's.
            Place::Pod(_) if !self.by_parent.contains(&group) => return None,
            Place::Pod(uid) => Some(Arc::clone(uid)),
            _ => None,
        };
        if self.containers.all.len() >= self.limits.containers {
            LostReason::CgroupsFull.count(&mut self.registry, 1);
            return None;
        }
        let mut container = Container::new(pod, None, 0);
        container.groups = 1;
        let cid = self.containers.insert(container);
        if let Some(entry) = self.cgroups.groups.get_mut(&group) {
            self.owners_version += 1;
            entry.place = Place::Container(cid);
        }
        self.resolve(cid, now);
        Some(cid)
    }

    fn place(&mut self, id: u64, parent: u64, path: Option<&str>, alive_before: u64, now: u64) {
        let known = self.cgroups.groups.get(&id).map(|group| group.place.clone());
        if known.is_none() && self.cgroups.len() >= self.limits.cgroups {
            return LostReason::CgroupsFull.count(&mut self.registry, 1);
        }
        let place = match path {
            Some(path) => self.place_of_path(id, path, alive_before, now),
            None => match self.cgroups.container(parent) {
                Some(Place::Container(cid)) => Place::Container(*cid),
                Some(Place::Pod(uid)) => Place::Pod(Arc::clone(uid)),
                Some(Place::Above | Place::Unknown) | None => Place::Unknown,
            },
        };
        if path.is_some() {
            self.by_parent.remove(&id);
        } else if matches!(place, Place::Pod(_)) {
            self.by_parent.insert(id);
        }
        match known {
            None => {
                self.owners_version += 1;
                let seen = self.cgroups.scan;
                self.count_group(&place);
                let group = Group { parent, place, verdict: None, seen, made: false, gone: false };
                self.cgroups.groups.insert(id, group);
            }
            // Without a path nothing is learned of a group that has a place.
            Some(known) if known == place || (path.is_none() && known != Place::Unknown) => {}
            Some(known) => {
                self.owners_version += 1;
                self.count_group(&place);
                if let Some(group) = self.cgroups.groups.get_mut(&id) {
                    group.parent = parent;
                    group.place = place.clone();
                }
                if let Place::Container(stand_in) = known {
                    self.replace_stand_in(stand_in, &place, now);
                }
            }
        }
    }

    fn count_group(&mut self, place: &Place) {
        if let Place::Container(cid) = place
            && let Some(container) = self.containers.all.get_mut(*cid)
        {
            container.groups += 1;
        }
    }

    /// What waited in a stand-in goes to the container that its group turned out to belong to.
    fn replace_stand_in(&mut self, stand_in: Cid, place: &Place, now: u64) {
        let is_stand_in = self.containers.all.get(stand_in).is_some_and(|container| container.id.is_none());
        if !is_stand_in {
            return;
        }
        let records = self.containers.take_pending(stand_in);
        if let Some(container) = self.containers.all.get_mut(stand_in) {
            container.groups = container.groups.saturating_sub(1);
            if container.groups == 0 {
                container.gone.get_or_insert(now);
            }
        }
        let Place::Container(cid) = *place else { return };
        self.move_processes(stand_in, cid);
        let since = self.containers.all.get(stand_in).map_or(now, |container| container.pending_since);
        for record in records {
            self.take_over(cid, record, since, now);
        }
    }

    fn place_of_path(&mut self, id: u64, path: &str, alive_before: u64, now: u64) -> Place {
        if let Some(fid) = self.standalone {
            let name: Arc<str> = standalone_name(path).into();
            let identity = Identity {
                fleet: self.fleets.get(fid).map(|fleet| Arc::clone(&fleet.name)).unwrap_or_default(),
                pod: Arc::clone(&name),
                workload: Arc::clone(&name),
                ..Identity::default()
            };
            let Some(cid) = self.container(&"".into(), &name, alive_before) else { return Place::Above };
            self.root(cid, id, path);
            if self.containers.all.get(cid).is_some_and(|container| container.state == State::Waiting) {
                let iid = self.identities.acquire(identity, &mut self.registry);
                self.become_state(cid, State::Known { iid, fid }, now);
                self.identities.release(iid, &mut self.registry, now);
            }
            return Place::Container(cid);
        }
        let found = match &self.pod_root {
            Some(root) => parse_below(root, path),
            None => parse_path(path),
        };
        let Some(found) = found else { return Place::Above };
        let uid: Arc<str> = found.pod_uid.into();
        let Some(container_id) = found.container_id else { return Place::Pod(uid) };
        let Some(cid) = self.container(&uid, &container_id.into(), alive_before) else { return Place::Above };
        if !found.nested {
            self.root(cid, id, path);
        }
        self.resolve(cid, now);
        Place::Container(cid)
    }

    fn root(&mut self, cid: Cid, id: u64, path: &str) {
        if let Some(container) = self.containers.all.get_mut(cid)
            && container.root == 0
        {
            container.root = id;
            container.path = path.into();
        }
    }

    fn container(&mut self, pod: &Arc<str>, id: &Arc<str>, alive_before: u64) -> Option<Cid> {
        if let Some(cid) = self.containers.find(pod, id) {
            // The group was removed and made again under one name: the container lives again.
            if let Some(container) = self.containers.all.get_mut(cid)
                && container.gone.take().is_some()
            {
                container.root = 0;
            }
            return Some(cid);
        }
        if self.containers.all.len() >= self.limits.containers {
            LostReason::CgroupsFull.count(&mut self.registry, 1);
            return None;
        }
        Some(self.containers.insert(Container::new(Some(Arc::clone(pod)), Some(Arc::clone(id)), alive_before)))
    }

    /// The verdict of groups of which nothing is known yet: whatever the limits allow to be looked at.
    pub fn verdict_of_unknown(&self) -> u32 {
        let bit = |allowed: bool, bit: u32| if allowed { bit } else { 0 };
        verdict::TASKS | bit(self.limits.runqueue, verdict::RUNQUEUE) | bit(self.limits.rpc, verdict::RPC)
    }

    fn verdict_of_fleet(&self, fid: Fid) -> u32 {
        let calls = self.fleets.get(fid).is_none_or(|fleet| fleet.view.grpc.enabled);
        self.verdict_of_unknown() & if calls { u32::MAX } else { !verdict::RPC }
    }

    /// The verdict of one group, if the kernel has another.
    fn verdict_of(&mut self, id: u64) {
        let Some(group) = self.cgroups.groups.get(&id) else { return };
        let state = match &group.place {
            Place::Container(cid) => self.containers.all.get(*cid).map(|container| container.state),
            Place::Unknown | Place::Above | Place::Pod(_) => None,
        };
        let wanted = match (&group.place, state) {
            (_, Some(State::Ignored | State::Foreign)) => verdict::IGNORE,
            (_, Some(State::Known { fid, .. } | State::Provisional { fid, .. })) => self.verdict_of_fleet(fid),
            (Place::Pod(uid), _) if self.is_pod_ignored(uid) => verdict::IGNORE,
            // What is made below it inherits its verdict until it is known itself.
            (Place::Pod(uid), _) => match self.pods.by_cgroup(uid).and_then(|pod| pod.fleet) {
                Some((fid, _)) => self.verdict_of_fleet(fid),
                None => self.verdict_of_unknown(),
            },
            _ => self.verdict_of_unknown(),
        };
        if group.verdict != Some(wanted)
            && !group.gone
            && let Some(group) = self.cgroups.groups.get_mut(&id)
        {
            group.verdict = Some(wanted);
            self.cgroups.verdicts.push((id, wanted));
        }
    }

    pub(super) fn verdicts_of_all(&mut self) {
        self.verdicts_where(|_| true);
    }

    pub(super) fn verdicts_of_container(&mut self, cid: Cid) {
        self.verdicts_where(|place| *place == Place::Container(cid));
    }

    pub(super) fn verdicts_of_pod(&mut self, uid: &str) {
        self.verdicts_where(|place| matches!(place, Place::Pod(own) if **own == *uid));
    }

    fn verdicts_where(&mut self, is: impl Fn(&Place) -> bool) {
        let groups = self.cgroups.groups.iter().filter(|(_, group)| is(&group.place));
        let groups: Vec<u64> = groups.map(|(id, _)| *id).collect();
        for id in groups {
            self.verdict_of(id);
        }
    }

    /// Forgets groups and containers whose late records have had their time.
    pub(super) fn forget_gone(&mut self, now: u64) {
        while let Some((id, at)) = self.cgroups.gone.front().copied() {
            if now.saturating_sub(at) < self.window() && self.cgroups.len() < self.limits.cgroups {
                break;
            }
            self.cgroups.gone.pop_front();
            self.owners_version += 1;
            self.cgroups.groups.remove(&id);
            self.by_parent.remove(&id);
        }
        let gone: Vec<(Cid, u64)> =
            self.containers.all.iter().filter_map(|(cid, container)| Some((cid, container.gone?))).collect();
        for (cid, at) in gone {
            let age = now.saturating_sub(at);
            if age >= SETTLE {
                self.drop_processes(cid, true, now);
            }
            let waits = self.containers.all.get(cid).is_some_and(|container| !container.pending.is_empty());
            if age >= self.window() && !waits {
                self.leave_state(cid, now + self.limits.grace);
                self.containers.remove(cid);
                self.detach(cid);
            }
        }
    }

    /// No group may point to a container that is forgotten: its number is used again.
    fn detach(&mut self, cid: Cid) {
        for group in self.cgroups.groups.values_mut().filter(|group| group.place == Place::Container(cid)) {
            group.place = Place::Above;
        }
    }
}
