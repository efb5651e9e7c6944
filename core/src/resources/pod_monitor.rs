//! PodMonitor of prometheus-operator: finds the node agents' pods by themselves.

use serde_json::{Map, Value};

use super::Site;
use crate::api::AgentFleet;

/// Its fields beside apiVersion, kind and metadata.
pub(super) fn fields(fleet: &AgentFleet, site: &Site) -> Map<String, Value> {
    super::monitor(fleet, site, "podMetricsEndpoints")
}
