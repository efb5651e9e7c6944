//! `fleetscope status`: fleets, node agents and operator, and what to do about whatever is wrong.

mod advice;
mod draw;

use clap::Args;
use fleetscope_core::api::AgentFleet;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use serde::{Deserialize, Serialize};

use super::{Answer, Failure};
use crate::args::OutputArgs;
use crate::cluster::{Cluster, place};
use crate::exit::{Outcome, Problem};
use crate::nodes::{self, Coverage, NodeAgent};
use crate::output;

/// Labels of the operator's pods.
const OPERATOR_LABELS: &str = "app.kubernetes.io/name=fleetscope,app.kubernetes.io/component=operator";
/// The Lease that the operator's replicas elect their leader with.
const LEASE: &str = "fleetscope-operator";
/// What of the chart lets a user list fleets.
const VIEW_GRANT: &str = "the ClusterRole fleetscope-view (aggregated into `view`)";

/// Options of `status`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  fleetscope status                  fleets of the current namespace, all node agents, the operator
  fleetscope status -A -o wide       all fleets, with messages and probes
  fleetscope status -A --watch
  until fleetscope status -n team-a --fleet coders >/dev/null; do sleep 2; done

Exit code 3 says that something is not ready or has failed; what and why is in the answer.")]
pub(crate) struct StatusArgs {
    /// How the answer is printed.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// The whole answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    fleets: Vec<FleetRow>,
    node_agents: Vec<NodeRow>,
    operator: OperatorRow,
    /// What is wrong, with remedies. Empty when all is well.
    hints: Vec<Problem>,
    /// What is no fault but good to know, with what to do about it.
    notes: Vec<Problem>,
    nodes: Coverage,
}

/// A fleet.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct FleetRow {
    namespace: String,
    fleet: String,
    /// Status of the condition Ready: True, False, Unknown; empty before the operator has seen the fleet.
    ready: String,
    reason: String,
    message: String,
    agents: i32,
    running: i32,
    failed: i32,
    /// Nodes with a ready node agent, of the nodes with pods of the fleet.
    nodes_covered: i32,
    nodes_total: i32,
    targets: Option<i32>,
    /// Kind and name of the object that carries the scrape configuration.
    scrape: Option<String>,
    suspended: bool,
    /// The operator has not yet seen the newest spec.
    stale: bool,
    /// Messages of a condition Degraded that is True.
    degraded: Option<String>,
    created: Option<Timestamp>,
}

/// A node agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeRow {
    node: String,
    namespace: String,
    pod: String,
    /// The kubelet calls it ready.
    ready: bool,
    /// It answered.
    answered: bool,
    restarts: i32,
    #[serde(flatten)]
    info: NodeInfo,
}

/// What of a node agent's `/info` is shown; fields that a version does not have stay empty.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeInfo {
    version: String,
    kernel: String,
    probes: Vec<Probe>,
    cgroups: Cgroups,
}

/// What a node agent found of its host's cgroups.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
struct Cgroups {
    root: String,
    /// What is missing, and what to do.
    error: String,
}

/// State of one probe.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
struct Probe {
    /// What it is for.
    #[serde(rename = "probe")]
    purpose: String,
    /// The program in the kernel; a probe may have several.
    program: String,
    /// attached, off, standby, unsupported or failed.
    state: String,
    reason: String,
    remedy: String,
}

/// The operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct OperatorRow {
    namespace: Option<String>,
    replicas: usize,
    ready: usize,
    /// The image's tag.
    version: Option<String>,
    /// The pod that leads; empty when nobody does or when the user may not read the Lease.
    leader: Option<String>,
    /// Whether the Lease could be read.
    leader_known: bool,
}

