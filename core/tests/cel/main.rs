//! What the CEL rules of the schemas say, evaluated without a cluster. The suite `operator` asks a real API server about the same cases.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod cases;

use std::collections::BTreeSet;

use cases::Case;
use fleetscope_core::api::admission::{Fault, admit};
use fleetscope_core::api::crds;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

fn said(crd: &CustomResourceDefinition, spec: &Value) -> String {
    let object = cases::object(&crd.spec.names.kind, spec);
    let faults = admit(crd, &object).err().map(|refused| refused.faults).unwrap_or_default();
    faults.iter().map(|Fault { path, message }| format!("{path}: {message}")).collect::<Vec<_>>().join("; ")
}

#[test]
fn check_06_every_rule_says_what_is_wrong() {
    let crds = crds();
    for Case { kind, good, bad, says } in cases::all() {
        let crd = crds.iter().find(|crd| crd.spec.names.kind == kind).unwrap();
        assert_eq!(said(crd, &good), "", "{kind} {good}");
        assert_eq!(said(crd, &bad), says, "{kind} {bad}");
    }
}

/// Each rule below a schema as `path: message`, with `[0]` for any item of a list.
fn rules(schema: &Value, path: &str, found: &mut Vec<String>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let text = |field: &str| rule[field].as_str().unwrap_or_default();
        found.push(format!("{path}{}: {}", text("fieldPath"), text("message")));
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let dot = if path.is_empty() { "" } else { "." };
        rules(inner, &format!("{path}{dot}{name}"), found);
    }
    for (inner, step) in [("items", "[0]"), ("additionalProperties", "[*]")] {
        if schema[inner].is_object() {
            rules(&schema[inner], &format!("{path}{step}"), found);
        }
    }
}

#[test]
fn check_06_each_rule_of_each_kind_has_a_case_that_it_refuses() {
    let cases = cases::all();
    for crd in crds() {
        let kind = crd.spec.names.kind.as_str();
        let schema = crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
        let mut found = Vec::new();
        rules(&serde_json::to_value(schema).unwrap(), "", &mut found);
        let wanted: BTreeSet<&str> = found.iter().map(String::as_str).collect();
        assert!(wanted.len() == found.len() && !wanted.is_empty(), "{kind}: two rules say the same: {found:?}");
        let refused: BTreeSet<&str> = cases.iter().filter(|case| case.kind == kind).map(|case| case.says).collect();
        assert_eq!(refused, wanted, "{kind}");
    }
}
