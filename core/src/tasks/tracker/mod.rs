//! From records to series: a state machine without I/O, clock or lock.
//!
//! ```text
//! handle(record)            what the kernel saw: groups made and removed, programs executed, processes ended
//! scan_started, cgroup_found*, seed*, scan_finished   what a scan of the cgroup tree and /proc found
//! upsert_pod, remove_pod, upsert_fleet, remove_fleet, pods_synced, fleets_synced   what the watches say
//! tick                      time passes
//!    -> registry()          series
//!    -> take_verdicts()     which groups the kernel shall look at
//!    -> scan_wanted()       a scan is needed
//!    -> agents(), containers()   rows, and what to sample
//! ```
//! All times are nanoseconds of `CLOCK_BOOTTIME` and given by the caller.
//!
//! # Order
//! Records of one process come in order through the ring buffer, but what it refused comes by a second way and so earlier or later
//! than its neighbours. An exit that comes before its exec waits for it, an exec that comes after its process was counted
//! is passed over, and of two execs the later one names the process. What happens to an exit without any exec is in `exits.rs`.
//!
//! # Bounds
//! [`TrackerLimits`] bounds every table, and what goes beyond is counted by reason in `fleetscope_events_lost_total`; the sum of
//! `fleetscope_tasks_total` stays the number of exits, under `_OTHER` where nothing better is known.
//!
//! # Layout
//! - `agents`: agents by status, what happened to them, their rows
//! - `calls`: whose the gRPC calls of a group are
//! - `cgroups`: groups by id, their verdicts, scans
//! - `containers`: containers, whose they are, and records that wait for that
//! - `processes`: running processes, and what they are called
//! - `exits`: ends of processes, also those that come before their exec or without one
//! - `pods`: pods and fleets as the watches give them
//! - `fleets`: fleets and what they call tasks; names that are given back
//! - `identities`: identities in use, and what runs under each
//! - `lost`: reasons of loss
//! - `runtime`: processes of the container runtime, which are no tasks

mod agents;
mod calls;
mod cgroups;
mod containers;
mod exits;
mod fleets;
mod identities;
mod lost;
mod pods;
mod processes;
mod runtime;

use std::collections::HashSet;

pub(crate) use calls::{CallIdentity, CallOwner};
pub use cgroups::Owner;
pub use containers::{ContainerRef, PENDING_FOR};
pub use fleets::{FleetError, FleetView};
pub use lost::LostReason;
pub use processes::SeededProcess;

use crate::metrics::{CONTAINERS, EVENTS};
use crate::records::Record;
use crate::series::{self, Filter, Registry};
use crate::tasks::rows::{self, TaskRow};
use cgroups::Cgroups;
use containers::{Containers, State};
use fleets::{Fid, Fleets, NOBODY};
use identities::Identities;
use pods::Pods;
use processes::Processes;

/// Nanoseconds after which a record that took the detour has surely come: the agent drains both ways every 100 ms.
const SETTLE: u64 = 2_000_000_000;
/// Nanoseconds between two sweeps of retired series.
const SWEEP_EVERY: u64 = 1_000_000_000;
/// Values of the label `kind` of `fleetscope_events_total`.
const KINDS: [&str; 4] = ["exec", "exit", "cgroup_made", "cgroup_gone"];

/// How much may be held. The defaults hold 250 pods of 8 containers with 7 nested groups each, in about 64 MiB when all is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackerLimits {
    /// Cgroups, as many as the kernel keeps; those that were removed stay for 34 s, or until room is needed.
    pub cgroups: usize,
    /// Containers, those that ended in the last 34 s included.
    pub containers: usize,
    /// Running processes.
    pub processes: usize,
    /// Records that wait for the identity of their container.
    pub pending: usize,
    /// Exits that wait for their exec.
    pub ended: usize,
    /// Processes that ended in the last 34 s, remembered so that none counts twice.
    pub done: usize,
    /// Pods of the node, those that were deleted lately included.
    pub pods: usize,
    /// Fleets of all namespaces.
    pub fleets: usize,
    /// Nanoseconds for which the series of deleted pods stay.
    pub grace: u64,
    /// Nanoseconds that a record waits for the identity of its container; then it counts under `_OTHER`.
    pub pending_for: u64,
    /// The kernel measures run-queue latency of observed groups.
    pub runqueue: bool,
    /// The kernel looks at the I/O of observed groups for gRPC, where their fleet does not say otherwise.
    pub rpc: bool,
    /// Pods of some namespaces only are told: a container whose pod does not become known is of another one, and ignored.
    pub some_namespaces: bool,
    /// Series.
    pub series: series::Limits,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Tracker {
    limits: TrackerLimits,
    registry: Registry,
    cgroups: Cgroups,
    /// Groups whose place is that of the group above: their own path is not known.
    by_parent: HashSet<u64>,
    containers: Containers,
    processes: Processes,
    identities: Identities,
    pods: Pods,
    fleets: Fleets,
    pod_root: Option<String>,
    /// Without Kubernetes: the one fleet of all groups.
    standalone: Option<Fid>,
    pods_synced: bool,
    fleets_synced: bool,
    synced_at: Option<u64>,
    scan_wanted: bool,
    scan_at: u64,
    /// The latest time that was given.
    now: u64,
    swept_at: u64,
    /// The fleet whose names were gone through last.
    names_of: Fid,
    events: [u64; KINDS.len()],
    /// Changes with whatever says whose a group's calls are.
    owners_version: u64,
}

