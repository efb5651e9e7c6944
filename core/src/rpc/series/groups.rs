//! Groups: cgroups with calls, and whose they are.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::cells::{Cell, CellId, Told};
use super::lines::LineId;
use super::methods::FleetKey;
use super::{Observation, RpcSeries};
use crate::slab::Slab;
use crate::tasks::tracker::{CallIdentity, CallOwner, LostReason, Tracker};

/// Number of a group.
pub(super) type GroupId = u32;

/// Whose the calls of a group are.
#[derive(Debug)]
pub(super) enum Whose {
    /// Told under this identity.
    Known(CallIdentity),
    /// In no series.
    Hidden,
    /// Not known yet.
    Waiting { since: u64 },
}

/// A cgroup with calls.
#[derive(Debug)]
pub(super) struct Group {
    /// Its id; 0 of the one that stands for all others.
    pub(super) cgroup: u64,
    pub(super) whose: Whose,
    /// What [`Tracker::owners_version`] said when `whose` was looked up.
    version: u64,
    /// Cells by role and name.
    pub(super) names: [HashMap<Arc<str>, CellId>; 2],
    /// By role, the cells of all that have none by their name: told under `_OTHER`, and not told.
    pub(super) other: [Option<CellId>; 2],
    pub(super) hidden: [Option<CellId>; 2],
    /// Cells in `names` that are not told by their name.
    pub(super) aliases: usize,
    pub(super) pending: Vec<(CellId, Observation)>,
}

/// All groups.
#[derive(Debug)]
pub(super) struct Groups {
    all: Slab<Group>,
    by_cgroup: HashMap<u64, GroupId>,
    stray: Option<GroupId>,
}

// === impl Group ===

impl Group {
    fn new(cgroup: u64, whose: Whose, version: u64) -> Self {
        let names = [HashMap::new(), HashMap::new()];
        Self { cgroup, whose, version, names, other: [None; 2], hidden: [None; 2], aliases: 0, pending: Vec::new() }
    }

    /// Its cells, in the order in which they were made, as far as numbers are not used again.
    fn cells(&self) -> Vec<CellId> {
        let named = self.names.iter().flat_map(|names| names.values());
        let mut cells: Vec<CellId> =
            named.chain(self.other.iter().flatten()).chain(self.hidden.iter().flatten()).copied().collect();
        cells.sort_unstable();
        cells
    }
}

// === impl Groups ===

impl Groups {
    pub(super) fn new() -> Self {
        Self { all: Slab::new(), by_cgroup: HashMap::new(), stray: None }
    }

    pub(super) fn get(&self, id: GroupId) -> Option<&Group> {
        self.all.get(id)
    }

    pub(super) fn get_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.all.get_mut(id)
    }

    /// Those that may have to be looked at when owners are at `version`.
    pub(super) fn due(&self, version: u64) -> impl Iterator<Item = GroupId> {
        let due = move |group: &Group| group.version != version || matches!(group.whose, Whose::Waiting { .. });
        self.by_cgroup.values().copied().filter(move |id| self.all.get(*id).is_some_and(due))
    }

    /// The fleets of all.
    pub(super) fn fleets(&self) -> HashSet<FleetKey> {
        let known = self.all.iter().filter_map(|(_, group)| match &group.whose {
            Whose::Known(own) => Some((Arc::clone(&own.identity.namespace), Arc::clone(&own.identity.fleet))),
            Whose::Hidden | Whose::Waiting { .. } => None,
        });
        known.collect()
    }
}

impl RpcSeries {
    /// The group of a cgroup, looked up anew if that may give another owner.
    pub(super) fn group_of(&mut self, cgroup: u64, tasks: &mut Tracker, now: u64) -> GroupId {
        if let Some(id) = self.groups.by_cgroup.get(&cgroup).copied() {
            self.refresh(id, tasks, now);
            return id;
        }
        if self.groups.by_cgroup.len() >= self.limits.groups {
            return self.stray(tasks);
        }
        let whose = match tasks.enter_calls(cgroup, false) {
            CallOwner::Known(own) => Whose::Known(own),
            CallOwner::Hidden => Whose::Hidden,
            CallOwner::Waiting => {
                if !tasks.knows_group(cgroup) {
                    tasks.want_scan();
                }
                Whose::Waiting { since: now }
            }
        };
        let id = self.groups.all.insert(Group::new(cgroup, whose, tasks.owners_version()));
        self.groups.by_cgroup.insert(cgroup, id);
        id
    }

    /// The group that stands for all that have none.
    pub(super) fn stray(&mut self, tasks: &mut Tracker) -> GroupId {
        if let Some(id) = self.groups.stray {
            return id;
        }
        let whose = match tasks.enter_calls_of_nobody(LostReason::CallsFull) {
            CallOwner::Known(own) => Whose::Known(own),
            CallOwner::Hidden | CallOwner::Waiting => Whose::Hidden,
        };
        let id = self.groups.all.insert(Group::new(0, whose, 0));
        self.groups.stray = Some(id);
        id
    }

