//! Groups of rules as objects: PrometheusRules, or ConfigMaps with a rule file.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};

use super::group::split;
use super::rule::Group;
use crate::api::alerting::RuleOutput;
use crate::resources::{ChildKind, Desired, Installed, MANAGED_BY, MANAGER, names};

/// Key of a ConfigMap's rule file.
pub const RULES: &str = "rules.yaml";
/// The label that names the policy, hashed when the name is longer than a label value.
pub const POLICY_LABEL: &str = "fleetscope.io/policy";

/// Whose objects they are.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    /// Start of the objects' names.
    pub(super) name: String,
    /// Namespace of the objects.
    pub(super) namespace: String,
    /// The owner reference, if the owner is in a cluster.
    pub(super) reference: Option<OwnerReference>,
    /// Labels by which a Prometheus selects.
    pub(super) labels: BTreeMap<String, String>,
    /// The label that names the owner, with its name.
    pub(super) of: (&'static str, String),
}

/// The kind that carries rules. A kind that is asked for is taken whether installed or not.
pub(super) fn kind(output: RuleOutput, installed: Installed) -> ChildKind {
    match output {
        RuleOutput::PrometheusRule => ChildKind::PrometheusRule,
        RuleOutput::Auto if installed.has(ChildKind::PrometheusRule) => ChildKind::PrometheusRule,
        RuleOutput::Auto | RuleOutput::ConfigMap => ChildKind::ConfigMap,
    }
}

/// The objects; the second one's name ends in `-1`.
pub(super) fn objects(groups: Vec<Group>, kind: ChildKind, owner: &Owner) -> Vec<Desired> {
    let object = |(i, groups): (usize, Vec<Group>)| {
        let name = if i == 0 { owner.name.clone() } else { format!("{}-{i}", owner.name) };
        let name = names::hashed(&name);
        let mut body = json!({
            "apiVersion": kind.api_version(),
            "kind": kind.as_str(),
            "metadata": metadata(&name, owner),
        });
        let rules = json!({ "groups": groups });
        match kind {
            ChildKind::PrometheusRule => body["spec"] = rules,
            _ => body["data"] = json!({ RULES: file(&rules) }),
        }
        Desired { kind, name, namespace: owner.namespace.clone(), body }
    };
    split(groups).into_iter().enumerate().map(object).collect()
}

pub(super) fn metadata(name: &str, owner: &Owner) -> Value {
    let mut labels = owner.labels.clone();
    labels.insert("app.kubernetes.io/name".to_owned(), "fleetscope".to_owned());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels.insert(owner.of.0.to_owned(), names::hashed(&owner.of.1));
    let mut metadata = json!({ "name": name, "namespace": owner.namespace, "labels": labels });
    if let Some(reference) = &owner.reference {
        metadata["ownerReferences"] = json!([reference]);
    }
    metadata
}

/// A rule file of Prometheus. Each text is quoted: YAML would read some of them as something else.
fn file(rules: &Value) -> String {
    let mut quoted = serde_saphyr::SerializerOptions::default();
    quoted.quote_all = true;
    serde_saphyr::to_string_with_options(rules, quoted).expect("JSON of strings, numbers and lists is YAML")
}
