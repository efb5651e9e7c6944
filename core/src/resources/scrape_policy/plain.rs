//! ConfigMap with plain scrape configuration, for a Prometheus without its operator.
//!
//! Its one key is a file for `scrape_config_files` of prometheus.yml. The keys of Secrets are files below
//! [`SECRETS`](super::SECRETS), one folder for each Secret: mount them there.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Map, Value, json};

use super::relabel::{self, Discovery};
use super::{FleetRef, SECRETS, auth, secrets, settings, static_targets};
use crate::api::ScrapePolicySpec;
use crate::api::scrape_policy::{Relabeling, Scheme, StaticTargets};

/// The job with the pods of a fleet.
pub(super) fn of_pods(policy: &ScrapePolicySpec, fleet: &FleetRef, namespace: &str, job: &str) -> Value {
    let steps = relabel::pods(policy, fleet, namespace, Discovery::Pods);
    let mut fields = fields(policy, &fleet.name, namespace, &steps, fleet.path(policy));
    let mut discovery = json!({ "role": "pod", "namespaces": { "names": [namespace] } });
    if let Some(label) = selector(&fleet.selector) {
        discovery["selectors"] = json!([{ "role": "pod", "label": label }]);
    }
    if policy.attach_node_metadata {
        discovery["attach_metadata"] = json!({ "node": true });
    }
    fields.insert("job_name".to_owned(), json!(job));
    fields.insert("kubernetes_sd_configs".to_owned(), json!([discovery]));
    fields.into()
}

/// The job with the static targets of a fleet.
pub(super) fn of_static(
    policy: &ScrapePolicySpec,
    fleet: &str,
    groups: &[&StaticTargets],
    namespace: &str,
    job: &str,
) -> Value {
    let steps = relabel::own(policy, fleet, namespace);
    let mut fields = fields(policy, fleet, namespace, &steps, static_targets::PATH);
    fields.insert("job_name".to_owned(), json!(job));
    fields.insert("static_configs".to_owned(), static_targets::configs(groups));
    fields.into()
}

/// The file with these jobs.
pub(super) fn file(policy: &ScrapePolicySpec, jobs: &[Value]) -> String {
    let names: BTreeSet<&str> = secrets(policy).iter().map(|reference| reference.secret.name.as_str()).collect();
    let mounts = names
        .iter()
        .map(|name| format!("# Prometheus reads the Secret {name} from {SECRETS}/{name}: mount it there.\n"));
    mounts.chain([super::super::yaml(&json!({ "scrape_configs": jobs }))]).collect()
}

/// The name of a field of prometheus-operator as prometheus.yml has it.
pub(super) fn snake(name: &str) -> String {
    let part = |c: char| {
        let before = c.is_ascii_uppercase().then_some('_');
        before.into_iter().chain([c.to_ascii_lowercase()])
    };
    name.chars().flat_map(part).collect()
}

/// A selector as the API server reads it in a query; none for the one that takes all.
pub(super) fn selector(selector: &LabelSelector) -> Option<String> {
    let equal = selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    let expressions = selector.match_expressions.iter().flatten().map(|requirement| {
        let (key, values) = (&requirement.key, requirement.values.iter().flatten());
        let values = || values.clone().map(String::as_str).collect::<Vec<_>>().join(",");
        match requirement.operator.as_str() {
            "In" => format!("{key} in ({})", values()),
            "NotIn" => format!("{key} notin ({})", values()),
            "DoesNotExist" => format!("!{key}"),
            _ => key.clone(),
        }
    });
    let all: Vec<String> = equal.chain(expressions).collect();
    (!all.is_empty()).then(|| all.join(","))
}

fn fields(
    policy: &ScrapePolicySpec,
    fleet: &str,
    namespace: &str,
    steps: &[Relabeling],
    path: &str,
) -> Map<String, Value> {
    let settings = settings::request(policy).into_iter().chain(settings::answer(policy));
    let mut fields: Map<String, Value> = settings.map(|(name, value)| (snake(&name), value)).collect();
    // Prometheus 3 calls it so.
    if let Some(kept) = fields.remove("scrape_classic_histograms") {
        fields.insert("always_scrape_classic_histograms".to_owned(), kept);
    }
    fields.extend(auth::files(policy));
    fields.insert("metrics_path".to_owned(), json!(path));
    fields.insert("scrape_interval".to_owned(), json!(policy.interval));
    fields.insert("scrape_timeout".to_owned(), json!(policy.scrape_timeout));
    if policy.scheme == Scheme::HTTPS {
        fields.insert("scheme".to_owned(), json!("https"));
    }
    fields.insert("relabel_configs".to_owned(), relabel::snake(steps));
    let metrics = relabel::metrics(policy, fleet, namespace);
    if !metrics.is_empty() {
        fields.insert("metric_relabel_configs".to_owned(), relabel::snake(&metrics));
    }
    fields
}
