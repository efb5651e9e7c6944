//! Targets outside of the cluster, by the fleet that they are shown as.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::api::ScrapePolicySpec;
use crate::api::scrape_policy::StaticTargets;

/// Prometheus' path, where neither a target nor a pod says one.
pub(super) const PATH: &str = "/metrics";

/// The groups of targets of each fleet.
pub(super) fn by_fleet(spec: &ScrapePolicySpec) -> BTreeMap<&str, Vec<&StaticTargets>> {
    let mut fleets: BTreeMap<&str, Vec<&StaticTargets>> = BTreeMap::new();
    for group in &spec.static_targets {
        fleets.entry(&group.fleet).or_default().push(group);
    }
    fleets
}

/// The groups as Prometheus and prometheus-operator alike have them. A target that is named twice with the same labels is there once.
pub(super) fn configs(groups: &[&StaticTargets]) -> Value {
    let config = |group: &&StaticTargets| {
        let mut labels: Map<String, Value> =
            group.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        if group.path != PATH {
            labels.insert("__metrics_path__".to_owned(), json!(group.path));
        }
        let targets: BTreeSet<&String> = group.targets.iter().collect();
        let mut config = json!({ "targets": targets });
        if !labels.is_empty() {
            config["labels"] = labels.into();
        }
        config
    };
    groups.iter().map(config).collect()
}

/// Targets of a policy, each group's own.
pub(super) fn count(spec: &ScrapePolicySpec) -> usize {
    spec.static_targets.iter().map(|group| group.targets.iter().collect::<BTreeSet<_>>().len()).sum()
}
