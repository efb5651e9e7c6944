//! The node agents: which there are, and asking all of them at once through the API server's pod proxy.
//!
//! A node agent that does not answer is a fact to report, not an error that hides the others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::io::AsyncReadExt as _;
use futures::stream::{self, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cluster::{ApiFailure, Cluster, ClusterError, DEFAULT_SYSTEM_NAMESPACE};
use crate::exit::Problem;
use crate::exposition::ParseError;
use crate::histogram::HistogramError;

/// Labels of the node agents' pods.
pub(crate) const NODE_AGENT_LABELS: &str = "app.kubernetes.io/name=fleetscope,app.kubernetes.io/component=node-agent";
/// What of the chart lets a user find and ask the node agents.
pub(crate) const CLI_GRANT: &str = "the Role fleetscope-cli (value rbac.cliSubjects)";
/// Port of the node agents, unless their pods name another one `metrics`.
const PORT: u16 = 10980;
/// Node agents that are asked at the same time: the API server opens a connection to a kubelet's node for each.
const AT_ONCE: usize = 32;
/// Most bytes of one answer: some 20 times that of 200,000 series, a node agent's default bound.
const ANSWER_MAX: u64 = 512 << 20;

/// One node agent's pod.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct NodeAgent {
    /// Its node.
    pub(crate) node: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its pod.
    pub(crate) pod: String,
    /// Its HTTP port.
    pub(crate) port: u16,
    /// Whether the kubelet calls it ready.
    pub(crate) ready: bool,
    /// Restarts of its containers.
    pub(crate) restarts: i32,
    /// Why there is no use in asking it.
    pub(crate) trouble: Option<String>,
}

/// Why node agents could not be found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiscoverError {
    /// The pods could not be listed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Two installations would count every task twice.
    #[error("failed to choose an installation: there are node agents in the namespaces {}", namespaces.join(", "))]
    SeveralInstallations {
        /// Where they are.
        namespaces: Vec<String>,
    },
}

