//! ServiceMonitor of prometheus-operator: what is behind the policy's Services, and of that the fleet's pods.

use serde_json::{Map, Value, json};

use super::relabel::Discovery;
use super::{FleetRef, monitor};
use crate::api::ScrapePolicySpec;

/// Its `spec`.
pub(super) fn spec(policy: &ScrapePolicySpec, fleet: &FleetRef, namespace: &str) -> Map<String, Value> {
    let mut fields = monitor::spec(policy, fleet, namespace, Discovery::ServiceMonitor, "endpoints");
    fields.insert("selector".to_owned(), json!(policy.services.clone().unwrap_or_default()));
    fields
}
