//! The cluster that `KUBECONFIG` names.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Client, ResourceExt};
use serde_json::Value;

use crate::command;

/// A connection to the cluster. One per test, as it belongs to the test's runtime.
#[derive(Clone)]
pub struct Cluster {
    /// The API server.
    pub client: Client,
}

// === impl Cluster ===

impl Cluster {
    /// Connects to the cluster of `KUBECONFIG`.
    pub async fn connect() -> Result<Self> {
        std::env::var("KUBECONFIG").context("KUBECONFIG is not set: run the suite by `make e2e`")?;
        let client = Client::try_default().await.context("failed to read KUBECONFIG")?;
        client.apiserver_version().await.context("failed to reach the API server of KUBECONFIG")?;
        Ok(Self { client })
    }

    /// GET of a path of the API server, as text.
    pub async fn get(&self, path: &str) -> Result<String> {
        self.get_as(path, "*/*").await
    }

    /// GET of a path of the API server with an `Accept` header, as text.
    pub async fn get_as(&self, path: &str, accept: &str) -> Result<String> {
        let request = http::Request::get(path).header("accept", accept).body(Vec::new())?;
        self.client.request_text(request).await.with_context(|| format!("failed to get {path}"))
    }

    /// GET of a path of the API server, as JSON.
    pub async fn get_json(&self, path: &str) -> Result<Value> {
        serde_json::from_str(&self.get(path).await?).with_context(|| format!("{path} is not JSON"))
    }

    /// Objects of a kind that k8s-openapi does not know, for example `("monitoring.coreos.com", "v1", "PodMonitor")`.
    pub fn dynamic(&self, (group, version, kind): (&str, &str, &str), namespace: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }

    /// PodMonitors of a namespace.
    pub fn pod_monitors(&self, namespace: &str) -> Api<DynamicObject> {
        self.dynamic(("monitoring.coreos.com", "v1", "PodMonitor"), namespace)
    }

    /// Names of the nodes that are ready, sorted.
    pub async fn nodes(&self) -> Result<Vec<String>> {
        let nodes = Api::<Node>::all(self.client.clone()).list(&ListParams::default()).await?;
        let ready = |node: &&Node| {
            let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
            conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
        };
        let mut names: Vec<String> = nodes.iter().filter(ready).map(ResourceExt::name_any).collect();
        names.sort();
        Ok(names)
    }

    /// Pods of a namespace with these labels, sorted by name.
    pub async fn pods(&self, namespace: &str, labels: &str) -> Result<Vec<Pod>> {
        let pods = Api::<Pod>::namespaced(self.client.clone(), namespace);
        let mut pods = pods.list(&ListParams::default().labels(labels)).await?.items;
        pods.sort_by_key(ResourceExt::name_any);
        Ok(pods)
    }
}

/// Runs kubectl, which must succeed. Its standard output.
pub fn kubectl(arguments: &[&str]) -> Result<String> {
    command::run("kubectl", arguments)
}

/// Applies a manifest, which the API server must accept.
pub fn apply(manifest: &str) -> Result<String> {
    command::run_in("kubectl", &["apply", "-f", "-"], manifest)
}