    /// Looks up whose a group is, if that may have changed.
    pub(super) fn refresh(&mut self, id: GroupId, tasks: &mut Tracker, now: u64) {
        if self.groups.stray == Some(id) {
            return;
        }
        let version = tasks.owners_version();
        let Some(group) = self.groups.all.get_mut(id) else { return };
        let waited = match &group.whose {
            _ if group.version == version && !matches!(group.whose, Whose::Waiting { .. }) => return,
            // It is forgotten at the next tick, and not before: a stand-in for what was known would be worse.
            Whose::Known(_) | Whose::Hidden if !tasks.knows_group(group.cgroup) => return,
            Whose::Known(own) => own.stand_in.is_some(),
            Whose::Hidden => false,
            Whose::Waiting { since } => tasks.has_waited(*since, now),
        };
        if group.version == version && !waited {
            return;
        }
        group.version = version;
        let whose = match (tasks.enter_calls(group.cgroup, waited), &group.whose) {
            (CallOwner::Known(new), Whose::Known(own)) if new == *own => return tasks.leave_calls(&new, now),
            (CallOwner::Hidden, Whose::Hidden) | (CallOwner::Waiting, Whose::Waiting { .. }) => return,
            (CallOwner::Known(own), _) => Whose::Known(own),
            (CallOwner::Hidden, _) => Whose::Hidden,
            (CallOwner::Waiting, _) => Whose::Waiting { since: now },
        };
        self.give(id, whose, tasks, now);
    }

    /// Gives a group to another owner, with all its calls in flight, and counts what waited for that.
    fn give(&mut self, id: GroupId, whose: Whose, tasks: &mut Tracker, now: u64) {
        let Some(group) = self.groups.all.get_mut(id) else { return };
        let before = std::mem::replace(&mut group.whose, whose);
        group.aliases = 0;
        for cell in group.cells() {
            self.settle(cell, tasks);
        }
        let Some(group) = self.groups.all.get_mut(id) else { return };
        let waits = matches!(group.whose, Whose::Waiting { .. });
        if let Whose::Known(own) = &before {
            // As the tasks' series: those of a fleet that the container is not in any more go at once.
            let stays = waits || own.stand_in.is_some();
            tasks.leave_calls(own, if stays { now + tasks.grace() } else { now });
        }
        if waits {
            return;
        }
        let waited = std::mem::take(&mut group.pending);
        self.pending -= waited.len();
        for (cell, what) in waited {
            self.count(cell, what, None, tasks);
        }
    }

    /// Finds out where a cell is told, and takes its calls in flight there.
    fn settle(&mut self, id: CellId, tasks: &mut Tracker) {
        let Some(cell) = self.cells.get(id) else { return };
        let Cell { role, told, line: before, .. } = *cell;
        let Some(group) = self.groups.all.get_mut(cell.group) else { return };
        let (told, line, stand_in) = match (&group.whose, &cell.name) {
            (Whose::Known(own), Some(name)) => {
                let told = self.methods.admit(own, name);
                group.aliases += usize::from(cell.listed && told != Told::ByName);
                (told, self.lines.enter_told(own, role, name, told), own.stand_in)
            }
            // Cells without a name are for what it says, whoever the owner is.
            (Whose::Known(own), None) => (told, self.lines.enter_told(own, role, "", told), own.stand_in),
            (Whose::Hidden | Whose::Waiting { .. }, _) => (told, None, None),
        };
        self.transfer(i64::from(cell.in_flight), before, line, tasks);
        if let Some(cell) = self.cells.get_mut(id) {
            (cell.told, cell.line, cell.stand_in) = (told, line, stand_in);
        }
    }

    /// Takes calls in flight from one line to another.
    fn transfer(&mut self, in_flight: i64, from: Option<LineId>, to: Option<LineId>, tasks: &mut Tracker) {
        let registry = tasks.registry_mut();
        if let Some(to) = to
            && in_flight > 0
        {
            self.lines.shift(to, in_flight, registry);
        }
        if let Some(from) = from {
            self.lines.quit(from, in_flight, registry);
        }
    }

    /// Forgets a group that is no more. Its calls in flight, if it has any, are nobody's from now on.
    pub(super) fn forget(&mut self, id: GroupId, tasks: &mut Tracker, now: u64) {
        let stray = self.stray(tasks);
        let Some(group) = self.groups.all.get(id) else { return };
        for cell in group.cells() {
            self.orphan(cell, stray, tasks);
        }
        let Some(group) = self.groups.all.remove(id) else { return };
        self.groups.by_cgroup.remove(&group.cgroup);
        self.pending -= group.pending.len();
        if let Whose::Known(own) = &group.whose {
            tasks.leave_calls(own, now + tasks.grace());
        }
    }

    fn orphan(&mut self, id: CellId, stray: GroupId, tasks: &mut Tracker) {
        let Some(cell) = self.cells.get_mut(id) else { return };
        if cell.in_flight == 0 {
            return self.free(id);
        }
        let hidden = cell.line.is_none();
        cell.group = stray;
        cell.listed = false;
        if !hidden {
            self.settle(id, tasks);
            if let Some(cell) = self.cells.get_mut(id) {
                cell.stand_in = Some(LostReason::CgroupGone);
            }
        }
    }
}
