//! Golden objects of a policy that says little and of one that says everything, and what holds for any policy.

mod faults;
mod targets;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;
use proptest::prelude::*;

use super::*;
use crate::api::admission::admit_as;

const MINIMAL: &str = include_str!("testdata/minimal.yaml");
const EVERYTHING: &str = include_str!("testdata/everything.yaml");

/// A policy as the API server gives it, with its defaults, and these fields of its spec changed.
fn policy(text: &str, changes: &Value) -> ScrapePolicy {
    let mut object: Value = serde_saphyr::from_str(text).unwrap();
    for (field, value) in changes.as_object().unwrap() {
        object["spec"][field] = value.clone();
    }
    admit_as(&object).unwrap()
}

fn site() -> Site {
    let monitor_labels = BTreeMap::from([("release".to_owned(), "kps".to_owned())]);
    Site { namespace: "fleetscope-system".to_owned(), monitor_labels, ..Site::default() }
}

fn requirement(key: &str, operator: &str, values: &[&str]) -> LabelSelectorRequirement {
    let values = (!values.is_empty()).then(|| values.iter().map(|value| (*value).to_owned()).collect());
    LabelSelectorRequirement { key: key.to_owned(), operator: operator.to_owned(), values }
}

/// One with a selector of every sort, one that takes every pod and whose profile says where its metrics are.
fn fleets() -> [FleetRef; 2] {
    let selector = LabelSelector {
        match_labels: Some(BTreeMap::from([("app.kubernetes.io/name".to_owned(), "re.view".to_owned())])),
        match_expressions: Some(vec![
            requirement("tier", "In", &["a", "b"]),
            requirement("stage", "NotIn", &["test"]),
            requirement("owner", "Exists", &[]),
            requirement("debug", "DoesNotExist", &[]),
        ]),
    };
    let review = FleetRef { name: "review".to_owned(), selector, ..FleetRef::default() };
    let (port, path) = (Some(Port::Number(9090)), Some("/prom".to_owned()));
    [review, FleetRef { name: "edge".to_owned(), port, path, ..FleetRef::default() }]
}

/// The objects as a list in YAML.
fn rendered(policy: &ScrapePolicy, installed: Installed) -> String {
    let objects = desired(policy, &fleets(), &site(), installed).unwrap();
    for object in &objects {
        assert_eq!(object.body["kind"], object.kind.as_str());
        assert_eq!(object.body["metadata"]["name"], object.name);
        assert_eq!(object.body["metadata"]["namespace"], object.namespace);
    }
    let bodies: Vec<Value> = objects.into_iter().map(|object| object.body).collect();
    serde_saphyr::to_string(&bodies).unwrap()
}

/// Each object as `Kind name`.
fn made(policy: &ScrapePolicy, installed: Installed) -> Vec<String> {
    let objects = desired(policy, &fleets(), &site(), installed).unwrap();
    objects.iter().map(|object| format!("{} {}", object.kind.as_str(), &object.name[..object.name.len() - 9])).collect()
}

#[test]
fn a_policy_that_says_little_gives_a_monitor_for_each_fleet_and_a_scrape_config_for_static_targets() {
    let policy = policy(MINIMAL, &json!({}));
    assert_eq!(rendered(&policy, Installed::all()), include_str!("testdata/minimal-auto.yaml"));
}

#[test]
fn every_setting_is_in_each_form() {
    let forms = ["PodMonitor", "ServiceMonitor", "ScrapeConfig", "ConfigMap"];
    let golden = [
        include_str!("testdata/everything-pod-monitor.yaml"),
        include_str!("testdata/everything-service-monitor.yaml"),
        include_str!("testdata/everything-scrape-config.yaml"),
        include_str!("testdata/everything-config-map.yaml"),
    ];
    // An explicit form is given whether its kind is installed or not.
    let made = forms.map(|form| rendered(&policy(EVERYTHING, &json!({ "output": form })), Installed::default()));
    assert_eq!(made, golden);
}

