//! The object with a policy's receivers: an AlertmanagerConfig, or a ConfigMap with an alertmanager.yaml.

use serde_json::json;

use super::input::Policy;
use super::object;
use crate::alertmanager::{self, config_file, config_object};
use crate::api::alerting::RuleOutput;
use crate::resources::{ChildKind, Desired, Installed, Site, names};

/// Key of a ConfigMap's configuration.
pub const CONFIG: &str = "alertmanager.yaml";

/// The object with a policy's receivers and routes; none without receivers, or while the policy is suspended.
pub fn desired(policy: Policy<'_>, site: &Site, installed: Installed) -> Option<Desired> {
    let alerting = policy.alerting();
    if alerting.suspend {
        return None;
    }
    let kind = match alerting.output {
        RuleOutput::PrometheusRule => ChildKind::AlertmanagerConfig,
        RuleOutput::Auto if installed.has(ChildKind::AlertmanagerConfig) => ChildKind::AlertmanagerConfig,
        RuleOutput::Auto | RuleOutput::ConfigMap => ChildKind::ConfigMap,
    };
    let owner = policy.owner(site);
    let name = names::hashed(&format!("{}-receivers", owner.of.1));
    let label = policy.label();
    let of_policy =
        alertmanager::Policy { namespace: &owner.namespace, name: &name, label: &label, routing: &alerting.routing };
    let (field, value) = match kind {
        ChildKind::AlertmanagerConfig => ("spec", config_object::spec(&of_policy)?),
        _ => ("data", json!({ CONFIG: config_file::text(&[of_policy])? })),
    };
    let body = json!({
        "apiVersion": kind.api_version(),
        "kind": kind.as_str(),
        "metadata": object::metadata(&name, &owner),
        field: value,
    });
    Some(Desired { kind, namespace: owner.namespace, name, body })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::api::AlertPolicy;

    fn policy(spec: &Value) -> AlertPolicy {
        serde_json::from_value(json!({
            "apiVersion": "fleetscope.io/v1alpha1", "kind": "AlertPolicy",
            "metadata": { "name": "review", "namespace": "agents", "uid": "0b1c" },
            "spec": spec,
        }))
        .unwrap()
    }

    fn webhook() -> Value {
        let url = json!({ "name": "hook", "key": "url" });
        json!({ "receivers": [{ "name": "ops", "webhook": { "urlSecret": url } }] })
    }

    fn made(spec: &Value, installed: Installed) -> Option<Desired> {
        let site = Site { namespace: "fleetscope-system".to_owned(), ..Site::default() };
        desired(Policy::Namespaced(&policy(spec)), &site, installed)
    }

    #[test]
    fn receivers_are_an_object_of_the_policy_in_its_namespace() {
        let object = made(&webhook(), Installed::all()).unwrap();
        assert_eq!((object.kind, object.name.as_str()), (ChildKind::AlertmanagerConfig, "review-receivers"));
        assert_eq!(object.body["apiVersion"], "monitoring.coreos.com/v1alpha1");
        assert_eq!(object.body["metadata"]["namespace"], "agents");
        assert_eq!(object.body["metadata"]["labels"]["fleetscope.io/policy"], "review");
        assert_eq!(object.body["metadata"]["ownerReferences"][0]["uid"], "0b1c");
        assert_eq!(object.body["spec"]["receivers"][0]["name"], "ops");
    }

    #[test]
    fn without_the_kind_they_are_a_file() {
        let object = made(&webhook(), Installed::default()).unwrap();
        assert_eq!((object.kind, object.body["kind"].as_str()), (ChildKind::ConfigMap, Some("ConfigMap")));
        let text = object.body["data"][CONFIG].as_str().unwrap();
        assert!(text.contains("agents/review-receivers/ops"), "{text}");
    }

    #[test]
    fn a_policy_without_receivers_and_a_suspended_one_have_no_object() {
        assert_eq!(made(&json!({}), Installed::all()), None);
        let mut spec = webhook();
        spec["suspend"] = json!(true);
        assert_eq!(made(&spec, Installed::all()), None);
    }
}
