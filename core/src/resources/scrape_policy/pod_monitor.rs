//! PodMonitor of prometheus-operator: the fleet's pods by the fleet's own selector.

use serde_json::{Map, Value, json};

use super::relabel::Discovery;
use super::{FleetRef, monitor};
use crate::api::ScrapePolicySpec;

/// Its `spec`.
pub(super) fn spec(policy: &ScrapePolicySpec, fleet: &FleetRef, namespace: &str) -> Map<String, Value> {
    let mut fields = monitor::spec(policy, fleet, namespace, Discovery::PodMonitor, "podMetricsEndpoints");
    fields.insert("selector".to_owned(), json!(fleet.selector));
    fields
}
