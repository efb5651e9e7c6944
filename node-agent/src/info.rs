//! What this agent is and what it could do here: the answer of /info, and the text of `--check`.

use std::fmt::Write as _;

use serde::Serialize;

use crate::engine::restart::Report as Restarted;
use crate::mounts::Mounts;
use crate::probes::capabilities::{Capability, Held};
use crate::probes::programs::{CGROUPS, TASKS};
use crate::probes::report::{ProbeReport, table};

/// Version of the agent.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Probes without which no task is seen.
pub const REQUIRED: [&str; 2] = [TASKS, CGROUPS];

/// Answer of /info.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    /// Version of the agent.
    pub version: &'static str,
    /// Name of the node; empty when it runs without Kubernetes and has none.
    pub node: String,
    /// `kubernetes` or `standalone`.
    pub mode: &'static str,
    /// Release of the running kernel.
    pub kernel: String,
    /// Every program of every probe.
    pub probes: Vec<Probe>,
    /// Of the process.
    pub capabilities: Capabilities,
    /// Of the host.
    pub cgroups: Cgroups,
    /// What of calls goes on from agent to agent.
    pub restart: Restarted,
    /// As set.
    pub limits: Limits,
}

/// One program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// What it is for.
    pub probe: &'static str,
    /// Its name in the object.
    pub program: &'static str,
    /// The kernel hook.
    pub hook: String,
    /// attached, off, unsupported or failed.
    pub state: &'static str,
    /// Why, if not attached.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

/// Effective capabilities as hexadecimal masks, as in /proc/PID/status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// When the probes were loaded.
    pub at_start: String,
    /// While it runs.
    pub now: String,
    /// Which of those that matter were there at the start.
    pub granted: Vec<&'static str>,
}

/// What was found of the host's cgroups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cgroups {
    /// `unified` or `hybrid`; empty if there is no cgroup2 tree.
    pub mode: &'static str,
    /// The group whose descendants are observed.
    pub root: String,
    /// How it was found.
    pub found_by: &'static str,
    /// What is missing, and what to do.
    pub error: String,
}

/// Limits as set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Bytes of the ring buffer.
    pub ring_bytes: u32,
    /// Series of all metrics.
    pub max_series: u32,
    /// Series of one metric in one fleet.
    pub max_series_per_fleet: u32,
    /// Seconds that series of a pod that is gone are served.
    pub series_grace_seconds: u64,
    /// Seconds that records wait for their pod.
    pub pending_timeout_seconds: u64,
}

// === impl Probe ===

impl From<&ProbeReport> for Probe {
    fn from(row: &ProbeReport) -> Self {
        Self {
            probe: row.probe,
            program: row.program,
            hook: row.hook(),
            state: row.state.name(),
            reason: row.state.reason().to_owned(),
            remedy: row.state.remedy().to_owned(),
        }
    }
}

// === impl Capabilities ===

impl Capabilities {
    /// What the process held when it loaded the probes, and what it holds now.
    pub fn new(at_start: Held, now: Held) -> Self {
        let mask = |held: Held| format!("{:#x}", held.effective.0);
        let granted = [Capability::BPF, Capability::PERFMON];
        Self {
            at_start: mask(at_start),
            now: mask(now),
            granted: granted.into_iter().filter(|c| at_start.effective.contains(*c)).map(Capability::name).collect(),
        }
    }
}

// === impl Cgroups ===

impl From<&Mounts> for Cgroups {
    fn from(mounts: &Mounts) -> Self {
        let mode = mounts.hierarchies.as_ref().map_or("", |hierarchies| hierarchies.mode.name());
        match mounts.observed() {
            Ok((_, root)) => Self { mode, root: root.path.clone(), found_by: root.found_by, error: String::new() },
            Err(error) => Self { mode, error: error.to_string(), ..Self::default() },
        }
    }
}

/// Release of the running kernel.
pub fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// One sentence about the required probes, and whether all of them are attached.
pub fn probes_reason(report: &[ProbeReport]) -> (bool, String) {
    let missing = report.iter().find(|row| REQUIRED.contains(&row.probe) && row.state.name() != "attached");
    match missing {
        None => (true, "all required probes are attached".to_owned()),
        Some(row) => (
            false,
            format!("probe {} is {}: {}. {}", row.probe, row.state.name(), row.state.reason(), row.state.remedy()),
        ),
    }
}

/// What `--check` prints.
pub fn check_text(report: &[ProbeReport], capabilities: &Capabilities, cgroups: &Cgroups) -> String {
    let mut text = table(report);
    let granted =
        if capabilities.granted.is_empty() { "neither".to_owned() } else { capabilities.granted.join(" and ") };
    let _ = writeln!(text, "\nkernel        {}", kernel());
    let _ = writeln!(text, "capabilities  {} ({granted})", capabilities.at_start);
    let _ = writeln!(text, "cgroups       {}", if cgroups.mode.is_empty() { "no cgroup2 tree" } else { cgroups.mode });
    let root = match (cgroups.root.as_str(), cgroups.error.as_str()) {
        ("", error) => error.to_owned(),
        (root, _) => format!("{root} (found by {})", cgroups.found_by),
    };
    let _ = writeln!(text, "observed      {root}");
    let (ready, reason) = probes_reason(report);
    let _ = writeln!(text, "\n{}: {reason}", if ready { "ok" } else { "failed" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::report::State;

    fn row(probe: &'static str, state: State) -> ProbeReport {
        ProbeReport { probe, program: "p", mode: "tp_btf", hook: "h", state }
    }

    #[test]
    fn a_required_probe_that_is_missing_is_told_with_its_remedy() {
        let failed = State::Failed { reason: "permission denied".to_owned(), remedy: "Add BPF.".to_owned() };
        let (ready, reason) = probes_reason(&[row(CGROUPS, State::Attached), row(TASKS, failed)]);
        assert_eq!((ready, reason.as_str()), (false, "probe tasks is failed: permission denied. Add BPF."));
    }

    #[test]
    fn probes_that_are_not_required_may_be_off() {
        let report = [row(CGROUPS, State::Attached), row(TASKS, State::Attached), row("runqueue", State::Off)];
        assert_eq!(probes_reason(&report), (true, "all required probes are attached".to_owned()));
    }
}
