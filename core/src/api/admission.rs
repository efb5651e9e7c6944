//! What the API server checks when an object is applied, offline: unknown fields, types, bounds, patterns, defaults, CEL.
//!
//! For `fleetscope render -f` and for tests. In: a CRD and an object as JSON. Out: the object with its defaults, or every
//! fault with its path. It knows the keywords that our CRDs and those of prometheus-operator use; a keyword that it does not
//! know is itself a fault, so a CRD cannot outgrow it in silence.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use kube::core::cel::{Validator, apply_defaults};
use regex::Regex;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::schema;

/// One thing that is wrong with an object.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct Fault {
    /// Where, for example `spec.tasks.rules[0].name`; empty for the object itself.
    pub path: String,
    /// What, in lower case.
    pub message: String,
}

/// An object was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("failed to accept {kind}: {}", list(faults))]
pub struct Refused {
    /// The object's kind, as it says.
    pub kind: String,
    /// All faults, at least one.
    pub faults: Vec<Fault>,
}

/// Checks an object of one of our kinds as the API server would, and reads it with its defaults.
pub fn admit_as<K: CustomResourceExt + DeserializeOwned>(object: &Value) -> Result<K, Refused> {
    let crd = schema::finish(K::crd());
    serde_json::from_value(admit(&crd, object)?)
        .map_err(|error| refused(&crd.spec.names.kind, vec![Fault { path: String::new(), message: error.to_string() }]))
}

/// Checks an object of whichever of our kinds it says that it is, and gives it back with its defaults.
pub fn admit_any(object: &Value) -> Result<Value, Refused> {
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    let crds = super::crds();
    if let Some(crd) = crds.iter().find(|crd| crd.spec.names.kind == kind) {
        return admit(crd, object);
    }
    let kinds: Vec<String> = crds.into_iter().map(|crd| crd.spec.names.kind).collect();
    let message = format!("must be one of {}", kinds.join(", "));
    Err(refused(kind, vec![Fault { path: "kind".to_owned(), message }]))
}

/// Checks an object against the first version of a CRD and gives it back with its defaults.
pub fn admit(crd: &CustomResourceDefinition, object: &Value) -> Result<Value, Refused> {
    let kind = &crd.spec.names.kind;
    let version = &crd.spec.versions[0];
    let mut faults = Vec::new();
    for (field, wanted) in [("apiVersion", format!("{}/{}", crd.spec.group, version.name)), ("kind", kind.clone())] {
        if object.get(field).and_then(Value::as_str) != Some(&wanted) {
            faults.push(Fault { path: field.to_owned(), message: format!("must be {wanted}") });
        }
    }
    check_metadata(object, &mut faults);
    let schema = version.schema.as_ref().and_then(|s| s.open_api_v3_schema.as_ref());
    let schema = serde_json::to_value(schema).map_err(|error| {
        refused(kind, vec![Fault { path: String::new(), message: format!("the schema cannot be read: {error}") }])
    })?;
    let mut object = object.clone();
    drop_nulls(&schema, &mut object);
    let object = apply_defaults(&schema, &object);
    check(&schema, &object, &mut String::new(), true, &mut faults);
    // The API server too evaluates CEL only on an object of the right shape.
    if faults.is_empty()
        && let Err(errors) = Validator::new().validate(&schema, &object, None)
    {
        faults.extend(errors.iter().map(|e| Fault { path: e.field_path.clone(), message: e.message.clone() }));
    }
    if faults.is_empty() { Ok(object) } else { Err(refused(kind, faults)) }
}

/// What of the metadata is text (apimachinery, `ObjectMeta`): YAML makes something else of `n`, `on` or `5` that is not in quotes.
fn check_metadata(object: &Value, faults: &mut Vec<Fault>) {
    let mut metadata = object.get("metadata").cloned().unwrap_or_default();
    if let Some(fields) = metadata.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    if metadata.get("name").is_none() {
        faults.push(Fault { path: "metadata.name".to_owned(), message: "required".to_owned() });
    }
    let (text, texts) =
        (json!({ "type": "string" }), json!({ "type": "object", "additionalProperties": { "type": "string" } }));
    let schema = json!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
        "properties": { "name": text, "namespace": text, "labels": texts, "annotations": texts },
    });
    if !metadata.is_null() {
        check(&schema, &metadata, &mut "metadata".to_owned(), false, faults);
    }
}

fn refused(kind: &str, mut faults: Vec<Fault>) -> Refused {
    faults.sort();
    faults.dedup();
    Refused { kind: kind.to_owned(), faults }
}

fn list(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults
        .iter()
        .map(|f| if f.path.is_empty() { f.message.clone() } else { format!("{}: {}", f.path, f.message) })
        .collect();
    lines.join("; ")
}

