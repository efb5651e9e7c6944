//! A Pod, trimmed to what Fleetscope uses, and bounded.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};

use super::containers::containers;

/// Most bytes of labels, keys and values, of which a pod can be in a fleet: 43 of the longest that Kubernetes allows.
const LABELS_MAX: usize = 16_384;
/// Most characters of the hash of a static pod's configuration, of which kubelets make 32 (`pkg/kubelet/config/common.go`, MD5).
const HASH_MAX: usize = 63;

/// Most bytes of the name of an owner that are kept, as many as an object's may have; the API server does not look.
const OWNER_MAX: usize = 253;

/// Annotation of a pod: `false` leaves it out of every fleet.
pub const TELEMETRY: &str = "fleetscope.io/telemetry";

/// Annotation by which a kubelet marks the mirror of a static pod (`pkg/kubelet/types`). The mirror has a uid of its own; the cgroup
/// carries the hash of the configuration, which the annotation tells.
const MIRROR: &str = "kubernetes.io/config.mirror";

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
    /// First 1,024 bytes of what is said about it; less where a pod's containers say more than 16 KiB.
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
        /// As [`Ended::message`].
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
    /// Image as the spec names it, at most 512 bytes, and 16 KiB in a pod; `…` stands at the end of one that was cut.
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

/// Why a pod is in no fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeftOut {
    /// It asks for that by its annotation [`TELEMETRY`].
    Asked,
    /// It has more labels than are kept, so none is: by some of them a selector could take it that should not.
    Labels,
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
    /// Labels, at most 16 KiB.
    pub labels: BTreeMap<String, String>,
    /// Why it is in no fleet whatever its labels are; none if it may be in one.
    #[serde(default)]
    pub left_out: Option<LeftOut>,
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
    /// All containers: init containers, then main, then ephemeral ones, in the spec's order. Of a pod that is over and in which nothing
    /// ran, as of one that the kubelet refused, the first.
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
        let owner = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
        let (spec, status) = (pod.spec.as_ref(), pod.status.as_ref());
        let node = spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default();
        let owner = owner.map(|owner| Owner { kind: begin(&owner.kind), name: begin(&owner.name) });
        let annotation = |name: &str| meta.annotations.as_ref().and_then(|all| all.get(name)).map(String::as_str);
        let mirror = annotation(MIRROR).filter(|hash| is_mirror(hash, owner.as_ref(), &node));
        let labels = meta.labels.as_ref().filter(|labels| bytes(labels) <= LABELS_MAX);
        let too_many = meta.labels.is_some() && labels.is_none();
        let asked = annotation(TELEMETRY) == Some("false");
        let left_out = too_many.then_some(LeftOut::Labels).or_else(|| asked.then_some(LeftOut::Asked));
        let ready = status.and_then(|status| status.conditions.as_ref()).into_iter().flatten();
        let mut view = Self {
            cgroup_uid: mirror.map_or_else(|| uid.clone(), str::to_owned),
            uid,
            namespace,
            name,
            node,
            labels: labels.cloned().unwrap_or_default(),
            left_out,
            ip: status.and_then(|status| status.pod_ip.clone()).unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map_or(0, seconds),
            deleting: meta.deletion_timestamp.is_some(),
            phase: status.and_then(|status| status.phase.clone()).unwrap_or_default(),
            reason: status.and_then(|status| status.reason.clone()).unwrap_or_default(),
            ready: ready.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"),
            restart_policy: spec.and_then(|spec| spec.restart_policy.clone()).unwrap_or_else(|| "Always".to_owned()),
            owner,
            containers: spec.map(|spec| containers(spec, status)).unwrap_or_default(),
        };
        if view.is_over() && !view.containers.iter().any(ContainerView::ran) {
            view.containers.truncate(1);
            view.containers.shrink_to_fit();
        }
        Ok(view)
    }

    /// Nothing of it runs any more, and nothing will.
    pub fn is_over(&self) -> bool {
        matches!(self.phase.as_str(), "Failed" | "Succeeded")
    }

    /// The container whose current or last run has this id.
    pub fn container_by_id(&self, id: &str) -> Option<&ContainerView> {
        let has =
            |container: &&ContainerView| [&container.id, &container.last_id].into_iter().flatten().any(|own| own == id);
        self.containers.iter().find(has)
    }
}

// === impl ContainerView ===

impl ContainerView {
    /// Whether a run of it is told.
    fn ran(&self) -> bool {
        self.last.is_some() || matches!(self.state, ContainerState::Running { .. } | ContainerState::Terminated(_))
    }
}

/// Whether the annotation [`MIRROR`] is a kubelet's word. The API server lets everybody write it who may make pods: one that
/// names another pod's uid would have that pod's processes. A hash has no dashes, a uid has.
fn is_mirror(hash: &str, owner: Option<&Owner>, node: &str) -> bool {
    (1..=HASH_MAX).contains(&hash.len())
        && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
        && owner.is_some_and(|owner| owner.kind == "Node" && owner.name == node)
}

fn begin(name: &str) -> String {
    name[..name.floor_char_boundary(OWNER_MAX)].to_owned()
}

fn bytes(labels: &BTreeMap<String, String>) -> usize {
    labels.iter().map(|(key, value)| key.len() + value.len()).sum()
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

pub(super) fn seconds(time: &Time) -> i64 {
    time.0.as_second()
}
