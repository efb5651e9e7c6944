//! Specs of fleets that differ from a good one in one value.

use serde_json::{Value, json};

/// A good spec with this value at a JSON pointer.
pub(crate) fn with(path: &str, value: Value) -> Value {
    let mut spec = json!({ "selector": {}, "tasks": { "rules": [rule()] }, "grpc": {}, "scrape": {} });
    let (parent, field) = path.rsplit_once('/').unwrap();
    match spec.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[field.parse::<usize>().unwrap()] = value,
        fields => fields[field] = value,
    }
    spec
}

/// A good task rule.
pub(crate) fn rule() -> Value {
    json!({ "name": "a", "match": { "executable": "a" }, "resultByExitCode": {} })
}
