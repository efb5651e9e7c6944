//! What Prometheus answers.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::exposition::{Labels, Sample};

/// Evaluates a query now. Each element of the answer is a sample; its name is empty where the query took it away.
pub async fn query(cluster: &Cluster, query: &str) -> Result<Vec<Sample>> {
    let service =
        std::env::var("FLEETSCOPE_PROMETHEUS").unwrap_or_else(|_| "monitoring/prometheus-operated:web".to_owned());
    let (namespace, service) = service.split_once('/').context("FLEETSCOPE_PROMETHEUS is NAMESPACE/SERVICE:PORT")?;
    let path = format!("/api/v1/namespaces/{namespace}/services/{service}/proxy/api/v1/query?query={}", escape(query));
    let answer = cluster.get_json(&path).await?;
    ensure!(answer["status"] == "success", "Prometheus refused {query}: {answer}");
    let elements = answer["data"]["result"].as_array().with_context(|| format!("no vector for {query}: {answer}"))?;
    elements.iter().map(|element| sample(element).with_context(|| format!("not a sample: {element}"))).collect()
}

fn sample(element: &Value) -> Option<Sample> {
    let mut labels: Labels = serde_json::from_value(element["metric"].clone()).ok()?;
    let name = labels.remove("__name__").unwrap_or_default();
    let value = element["value"].get(1)?.as_str()?.parse().ok()?;
    Some(Sample { name, labels, value })
}

/// Percent-encodes all but what RFC 3986 calls unreserved.
fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}