#[test]
fn auto_takes_a_config_map_for_what_has_no_kind() {
    let policy = policy(MINIMAL, &json!({}));
    let installed = |kinds: &[ChildKind]| kinds.iter().copied().collect::<Installed>();
    assert_eq!(
        made(&policy, Installed::all()),
        ["PodMonitor own-review-pods", "PodMonitor own-edge-pods", "ScrapeConfig own-review-static"]
    );
    assert_eq!(
        made(&policy, installed(&[ChildKind::PodMonitor])),
        ["PodMonitor own-review-pods", "PodMonitor own-edge-pods", "ConfigMap own-review-scrape"]
    );
    assert_eq!(made(&policy, Installed::default()), ["ConfigMap own-edge-scrape", "ConfigMap own-review-scrape"]);
}

#[test]
fn a_suspended_policy_has_no_object_and_one_without_pods_none_for_the_fleets() {
    assert_eq!(made(&policy(MINIMAL, &json!({ "suspend": true })), Installed::all()), [""; 0]);
    let mut without = policy(MINIMAL, &json!({}));
    without.spec.pods = None;
    assert_eq!(made(&without, Installed::all()), ["ScrapeConfig own-review-static"]);
}

#[test]
fn a_policy_from_a_file_owns_nothing() {
    let mut policy = policy(MINIMAL, &json!({}));
    policy.metadata.uid = None;
    policy.metadata.namespace = None;
    for object in desired(&policy, &fleets(), &site(), Installed::all()).unwrap() {
        assert_eq!(object.body["metadata"].get("ownerReferences"), None);
        assert_eq!(object.namespace, "default");
    }
}

#[test]
fn a_limit_of_zero_is_no_field() {
    let none = json!({ "samples": 0, "targets": 0, "labels": 0, "labelNameLength": 0, "labelValueLength": 0, "bodySize": "0", "keepDroppedTargets": 0 });
    assert_eq!(settings::answer(&policy(MINIMAL, &json!({ "limits": none })).spec), Map::new());
}

#[test]
fn native_histograms_are_asked_for_in_the_format_that_has_them() {
    let fields = settings::answer(&policy(MINIMAL, &json!({ "nativeHistograms": true })).spec);
    assert_eq!(fields["scrapeProtocols"][0], "PrometheusProto");
    assert_eq!(
        (fields["scrapeProtocols"].as_array().map(Vec::len), &fields["scrapeClassicHistograms"]),
        (Some(5), &json!(true))
    );
}

#[test]
fn tokens_and_oauth2_are_references_by_operator_and_tokens_files_without() {
    let token = json!({ "authorization": { "credentials": { "name": "s", "key": "token" } } });
    let token = policy(MINIMAL, &token).spec;
    let reference = json!({ "authorization": { "type": "Bearer", "credentials": { "name": "s", "key": "token" } } });
    assert_eq!(Value::from(auth::references(&token)), reference);
    let file = json!({ "authorization": { "type": "Bearer", "credentials_file": "/etc/prometheus/secrets/s/token" } });
    assert_eq!(Value::from(auth::files(&token)), file);
    let oauth2 = json!({ "oauth2": {
        "clientId": { "name": "s", "key": "id" }, "clientSecret": { "name": "s", "key": "secret" },
        "tokenUrl": "https://id.example.com/token", "scopes": ["metrics"],
    } });
    let reference = json!({ "oauth2": {
        "clientId": { "secret": { "name": "s", "key": "id" } }, "clientSecret": { "name": "s", "key": "secret" },
        "tokenUrl": "https://id.example.com/token", "scopes": ["metrics"],
    } });
    assert_eq!(Value::from(auth::references(&policy(MINIMAL, &oauth2).spec)), reference);
}

