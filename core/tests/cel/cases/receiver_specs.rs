//! Receivers and routes that are good, and specs with one of them.

use serde_json::{Value, json};

/// A reference to a key of a Secret.
pub(crate) fn secret(name: &str) -> Value {
    json!({ "name": name, "key": "value" })
}

/// A good receiver of mail.
pub(crate) fn email() -> Value {
    json!({ "to": "ops@example.com", "from": "fleetscope@example.com", "smarthost": "mail.example.com:587" })
}

/// A receiver named `a` of a kind.
pub(crate) fn receiver(kind: &str, value: Value) -> Value {
    let mut receiver = json!({ "name": "a" });
    receiver[kind] = value;
    receiver
}

/// A spec with one receiver of a kind.
pub(crate) fn with(kind: &str, value: Value) -> Value {
    json!({ "receivers": [receiver(kind, value)] })
}

/// A spec with one route of these fields to a receiver that exists.
pub(crate) fn with_route(fields: Value) -> Value {
    let mut route = json!({ "receiver": "a" });
    route.as_object_mut().unwrap().append(&mut serde_json::from_value(fields).unwrap());
    json!({ "receivers": [receiver("slack", json!({ "urlSecret": secret("s") }))], "routes": [route] })
}

/// A good receiver of Slack.
pub(crate) fn slack() -> Value {
    json!({ "urlSecret": secret("slack") })
}