/// Why a node agent's answer is missing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    /// Its pod does not run.
    #[error("its node agent does not run: {0}")]
    NotRunning(String),
    /// The user may not use the proxy.
    #[error("not allowed to get pods/proxy in namespace {0}")]
    Forbidden(String),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// It answered that it has no such path.
    #[error("its node agent has no {0}")]
    Absent(String),
    /// The API server did not reach it, or it answered with an error.
    #[error("{0}")]
    Api(ApiFailure),
    /// The connection broke, or the answer is not text.
    #[error("failed to read the answer: {0}")]
    Read(#[source] std::io::Error),
    /// The answer is larger than a node agent's can be.
    #[error("the answer is larger than {ANSWER_MAX} bytes")]
    TooLarge,
    /// The answer is not what this version of the program expects.
    #[error("failed to understand the answer: {0}")]
    Understand(#[source] serde_json::Error),
    /// The metrics are not of the text format.
    #[error(transparent)]
    Exposition(#[from] ParseError),
    /// The figures contradict each other.
    #[error(transparent)]
    Histogram(#[from] HistogramError),
    /// A name that does not fit in a path, which the API server does not hand out.
    #[error("failed to make a request for this pod's name")]
    Name,
}

/// Node agents that answered, and what is wrong with the others.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct Coverage {
    /// Node agents that there are.
    pub(crate) asked: usize,
    /// Those that answered.
    pub(crate) answered: usize,
    /// Why the others did not.
    pub(crate) problems: Vec<Problem>,
}

// === impl DiscoverError ===

impl DiscoverError {
    /// What to do about it.
    pub(crate) fn remedy(&self) -> String {
        match self {
            Self::Cluster(error) => error.remedy(),
            Self::SeveralInstallations { namespaces } => format!(
                "choose one with --system-namespace {}",
                namespaces.first().map_or(DEFAULT_SYSTEM_NAMESPACE, String::as_str)
            ),
        }
    }
}

// === impl NodeError ===

impl NodeError {
    /// The error with its node, and what to do about it.
    pub(crate) fn problem(&self, agent: &NodeAgent) -> Problem {
        let NodeAgent { node, namespace, pod, .. } = agent;
        let remedy = match self {
            Self::NotRunning(_) => format!("see `kubectl -n {namespace} describe pod {pod}`"),
            Self::Forbidden(namespace) => {
                format!(
                    "`kubectl auth can-i get pods/proxy -n {namespace}` must say yes: ask for {CLI_GRANT} of the chart"
                )
            }
            Self::Timeout(_) => {
                format!(
                    "see `kubectl get node {node}` and `kubectl -n {namespace} logs {pod}`, or give more time with --timeout"
                )
            }
            Self::Api(_) | Self::Read(_) => {
                format!(
                    "see `kubectl -n {namespace} logs {pod}`, and whether the API server reaches node {node} at port {}",
                    agent.port
                )
            }
            Self::TooLarge => {
                format!("ask for less with --fleet, or lower the node agent's --max-series; pod {namespace}/{pod}")
            }
            Self::Absent(_) | Self::Understand(_) | Self::Exposition(_) | Self::Histogram(_) => {
                format!(
                    "use the fleetscope of the node agents' version: `kubectl -n {namespace} get pod {pod} -o wide` names its image"
                )
            }
            Self::Name => format!("see `kubectl -n {namespace} get pods -l {NODE_AGENT_LABELS}`"),
        };
        Problem::new(format!("node {node}: {self}"), remedy)
    }
}

/// Finds the node agents: in `--system-namespace`, or in all namespaces, or, where that is forbidden, in the chart's default.
/// Sorted by node, one per node.
pub(crate) async fn discover(cluster: &Cluster) -> Result<Vec<NodeAgent>, DiscoverError> {
    let pods: Vec<Pod> = list_system(cluster, NODE_AGENT_LABELS).await?;
    let mut by_node: BTreeMap<String, NodeAgent> = BTreeMap::new();
    let mut namespaces = BTreeSet::new();
    for pod in &pods {
        let Some(agent) = node_agent(pod) else { continue };
        namespaces.insert(agent.namespace.clone());
        // An evicted or ending pod may lie beside the one that took its place.
        let worse = |old: &NodeAgent| (old.trouble.is_some(), !old.ready) > (agent.trouble.is_some(), !agent.ready);
        if by_node.get(&agent.node).is_none_or(worse) {
            by_node.insert(agent.node.clone(), agent);
        }
    }
    if namespaces.len() > 1 {
        return Err(DiscoverError::SeveralInstallations { namespaces: namespaces.into_iter().collect() });
    }
    Ok(by_node.into_values().collect())
}

/// Pods of Fleetscope itself with these labels.
pub(crate) async fn list_system(cluster: &Cluster, labels: &str) -> Result<Vec<Pod>, ClusterError> {
    match cluster.list(cluster.system_namespace.as_deref(), labels, CLI_GRANT).await {
        Err(ClusterError::Forbidden { namespace: None, .. }) => {
            cluster.list(Some(DEFAULT_SYSTEM_NAMESPACE), labels, CLI_GRANT).await
        }
        other => other,
    }
}

fn node_agent(pod: &Pod) -> Option<NodeAgent> {
    let status = pod.status.as_ref();
    let spec = pod.spec.as_ref()?;
    let phase = status.and_then(|s| s.phase.as_deref()).unwrap_or("Unknown");
    let containers = status.and_then(|s| s.container_statuses.as_deref()).unwrap_or_default();
    let waiting = containers.iter().find_map(|c| c.state.as_ref()?.waiting.as_ref()?.reason.clone());
    let trouble = if pod.metadata.deletion_timestamp.is_some() {
        Some("its pod is being deleted".to_owned())
    } else if phase != "Running" {
        let reason = waiting.or_else(|| status?.reason.clone());
        Some(reason.map_or_else(|| format!("its pod is {phase}"), |reason| format!("its pod is {phase}: {reason}")))
    } else {
        waiting.map(|reason| format!("its container waits: {reason}"))
    };
    let ports = spec.containers.iter().flat_map(|c| c.ports.iter().flatten());
    let port =
        ports.filter(|p| p.name.as_deref() == Some("metrics")).find_map(|p| u16::try_from(p.container_port).ok());
    Some(NodeAgent {
        // A pod without a node is one that the scheduler has not placed; its own name stands for the node.
        node: spec.node_name.clone().or_else(|| pod.metadata.name.clone())?,
        namespace: pod.metadata.namespace.clone()?,
        pod: pod.metadata.name.clone()?,
        port: port.unwrap_or(PORT),
        ready: status
            .and_then(|s| s.conditions.as_deref())
            .unwrap_or_default()
            .iter()
            .any(|c| c.type_ == "Ready" && c.status == "True"),
        restarts: containers.iter().map(|c| c.restart_count).sum(),
        trouble,
    })
}

/// Asks all node agents for a path, for example `/agents`, and reads the answers as text. In the order of `agents`.
pub(crate) async fn ask_text(cluster: &Cluster, agents: &[NodeAgent], path: &str) -> Vec<Result<String, NodeError>> {
    let answers = agents.iter().map(|agent| ask_one(cluster, agent, path));
    stream::iter(answers).buffered(AT_ONCE).collect().await
}

/// Asks all node agents for a path and reads the answers as JSON. In the order of `agents`.
pub(crate) async fn ask_json<T: DeserializeOwned>(
    cluster: &Cluster,
    agents: &[NodeAgent],
    path: &str,
) -> Vec<Result<T, NodeError>> {
    let answers = ask_text(cluster, agents, path).await;
    answers.into_iter().map(|text| serde_json::from_str(&text?).map_err(NodeError::Understand)).collect()
}

/// Separates answers from problems: answers with their agents, and how many there should have been.
pub(crate) fn split<T>(agents: &[NodeAgent], answers: Vec<Result<T, NodeError>>) -> (Vec<(&NodeAgent, T)>, Coverage) {
    let mut good = Vec::new();
    let mut problems = Vec::new();
    for (agent, answer) in agents.iter().zip(answers) {
        match answer {
            Ok(answer) => good.push((agent, answer)),
            Err(error) => problems.push(error.problem(agent)),
        }
    }
    let coverage = Coverage { asked: agents.len(), answered: good.len(), problems };
    (good, coverage)
}

async fn ask_one(cluster: &Cluster, agent: &NodeAgent, path: &str) -> Result<String, NodeError> {
    if let Some(trouble) = &agent.trouble {
        return Err(NodeError::NotRunning(trouble.clone()));
    }
    let NodeAgent { namespace, pod, port, .. } = agent;
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    if !plain(namespace) || !plain(pod) {
        return Err(NodeError::Name);
    }
    let request = http::Request::get(format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}"))
        .body(Vec::new())
        .map_err(|_| NodeError::Name)?;
    let answer = async {
        let body = cluster.client.request_stream(request).await.map_err(|error| match &error {
            kube::Error::Api(status) if status.code == 403 => NodeError::Forbidden(namespace.clone()),
            // The API server's own 404, for a pod that is gone, has the reason NotFound.
            kube::Error::Api(status) if status.code == 404 && status.reason != "NotFound" => {
                NodeError::Absent(path.split('?').next().unwrap_or(path).to_owned())
            }
            _ => NodeError::Api(ApiFailure(error)),
        })?;
        let mut text = String::new();
        let mut body = std::pin::pin!(body.take(ANSWER_MAX + 1));
        body.read_to_string(&mut text).await.map_err(NodeError::Read)?;
        // A String has at most isize::MAX bytes, which an u64 holds.
        if text.len() as u64 > ANSWER_MAX { Err(NodeError::TooLarge) } else { Ok(text) }
    };
    match tokio::time::timeout(cluster.timeout, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(NodeError::Timeout(cluster.timeout)),
    }
}