#[test]
fn every_key_of_a_secret_is_told_with_its_field() {
    let key = |name: &str| json!({ "name": "s", "key": name });
    let told = |changes: &Value| -> Vec<String> {
        let policy = policy(MINIMAL, changes);
        secrets(&policy.spec)
            .iter()
            .map(|told| format!("{} {}/{}", told.path, told.secret.name, told.secret.key))
            .collect()
    };
    assert_eq!(told(&json!({})), [""; 0]);
    let basic = json!({ "basicAuth": { "username": key("u"), "password": key("p") }, "tls": { "ca": key("ca") } });
    assert_eq!(told(&basic), ["spec.basicAuth.username s/u", "spec.basicAuth.password s/p", "spec.tls.ca s/ca"]);
    let token = json!({ "authorization": { "credentials": key("t") }, "tls": { "cert": key("c"), "key": key("k") } });
    assert_eq!(told(&token), ["spec.authorization.credentials s/t", "spec.tls.cert s/c", "spec.tls.key s/k"]);
    let oauth2 = json!({ "oauth2": { "clientId": key("i"), "clientSecret": key("s"), "tokenUrl": "https://a.b" } });
    assert_eq!(told(&oauth2), ["spec.oauth2.clientId s/i", "spec.oauth2.clientSecret s/s"]);
}

#[test]
fn what_a_fleets_profile_says_counts_where_the_policy_says_nothing() {
    let fleet = |profile: &str| -> FleetRef {
        let object = json!({ "apiVersion": "fleetscope.io/v1alpha1", "kind": "AgentFleet", "metadata": { "name": "f" },
            "spec": { "selector": { "matchLabels": { "app": "f" } }, "profile": profile } });
        FleetRef::of(&admit_as(&object).unwrap())
    };
    let said = fleet("AgentOrchestrator");
    let selector = serde_json::from_value(json!({ "matchLabels": { "app": "f" } })).unwrap();
    let (port, path) = (Some(Port::Number(8_000)), Some("/metrics".to_owned()));
    assert_eq!(said, FleetRef { name: "f".to_owned(), selector, elders: vec![], port, path });
    assert_eq!((fleet("Generic").port, fleet("Generic").path), (None, None));
    for (pods, port, path) in [
        (json!({}), Port::Number(8_000), "/metrics"),
        (json!({ "port": "web", "path": "/m" }), Port::Name("web".to_owned()), "/m"),
        (json!({ "portNumber": 9 }), Port::Number(9), "/metrics"),
    ] {
        let policy = policy(MINIMAL, &json!({ "pods": pods })).spec;
        assert_eq!((said.port(&policy), said.path(&policy)), (port, path));
    }
}

#[test]
fn static_targets_are_counted_once() {
    assert_eq!(static_targets(&policy(EVERYTHING, &json!({})).spec), 4);
}

#[test]
fn labels_of_a_user_never_hide_ours() {
    let mut site = site();
    site.monitor_labels.insert(MANAGED_BY.to_owned(), "me".to_owned());
    let objects = desired(&policy(MINIMAL, &json!({})), &fleets(), &site, Installed::all()).unwrap();
    assert_eq!(objects[0].body["metadata"]["labels"][MANAGED_BY], MANAGER);
}

proptest! {
    #[test]
    fn any_names_give_as_many_objects_as_there_are_fleets(
        policy_name in "[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?",
        names in proptest::collection::btree_set("[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?|yes|1e3", 1..6),
    ) {
        static BARE: LazyLock<ScrapePolicy> = LazyLock::new(|| policy(MINIMAL, &json!({ "output": "ConfigMap" })));
        let mut policy = BARE.clone();
        policy.metadata.name = Some(policy_name.clone());
        policy.spec.static_targets.clear();
        let fleets: Vec<FleetRef> = names.iter().map(|name| FleetRef { name: name.clone(), ..FleetRef::default() }).collect();
        let objects = desired(&policy, &fleets, &site(), Installed::all()).unwrap();
        let made: BTreeSet<&String> = objects.iter().map(|object| &object.name).collect();
        prop_assert_eq!(made.len(), names.len());
        for (object, name) in objects.iter().zip(&names) {
            let file: Value = serde_saphyr::from_str(object.body["data"][SCRAPE_CONFIGS].as_str().unwrap()).unwrap();
            let job = &file["scrape_configs"][0];
            prop_assert_eq!(&job["job_name"], &Value::from(format!("agents/{policy_name}/{name}")));
            let last = job["relabel_configs"].as_array().unwrap().last().unwrap();
            prop_assert_eq!((&last["target_label"], &last["replacement"]), (&json!("fleet"), &json!(name)));
        }
    }
}
