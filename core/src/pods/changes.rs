//! What happened to a pod's containers between two views of it.
//!
//! Every run of a container is counted once: a run is numbered by `restartCount`, so an update that is delivered twice, or
//! one that says the same in other words (running, then terminated, then waiting to restart) adds nothing.
//! What was already so in the first view of a pod that is older than the node agent is not for counting: the agent was not there, or
//! counted it in its earlier life, and a counter that starts again at each start of the agent must not start with history. A pod that was
//! made later is compared with an empty view: it may have run and ended before it is first seen, as while the pods are listed anew.

use super::status::{is_failing, is_image, is_start};
use super::view::{ContainerState, ContainerView, Ended, PodView};

/// Why a container failed: values of the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureReason {
    /// The kernel's OOM killer ended it (`OOMKilled`).
    Oom,
    /// It ended with an exit code other than 0 of its own.
    ExitCode,
    /// A signal ended it.
    Signal,
    /// A port that it needs is taken: the node's, by the kubelet's word, or its own, by the words of its last message.
    PortConflict,
    /// Its image cannot be had.
    Image,
    /// SIGTERM or SIGKILL ended it while nobody asked for the pod's deletion and it has a liveness or startup probe. Pod
    /// status does not name the one who sent the signal; with such a probe it is nearly always the kubelet.
    Probe,
    /// Everything else, for example a Secret that is not there, or a run whose end nobody saw.
    Other,
}

/// Something that happened to a container, by the container's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// A run began, or could not begin.
    Start {
        /// Container.
        container: &'a str,
        /// It runs, or ran.
        success: bool,
    },
    /// A run ended.
    Stop {
        /// Container.
        container: &'a str,
        /// With exit code 0, or by SIGTERM while the pod is being deleted.
        success: bool,
    },
    /// The kubelet restarted it.
    Restart {
        /// Container.
        container: &'a str,
    },
    /// It failed.
    Failure {
        /// Container.
        container: &'a str,
        /// Why.
        reason: FailureReason,
    },
}

// === impl FailureReason ===

impl FailureReason {
    /// All, in the order of the label's documentation.
    pub const ALL: [Self; 7] =
        [Self::Oom, Self::ExitCode, Self::Signal, Self::PortConflict, Self::Image, Self::Probe, Self::Other];

    /// Value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Oom => "oom",
            Self::ExitCode => "exit_code",
            Self::Signal => "signal",
            Self::PortConflict => "port_conflict",
            Self::Image => "image",
            Self::Probe => "probe",
            Self::Other => "other",
        }
    }
}

/// Most runs that one update may add: restarts back off from 10 s, so more than these between two views is a made-up figure.
const RUNS_MAX: i64 = 100;

/// What happened between two views of one pod (same uid), in the order of its containers; since an empty view, what ever did.
pub fn changes<'a>(before: &PodView, now: &'a PodView) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    for container in &now.containers {
        let earlier = before.containers.iter().find(|earlier| earlier.name == container.name);
        of_container(earlier, container, now, &mut changes);
    }
    // The kubelet refused the pod: it has no container status, and none will come.
    if now.reason == "NodePorts" && before.reason != now.reason {
        for container in now.containers.iter().take(1) {
            changes.push(Change::Start { container: &container.name, success: false });
            changes.push(Change::Failure { container: &container.name, reason: FailureReason::PortConflict });
        }
    }
    changes
}

/// Runs of a container by what its status says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Runs {
    /// That began: they ran, or failed to start.
    begun: i64,
    /// Of these, that ended.
    ended: i64,
}

fn runs(container: &ContainerView) -> Runs {
    let restarts = i64::from(container.restarts);
    match &container.state {
        ContainerState::Unknown => Runs::default(),
        ContainerState::Running { .. } => Runs { begun: restarts + 1, ended: restarts },
        ContainerState::Terminated(_) => Runs { begun: restarts + 1, ended: restarts + 1 },
        // Waiting to be restarted: the run of the current count is over, and is the one that `last` tells of.
        ContainerState::Waiting { .. } => {
            let over = restarts + i64::from(container.last.is_some());
            Runs { begun: over, ended: over }
        }
    }
}

