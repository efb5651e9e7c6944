//! A Pod, trimmed to what Fleetscope uses, and bounded.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};

/// Most containers of a pod that are kept, of all roles together; the API server's own limit on a Pod's size comes first.
const CONTAINERS_MAX: usize = 256;
/// Most bytes of a state's message that are kept: what tells a port conflict stands in its first sentences.
const MESSAGE_MAX: usize = 1_024;

/// Annotation of a pod: `false` leaves it out of every fleet.
pub const TELEMETRY: &str = "fleetscope.io/telemetry";

/// What a container is to its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs to its end before the others start.
    Init,
    /// An init container with `restartPolicy: Always`: it runs beside the others.
    Sidecar,
    /// One of `spec.containers`.
    Main,
    /// Added by `kubectl debug`.
    Ephemeral,
}

/// How a run of a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Exit code; 128 + signal if a signal ended it.
    pub exit_code: i32,
    /// Signal, where the runtime says so itself.
    pub signal: Option<i32>,
    /// For example `Completed`, `Error`, `OOMKilled`, `StartError`.
    pub reason: String,
    /// First 1,024 bytes of what is said about it.
    pub message: String,
    /// Whether this run got as far as running.
    pub ran: bool,
}

/// What a container does now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerState {
    /// The kubelet did not report on it yet.
    #[default]
    Unknown,
    /// It does not run.
    Waiting {
        /// For example `ContainerCreating`, `CrashLoopBackOff`, `ErrImagePull`.
        reason: String,
        /// First 1,024 bytes of what is said about it.
        message: String,
    },
    /// It runs.
    Running {
        /// Since when, seconds since the epoch.
        started: Option<i64>,
    },
    /// It ended.
    Terminated(Ended),
}

/// One container of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerView {
    /// Its name.
    pub name: String,
    /// What it is to the pod.
    pub role: Role,
    /// Id of its current or last run, without the runtime's scheme.
    pub id: Option<String>,
    /// Id of the run before that, while the kubelet still reports it.
    pub last_id: Option<String>,
    /// Image as the spec names it.
    pub image: String,
    /// What it does now.
    pub state: ContainerState,
    /// How the run before the current one ended.
    pub last: Option<Ended>,
    /// How often the kubelet restarted it.
    pub restarts: i32,
    /// Whether its readiness probe passes.
    pub ready: bool,
    /// Whether it has a liveness or startup probe: the probes whose failure ends it.
    pub probed: bool,
}

/// Who made a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Kind, for example `ReplicaSet`.
    pub kind: String,
    /// Name.
    pub name: String,
}

/// A Pod, trimmed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodView {
    /// `metadata.uid`; a pod that is made again under the same name has another.
    pub uid: String,
    /// The uid that its cgroup carries: `uid`, or of a static pod the hash of its configuration.
    pub cgroup_uid: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Node, empty until it is scheduled.
    pub node: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// It asks by its annotation [`TELEMETRY`] to be in no fleet.
    #[serde(default)]
    pub opted_out: bool,
    /// The pod's main address, empty until it has one.
    pub ip: String,
    /// When it was made, seconds since the epoch.
    pub created: i64,
    /// Its deletion was asked for.
    pub deleting: bool,
    /// `status.phase`: Pending, Running, Succeeded, Failed, Unknown, or empty.
    pub phase: String,
    /// `status.reason`, for example `Evicted`, `NodePorts`.
    pub reason: String,
    /// Condition `Ready`.
    pub ready: bool,
    /// `spec.restartPolicy`: Always, `OnFailure` or Never.
    pub restart_policy: String,
    /// The controller that made it.
    pub owner: Option<Owner>,
    /// All containers: init containers, then main, then ephemeral ones, in the spec's order.
    pub containers: Vec<ContainerView>,
}

/// Why a Pod cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PodError {
    /// A field that every Pod of an API server has is not there.
    #[error("failed to read pod {name:?}: it has no {field}")]
    Missing {
        /// The pod's name, as far as it has one.
        name: String,
        /// Which field.
        field: &'static str,
    },
}

// === impl PodView ===

impl PodView {
    /// Trims a Pod.
    pub fn from_pod(pod: &api::Pod) -> Result<Self, PodError> {
        let meta = &pod.metadata;
        let name = meta.name.clone().unwrap_or_default();
        let required = |value: &Option<String>, field| match value {
            Some(value) if !value.is_empty() => Ok(value.clone()),
            _ => Err(PodError::Missing { name: name.clone(), field }),
        };
        let uid = required(&meta.uid, "uid")?;
        let namespace = required(&meta.namespace, "namespace")?;
        required(&meta.name, "name")?;
        // kubelet pkg/kubelet/types: the mirror of a static pod has its own uid; the cgroup carries the configuration's hash.
        let mirror = meta.annotations.as_ref().and_then(|all| all.get("kubernetes.io/config.mirror"));
        let owner = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
        let (spec, status) = (pod.spec.as_ref(), pod.status.as_ref());
        let ready = status.and_then(|status| status.conditions.as_ref()).into_iter().flatten();
        Ok(Self {
            cgroup_uid: mirror.cloned().unwrap_or_else(|| uid.clone()),
            uid,
            namespace,
            name,
            node: spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
            labels: meta.labels.clone().unwrap_or_default(),
            opted_out: meta.annotations.as_ref().and_then(|all| all.get(TELEMETRY)).is_some_and(|said| said == "false"),
            ip: status.and_then(|status| status.pod_ip.clone()).unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map_or(0, seconds),
            deleting: meta.deletion_timestamp.is_some(),
            phase: status.and_then(|status| status.phase.clone()).unwrap_or_default(),
            reason: status.and_then(|status| status.reason.clone()).unwrap_or_default(),
            ready: ready.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"),
            restart_policy: spec.and_then(|spec| spec.restart_policy.clone()).unwrap_or_else(|| "Always".to_owned()),
            owner: owner.map(|owner| Owner { kind: owner.kind.clone(), name: owner.name.clone() }),
            containers: spec.map(|spec| containers(spec, status)).unwrap_or_default(),
        })
    }

