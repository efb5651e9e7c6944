//! Whether a Prometheus (an Alertmanager) takes what was made: the objects as `fleetscope_core::selected` looks at them.

use std::collections::BTreeMap;

use fleetscope_core::api::conditions::Fact;
use fleetscope_core::resources::Desired;
use fleetscope_core::selected::{self, Child};
use serde_json::{Value, json};

use super::kind::Kind;
use crate::context::{Context, lock};

/// The objects, before they are applied: who selects them depends on what is wanted, not on whether it is in place.
pub(super) fn children<K: Kind>(ctx: &Context, object: &K::Object, desired: &[Desired]) -> Vec<Child> {
    let claims = lock(&ctx.claims);
    let child = |wanted: &Desired| Child {
        kind: wanted.kind,
        namespace: wanted.namespace.clone(),
        name: wanted.name.clone(),
        labels: labels(&wanted.body),
        namespace_labels: claims.namespaces.labels(&wanted.namespace).cloned().unwrap_or_default(),
        status: Value::Null,
        label_field: K::label_field(object),
        beyond_namespace: K::beyond_namespace(&ctx.site, wanted),
    };
    desired.iter().map(child).collect()
}

/// The condition, with what the objects themselves say by now.
pub(super) fn fact(ctx: &Context, mut children: Vec<Child>) -> Fact {
    for child in &mut children {
        let place = (child.namespace.clone(), child.name.clone());
        let bindings = ctx.children.get(child.kind, &place).and_then(|known| known.bindings);
        if let Some(bindings) = bindings.and_then(|text| serde_json::from_str::<Value>(&text).ok()) {
            child.status = json!({ "bindings": bindings });
        }
    }
    let workloads = lock(&ctx.workloads).all();
    selected::condition(&children, &workloads)
}

fn labels(body: &Value) -> BTreeMap<String, String> {
    let labels = body.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_object() {
        let body = json!({ "metadata": { "labels": { "release": "kps" } } });
        assert_eq!(labels(&body), BTreeMap::from([("release".to_owned(), "kps".to_owned())]));
        assert_eq!(labels(&json!({})), BTreeMap::new());
    }
}
