//! What beside selectors keeps objects away from a Prometheus, a PrometheusAgent or a ThanosRuler.

use serde_json::Value;

use super::obstacle::Obstacle;
use super::{Child, Workload};
use crate::resources::ChildKind;

/// What it has against an object that it may select.
pub(super) fn obstacle(child: &Child, workload: &Workload) -> Option<Obstacle> {
    let spec = &workload.spec;
    match child.kind {
        ChildKind::ServiceMonitor | ChildKind::ScrapeConfig if spec["mode"] == "DaemonSet" => Some(Obstacle::DaemonSet),
        // It would look for the targets in the monitor's own namespace only.
        ChildKind::PodMonitor | ChildKind::ServiceMonitor
            if child.beyond_namespace && spec["ignoreNamespaceSelectors"] == true =>
        {
            Some(Obstacle::IgnoresNamespaces)
        }
        // It would evaluate the rules over series of the rules' own namespace only.
        ChildKind::PrometheusRule if child.beyond_namespace && enforces(child, spec) => {
            Some(Obstacle::EnforcesNamespace)
        }
        _ => None,
    }
}

fn enforces(child: &Child, spec: &Value) -> bool {
    let excluded = spec["excludedFromEnforcement"].as_array().into_iter().flatten().any(|excluded| {
        let is = |field: &str, value: &str| excluded[field] == value;
        // Without a name, all of the namespace are meant.
        let named = excluded["name"].as_str().is_none_or(|name| name.is_empty() || name == child.name);
        is("resource", child.kind.plural()) && is("namespace", &child.namespace) && named
    });
    spec["enforcedNamespaceLabel"].as_str().is_some_and(|label| !label.is_empty()) && !excluded
}