/// Asks the API server and the node agents once.
pub(crate) async fn run(cluster: &Cluster, args: &StatusArgs) -> Result<Answer, Failure> {
    let (fleets, agents, operator) = tokio::join!(
        cluster.list::<AgentFleet>(cluster.scope.namespace.as_deref(), "", VIEW_GRANT),
        nodes::discover(cluster),
        nodes::list_system(cluster, OPERATOR_LABELS),
    );
    let (fleets, agents, operator) = (fleets?, agents?, operator?);
    let mut fleets: Vec<FleetRow> = fleets.iter().map(fleet_row).collect();
    if let Some(name) = &cluster.scope.fleet {
        fleets.retain(|row| row.fleet == *name);
        if fleets.is_empty() {
            return Err(Failure::NoFleet { name: name.clone(), place: place(cluster.scope.namespace.as_deref()) });
        }
    }
    fleets.sort_by(|a, b| (&a.namespace, &a.fleet).cmp(&(&b.namespace, &b.fleet)));
    let (answers, operator) =
        tokio::join!(nodes::ask_json::<NodeInfo>(cluster, &agents, "/info"), operator_row(cluster, &operator));
    let rows: Vec<NodeRow> =
        agents.iter().zip(&answers).map(|(agent, answer)| node_row(agent, answer.as_ref().ok())).collect();
    let (_, coverage) = nodes::split(&agents, answers);
    let (hints, notes) = advice::find(&fleets, &rows, &operator);
    let outcome = if hints.is_empty() && coverage.problems.is_empty() { Outcome::Done } else { Outcome::NotReady };
    let status = Status { fleets, node_agents: rows, operator, hints, notes, nodes: coverage };
    let text =
        output::format(&draw::At { status: &status, now: Timestamp::now() }, args.output.output, args.output.watch)?;
    Ok(Answer { text, problems: status.nodes.problems, outcome })
}

fn fleet_row(fleet: &AgentFleet) -> FleetRow {
    let status = fleet.status.clone().unwrap_or_default();
    let condition = |kind: &str| status.conditions.iter().find(|c| c.type_ == kind);
    let ready = condition("Ready");
    let agents = status.agents.clone().unwrap_or_default();
    let nodes = status.nodes.clone().unwrap_or_default();
    FleetRow {
        namespace: fleet.metadata.namespace.clone().unwrap_or_default(),
        fleet: fleet.metadata.name.clone().unwrap_or_default(),
        ready: ready.map(|c| c.status.clone()).unwrap_or_default(),
        reason: ready.map(|c| c.reason.clone()).unwrap_or_default(),
        message: ready.map(|c| c.message.clone()).unwrap_or_default(),
        agents: agents.total,
        running: agents.running,
        failed: agents.failed,
        nodes_covered: nodes.covered,
        nodes_total: nodes.total,
        targets: status.targets,
        scrape: status.scrape.as_ref().map(|object| format!("{}/{}", object.kind, object.name)),
        suspended: fleet.spec.suspend,
        stale: status.observed_generation < fleet.metadata.generation,
        degraded: condition("Degraded").filter(|c| c.status == "True").map(|c| c.message.clone()),
        created: fleet.metadata.creation_timestamp.as_ref().map(|time| time.0),
    }
}

fn node_row(agent: &NodeAgent, info: Option<&NodeInfo>) -> NodeRow {
    NodeRow {
        node: agent.node.clone(),
        namespace: agent.namespace.clone(),
        pod: agent.pod.clone(),
        ready: agent.ready,
        answered: info.is_some(),
        restarts: agent.restarts,
        info: info.cloned().unwrap_or_default(),
    }
}

async fn operator_row(cluster: &Cluster, pods: &[Pod]) -> OperatorRow {
    let namespace = pods.iter().find_map(|pod| pod.metadata.namespace.clone());
    let alive: Vec<&Pod> = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
    let (leader, leader_known) = match &namespace {
        Some(namespace) => {
            let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), namespace);
            match tokio::time::timeout(cluster.timeout, leases.get_opt(LEASE)).await {
                Ok(Ok(lease)) => (lease.and_then(|lease| leader(&lease, Timestamp::now())), true),
                // Not being allowed to read it is no fault of the operator.
                Ok(Err(_)) | Err(_) => (None, false),
            }
        }
        None => (None, true),
    };
    OperatorRow {
        namespace,
        replicas: alive.len(),
        ready: alive.iter().filter(|pod| is_ready(pod)).count(),
        version: alive.iter().find_map(|pod| image_tag(pod)),
        leader,
        leader_known,
    }
}

/// Who holds a Lease that has not run out.
fn leader(lease: &Lease, now: Timestamp) -> Option<String> {
    let spec = lease.spec.as_ref()?;
    let holder = spec.holder_identity.clone().filter(|holder| !holder.is_empty())?;
    let renewed = spec.renew_time.as_ref()?.0;
    let limit = i64::from(spec.lease_duration_seconds.unwrap_or(15));
    (now.duration_since(renewed).as_secs() <= limit).then_some(holder)
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

/// The tag of the first container's image; a digest has none.
fn image_tag(pod: &Pod) -> Option<String> {
    let image = pod.spec.as_ref()?.containers.first()?.image.as_deref()?;
    let name = image.split('@').next().unwrap_or(image);
    let (_, tag) = name.rsplit_once(':')?;
    // A colon before a slash is that of a registry's port.
    (!tag.contains('/')).then(|| tag.to_owned())
}

#[cfg(test)]
mod tests;
