//! ServiceMonitor of prometheus-operator: finds the node agents by the chart's headless Service, which carries their labels.

use serde_json::{Map, Value};

use super::Site;
use crate::api::AgentFleet;

/// Its fields beside apiVersion, kind and metadata.
pub(super) fn fields(fleet: &AgentFleet, site: &Site) -> Map<String, Value> {
    super::monitor(fleet, site, "endpoints")
}