fn check(schema: &Value, value: &Value, path: &mut String, root: bool, faults: &mut Vec<Fault>) {
    let Some(schema) = schema.as_object() else { return };
    let mut fault = |message: String| faults.push(Fault { path: path.clone(), message });
    if let Some(wanted) = schema.get("type").and_then(Value::as_str)
        && !is_of(value, wanted)
    {
        return fault(format!("must be of type {wanted}"));
    }
    for (keyword, wanted) in schema {
        match keyword.as_str() {
            "enum" if !wanted.as_array().is_some_and(|all| all.contains(value)) => {
                fault(format!("must be one of {wanted}"));
            }
            "minimum" if value.as_f64() < wanted.as_f64() => fault(format!("must be at least {}", number(wanted))),
            "maximum" if value.as_f64() > wanted.as_f64() => fault(format!("must be at most {}", number(wanted))),
            "minLength" if length(value) < wanted.as_u64() => fault(format!("must have at least {wanted} characters")),
            "maxLength" if length(value) > wanted.as_u64() => fault(format!("must have at most {wanted} characters")),
            "minItems" if length(value) < wanted.as_u64() => fault(format!("must have at least {wanted} items")),
            "maxItems" if length(value) > wanted.as_u64() => fault(format!("must have at most {wanted} items")),
            "minProperties" if length(value) < wanted.as_u64() => fault(format!("must have at least {wanted} keys")),
            "maxProperties" if length(value) > wanted.as_u64() => fault(format!("must have at most {wanted} keys")),
            // An integer where `x-kubernetes-int-or-string` allows one has no pattern.
            "pattern" if value.is_string() && !matches(wanted, value) => fault(format!("must match {wanted}")),
            "format" if wanted == "int32" && value.as_i64().is_none_or(|v| i32::try_from(v).is_err()) => {
                fault("must be a number of 32 bits".to_owned());
            }
            "anyOf" if !schemas(wanted).any(|schema| fits(schema, value)) => {
                fault("must be one of several forms".to_owned());
            }
            "allOf" if !schemas(wanted).all(|schema| fits(schema, value)) => {
                fault("must be of all of several forms".to_owned());
            }
            "x-kubernetes-list-type" if wanted == "set" && has_twice(value) => {
                fault("must not have an item twice".to_owned());
            }
            "type"
            | "enum"
            | "anyOf"
            | "allOf"
            | "minimum"
            | "maximum"
            | "minLength"
            | "maxLength"
            | "minItems"
            | "maxItems"
            | "minProperties"
            | "maxProperties"
            | "pattern"
            | "format"
            | "description"
            | "default"
            | "properties"
            | "required"
            | "items"
            | "additionalProperties" => {}
            other if other.starts_with("x-kubernetes-") => {}
            other => fault(format!("the schema's keyword {other} cannot be checked offline")),
        }
    }
    match value {
        Value::Object(fields) => check_object(schema, fields, path, root, faults),
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                within(path, &format!("[{i}]"), |path| check(&schema["items"], item, path, false, faults));
            }
        }
        _ => {}
    }
}

fn check_object(
    schema: &Map<String, Value>,
    fields: &Map<String, Value>,
    path: &mut String,
    root: bool,
    faults: &mut Vec<Fault>,
) {
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            within(path, &field(name), |path| {
                faults.push(Fault { path: path.clone(), message: "required".to_owned() });
            });
        }
    }
    let open = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    for (name, value) in fields {
        if root && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
            continue;
        }
        let inner = schema.get("properties").and_then(|all| all.get(name)).or(schema.get("additionalProperties"));
        within(path, &field(name), |path| match inner {
            Some(inner) => check(inner, value, path, false, faults),
            None if open => {}
            None => faults.push(Fault { path: path.clone(), message: "unknown field".to_owned() }),
        });
    }
}

fn schemas(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// Whether a value is as one part of `anyOf` or `allOf` says.
fn fits(schema: &Value, value: &Value) -> bool {
    let mut faults = Vec::new();
    check(schema, value, &mut String::new(), false, &mut faults);
    faults.is_empty()
}

fn has_twice(list: &Value) -> bool {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().enumerate().any(|(i, item)| items[..i].contains(item))
}

/// Runs `f` with a longer path.
fn within(path: &mut String, part: &str, f: impl FnOnce(&mut String)) {
    let before = path.len();
    path.push_str(if before == 0 { part.trim_start_matches('.') } else { part });
    f(path);
    path.truncate(before);
}

fn field(name: &str) -> String {
    format!(".{name}")
}

/// Characters, items or keys.
fn length(value: &Value) -> Option<u64> {
    let length = match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => return None,
    };
    u64::try_from(length).ok()
}

/// The API server takes a null away where the field has a default, which then steps in; any other null is of the wrong type.
fn drop_nulls(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let inner = |name: &str| {
                schema.get("properties").and_then(|all| all.get(name)).or_else(|| schema.get("additionalProperties"))
            };
            fields.retain(|name, value| {
                !value.is_null() || inner(name).is_none_or(|schema| schema.get("default").is_none())
            });
            for (name, value) in fields {
                if let Some(schema) = inner(name) {
                    drop_nulls(schema, value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| drop_nulls(&schema["items"], item)),
        _ => {}
    }
}

/// The schema's numbers are floating-point; a bound of 10 reads `10`.
fn number(bound: &Value) -> f64 {
    bound.as_f64().unwrap_or(f64::NAN)
}

fn is_of(value: &Value, wanted: &str) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        _ => false,
    }
}

fn matches(pattern: &Value, value: &Value) -> bool {
    let regex = pattern.as_str().and_then(|pattern| Regex::new(pattern).ok());
    regex.is_some_and(|regex| value.as_str().is_some_and(|text| regex.is_match(text)))
}
