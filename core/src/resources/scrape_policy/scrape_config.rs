//! ScrapeConfig of prometheus-operator: static targets, and pods that Prometheus finds itself.
//!
//! The kind has no field for redirects (see [`super::check`]) and none for the size of an answer: of its targets, the samples are limited.

use serde_json::{Map, Value, json};

use super::relabel::{self, Discovery};
use super::{FleetRef, auth, plain, settings, static_targets};
use crate::api::ScrapePolicySpec;
use crate::api::scrape_policy::{Relabeling, Scheme, StaticTargets};

/// `spec` of one with the pods of a fleet.
pub(super) fn of_pods(policy: &ScrapePolicySpec, fleet: &FleetRef, namespace: &str) -> Map<String, Value> {
    let steps = relabel::pods(policy, fleet, namespace, Discovery::Pods);
    let mut fields = spec(policy, &fleet.name, namespace, &steps, fleet.path(policy));
    let mut discovery = json!({ "role": "Pod", "namespaces": { "names": [namespace] } });
    if let Some(label) = plain::selector(&fleet.selector) {
        discovery["selectors"] = json!([{ "role": "Pod", "label": label }]);
    }
    if policy.attach_node_metadata {
        discovery["attachMetadata"] = json!({ "node": true });
    }
    fields.insert("kubernetesSDConfigs".to_owned(), json!([discovery]));
    fields
}

/// `spec` of one with the static targets of a fleet.
pub(super) fn of_static(
    policy: &ScrapePolicySpec,
    fleet: &str,
    groups: &[&StaticTargets],
    namespace: &str,
) -> Map<String, Value> {
    let steps = relabel::own(policy, fleet, namespace);
    let mut fields = spec(policy, fleet, namespace, &steps, static_targets::PATH);
    fields.insert("staticConfigs".to_owned(), static_targets::configs(groups));
    fields
}

fn spec(
    policy: &ScrapePolicySpec,
    fleet: &str,
    namespace: &str,
    steps: &[Relabeling],
    path: &str,
) -> Map<String, Value> {
    let mut fields = settings::request(policy);
    fields.extend(settings::answer(policy));
    fields.remove("bodySizeLimit");
    fields.extend(auth::references(policy));
    fields.insert("metricsPath".to_owned(), json!(path));
    fields.insert("scrapeInterval".to_owned(), json!(policy.interval));
    fields.insert("scrapeTimeout".to_owned(), json!(policy.scrape_timeout));
    if policy.scheme == Scheme::HTTPS {
        fields.insert("scheme".to_owned(), json!("HTTPS"));
    }
    fields.insert("relabelings".to_owned(), relabel::camel(steps));
    let metrics = relabel::metrics(policy, fleet, namespace);
    if !metrics.is_empty() {
        fields.insert("metricRelabelings".to_owned(), relabel::camel(&metrics));
    }
    fields
}
