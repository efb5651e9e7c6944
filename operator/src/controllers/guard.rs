//! An object that may not be readable: one that was stored under another schema does not stop the others.
//!
//! As kube's `DeserializeGuard`, which keeps of such an object its metadata alone. Here its spec and status stay as they were read: what was made of it and
//! said about it before still holds.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// An object, or what can be read of it.
#[derive(Clone, Debug)]
pub(crate) struct Guard<O>(pub Result<O, Box<Unreadable>>);

/// An object that cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Unreadable {
    /// Why.
    pub error: String,
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its spec, as it stands there.
    pub spec: Value,
    /// Its status, as it stands there.
    pub status: Value,
}

// === impl Guard ===

impl<'de, O: DeserializeOwned> Deserialize<'de> for Guard<O> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut raw = Value::deserialize(deserializer)?;
        let error = match O::deserialize(&raw) {
            Ok(object) => return Ok(Self(Ok(object))),
            Err(error) => error.to_string(),
        };
        let [metadata, spec, status] = ["metadata", "spec", "status"].map(|field| raw[field].take());
        let metadata = ObjectMeta::deserialize(metadata).map_err(D::Error::custom)?;
        Ok(Self(Err(Box::new(Unreadable { error, metadata, spec, status }))))
    }
}

impl<O: Resource> Resource for Guard<O> {
    type DynamicType = O::DynamicType;
    type Scope = O::Scope;

    fn kind(dt: &O::DynamicType) -> Cow<'_, str> {
        O::kind(dt)
    }

    fn group(dt: &O::DynamicType) -> Cow<'_, str> {
        O::group(dt)
    }

    fn version(dt: &O::DynamicType) -> Cow<'_, str> {
        O::version(dt)
    }

    fn plural(dt: &O::DynamicType) -> Cow<'_, str> {
        O::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|unreadable| &unreadable.metadata, O::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|unreadable| &mut unreadable.metadata, O::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use fleetscope_core::api::AgentFleet;
    use kube::ResourceExt as _;
    use serde_json::json;

    use super::*;

    fn fleet(profile: &str) -> Result<Guard<AgentFleet>, serde_json::Error> {
        serde_json::from_value(json!({
            "apiVersion": "fleetscope.io/v1alpha1", "kind": "AgentFleet", "metadata": { "name": "f" },
            "spec": { "selector": { "matchLabels": { "app": "f" } }, "profile": profile }, "status": { "targets": 3 },
        }))
    }

    #[test]
    fn an_object_that_cannot_be_read_keeps_what_it_says() {
        let readable = fleet("Generic").unwrap();
        assert_eq!((readable.name_any().as_str(), readable.0.unwrap().status.unwrap().targets), ("f", Some(3)));
        let mut guard = fleet("Later").unwrap();
        guard.meta_mut().namespace = Some("ns".to_owned());
        assert_eq!((guard.name_any().as_str(), guard.namespace().as_deref()), ("f", Some("ns")));
        let unreadable = guard.0.unwrap_err();
        assert!(unreadable.error.contains("Later"), "{}", unreadable.error);
        assert_eq!((&unreadable.spec["profile"], &unreadable.status["targets"]), (&json!("Later"), &json!(3)));
    }

    #[test]
    fn what_has_no_metadata_is_no_object() {
        assert!(serde_json::from_value::<Guard<AgentFleet>>(json!({ "metadata": [] })).is_err());
    }
}
