//! The node agents of the release, and what they serve.

use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;

use crate::cluster::Cluster;
use crate::exposition::{self, Sample};
use crate::release;

/// Labels of the node agents' pods.
pub const LABELS: &str = "app.kubernetes.io/name=fleetscope,app.kubernetes.io/component=node-agent";

/// One node agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAgent {
    /// Its pod.
    pub pod: String,
    /// The pod's uid.
    pub uid: String,
    /// Its node.
    pub node: String,
    /// How often its container was restarted.
    pub restarts: i32,
}

// === impl NodeAgent ===

impl NodeAgent {
    /// What it serves at `path`, for example `/metrics?scope=self`.
    pub async fn get(&self, cluster: &Cluster, path: &str) -> Result<String> {
        cluster.get(&self.url(path)).await
    }

    /// As [`Self::get`], with an `Accept` header.
    pub async fn get_as(&self, cluster: &Cluster, path: &str, accept: &str) -> Result<String> {
        cluster.get_as(&self.url(path), accept).await
    }

    /// The fleet's series on this node, or those of its own with an empty `fleet`.
    pub async fn scrape(&self, cluster: &Cluster, namespace: &str, fleet: &str) -> Result<Vec<Sample>> {
        let path = if fleet.is_empty() {
            "/metrics?scope=self".to_owned()
        } else {
            format!("/metrics?namespace={namespace}&fleet={fleet}")
        };
        exposition::parse(&self.get(cluster, &path).await?)
    }

    fn url(&self, path: &str) -> String {
        format!("/api/v1/namespaces/{}/pods/{}:10980/proxy{path}", release::NAMESPACE, self.pod)
    }
}

/// All node agents, sorted by node.
pub async fn all(cluster: &Cluster) -> Result<Vec<NodeAgent>> {
    let mut agents = Vec::new();
    for pod in cluster.pods(release::NAMESPACE, LABELS).await? {
        if pod.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let status =
            pod.status.as_ref().and_then(|status| status.container_statuses.as_ref()).and_then(|all| all.first());
        agents.push(NodeAgent {
            pod: pod.name_any(),
            uid: pod.uid().context("a pod has a uid")?,
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).context("the pod is not scheduled")?,
            restarts: status.map_or(0, |status| status.restart_count),
        });
    }
    agents.sort_by(|a, b| a.node.cmp(&b.node));
    ensure!(!agents.is_empty(), "there are no node agents");
    Ok(agents)
}

/// The fleet's series of all nodes together.
pub async fn scrape(cluster: &Cluster, namespace: &str, fleet: &str) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for agent in all(cluster).await? {
        samples.extend(agent.scrape(cluster, namespace, fleet).await?);
    }
    Ok(samples)
}
