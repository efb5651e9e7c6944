//! The engine: one task that owns the tracker, the series and the probes' maps, so that nothing of it is shared or locked.
//!
//! In: the kernel's records (when the ring buffer fills, every 100 ms, and before a scrape), changes of pods and fleets, questions.
//! Out: verdicts for the kernel, and snapshots. Encoding and sampling happen elsewhere.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fleetscope_core::metrics::{EVENTS_LOST, WATCH_ERRORS};
use fleetscope_core::records::{self, Record, RecordError};
use fleetscope_core::series::Limits;
use fleetscope_core::tasks::tracker::Tracker;
use fleetscope_ebpf::Counters;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, watch};
use tokio::task::block_in_place;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, warn};

use crate::clock::boot_ns;
use crate::fleets::FleetChange;
use crate::mounts::Mounts;
use crate::pods::PodChange;
use crate::probes::Probes;
use crate::probes::maps::{Maps, MapsError, Records};
use crate::readiness::Readiness;
use crate::watches::Change;
use calls::Calls;
use gauges::{Gauges, Runqueues};
use handle::Question;
use restart::Restart;
use scan::{set_pod_root, tracker};

mod answer;
mod calls;
mod gauges;
pub mod handle;
mod own;
pub mod restart;
mod scan;
mod seed;

/// How often the ring buffer is read at least: below the fill level at which the kernel wakes the engine.
const DRAIN_EVERY: Duration = Duration::from_millis(100);
/// How often the tracker looks at what waits and what expires.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// Least time between two scans that the tracker asks for.
const SCAN_PAUSE: Duration = Duration::from_secs(2);

/// Name of the fleet that everything belongs to without Kubernetes; its namespace is empty.
pub const STANDALONE_FLEET: &str = "standalone";

/// Time until the group above the pods is looked for again.
const FIND_PAUSE: Duration = Duration::from_secs(10);

/// What the engine is told by the command line.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Settings {
    /// Name of the node.
    pub node: String,
    /// Without Kubernetes.
    pub standalone: bool,
    /// Run-queue latency is measured.
    pub runqueue: bool,
    /// Calls of gRPC are seen.
    pub rpc: bool,
    /// Pods of some namespaces only are watched.
    pub some_namespaces: bool,
    /// How many series are held.
    pub series: Limits,
    /// How long series of what is gone are served.
    pub series_grace: Duration,
    /// How long records wait for their pod.
    pub pending_timeout: Duration,
}

/// Where changes of watched objects arrive.
#[derive(Debug)]
pub struct Changes {
    /// Pods of this node.
    pub pods: mpsc::Receiver<PodChange>,
    /// Fleets of all namespaces.
    pub fleets: mpsc::Receiver<FleetChange>,
}

/// See the module.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    tracker: Tracker,
    probes: Probes,
    mounts: Mounts,
    readiness: Arc<Readiness>,
    /// What the kernel is known to have lost.
    lost: Counters,
    gauges: Gauges,
    runqueues: Runqueues,
    calls: Calls,
    scanned: Option<Instant>,
    /// The map of verdicts may have groups that are gone: it is older than this agent.
    inherited: bool,
    /// The last trouble with the maps that was logged, so that it is logged once.
    trouble: String,
}

// === impl Engine ===

impl Engine {
    /// Puts it together; nothing is read before [`Self::run`].
    pub fn new(
        settings: Settings,
        probes: Probes,
        mounts: Mounts,
        readiness: Arc<Readiness>,
        restart: Restart,
    ) -> Self {
        let tracker = tracker(&settings, &mounts);
        let inherited = probes.beginning().state == "taken_over";
        Self {
            settings,
            tracker,
            inherited,
            probes,
            mounts,
            readiness,
            lost: Counters::default(),
            gauges: Gauges::default(),
            runqueues: Runqueues::default(),
            calls: Calls::new(restart),
            scanned: None,
            trouble: String::new(),
        }
    }

