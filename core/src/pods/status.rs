//! The status of an agent. One pod is one agent.

use serde::{Deserialize, Serialize};

use super::view::{ContainerState, ContainerView, PodView, Role};

/// Status of an agent, in the order in which it usually passes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentStatus {
    /// Selected by a fleet, not running yet.
    Discovered,
    /// At least one main container runs, and none is failed.
    Running,
    /// Ended without failure, or ended because its deletion was asked for.
    Stopped,
    /// Ended with a failure, or some container crashes or cannot start.
    Failed,
}

// === impl AgentStatus ===

impl AgentStatus {
    /// All, in the order of the label's documentation.
    pub const ALL: [Self; 4] = [Self::Discovered, Self::Running, Self::Stopped, Self::Failed];

    /// Value of the label `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Discovered => "discovered",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// The status of a pod's agent. The first rule that applies decides:
///
/// 1. being deleted, and nothing runs any more: stopped, however its containers ended;
/// 2. phase Failed: failed; phase Succeeded: stopped;
/// 3. a container (init, sidecar or main) waits because it crashed, its image cannot be had or it cannot be made: failed;
/// 4. a container ended with a failure and will not be restarted (policy Never; an init container also under `OnFailure` is
///    restarted, so it is not meant): failed;
/// 5. all main containers ended with 0: stopped;
/// 6. a main container runs: running;
/// 7. else: discovered.
///
/// Ephemeral containers (`kubectl debug`) never decide.
pub fn agent_status(pod: &PodView) -> AgentStatus {
    let own = || pod.containers.iter().filter(|container| container.role != Role::Ephemeral);
    let main = || pod.containers.iter().filter(|container| container.role == Role::Main);
    let runs = |container: &ContainerView| matches!(container.state, ContainerState::Running { .. });
    let reported = || main().any(|container| container.state != ContainerState::Unknown);
    if pod.deleting && !own().any(runs) && (reported() || pod.is_over()) {
        return AgentStatus::Stopped;
    }
    match pod.phase.as_str() {
        "Failed" => return AgentStatus::Failed,
        "Succeeded" => return AgentStatus::Stopped,
        _ => {}
    }
    let failed = |container: &ContainerView| match &container.state {
        ContainerState::Waiting { reason, .. } => is_failing(reason),
        ContainerState::Terminated(end) => end.exit_code != 0 && pod.restart_policy == "Never",
        ContainerState::Running { .. } | ContainerState::Unknown => false,
    };
    if own().any(failed) {
        return AgentStatus::Failed;
    }
    let ended_well =
        |container: &ContainerView| matches!(&container.state, ContainerState::Terminated(end) if end.exit_code == 0);
    if main().next().is_some() && main().all(ended_well) {
        return AgentStatus::Stopped;
    }
    if main().any(runs) { AgentStatus::Running } else { AgentStatus::Discovered }
}

/// Whether a container that waits for this reason failed (kubelet `pkg/kubelet/container/sync_result.go`, `images/types.go`).
pub(super) fn is_failing(reason: &str) -> bool {
    reason == "CrashLoopBackOff" || is_image(reason) || is_start(reason)
}

/// Whether the image cannot be had.
pub(super) fn is_image(reason: &str) -> bool {
    const IMAGE: [&str; 8] = [
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "ErrImageInspect",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    ];
    IMAGE.contains(&reason)
}

/// Whether the container cannot be made or started.
pub(super) fn is_start(reason: &str) -> bool {
    const START: [&str; 7] = [
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreCreateHookError",
        "PreStartHookError",
        "PostStartHookError",
        "ContainerCannotRun",
    ];
    START.contains(&reason)
}
