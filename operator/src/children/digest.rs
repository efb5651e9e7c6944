//! A digest of the fields of an object that are ours. Pure.
//!
//! The API server keeps who set which field (`metadata.managedFields`). The fields that we applied and nobody took, with their values,
//! give one number; what we want gives the same number when nothing is to be done. So a child costs no request to
//! look at, and no memory to speak of. Where the numbers differ the object itself is read and compared.

use std::collections::BTreeMap;

use fleetscope_core::resources::MANAGER;
use kube::core::DynamicObject;
use serde_json::{Map, Value};

use crate::fnv::Fnv;

/// Of a desired object.
pub fn of_desired(desired: &Value) -> u64 {
    let mut hash = Fnv::default();
    let metadata = |name: &str| desired.pointer(&format!("/metadata/{name}")).unwrap_or(&Value::Null);
    for name in ["labels", "annotations"] {
        match metadata(name) {
            Value::Object(all) if !all.is_empty() => whole(metadata(name), &mut hash),
            _ => hash.text(""),
        }
    }
    for (name, value) in desired.as_object().into_iter().flatten() {
        if !matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
            hash.text(name);
            whole(value, &mut hash);
        }
    }
    hash.finish()
}

/// Of an object as the API server shows it, with `managedFields`; without an entry of ours, of no field at all.
pub fn of_object(object: &DynamicObject) -> u64 {
    let mut hash = Fnv::default();
    let entries = object.metadata.managed_fields.iter().flatten();
    let ours = entries.filter(|entry| {
        entry.manager.as_deref() == Some(MANAGER)
            && entry.operation.as_deref() == Some("Apply")
            && entry.subresource.as_deref().is_none_or(str::is_empty)
    });
    // One entry per version of the API: there is one, as we speak one.
    let none = Value::Null;
    let fields = ours.filter_map(|entry| entry.fields_v1.as_ref()).next_back().map_or(&none, |fields| &fields.0);
    let metadata = fields.get("f:metadata").unwrap_or(&Value::Null);
    for (name, values) in [("f:labels", &object.metadata.labels), ("f:annotations", &object.metadata.annotations)] {
        texts(values.as_ref(), metadata.get(name), &mut hash);
    }
    for (name, value) in object.data.as_object().into_iter().flatten() {
        if let Some(fields) = fields.get(format!("f:{name}")) {
            hash.text(name);
            owned(value, fields, &mut hash);
        }
    }
    hash.finish()
}

/// The labels (annotations) among `fields`.
fn texts(values: Option<&BTreeMap<String, String>>, fields: Option<&Value>, hash: &mut Fnv) {
    let ours = |key: &str| fields.is_some_and(|fields| fields.get(format!("f:{key}")).is_some());
    let mut ours = values.into_iter().flatten().filter(|(key, _)| ours(key)).peekable();
    if ours.peek().is_none() {
        return hash.text("");
    }
    hash.text("{");
    for (key, value) in ours {
        hash.text(key);
        hash.text("\"");
        hash.text(value);
    }
    hash.text("}");
}

/// A value of which all is ours.
fn whole(value: &Value, hash: &mut Fnv) {
    match value {
        Value::Object(all) => {
            hash.text("{");
            for (key, value) in all {
                hash.text(key);
                whole(value, hash);
            }
            hash.text("}");
        }
        Value::Array(all) => {
            hash.text("[");
            for value in all {
                whole(value, hash);
            }
            hash.text("]");
        }
        Value::String(text) => {
            hash.text("\"");
            hash.text(text);
        }
        scalar => hash.text(&scalar.to_string()),
    }
}

/// What of a value is ours: `fields` is a set of fields as the API server writes it (structured-merge-diff, fieldpath/serialize.go):
/// `f:` a key of a map, `k:` an item of a list by its keys, `v:` an item by its value, `.` the thing itself; nothing below is all of it.
fn owned(value: &Value, fields: &Value, hash: &mut Fnv) {
    let Some(set) = fields.as_object().filter(|set| !set.is_empty()) else { return whole(value, hash) };
    match value {
        Value::Object(all) => {
            hash.text("{");
            for (key, value) in all {
                if let Some(below) = set.get(&format!("f:{key}")) {
                    hash.text(key);
                    owned(value, below, hash);
                }
            }
            hash.text("}");
        }
        Value::Array(all) => {
            let keyed = keyed(set);
            hash.text("[");
            for item in all {
                match keyed.iter().find(|(key, _)| has(item, key)) {
                    Some((_, below)) => owned(item, below, hash),
                    None if set.contains_key(&format!("v:{item}")) => whole(item, hash),
                    None => {}
                }
            }
            hash.text("]");
        }
        scalar => whole(scalar, hash),
    }
}

