//! Label selectors, as the API server reads them (apimachinery `pkg/apis/meta/v1/helpers.go`, `LabelSelectorAsSelector`).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::view::PodView;

/// Whether a fleet with this selector takes a pod: none takes one that asks to be left out.
pub fn takes(selector: &LabelSelector, pod: &PodView) -> bool {
    pod.left_out.is_none() && selects(selector, &pod.labels)
}

/// Whether a selector takes an object with these labels. An empty selector takes all; an operator that Kubernetes does not
/// have takes none.
pub fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equal = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    equal && selector.match_expressions.iter().flatten().all(|requirement| holds(requirement, labels))
}

fn holds(requirement: &LabelSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let value = labels.get(&requirement.key);
    let listed = || value.is_some_and(|value| requirement.values.iter().flatten().any(|listed| listed == value));
    match requirement.operator.as_str() {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}
