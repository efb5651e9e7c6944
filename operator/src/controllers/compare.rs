//! Whether an object is as we want it. Pure.
//!
//! Two questions: did we write what we want now (a stamp of it, in an annotation: so a field that we no longer want is seen, too), and
//! did nobody change it since (each of our fields has our value).

use serde_json::{Value, json};

use crate::fnv::Fnv;

/// Annotation with the stamp of what was applied.
pub(super) const STAMP: &str = "fleetscope.io/applied";

/// Adds the stamp to a desired object.
pub(super) fn stamp(desired: &mut Value) {
    let mut hash = Fnv::default();
    // Maps of serde_json are sorted: equal objects have equal text.
    hash.write(desired.to_string().as_bytes());
    let stamp = json!(format!("{:016x}", hash.finish()));
    match desired.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        Some(annotations) => {
            annotations.insert(STAMP.to_owned(), stamp);
        }
        None => desired["metadata"]["annotations"] = json!({ STAMP: stamp }),
    }
}

/// Whether `actual` has each field of the stamped `desired`. Fields that others added stay theirs; owners are not
/// compared: who controls the object was asked before.
pub(super) fn current(actual: &Value, desired: &Value) -> bool {
    covers(actual, desired)
}

fn covers(actual: &Value, desired: &Value) -> bool {
    match (actual, desired) {
        (Value::Object(actual), Value::Object(desired)) => desired
            .iter()
            .all(|(key, wanted)| key == "ownerReferences" || actual.get(key).is_some_and(|have| covers(have, wanted))),
        (Value::Array(actual), Value::Array(desired)) => {
            actual.len() == desired.len() && actual.iter().zip(desired).all(|(have, wanted)| covers(have, wanted))
        }
        (actual, desired) => actual == desired,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desired(labels: &Value, interval: &str) -> Value {
        let mut desired = json!({
            "metadata": { "name": "m", "labels": labels, "ownerReferences": [{ "uid": "u" }] },
            "spec": { "endpoints": [{ "port": "metrics", "interval": interval }] },
        });
        stamp(&mut desired);
        desired
    }

    #[test]
    fn what_was_applied_is_current_whatever_others_added() {
        let desired = desired(&json!({ "a": "1" }), "15s");
        let mut actual = desired.clone();
        actual["metadata"]["uid"] = json!("m");
        actual["metadata"]["labels"]["theirs"] = json!("x");
        actual["metadata"]["annotations"]["theirs"] = json!("x");
        actual["metadata"]["ownerReferences"] = json!([{ "uid": "u" }, { "uid": "v" }]);
        actual["spec"]["podTargetLabels"] = json!(["x"]);
        assert!(current(&actual, &desired));
    }

    #[test]
    fn a_changed_field_is_not_current() {
        let desired = desired(&json!({}), "15s");
        for (path, value) in [
            ("/spec/endpoints/0/interval", json!("30s")),
            ("/spec/endpoints", json!([])),
            ("/spec/endpoints", json!([desired["spec"]["endpoints"][0], {}])),
            ("/spec", Value::Null),
        ] {
            let mut actual = desired.clone();
            *actual.pointer_mut(path).unwrap() = value;
            assert!(!current(&actual, &desired), "{actual}");
        }
    }

    #[test]
    fn a_label_that_is_no_longer_wanted_is_not_current() {
        let before = desired(&json!({ "a": "1", "b": "2" }), "15s");
        assert!(!current(&before, &desired(&json!({ "a": "1" }), "15s")));
    }

    #[test]
    fn the_stamp_stands_beside_other_annotations_and_covers_them() {
        let stamped = |folder: &str| {
            let mut desired = json!({ "metadata": { "annotations": { "grafana_folder": folder } } });
            stamp(&mut desired);
            desired
        };
        let (a, b) = (stamped("a"), stamped("b"));
        assert_eq!(a["metadata"]["annotations"]["grafana_folder"], "a");
        assert_ne!(a["metadata"]["annotations"][STAMP], b["metadata"]["annotations"][STAMP]);
    }

    #[test]
    fn defaults_that_the_server_fills_in_below_lists_do_not_count() {
        let desired = desired(&json!({}), "15s");
        let mut actual = desired.clone();
        actual["spec"]["endpoints"][0]["scheme"] = json!("http");
        assert!(current(&actual, &desired));
    }

    #[test]
    fn the_stamp_of_an_object_never_changes() {
        assert_eq!(desired(&json!({}), "15s")["metadata"]["annotations"][STAMP], "686713ea55bc6e52");
    }
}
