//! Labels of the series that expressions may name: the catalogue's, and a few that only dashboards name.

use std::collections::BTreeSet;

use crate::catalogue::{self, Origin};

/// Labels of a target: of the monitors, and Prometheus' own.
const TARGET: [&str; 6] = ["namespace", "fleet", "node", "instance", "job", crate::resources::TARGET_LABEL.0];
/// Labels of Prometheus' series of alerts: those of the alerts, and those that the rules add.
const ALERTS: [&str; 7] = ["namespace", "fleet", "alertname", "alertstate", "severity", "source", "policy"];
/// What a policy records about itself.
const POLICY: (&str, [&str; 2]) = ("fleetscope:policy_generation:info", ["namespace", "policy"]);
/// Histograms that agents expose themselves.
const OF_AGENTS: [&str; 2] = ["git_lock_wait_duration_seconds", "task_retry_count"];

/// The labels of a series name, if there is such a series.
pub(super) fn labels(series: &str) -> Option<BTreeSet<String>> {
    let owned = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect();
    if series == POLICY.0 {
        return Some(owned(&POLICY.1));
    }
    if OF_AGENTS
        .iter()
        .any(|name| series.strip_prefix(name).is_some_and(|end| ["_bucket", "_count", "_sum"].contains(&end)))
    {
        return Some(owned(&["namespace", "fleet", "le"]));
    }
    let known = catalogue::known(series)?;
    let mut labels = known.labels.clone();
    match known.origin {
        Origin::Recording => {}
        Origin::Prometheus if series == "ALERTS" => return Some(owned(&ALERTS)),
        Origin::Measured(scope) | Origin::Telemetry(scope) if scope != crate::metrics::Scope::Fleet => {
            labels.extend(TARGET.into_iter().filter(|label| *label != "fleet").map(str::to_owned));
        }
        _ => labels.extend(TARGET.map(str::to_owned)),
    }
    Some(labels)
}
