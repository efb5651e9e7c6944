//! From events of calls to series: whose each call is, under which method it is told, and how many are in flight.
//!
//! ```text
//! Event -> the call's cell: its cgroup, role and method name -> a line: identity, role and method as told -> series
//! ```
//! A cell belongs to a group, which is a cgroup with calls, and its calls in flight are counted there. Whose a group is may become known later, or change:
//! then its cells go to other lines and take their calls in flight along, so that the gauges are exact whatever happens in between.
//!
//! # What is told how
//! - A method that the fleet excludes, or does not include, is in no series. One whose name cannot be known is `_OTHER`, always.
//! - Names beyond the fleet's `maxMethods` are `_OTHER`; the first that come have their own. An edit of the fleet lets them come anew.
//! - What ends in a group that nobody knows yet waits as long as records of tasks do, then counts under a stand-in, by reason in
//!   `fleetscope_events_lost_total`: the pod with the container `_OTHER`, or `_OTHER` altogether. So do the calls of a group that
//!   was forgotten while they went on, and what finds no room to wait.
//! - Calls of groups that are not observed (no fleet, suspended, `grpc.enabled: false`) are in no series.
//!
//! # Bounds
//! [`SeriesLimits`]: beyond them calls still count, under `_OTHER`. Of calls beyond `calls` the gauges know nothing.
//!
//! # Layout
//! - `groups`: cgroups with calls, and whose they are
//! - `cells`: which cell a call is in
//! - `lines`: what is told, and its series
//! - `methods`: the names that a fleet has
//! - `show`: counts of the call tracker as series

mod cells;
mod groups;
mod lines;
mod methods;
mod show;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::{Call, Event, Status};
use crate::slab::Slab;
use crate::tasks::tracker::{LostReason, Tracker};
use cells::{Cell, CellId};
use groups::{GroupId, Groups, Whose};
use lines::Lines;
use methods::Methods;

/// How much may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesLimits {
    /// Cgroups with calls. The calls of further ones count under `_OTHER`.
    pub groups: usize,
    /// Methods of all cgroups by role. Further ones count under the method `_OTHER` of their cgroup.
    pub cells: usize,
    /// Calls in flight. Further ones are counted when they finish only.
    pub calls: usize,
    /// Observations that wait for the identity of their container. Further ones count under `_OTHER`.
    pub pending: usize,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct RpcSeries {
    limits: SeriesLimits,
    /// Calls in flight, by socket cookie and stream.
    calls: HashMap<(u64, u32), CellId>,
    cells: Slab<Cell>,
    groups: Groups,
    lines: Lines,
    methods: Methods,
    /// Observations that wait, of all groups.
    pending: usize,
}

/// Something that was observed of a call, in nanoseconds.
#[derive(Clone, Copy, Debug)]
enum Observation {
    FirstResponse { after: u64 },
    Finished { status: Status, duration: u64 },
}

// === impl SeriesLimits ===

impl Default for SeriesLimits {
    fn default() -> Self {
        Self { groups: 16_384, cells: 131_072, calls: 524_288, pending: 16_384 }
    }
}

// === impl RpcSeries ===

impl RpcSeries {
    /// Without calls.
    pub fn new(limits: SeriesLimits) -> Self {
        Self {
            limits,
            calls: HashMap::new(),
            cells: Slab::new(),
            groups: Groups::new(),
            lines: Lines::new(),
            methods: Methods::default(),
            pending: 0,
        }
    }

