//! What was there before the engine: the tracker that it begins with, and looks at the node's groups.

use std::time::{Duration, Instant, SystemTime};

use fleetscope_core::tasks::tracker::{FleetView, Tracker, TrackerLimits};
use tracing::{error, info};

use super::{Engine, STANDALONE_FLEET, Settings, seed};
use crate::mounts::Mounts;
use crate::readiness::Part;

impl Engine {
    pub(super) fn scan(&mut self) {
        self.scanned = Some(Instant::now());
        let (hierarchies, root) = match self.mounts.observed() {
            Ok(found) => found,
            Err(missing) => {
                let reason = missing.to_string();
                if self.readiness.set(Part::PodRoot, false, reason.clone()) {
                    error!(reason, "No processes are seen");
                }
                self.readiness.set(Part::Processes, false, "no cgroup to look at");
                return;
            }
        };
        let said = format!("{} (found by {})", root.path, root.found_by);
        if self.readiness.set(Part::PodRoot, true, said) {
            info!(path = root.path, by = root.found_by, mode = hierarchies.mode.name(), "Observing cgroup");
        }
        let maps = self.probes.maps();
        let found = seed::scan(
            &mut self.tracker,
            maps,
            hierarchies,
            &self.mounts.procfs,
            &root.path,
            std::mem::take(&mut self.inherited),
        );
        self.write_verdicts();
        match found {
            Ok(found) => {
                let seen =
                    format!("{} processes in {} cgroups were there at the last scan", found.processes, found.groups);
                self.readiness.set(Part::Processes, true, seen);
            }
            Err(error) => {
                if self.readiness.set(Part::Processes, false, error.to_string()) {
                    error!(%error, "Failed to read what was there before");
                }
            }
        }
    }
}

/// A tracker for what the settings say.
pub(super) fn tracker(settings: &Settings, mounts: &Mounts) -> Tracker {
    let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let limits = TrackerLimits {
        grace: ns(settings.series_grace),
        pending_for: ns(settings.pending_timeout),
        some_namespaces: settings.some_namespaces,
        runqueue: settings.runqueue,
        rpc: settings.rpc,
        series: settings.series,
        ..TrackerLimits::default()
    };
    let mut tracker = if settings.standalone {
        let name = STANDALONE_FLEET.to_owned();
        Tracker::standalone(limits, FleetView { name, ..FleetView::default() })
    } else {
        Tracker::new(limits)
    };
    tracker.registry_mut().set_clock(SystemTime::now);
    set_pod_root(&mut tracker, settings, mounts);
    tracker
}

pub(super) fn set_pod_root(tracker: &mut Tracker, settings: &Settings, mounts: &Mounts) {
    if let Ok((_, root)) = mounts.observed()
        && !settings.standalone
    {
        tracker.set_pod_root(&root.path);
    }
}
