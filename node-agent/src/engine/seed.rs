//! What is there already: groups and processes, read after the programs are attached, and again when the tracker asks for it.
//!
//! Meanwhile the kernel's records wait in the ring buffer: an exit that comes while `/proc` is read is handled after its process
//! was seeded, so it is neither missed nor counted twice.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use fleetscope_core::tasks::tracker::{SeededProcess, Tracker};
use fleetscope_ebpf::CGROUPS_MAX;
use tracing::{debug, warn};

use crate::cgroups::{CgroupError, Hierarchies, folder, walk};
use crate::clock::boot_ns;
use crate::probes::maps::{Maps, MapsError};
use crate::procfs::{PROCESSES_MAX, Procfs, ProcfsError, TICK_NS};

/// Why a scan ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum SeedError {
    /// The groups could not be read.
    #[error(transparent)]
    Cgroups(#[from] CgroupError),
    /// The kernel's map could not be read or written.
    #[error(transparent)]
    Maps(#[from] MapsError),
    /// The processes could not be read.
    #[error(transparent)]
    Procfs(#[from] ProcfsError),
}

/// What a scan found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Groups at and below the root.
    pub(super) groups: usize,
    /// Processes in them that have exec'd.
    pub(super) processes: usize,
    /// There were more groups or processes than are looked at.
    pub(super) cut: bool,
}

/// Reads the groups at and below `root`, then the processes in them, and tells the tracker and the kernel. `inherited` says that the kernel's map is of
/// an agent before: groups of it that are gone or elsewhere are taken out, as no record has told of them.
pub(super) fn scan(
    tracker: &mut Tracker,
    maps: Option<&mut Maps>,
    hierarchies: &Hierarchies,
    procfs: &Procfs,
    root: &str,
    inherited: bool,
) -> Result<Found, SeedError> {
    tracker.scan_started(boot_ns());
    let (groups, whole) = groups(tracker, maps, hierarchies, root, inherited)?;
    let pids = procfs.pids()?;
    let mut found = Found { groups: groups.len(), processes: 0, cut: !whole || pids.len() == PROCESSES_MAX };
    for pid in pids {
        let Some(living) = procfs.living(pid) else { continue };
        let Some(&cgroup) = groups.get(&living.cgroup) else { continue };
        if !living.stat.has_execd() {
            continue;
        }
        found.processes += 1;
        let cmdline = procfs.cmdline(pid);
        let start = living.stat.start_ticks.saturating_mul(TICK_NS);
        let process = SeededProcess { cgroup, tgid: pid, start, comm: living.stat.comm, cmdline };
        tracker.seed(&process, boot_ns());
    }
    tracker.scan_finished(boot_ns());
    if found.cut {
        warn!(
            found.groups,
            found.processes, "More cgroups or processes than are looked at; the rest is seen from its next record on"
        );
    }
    debug!(found.groups, found.processes, "Scanned");
    Ok(found)
}

/// Groups by path. Each is in the kernel's map before what is below it is read, so that what is made meanwhile inherits.
fn groups(
    tracker: &mut Tracker,
    mut maps: Option<&mut Maps>,
    hierarchies: &Hierarchies,
    root: &str,
    inherited: bool,
) -> Result<(HashMap<String, u64>, bool), SeedError> {
    let unknown = tracker.verdict_of_unknown();
    // Before the walk: a group that is made while it goes on is not among them.
    let mut old: HashSet<u64> = match &maps {
        Some(maps) if inherited => maps.verdicts()?.into_iter().collect(),
        _ => HashSet::new(),
    };
    let (mut groups, mut added, mut failed) = (HashMap::new(), Vec::new(), None);
    let whole = walk(&hierarchies.unified, root, CGROUPS_MAX as usize, |group| {
        if let Some(maps) = &mut maps {
            // A verdict that the kernel has already stays until the tracker says another.
            match maps.verdict(group.id) {
                Ok(Some(_)) => {}
                Ok(None) => match maps.set_verdicts([(group.id, unknown)]) {
                    Ok(_) => added.push((group.id, group.path.clone())),
                    Err(error) => failed = Some(error),
                },
                Err(error) => failed = Some(error),
            }
        }
        old.remove(&group.id);
        tracker.cgroup_found(group.id, group.parent, &group.path);
        groups.insert(group.path.clone(), group.id);
    })?;
    if let Some(maps) = maps {
        for id in old.into_iter().filter(|_| whole) {
            maps.remove_verdict(id)?;
        }
        for (id, path) in added {
            // Removed between being read and being written: no record will come that takes its entry away.
            if fs::metadata(folder(&hierarchies.unified, &path)).is_ok_and(|meta| meta.ino() == id) {
                continue;
            }
            maps.remove_verdict(id)?;
            groups.remove(&path);
        }
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Ok((groups, whole)),
    }
}
