//! What beside selectors keeps receivers away from an Alertmanager's alerts.

use super::obstacle::Obstacle;
use super::{Child, Workload};

/// What it has against an object that it may select: routes of an AlertmanagerConfig see alerts of its own namespace only, unless the strategy says
/// otherwise (prometheus-operator, `pkg/alertmanager/amcfg.go`, `getEnforcer`).
pub(super) fn obstacle(child: &Child, workload: &Workload) -> Option<Obstacle> {
    if !child.beyond_namespace {
        return None;
    }
    match workload.spec["alertmanagerConfigMatcherStrategy"]["type"].as_str() {
        Some("None") => None,
        Some("OnNamespaceExceptForAlertmanagerNamespace") if child.namespace == workload.namespace => None,
        other => Some(Obstacle::OnNamespace { strategy: other.unwrap_or("OnNamespace").to_owned() }),
    }
}