/// The items of a list that a set names by their keys.
fn keyed(set: &Map<String, Value>) -> Vec<(Map<String, Value>, &Value)> {
    set.iter().filter_map(|(name, below)| Some((serde_json::from_str(name.strip_prefix("k:")?).ok()?, below))).collect()
}

fn has(item: &Value, key: &Map<String, Value>) -> bool {
    key.iter().all(|(name, value)| item.get(name) == Some(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn desired() -> Value {
        json!({
            "apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule",
            "metadata": {
                "name": "r", "namespace": "ns", "labels": { "a": "1" }, "annotations": { "fleetscope.io/applied": "5" },
                "ownerReferences": [{ "uid": "u" }],
            },
            "spec": { "limit": 5, "empty": {}, "groups": [
                { "name": "x", "rules": [{ "alert": "A", "expr": "up" }] },
                { "name": "y", "rules": [] },
            ] },
        })
    }

    /// The object as the API server shows it after we applied it: read off a real one.
    fn object() -> Value {
        let mut object = desired();
        object["metadata"]["uid"] = json!("1");
        object["metadata"]["managedFields"] = json!([
            { "manager": "other", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {} },
            {
                "manager": MANAGER, "operation": "Apply", "apiVersion": "monitoring.coreos.com/v1", "fieldsType": "FieldsV1",
                "fieldsV1": {
                    "f:metadata": {
                        "f:labels": { "f:a": {} },
                        "f:annotations": { "f:fleetscope.io/applied": {} },
                        "f:ownerReferences": { "k:{\"uid\":\"u\"}": {} },
                    },
                    "f:spec": { "f:limit": {}, "f:empty": {}, "f:groups": {
                        "k:{\"name\":\"x\"}": { ".": {}, "f:name": {}, "f:rules": {} },
                        "k:{\"name\":\"y\"}": { ".": {}, "f:name": {}, "f:rules": {} },
                    } },
                },
            },
        ]);
        object
    }

    fn digest(object: &Value) -> u64 {
        of_object(&serde_json::from_value(object.clone()).unwrap())
    }

    #[test]
    fn what_was_applied_has_the_digest_of_what_is_desired() {
        assert_eq!(digest(&object()), of_desired(&desired()));
    }

    #[test]
    fn what_others_add_does_not_count() {
        let mut object = object();
        object["metadata"]["labels"]["theirs"] = json!("x");
        object["metadata"]["annotations"]["theirs"] = json!("x");
        object["spec"]["theirs"] = json!(true);
        object["spec"]["groups"][0]["interval"] = json!("1m");
        object["spec"]["groups"].as_array_mut().unwrap().push(json!({ "name": "z" }));
        object["status"] = json!({ "bindings": [] });
        assert_eq!(digest(&object), of_desired(&desired()));
    }

    #[test]
    fn each_change_of_our_fields_counts() {
        for (path, value) in [
            ("/metadata/labels/a", json!("2")),
            ("/metadata/annotations/fleetscope.io~1applied", json!("6")),
            ("/spec/limit", json!(6)),
            ("/spec/empty", json!({ "k": "v" })),
            ("/spec/groups/0/rules/0/expr", json!("down")),
            ("/spec/groups/1/rules", json!([{}])),
            ("/spec/groups", json!([])),
        ] {
            let mut object = object();
            *object.pointer_mut(path).unwrap() = value;
            assert_ne!(digest(&object), of_desired(&desired()), "{path}");
        }
    }

    #[test]
    fn a_field_that_somebody_took_counts_though_its_value_is_the_same() {
        let mut object = object();
        object["metadata"]["managedFields"][1]["fieldsV1"]["f:spec"].as_object_mut().unwrap().remove("f:limit");
        assert_ne!(digest(&object), of_desired(&desired()));
        object["metadata"]["managedFields"] = json!([]);
        assert_ne!(digest(&object), of_desired(&desired()));
    }

    #[test]
    fn texts_that_flow_into_one_another_differ() {
        let data = |data: Value| of_desired(&json!({ "data": data }));
        assert_ne!(data(json!({ "a": "bc" })), data(json!({ "ab": "c" })));
        assert_ne!(data(json!(["a", "b"])), data(json!(["ab"])));
        assert_ne!(data(json!([1, 2])), data(json!(["1", "2"])));
    }
}