// === impl TrackerLimits ===

impl Default for TrackerLimits {
    fn default() -> Self {
        Self {
            cgroups: 16_384,
            containers: 16_384,
            processes: 131_072,
            pending: 16_384,
            ended: 16_384,
            done: 65_536,
            pods: 4_096,
            fleets: 10_000,
            grace: 300_000_000_000,
            pending_for: PENDING_FOR,
            runqueue: false,
            rpc: false,
            some_namespaces: false,
            series: series::Limits::default(),
        }
    }
}

// === impl Tracker ===

impl Tracker {
    /// A tracker for the pods of a node.
    pub fn new(limits: TrackerLimits) -> Self {
        let mut registry = Registry::new(limits.series);
        for reason in LostReason::ALL {
            reason.count(&mut registry, 0);
        }
        let mut this = Self {
            limits,
            registry,
            cgroups: Cgroups::new(),
            by_parent: HashSet::new(),
            containers: Containers::new(),
            processes: Processes::new(),
            identities: Identities::new(),
            pods: Pods::new(),
            fleets: Fleets::new(),
            pod_root: None,
            standalone: None,
            pods_synced: false,
            fleets_synced: false,
            synced_at: None,
            scan_wanted: true,
            scan_at: 0,
            now: 0,
            swept_at: 0,
            names_of: NOBODY,
            events: [0; KINDS.len()],
            owners_version: 0,
        };
        this.show_own();
        this
    }

    /// A tracker without Kubernetes: every systemd unit, container or other group is an agent of `fleet`, under
    /// [`crate::cgroup::standalone_name`] of its path. The fleet's selector does not matter.
    pub fn standalone(limits: TrackerLimits, fleet: FleetView) -> Self {
        let mut this = Self::new(limits);
        let (fid, _) = this.fleets.upsert(fleet);
        this.standalone = Some(fid);
        this.pods_synced();
        this.fleets_synced();
        this
    }

    /// The group above this node's pods ([`crate::cgroup::pod_root`] of the agent's own path): paths are read from there.
    /// Without it, the innermost pod root of each path counts.
    pub fn set_pod_root(&mut self, path: &str) {
        self.pod_root = Some(path.to_owned());
    }

    /// Handles one record. `now` is when it was read.
    pub fn handle(&mut self, record: Record<'_>, now: u64) {
        self.now = self.now.max(now);
        let kind = match &record {
            Record::Exec(_) => 0,
            Record::Exit(_) => 1,
            Record::CgroupMade(_) => 2,
            Record::CgroupGone(_) => 3,
        };
        self.events[kind] += 1;
        match record {
            Record::Exec(exec) => self.exec(&exec, now),
            Record::Exit(exit) => self.exit(&exit, now),
            Record::CgroupMade(made) => self.cgroup_made(&made, now),
            Record::CgroupGone(gone) => self.cgroup_gone(&gone, now),
        }
    }

    /// Records that the kernel lost for good since the last call, by kind: that many exits without exec count by their
    /// command names, and a scan finds what else is missing. The node agent counts the losses themselves.
    pub fn records_lost(&mut self, execs: u64, exits: u64, cgroups: u64) {
        self.processes.lost_execs = self.processes.lost_execs.saturating_add(execs);
        self.scan_wanted |= execs + exits + cgroups > 0;
    }

    /// Time passes: to be called after each drain of the ring buffer, at least every second.
    pub fn tick(&mut self, now: u64) {
        self.now = self.now.max(now);
        self.end_waiting(now);
        self.settle_processes(now);
        self.forget_gone(now);
        self.forget_pods(now);
        if now.saturating_sub(self.swept_at) >= SWEEP_EVERY {
            self.swept_at = now;
            self.registry.sweep(now);
            self.give_names_back();
        }
        self.show_own();
    }

    /// The series.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The series, for those who sample containers and the agent itself.
    pub fn registry_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// The tasks that `filter` picks. To be built outside the lock: `rows::tasks(&snapshot)` of a snapshot gives the same.
    pub fn tasks(&self, filter: &Filter) -> Vec<TaskRow> {
        rows::tasks(&self.registry.snapshot(filter))
    }

    /// Nanoseconds for which ended processes and removed groups are remembered: as long as records may wait, and [`SETTLE`].
    fn window(&self) -> u64 {
        self.limits.pending_for.saturating_add(2 * SETTLE)
    }

    fn scan(&self) -> u32 {
        self.cgroups.scan()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of events are below 2^53")]
    fn show_own(&mut self) {
        for (kind, count) in KINDS.into_iter().zip(self.events) {
            self.registry.set(&EVENTS, None, &[kind], count as f64);
        }
        let mut counts = [0_u32; 3];
        for (_, container) in self.containers.all.iter().filter(|(_, container)| container.gone.is_none()) {
            counts[match container.state {
                State::Known { .. } => 0,
                State::Ignored | State::Foreign => 1,
                State::Waiting | State::Provisional { .. } => 2,
            }] += 1;
        }
        for (state, count) in ["tracked", "ignored", "pending"].into_iter().zip(counts) {
            self.registry.set(&CONTAINERS, None, &[state], f64::from(count));
        }
    }
}

#[cfg(test)]
mod tests;
