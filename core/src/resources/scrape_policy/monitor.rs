//! What PodMonitor and ServiceMonitor have in common: one endpoint, and limits.

use serde_json::{Map, Value, json};

use super::{FleetRef, auth, relabel, settings};
use crate::api::ScrapePolicySpec;
use crate::api::scrape_policy::Scheme;

/// `spec` without selectors; `endpoints` is the name of the list of endpoints.
pub(super) fn spec(
    spec: &ScrapePolicySpec,
    fleet: &FleetRef,
    namespace: &str,
    discovery: relabel::Discovery,
    endpoints: &str,
) -> Map<String, Value> {
    let mut fields = settings::answer(spec);
    fields.insert(endpoints.to_owned(), json!([endpoint(spec, fleet, namespace, discovery)]));
    fields.insert("namespaceSelector".to_owned(), json!({ "matchNames": [namespace] }));
    if !spec.pod_target_labels.is_empty() {
        fields.insert("podTargetLabels".to_owned(), json!(spec.pod_target_labels));
    }
    if spec.attach_node_metadata {
        fields.insert("attachMetadata".to_owned(), json!({ "node": true }));
    }
    fields
}

fn endpoint(
    spec: &ScrapePolicySpec,
    fleet: &FleetRef,
    namespace: &str,
    discovery: relabel::Discovery,
) -> Map<String, Value> {
    let mut fields = settings::request(spec);
    fields.extend(auth::references(spec));
    fields.insert("path".to_owned(), json!(fleet.path(spec)));
    fields.insert("interval".to_owned(), json!(spec.interval));
    fields.insert("scrapeTimeout".to_owned(), json!(spec.scrape_timeout));
    if spec.scheme == Scheme::HTTPS {
        fields.insert("scheme".to_owned(), json!("https"));
    }
    if !spec.filter_running {
        fields.insert("filterRunning".to_owned(), json!(false));
    }
    fields.insert("relabelings".to_owned(), relabel::camel(&relabel::pods(spec, fleet, namespace, discovery)));
    let metrics = relabel::metrics(spec, &fleet.name, namespace);
    if !metrics.is_empty() {
        fields.insert("metricRelabelings".to_owned(), relabel::camel(&metrics));
    }
    fields
}
