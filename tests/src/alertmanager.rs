//! What Alertmanager says of itself.

use anyhow::{Context as _, Result};

use crate::cluster::Cluster;

/// The configuration that it works by, as YAML, with its secrets hidden (Alertmanager API v2, `/status`).
pub async fn config(cluster: &Cluster) -> Result<String> {
    let service =
        std::env::var("FLEETSCOPE_ALERTMANAGER").unwrap_or_else(|_| "monitoring/alertmanager-operated:web".to_owned());
    let (namespace, service) = service.split_once('/').context("FLEETSCOPE_ALERTMANAGER is NAMESPACE/SERVICE:PORT")?;
    let path = format!("/api/v1/namespaces/{namespace}/services/{service}/proxy/api/v2/status");
    let status = cluster.get_json(&path).await?;
    Ok(status["config"]["original"].as_str().with_context(|| format!("no configuration in {status}"))?.to_owned())
}
