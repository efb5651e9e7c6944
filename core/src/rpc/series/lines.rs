//! Lines: what is told of an identity, a role and a method, and the series of that.

use std::collections::HashMap;
use std::sync::Arc;

use super::Observation;
use super::cells::Told;
use crate::metrics::{OTHER, RPC_CLIENT_DURATION, RPC_FIRST_RESPONSE, RPC_IN_FLIGHT, RPC_SERVER_DURATION, RPC_SYSTEM};
use crate::rpc::{Role, Status};
use crate::series::{Handle, Identity, Layout, Registry};
use crate::slab::Slab;
use crate::tasks::tracker::CallIdentity;

/// Number of a line.
pub(super) type LineId = u32;

type Key = (Arc<Identity>, Role, Arc<str>);

#[derive(Debug)]
struct Line {
    key: Key,
    layout: Layout,
    /// Cells that are told here. With the last one the line goes; its series stay as long as those of its identity.
    cells: u32,
    in_flight: u64,
    gauge: Handle,
    first_response: Handle,
    /// By status.
    durations: [Option<Box<Handle>>; Status::ALL.len()],
}

/// All lines.
#[derive(Debug)]
pub(super) struct Lines {
    all: Slab<Line>,
    by_key: HashMap<Key, LineId>,
    other: Arc<str>,
}

// === impl Line ===

impl Line {
    fn new(key: Key, layout: Layout) -> Self {
        let (identity, role, method) = &key;
        let labels = [role.as_str(), &**method];
        let gauge = Handle::new(&RPC_IN_FLIGHT, identity, &labels, &layout);
        let first_response = Handle::new(&RPC_FIRST_RESPONSE, identity, &labels, &layout);
        Self { key, layout, cells: 0, in_flight: 0, gauge, first_response, durations: [const { None }; _] }
    }

    fn duration(&mut self, status: Status) -> &mut Handle {
        let (identity, role, method) = &self.key;
        self.durations[status as usize].get_or_insert_with(|| {
            let metric = match role {
                Role::Server => &RPC_SERVER_DURATION,
                Role::Client => &RPC_CLIENT_DURATION,
            };
            let labels = [status.error_type(*role).unwrap_or_default(), &**method, status.as_str(), RPC_SYSTEM];
            Box::new(Handle::new(metric, identity, &labels, &self.layout))
        })
    }
}

// === impl Lines ===

impl Lines {
    pub(super) fn new() -> Self {
        Self { all: Slab::new(), by_key: HashMap::new(), other: OTHER.into() }
    }

    /// The line of a method that is told so, with one cell more; none if it is not told.
    pub(super) fn enter_told(&mut self, own: &CallIdentity, role: Role, name: &str, told: Told) -> Option<LineId> {
        let method = match told {
            Told::ByName => name.into(),
            Told::AsOther => Arc::clone(&self.other),
            Told::Never => return None,
        };
        let key = (Arc::clone(&own.identity), role, method);
        let layout = &own.settings.layout;
        let id = if let Some(id) = self.by_key.get(&key) {
            *id
        } else {
            let id = self.all.insert(Line::new(key.clone(), layout.clone()));
            self.by_key.insert(key, id);
            id
        };
        let line = self.all.get_mut(id)?;
        if line.layout != *layout {
            let (cells, in_flight) = (line.cells, line.in_flight);
            *line = Line { cells, in_flight, ..Line::new(line.key.clone(), layout.clone()) };
        }
        line.cells += 1;
        Some(id)
    }

    /// One cell less, which takes its calls in flight along.
    pub(super) fn quit(&mut self, id: LineId, in_flight: i64, registry: &mut Registry) {
        let Some(line) = self.all.get(id) else { return };
        if line.cells == 1 {
            // Nothing is told here any more: a gauge at 0 would stay as long as the pod.
            let (identity, role, method) = &line.key;
            registry.remove(&RPC_IN_FLIGHT, Some(identity), &[role.as_str(), &**method]);
        } else if in_flight > 0 {
            self.shift(id, -in_flight, registry);
        }
        self.leave(id);
    }

    /// One cell less, which has no calls in flight.
    pub(super) fn leave(&mut self, id: LineId) {
        let Some(line) = self.all.get_mut(id) else { return };
        line.cells -= 1;
        if line.cells == 0
            && let Some(line) = self.all.remove(id)
        {
            self.by_key.remove(&line.key);
        }
    }

    /// So many calls in flight more or less.
    #[expect(clippy::cast_precision_loss, reason = "numbers of calls are below 2^53")]
    pub(super) fn shift(&mut self, id: LineId, by: i64, registry: &mut Registry) {
        let Some(line) = self.all.get_mut(id) else { return };
        line.in_flight = line.in_flight.saturating_add_signed(by);
        registry.set_at(&mut line.gauge, line.in_flight as f64);
    }

    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of 100 days still have microseconds then")]
    pub(super) fn observe(&mut self, id: LineId, what: Observation, registry: &mut Registry) {
        let Some(line) = self.all.get_mut(id) else { return };
        let (handle, ns) = match what {
            Observation::FirstResponse { after } => (&mut line.first_response, after),
            Observation::Finished { status, duration } => (line.duration(status), duration),
        };
        registry.observe_at(handle, ns as f64 / 1e9);
    }
}
