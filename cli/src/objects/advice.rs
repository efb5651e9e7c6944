//! What to do about a fault, told from the CRD's own schema: its descriptions and its fields, without a cluster.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fleetscope_core::api::admission::Fault;
use fleetscope_core::api::crds;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

use crate::exit::Problem;

/// The schemas of our kinds as JSON.
static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let schema = |crd: CustomResourceDefinition| {
        let schema = crd.spec.versions[0].schema.as_ref().and_then(|s| s.open_api_v3_schema.as_ref());
        let schema = serde_json::to_value(schema).expect("a schema of strings, numbers and maps is JSON");
        (crd.spec.names.kind, schema)
    };
    crds().into_iter().map(schema).collect()
});

/// A fault of an object of a kind as a problem with its remedy.
pub(super) fn problem(kind: &str, title: &str, fault: &Fault) -> Problem {
    let schema_at = |path: &str| schema_at(kind, path);
    let path = fault.path.trim_start_matches('.');
    let text = if path.is_empty() {
        format!("{title}: {}", fault.message)
    } else {
        format!("{title}: {path}: {}", fault.message)
    };
    let remedy = match (parent(path), schema_at(path)) {
        _ if path.starts_with("metadata.") && fault.message == "must be of type string" => {
            format!(
                "write the value of {path} in quotes: YAML takes words such as n, on or true, and numbers, for no text"
            )
        }
        ("", None) if path.is_empty() || path == "spec" => "set spec".to_owned(),
        ("metadata" | "", None) => format!("set {path} as every object of Kubernetes has it"),
        (parent, None) => {
            let fields = schema_at(parent).map(fields).unwrap_or_default();
            format!("remove it, or correct its name; {parent} has: {fields}")
        }
        (_, Some(schema)) => match schema.get("description").and_then(Value::as_str) {
            Some(description) => format!("{path}: {}", description.split_whitespace().collect::<Vec<_>>().join(" ")),
            None => format!("correct {path}"),
        },
    };
    Problem::new(text, remedy)
}

/// `spec.tasks` of `spec.tasks.rules`.
fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

fn fields(schema: &Value) -> String {
    let properties = schema.get("properties").and_then(Value::as_object);
    let names: Vec<&str> = properties.into_iter().flat_map(|all| all.keys().map(String::as_str)).collect();
    if names.is_empty() { "no fields".to_owned() } else { names.join(", ") }
}

/// The schema of a path such as `spec.tasks.rules[0].name`.
fn schema_at(kind: &str, path: &str) -> Option<&'static Value> {
    let mut schema: &'static Value = SCHEMAS.get(kind)?;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let name = part.split('[').next().unwrap_or(part);
        schema =
            schema.get("properties").and_then(|all| all.get(name)).or_else(|| schema.get("additionalProperties"))?;
        for _ in 0..part.matches('[').count() {
            schema = schema.get("items")?;
        }
    }
    Some(schema)
}
