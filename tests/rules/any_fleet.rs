//! Whatever JSON comes as a fleet: if the API server would take it, what is made of it is as prometheus-operator's definitions say.

use std::collections::BTreeMap;

use fleetscope_core::api::AgentFleet;
use fleetscope_core::api::admission::{admit, admit_as};
use fleetscope_core::resources::{Installed, Site, fleet};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::scrape::upstream;

/// Values of fields: fit, unfit, and of another type.
fn value() -> impl Strategy<Value = Value> {
    let texts = [
        "",
        "a",
        "Overview",
        "AgentOrchestrator",
        "PodMonitor",
        "ConfigMap",
        "None",
        "1s",
        "15s",
        "61m",
        "git*",
        "merge",
        "{{ $value }}",
        "\u{1F600}",
        "*",
    ];
    let leaf = prop_oneof![
        prop::sample::select(texts.to_vec()).prop_map(Value::from),
        (-2_i64..100_000).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        prop::collection::vec((1..400_u32).prop_map(|n| json!(f64::from(n) / 10.0)), 0..4).prop_map(Value::from),
    ];
    let keys = [
        "matchLabels",
        "rules",
        "name",
        "match",
        "executable",
        "interval",
        "scrapeTimeout",
        "labels",
        "output",
        "enabled",
        "buckets",
        "a",
        "example.com/b",
        "sampleLimit",
    ];
    leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(keys.to_vec()).prop_map(str::to_owned), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn spec() -> impl Strategy<Value = Value> {
    let fields = ["selector", "tasks", "grpc", "scrape", "profile", "dashboard", "suspend"];
    prop::collection::btree_map(prop::sample::select(fields.to_vec()).prop_map(str::to_owned), value(), 0..5).prop_map(
        |map| {
            let mut spec: serde_json::Map<String, Value> = map.into_iter().collect();
            spec.entry("selector").or_insert_with(|| json!({}));
            Value::Object(spec)
        },
    )
}

/// A DNS subdomain of up to 253 characters.
const NAME: &str = "[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?([.][a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?){0,6}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn check_09_what_is_made_of_any_fleet_is_as_upstreams_definitions_say(spec in spec(), name in NAME, all in any::<bool>()) {
        let name = name[..name.len().min(253)].trim_end_matches(['-', '.']);
        let object = json!({
            "apiVersion": "fleetscope.io/v1alpha1", "kind": "AgentFleet",
            "metadata": { "name": name, "namespace": "agents", "uid": "0b1c" }, "spec": spec,
        });
        // Where they are not installed, the tests of scrape configuration are skipped, and say so.
        let Some(definitions) = upstream() else { return Ok(()) };
        let Ok(read) = admit_as::<AgentFleet>(&object) else { return Ok(()) };
        let monitor_labels = BTreeMap::from([("release".to_owned(), "kps".to_owned())]);
        let site = Site { namespace: "fleetscope-system".to_owned(), monitor_labels, ..Site::default() };
        let installed = if all { Installed::all() } else { Installed::default() };
        for made in fleet::desired(&read, &site, installed) {
            prop_assert!(made.name.len() <= 63);
            if let Some(definition) = definitions.get(made.kind.as_str()) {
                let taken = admit(definition, &made.body);
                prop_assert!(taken.is_ok(), "{:?}", taken.err());
            }
        }
    }
}