    /// Runs until `stop` holds true; then reads what the kernel recorded last and answers what was asked.
    pub async fn run(
        mut self,
        mut changes: Changes,
        mut questions: mpsc::Receiver<Question>,
        mut stop: watch::Receiver<bool>,
    ) {
        own::begin(self.tracker.registry_mut(), self.probes.report());
        let mut ring = self.probes.maps().and_then(Maps::records).and_then(|records| {
            let ring = records.into_async();
            ring.inspect_err(|error| error!(%error, "Failed to watch the ring buffer: no records are read")).ok()
        });
        self.calls.watch(self.probes.maps());
        block_in_place(|| self.scan());
        self.calls.begin(&mut self.tracker, boot_ns());
        let mut drain = interval(DRAIN_EVERY);
        drain.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tick = interval(TICK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                () = filled(&mut ring) => self.drain(&mut ring),
                () = self.calls.filled() => self.drain(&mut ring),
                _ = drain.tick() => self.drain(&mut ring),
                _ = tick.tick() => self.tick(),
                Some(change) = changes.pods.recv() => self.pod(change),
                Some(change) = changes.fleets.recv() => self.fleet(change),
                Some(question) = questions.recv() => self.answer(question, &mut ring),
            }
            self.write_verdicts();
        }
        self.drain(&mut ring);
        while let Ok(question) = questions.try_recv() {
            self.answer(question, &mut ring);
        }
        let result = self.calls.end(&mut self.probes, &mut self.tracker, boot_ns());
        self.note(result);
    }

    fn drain(&mut self, ring: &mut Option<AsyncFd<Records>>) {
        let Self { tracker, lost, probes, calls, .. } = self;
        let now = boot_ns();
        let mut gone = Vec::new();
        let mut handle = |tracker: &mut Tracker, record: Result<Record<'_>, RecordError>| match record {
            Ok(record) => {
                if let Record::CgroupGone(group) = &record {
                    gone.push(group.cgroup);
                }
                tracker.handle(record, now);
            }
            Err(error) => tracker.registry_mut().add(&EVENTS_LOST, None, &[error.reason()], 1.0),
        };
        if let Some(ring) = ring {
            ring.get_mut().drain(|bytes| handle(tracker, records::parse(bytes)));
        }
        let Some(maps) = probes.maps() else { return };
        let mut deferred = Vec::new();
        let mut result = maps.drain_refused(|_, refused| deferred.push(*refused)).map(|_| ());
        // The map has no order; the tracker is told in that of the kernel.
        deferred.sort_unstable_by_key(|refused| refused.head.time);
        for refused in &deferred {
            handle(tracker, records::from_refused(refused));
        }
        for group in gone {
            // The kernel took the entry away; a verdict that was written at that moment would have put it back.
            result = result.and_then(|()| maps.remove_verdict(group));
        }
        match maps.counters() {
            Ok(counters) => {
                tracker.records_lost(
                    counters.exec_lost - lost.exec_lost,
                    counters.exit_lost - lost.exit_lost,
                    (counters.cgroup_lost - lost.cgroup_lost) + (counters.cgroups_full - lost.cgroups_full),
                );
                own::kernel(tracker.registry_mut(), &counters);
                *lost = counters;
            }
            Err(error) => result = Err(error),
        }
        result = result.and(calls.drain(maps, tracker, now));
        tracker.tick(now);
        calls.tick(tracker, now);
        self.note(result);
    }

    fn tick(&mut self) {
        self.runqueue();
        let result = self.probes.maps().map_or(Ok(()), Maps::beat);
        self.note(result);
        let missing = self.mounts.observed().is_err();
        let pause = if missing { FIND_PAUSE } else { SCAN_PAUSE };
        if self.scanned.is_some_and(|scanned| scanned.elapsed() < pause) {
            return;
        }
        if missing {
            block_in_place(|| self.mounts.find_again());
            set_pod_root(&mut self.tracker, &self.settings, &self.mounts);
        }
        if missing || self.tracker.scan_wanted() {
            block_in_place(|| self.scan());
        }
    }

    fn write_verdicts(&mut self) {
        let verdicts = self.tracker.take_verdicts();
        let Some(maps) = self.probes.maps() else { return };
        let mut result = Ok(());
        for (cgroup, verdict) in verdicts {
            // Only what the kernel still has: a group that was removed meanwhile must not come back.
            result = match maps.verdict(cgroup) {
                Ok(Some(now)) if now != verdict => maps.set_verdicts([(cgroup, verdict)]).map(|_| ()),
                Ok(_) => result,
                Err(error) => Err(error),
            };
        }
        self.note(result);
    }

    fn pod(&mut self, change: PodChange) {
        let now = boot_ns();
        match change {
            Change::Upsert(pod) => self.tracker.upsert_pod(pod, now),
            Change::Remove(uid) => self.tracker.remove_pod(&uid, now),
            Change::Synced => self.tracker.pods_synced(),
            Change::Error => self.tracker.registry_mut().add(&WATCH_ERRORS, None, &[own::WATCHED[0]], 1.0),
        }
    }

    fn fleet(&mut self, change: FleetChange) {
        let now = boot_ns();
        match change {
            Change::Upsert(fleet) => self.tracker.upsert_fleet(fleet, now),
            Change::Remove((namespace, name)) => self.tracker.remove_fleet(&namespace, &name, now),
            Change::Synced => self.tracker.fleets_synced(),
            Change::Error => self.tracker.registry_mut().add(&WATCH_ERRORS, None, &[own::WATCHED[1]], 1.0),
        }
    }

    /// Says once what is wrong with the maps: the figures may be behind.
    fn note(&mut self, result: Result<(), MapsError>) {
        let Err(error) = result else { return };
        let text = crate::probes::report::chain(&error);
        if text != self.trouble {
            warn!(error = text, "Figures may be behind");
            self.trouble = text;
        }
    }
}

/// Ends when the ring buffer has filled to the level at which the kernel wakes its reader.
async fn filled(ring: &mut Option<AsyncFd<Records>>) {
    let Some(ring) = ring else { return pending().await };
    match ring.readable().await {
        Ok(mut guard) => guard.clear_ready(),
        Err(_) => pending().await,
    }
}
