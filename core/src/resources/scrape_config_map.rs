//! ConfigMap with a plain scrape configuration, for a Prometheus without its operator.
//!
//! Its one key is a file for `scrape_config_files` of prometheus.yml; its entry can also be copied into `scrape_configs`.

use kube::ResourceExt as _;
use serde_json::{Map, Value, json};

use super::{NODE_AGENT_LABELS, PORT, SCRAPE_CONFIGS, Site, TARGET_LABEL};
use crate::api::AgentFleet;

/// Its fields beside apiVersion, kind and metadata.
pub(super) fn fields(fleet: &AgentFleet, site: &Site) -> Map<String, Value> {
    Map::from_iter([("data".to_owned(), json!({ SCRAPE_CONFIGS: super::yaml(&file(fleet, site)) }))])
}

fn file(fleet: &AgentFleet, site: &Site) -> Value {
    let labels: Vec<String> = NODE_AGENT_LABELS.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut job = json!({
        "job_name": super::job(fleet),
        "honor_labels": true,
        "metrics_path": "/metrics",
        "params": super::params(fleet),
        "scrape_interval": fleet.spec.scrape.interval,
        "scrape_timeout": fleet.spec.scrape.scrape_timeout,
        "kubernetes_sd_configs": [{
            "role": "pod",
            "namespaces": { "names": [site.namespace] },
            "selectors": [{ "role": "pod", "label": labels.join(",") }],
        }],
        "relabel_configs": [
            { "action": "drop", "source_labels": ["__meta_kubernetes_pod_phase"], "regex": "(Failed|Succeeded)" },
            { "action": "keep", "source_labels": ["__meta_kubernetes_pod_container_port_name"], "regex": PORT },
            { "action": "replace", "source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod" },
            { "action": "replace", "source_labels": ["__meta_kubernetes_pod_container_name"], "target_label": "container" },
            { "action": "replace", "source_labels": ["__meta_kubernetes_pod_node_name"], "target_label": "node" },
            { "action": "replace", "target_label": "namespace", "replacement": super::namespace(fleet) },
            { "action": "replace", "target_label": "fleet", "replacement": fleet.name_any() },
            { "action": "replace", "target_label": TARGET_LABEL.0, "replacement": TARGET_LABEL.1 },
        ],
        "metric_relabel_configs": [{ "action": "labeldrop", "regex": TARGET_LABEL.0 }],
    });
    if fleet.spec.scrape.sample_limit > 0 {
        job["sample_limit"] = fleet.spec.scrape.sample_limit.into();
    }
    json!({ "scrape_configs": [job] })
}