fn of_container<'a>(
    before: Option<&ContainerView>,
    now: &'a ContainerView,
    pod: &PodView,
    changes: &mut Vec<Change<'a>>,
) {
    let container = now.name.as_str();
    let earlier = before.map(runs).unwrap_or_default();
    let later = runs(now);
    // The kubelet forgets counts when its node's containers are removed by hand: nothing new happened then.
    let fresh = |later: i64, earlier: i64| (later - earlier).clamp(0, RUNS_MAX);
    let restarts = fresh(i64::from(now.restarts), before.map_or(0, |before| i64::from(before.restarts)));
    changes.extend((0..restarts).map(|_| Change::Restart { container }));

    let end = match &now.state {
        ContainerState::Terminated(end) => Some(end),
        _ => now.last.as_ref(),
    };
    let ended = fresh(later.ended, earlier.ended);
    let begun = fresh(later.begun, earlier.begun);
    // Of several ends only the last one's story is told; a run that is still on has begun well.
    let failed_start = i64::from(ended > 0 && begun > 0 && end.is_some_and(|end| !end.ran));
    changes.extend((0..begun).map(|run| Change::Start { container, success: run >= failed_start }));
    for nth in (0..ended).rev() {
        let end = if nth == 0 { end } else { None };
        if end.is_some_and(|end| !end.ran) {
            let reason = end.map_or(FailureReason::Other, |end| start_failure(&end.message));
            changes.push(Change::Failure { container, reason });
            continue;
        }
        let success = end.is_some_and(|end| is_success(end, pod));
        changes.push(Change::Stop { container, success });
        if !success {
            let reason = end.map_or(FailureReason::Other, |end| failure(end, now, pod));
            changes.push(Change::Failure { container, reason });
        }
    }
    // The runtime made it and could not start it: that run was counted above.
    if failed_start == 0 {
        waiting(before, now, changes);
    }
}

/// A container that newly cannot start: one failed start, however often the kubelet tries again and says so.
fn waiting<'a>(before: Option<&ContainerView>, now: &'a ContainerView, changes: &mut Vec<Change<'a>>) {
    let ContainerState::Waiting { reason, message } = &now.state else { return };
    if !is_image(reason) && !is_start(reason) {
        return;
    }
    let already = before.is_some_and(|before| match &before.state {
        ContainerState::Waiting { reason, .. } => is_failing(reason) && reason != "CrashLoopBackOff",
        _ => false,
    });
    if already {
        return;
    }
    let container = now.name.as_str();
    let reason = if is_image(reason) { FailureReason::Image } else { start_failure(message) };
    changes.push(Change::Start { container, success: false });
    changes.push(Change::Failure { container, reason });
}

fn is_success(end: &Ended, pod: &PodView) -> bool {
    end.exit_code == 0 && end.signal.is_none() || pod.deleting && signal(end) == Some(15)
}

fn signal(end: &Ended) -> Option<i32> {
    end.signal.or((129..=192).contains(&end.exit_code).then(|| end.exit_code - 128))
}

fn failure(end: &Ended, container: &ContainerView, pod: &PodView) -> FailureReason {
    if end.reason == "OOMKilled" {
        return FailureReason::Oom;
    }
    if tells_port_conflict(&end.message) {
        return FailureReason::PortConflict;
    }
    match signal(end) {
        Some(9 | 15) if container.probed && !pod.deleting && pod.reason.is_empty() => FailureReason::Probe,
        Some(_) => FailureReason::Signal,
        None => FailureReason::ExitCode,
    }
}

fn start_failure(message: &str) -> FailureReason {
    if tells_port_conflict(message) { FailureReason::PortConflict } else { FailureReason::Other }
}

fn tells_port_conflict(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["address already in use", "port is already allocated", "eaddrinuse"].iter().any(|words| message.contains(words))
}