    /// The container whose current or last run has this id.
    pub fn container_by_id(&self, id: &str) -> Option<&ContainerView> {
        let has =
            |container: &&ContainerView| [&container.id, &container.last_id].into_iter().flatten().any(|own| own == id);
        self.containers.iter().find(has)
    }
}

/// The workload that a pod belongs to: the Deployment of a ReplicaSet, the CronJob of a Job, else the controller's name, of a
/// static pod its name without the node's, of a bare pod its own name.
pub fn workload(pod: &PodView) -> String {
    let Some(owner) = &pod.owner else { return pod.name.clone() };
    match owner.kind.as_str() {
        "ReplicaSet" => pod
            .labels
            .get("pod-template-hash")
            .and_then(|hash| owner.name.strip_suffix(hash.as_str())?.strip_suffix('-'))
            .unwrap_or(&owner.name)
            .to_owned(),
        // The CronJob controller names a Job by its scheduled time in minutes since the epoch (8 digits from 1989 to 2160).
        "Job" => match owner.name.rsplit_once('-') {
            Some((cron, time)) if time.len() == 8 && time.bytes().all(|b| b.is_ascii_digit()) => cron.to_owned(),
            _ => owner.name.clone(),
        },
        "Node" => {
            pod.name.strip_suffix(&owner.name).and_then(|name| name.strip_suffix('-')).unwrap_or(&pod.name).to_owned()
        }
        _ => owner.name.clone(),
    }
}

fn containers(spec: &api::PodSpec, status: Option<&api::PodStatus>) -> Vec<ContainerView> {
    let find = |statuses: Option<&Vec<api::ContainerStatus>>, name: &str| {
        statuses.into_iter().flatten().find(|status| status.name == name).cloned()
    };
    let init = spec.init_containers.iter().flatten().map(|container| {
        let role = if container.restart_policy.as_deref() == Some("Always") { Role::Sidecar } else { Role::Init };
        let status = find(status.and_then(|status| status.init_container_statuses.as_ref()), &container.name);
        let probed = container.liveness_probe.is_some() || container.startup_probe.is_some();
        view(&container.name, container.image.as_ref(), role, probed, status)
    });
    let main = spec.containers.iter().map(|container| {
        let status = find(status.and_then(|status| status.container_statuses.as_ref()), &container.name);
        let probed = container.liveness_probe.is_some() || container.startup_probe.is_some();
        view(&container.name, container.image.as_ref(), Role::Main, probed, status)
    });
    let ephemeral = spec.ephemeral_containers.iter().flatten().map(|container| {
        let status = find(status.and_then(|status| status.ephemeral_container_statuses.as_ref()), &container.name);
        view(&container.name, container.image.as_ref(), Role::Ephemeral, false, status)
    });
    init.chain(main).chain(ephemeral).take(CONTAINERS_MAX).collect()
}

fn view(
    name: &str,
    image: Option<&String>,
    role: Role,
    probed: bool,
    status: Option<api::ContainerStatus>,
) -> ContainerView {
    let mut view = ContainerView {
        name: name.to_owned(),
        role,
        id: None,
        last_id: None,
        image: image.cloned().unwrap_or_default(),
        state: ContainerState::Unknown,
        last: None,
        restarts: 0,
        ready: false,
        probed,
    };
    let Some(status) = status else { return view };
    let last = status.last_state.and_then(|state| state.terminated);
    view.last_id = last.as_ref().and_then(|last| last.container_id.as_deref()).and_then(without_scheme);
    view.last = last.map(ended);
    view.id = status.container_id.as_deref().and_then(without_scheme);
    view.restarts = status.restart_count.max(0);
    view.ready = status.ready;
    let Some(state) = status.state else { return view };
    view.state = if let Some(running) = state.running {
        ContainerState::Running { started: running.started_at.as_ref().map(seconds) }
    } else if let Some(terminated) = state.terminated {
        view.id = view.id.or_else(|| terminated.container_id.as_deref().and_then(without_scheme));
        ContainerState::Terminated(ended(terminated))
    } else {
        let waiting = state.waiting.unwrap_or_default();
        ContainerState::Waiting {
            reason: waiting.reason.unwrap_or_default(),
            message: cut(waiting.message.unwrap_or_default()),
        }
    };
    view
}

fn ended(state: api::ContainerStateTerminated) -> Ended {
    let reason = state.reason.unwrap_or_default();
    // containerd: StartError, Docker: ContainerCannotRun, CRI-O and dockershim: RunContainerError.
    let ran = !matches!(reason.as_str(), "StartError" | "ContainerCannotRun" | "RunContainerError");
    Ended {
        exit_code: state.exit_code,
        signal: state.signal.filter(|signal| *signal != 0),
        reason,
        message: cut(state.message.unwrap_or_default()),
        ran,
    }
}

fn without_scheme(id: &str) -> Option<String> {
    let id = id.split_once("://").map_or(id, |(_, id)| id);
    (!id.is_empty()).then(|| id.to_owned())
}

fn seconds(time: &Time) -> i64 {
    time.0.as_second()
}

fn cut(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MESSAGE_MAX));
    message
}
