//! Cells: the calls of one group in one role and with one method name.

use std::sync::Arc;

use super::groups::{GroupId, Whose};
use super::lines::LineId;
use super::{Call, RpcSeries};
use crate::metrics::OTHER;
use crate::rpc::{Method, Role};
use crate::tasks::tracker::{LostReason, Tracker};

/// Number of a cell.
pub(super) type CellId = u32;

/// Names that a group has cells for though they are not told by their name, so that they are looked up at once.
const ALIASES_MAX: usize = 256;
/// Names that a group has cells for while it is not known which of them its fleet wants.
const UNKNOWN_MAX: usize = 1_024;

/// How a method is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// By its name.
    ByName,
    /// As `_OTHER`.
    AsOther,
    /// Not at all.
    Never,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) group: GroupId,
    pub(super) role: Role,
    /// None for the cell of all names that have none of their own.
    pub(super) name: Option<Arc<str>>,
    pub(super) told: Told,
    /// Where it is told; none while its group is not known, and if it is not told at all.
    pub(super) line: Option<LineId>,
    pub(super) in_flight: u32,
    /// Why its line is not that of its own container.
    pub(super) stand_in: Option<LostReason>,
    /// Its group knows it. Else it goes with its last call.
    pub(super) listed: bool,
}

impl RpcSeries {
    /// The cell of a call.
    pub(super) fn cell_of(&mut self, call: &Call<'_>, tasks: &mut Tracker, now: u64) -> CellId {
        let group = self.group_of(call.cgroup, tasks, now);
        let name = match call.method {
            Method::Named(name) if name != OTHER => Some(name),
            Method::Named(_) | Method::Unnamed(_) => None,
        };
        self.cell_in(group, call.role, name)
    }

    /// The cell of a name in a group.
    pub(super) fn cell_in(&mut self, id: GroupId, role: Role, name: Option<&str>) -> CellId {
        let group = self.groups.get_mut(id).expect("the caller has just looked it up");
        let Some(name) = name else { return self.common(id, role, Told::AsOther) };
        if let Some(cell) = group.names[role as usize].get(name) {
            return *cell;
        }
        let names = group.names.iter().map(std::collections::HashMap::len).sum::<usize>();
        let full = self.cells.len() >= self.limits.cells;
        let told = match &group.whose {
            Whose::Known(own) => self.methods.admit(own, name),
            Whose::Hidden | Whose::Waiting { .. } => Told::ByName,
        };
        let room = match (&group.whose, told) {
            (Whose::Known(_), Told::ByName) => true,
            (Whose::Known(_), Told::AsOther | Told::Never) => group.aliases < ALIASES_MAX,
            (Whose::Hidden | Whose::Waiting { .. }, _) => names < UNKNOWN_MAX,
        };
        if full || !room {
            return self.common(id, role, if told == Told::Never { told } else { Told::AsOther });
        }
        group.aliases += usize::from(told != Told::ByName);
        let (line, stand_in) = match &group.whose {
            Whose::Known(own) => (self.lines.enter_told(own, role, name, told), own.stand_in),
            Whose::Hidden | Whose::Waiting { .. } => (None, None),
        };
        let name: Arc<str> = name.into();
        let cell =
            Cell { group: id, role, name: Some(Arc::clone(&name)), told, line, in_flight: 0, stand_in, listed: true };
        let cell = self.cells.insert(cell);
        group.names[role as usize].insert(name, cell);
        cell
    }

    /// The cell of all names of a group that have none of their own.
    fn common(&mut self, id: GroupId, role: Role, told: Told) -> CellId {
        let group = self.groups.get_mut(id).expect("the caller has just looked it up");
        let place = if told == Told::Never { &mut group.hidden } else { &mut group.other };
        if let Some(cell) = place[role as usize] {
            return cell;
        }
        let (line, stand_in) = match &group.whose {
            Whose::Known(own) => (self.lines.enter_told(own, role, "", told), own.stand_in),
            Whose::Hidden | Whose::Waiting { .. } => (None, None),
        };
        let cell = Cell { group: id, role, name: None, told, line, in_flight: 0, stand_in, listed: true };
        let cell = self.cells.insert(cell);
        place[role as usize] = Some(cell);
        cell
    }

    /// Forgets a cell that nothing refers to.
    pub(super) fn free(&mut self, id: CellId) {
        if let Some(line) = self.cells.remove(id).and_then(|cell| cell.line) {
            self.lines.leave(line);
        }
    }
}
