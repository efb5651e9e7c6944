//! What of calls goes on from agent to agent: taken at the start, left at the end.
//!
//! The kernel's part stays by itself ([`crate::probes::persist`]); this is the tracker. Where anything between the two does not go together, the tracker
//! begins without connections: then the sequence numbers of the kernel show that something is missing, and no name is guessed.

use fleetscope_core::metrics::{RPC_RESTART_INFO, RPC_RESTORED_CONNECTIONS};
use fleetscope_core::rpc::{self, Limits};
use fleetscope_core::series::Registry;
use serde::Serialize;
use tracing::{info, warn};

use super::own::number;
use crate::probes::Probes;
use crate::probes::checkpoint::{BYTES_MAX, Left};
use crate::probes::persist::Beginning;
use crate::probes::report::chain;

/// How this agent began, in /info.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// `restored`: goes on where another agent stopped; `no_checkpoint`: another agent was there, and what it knew is lost; `new`: the first one of its
    /// kind here; `not_persistent`: the next agent will know nothing of this one.
    pub state: &'static str,
    /// Why, in a word; empty if there is nothing to say.
    pub reason: &'static str,
    /// Why, in a sentence; empty if there is nothing to say.
    pub detail: String,
    /// Connections that were taken over.
    pub connections: usize,
}

/// What of calls this agent begins with.
#[derive(Debug)]
pub struct Restart {
    /// How it began.
    pub report: Report,
    /// The calls that were in flight, and the connections' header tables.
    pub tracker: rpc::Tracker,
    /// [`Left::missed`] and [`Left::lost`], when the tracker read last.
    pub(super) missed: u64,
    pub(super) lost: u64,
}

// === impl Restart ===

impl Restart {
    /// Takes what the agent before left, and says in the log how that went.
    pub fn take(probes: &mut Probes) -> Self {
        let Beginning { state, reason, detail } = probes.beginning().clone();
        let this = if state == "taken_over" {
            Self::over(probes)
        } else {
            Self::without(Report { state, reason, detail, connections: 0 })
        };
        let Report { state, reason, detail, connections } = &this.report;
        match (*state, *reason) {
            ("not_persistent", "off") => {}
            ("restored" | "new", _) => info!(state, reason, detail, connections, "Calls outlive this agent"),
            ("no_checkpoint", _) => warn!(reason, detail, "What the agent before knew of calls is lost"),
            _ => warn!(reason, detail, "Names of calls on open connections will be lost at the next restart"),
        }
        this
    }

    fn over(probes: &mut Probes) -> Self {
        let lost =
            |reason, detail: String| Self::without(Report { state: "no_checkpoint", reason, detail, connections: 0 });
        let left = match probes.take_left() {
            Ok(Some(left)) => left,
            Ok(None) => return lost("none", "the agent before did not end by itself".to_owned()),
            Err(error) => return lost("unreadable", chain(&error)),
        };
        // Closes of connections may be among what passed unseen, so that nothing of it is sure.
        match probes.maps().map(|maps| maps.missed()) {
            Some(Ok(missed)) if missed == left.missed => {}
            Some(Err(error)) => return lost("unreadable", chain(&error)),
            _ => return lost("missed", "no agent was there for too long, and calls passed unseen".to_owned()),
        }
        match rpc::Tracker::restore(Limits::default(), &left.bytes) {
            Ok(tracker) => {
                let report =
                    Report { state: "restored", reason: "", detail: String::new(), connections: tracker.connections() };
                Self { report, tracker, missed: left.missed, lost: left.lost }
            }
            Err(error) => lost("checkpoint", error.to_string()),
        }
    }

    fn without(report: Report) -> Self {
        Self { report, tracker: rpc::Tracker::new(Limits::default()), missed: 0, lost: 0 }
    }

    /// Sets the series that say how this agent began.
    pub(super) fn show(report: &Report, registry: &mut Registry) {
        registry.set(&RPC_RESTART_INFO, None, &[report.reason, report.state], 1.0);
        registry.set(&RPC_RESTORED_CONNECTIONS, None, &[], number(report.connections as u64));
    }
}

/// Leaves the tracker for the agent that comes after this one, with [`Left::missed`] and [`Left::lost`] as they were when the ring buffer was read for the
/// last time.
pub fn leave(probes: &mut Probes, tracker: &rpc::Tracker, missed: u64, lost: u64) {
    if !probes.persists() {
        return;
    }
    if let Some(maps) = probes.maps() {
        let _ = maps.beat(); // no more than a shorter time for the next one
    }
    let done = probes.leave(&Left { missed, lost, bytes: tracker.checkpoint(BYTES_MAX) });
    match done {
        Ok(()) => info!(connections = tracker.connections(), "Calls are left for the next agent"),
        Err(error) => warn!(error = chain(&error), "What is known of calls is lost with this agent"),
    }
}