    /// Handles one event, at `now`, nanoseconds of `CLOCK_BOOTTIME`. The series are those of `tasks`.
    pub fn handle(&mut self, event: &Event<'_>, tasks: &mut Tracker, now: u64) {
        match event {
            Event::Started(call) => self.start(call, tasks, now),
            Event::FirstResponse(call) => {
                let Some(after) = call.first_response_after() else { return };
                let begun = self.calls.get(&key(call)).copied();
                let id = begun.unwrap_or_else(|| self.cell_of(call, tasks, now));
                self.observe(id, Observation::FirstResponse { after }, tasks, now);
            }
            Event::Finished(finished) => {
                let begun = self.calls.remove(&key(&finished.call));
                let id = begun.unwrap_or_else(|| self.cell_of(&finished.call, tasks, now));
                let (status, duration) = (finished.status, finished.duration());
                self.observe(id, Observation::Finished { status, duration }, tasks, now);
                if begun.is_some() {
                    self.end(id, tasks);
                }
            }
            Event::Lost(call, _) => {
                if let Some(id) = self.calls.remove(&key(call)) {
                    self.end(id, tasks);
                }
            }
        }
    }

    fn start(&mut self, call: &Call<'_>, tasks: &mut Tracker, now: u64) {
        if self.calls.len() >= self.limits.calls {
            return;
        }
        let id = self.cell_of(call, tasks, now);
        // Two calls of one name cannot be told apart: the later one takes the place of the earlier.
        if let Some(before) = self.calls.insert(key(call), id) {
            self.end(before, tasks);
        }
        let Some(own) = self.cells.get_mut(id) else { return };
        own.in_flight += 1;
        if let Some(line) = own.line {
            self.lines.shift(line, 1, tasks.registry_mut());
        }
    }

    /// A call of a cell is over.
    fn end(&mut self, id: CellId, tasks: &mut Tracker) {
        let Some(cell) = self.cells.get_mut(id) else { return };
        cell.in_flight -= 1;
        let orphan = !cell.listed && cell.in_flight == 0;
        if let Some(line) = cell.line {
            self.lines.shift(line, -1, tasks.registry_mut());
        }
        if orphan {
            self.free(id);
        }
    }

    fn observe(&mut self, id: CellId, what: Observation, tasks: &mut Tracker, now: u64) {
        let Some(group) = self.cells.get(id).map(|cell| cell.group) else { return };
        self.refresh(group, tasks, now);
        self.count(id, what, None, tasks);
    }

    /// Counts an observation where its cell is told now. `reason` is why it is not told under its own group.
    fn count(&mut self, id: CellId, what: Observation, reason: Option<LostReason>, tasks: &mut Tracker) {
        let Some(cell) = self.cells.get(id) else { return };
        if let Some(line) = cell.line {
            if let (Some(reason), Observation::Finished { .. }) = (reason.or(cell.stand_in), what) {
                tasks.count_lost_calls(reason, 1);
            }
            return self.lines.observe(line, what, tasks.registry_mut());
        }
        let (limit, waiting) = (self.limits.pending, self.pending);
        let Some(group) = self.groups.get_mut(cell.group) else { return };
        if !matches!(group.whose, Whose::Waiting { .. }) {
            return;
        }
        if waiting < limit {
            group.pending.push((id, what));
            self.pending += 1;
            return;
        }
        let (role, name) = (cell.role, cell.name.clone());
        let stray = self.stray(tasks);
        let id = self.cell_in(stray, role, name.as_deref());
        self.count(id, what, Some(LostReason::PendingFull), tasks);
    }

    /// Time passes: to be called after [`Tracker::tick`] of the tasks.
    pub fn tick(&mut self, tasks: &mut Tracker, now: u64) {
        let version = tasks.owners_version();
        let due: Vec<GroupId> = self.groups.due(version).collect();
        for id in &due {
            let Some(group) = self.groups.get(*id) else { continue };
            let settled = !matches!(group.whose, Whose::Waiting { .. });
            if settled && !tasks.knows_group(group.cgroup) {
                self.forget(*id, tasks, now);
            } else {
                self.refresh(*id, tasks, now);
            }
        }
        if !due.is_empty() {
            self.methods.keep(&self.groups.fleets());
        }
    }

    /// Calls in flight.
    pub fn in_flight(&self) -> usize {
        self.calls.len()
    }
}

fn key(call: &Call<'_>) -> (u64, u32) {
    (call.cookie, call.stream)
}
