//! The committed CRDs are what the types say, and the samples are accepted or refused as they should be.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(clippy::disallowed_methods, reason = "committed files are read; the library itself reads none")]

#[path = "cel/cases/fleet_specs.rs"]
mod fleet_specs;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fleetscope_core::alerting::{Policy, SelectedFleet, of_policy};
use fleetscope_core::api::admission::{Fault, admit_any, admit_as};
use fleetscope_core::api::agent_fleet::GrpcSpec;
use fleetscope_core::api::{
    AgentFleet, AgentFleetSpec, AlertPolicy, AlertPolicySpec, ClusterAlertPolicy, ClusterAlertPolicySpec, GENERATED,
    ModelPriceList, ScrapePolicy, ScrapePolicySpec, crd_file, crd_yaml, crds,
};
use fleetscope_core::prices;
use fleetscope_core::resources::{Installed, Site, scrape_policy};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::cel::compile_schema;
use serde_json::{Value, json};

use fleet_specs::rule;

/// `kubectl apply` without `--server-side` keeps the object in an annotation of at most this size, in bytes.
const APPLY_MAX: usize = 256 << 10;

fn root(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn fleet(spec: &Value) -> Value {
    json!({
        "apiVersion": "fleetscope.io/v1alpha1", "kind": "AgentFleet", "metadata": { "name": "f" }, "spec": spec,
    })
}

fn with(path: &str, value: Value) -> Value {
    fleet(&fleet_specs::with(path, value))
}

/// Each fault as `path: message`.
fn faults(object: &Value) -> Vec<String> {
    let faults = admit_any(object).err().map(|refused| refused.faults).unwrap_or_default();
    faults.iter().map(|Fault { path, message }| format!("{path}: {message}")).collect()
}

/// The schema of each kind.
fn schemas() -> Vec<(String, Value)> {
    let schema = |crd: &CustomResourceDefinition| {
        serde_json::to_value(crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref()).unwrap()
    };
    crds().iter().map(|crd| (crd.spec.names.kind.clone(), schema(crd))).collect()
}

#[test]
fn committed_crds_are_those_of_the_types() {
    let mut wanted = BTreeSet::new();
    for crd in crds() {
        let text = crd_yaml(&crd).unwrap();
        assert!(text.starts_with(GENERATED) && text.len() < APPLY_MAX, "{} bytes", text.len());
        let read_back: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(serde_json::from_value::<CustomResourceDefinition>(read_back).unwrap(), crd);
        let path = root("crds").join(crd_file(&crd));
        assert!(read(&path) == text, "{} is out of date: make generate", path.display());
        wanted.insert(crd_file(&crd));
    }
    let have = std::fs::read_dir(root("crds")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert_eq!(have.collect::<BTreeSet<_>>(), wanted);
}

#[test]
fn samples_are_accepted_and_illegal_ones_refused() {
    let (mut good, mut bad) = (0, 0);
    for entry in std::fs::read_dir(root("tests/samples")).unwrap() {
        let path = entry.unwrap().path();
        let object: Value = serde_saphyr::from_str(&read(&path)).unwrap();
        let faults = faults(&object);
        if path.to_string_lossy().ends_with("-illegal.yaml") {
            assert!(!faults.is_empty(), "{} is accepted", path.display());
            bad += 1;
        } else {
            assert!(faults.is_empty(), "{}: {faults:?}", path.display());
            good += 1;
        }
    }
    assert!(good >= 3 && bad >= 10, "{good} samples, {bad} illegal ones");
}

#[test]
fn examples_are_accepted_and_make_sense() {
    let mut kinds = BTreeSet::new();
    for entry in std::fs::read_dir(root("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        let text = read(&path);
        for object in serde_saphyr::read::<_, Value>(&mut text.as_bytes()) {
            let object = object.unwrap();
            if object["apiVersion"] == "fleetscope.io/v1alpha1" {
                assert_eq!(faults(&object), Vec::<String>::new(), "{}", path.display());
                kinds.insert(object["kind"].as_str().unwrap().to_owned());
                sensible(&object);
            }
        }
    }
    assert_eq!(kinds.len(), crds().len(), "an example for each kind: {kinds:?}");
}

/// Whoever copies what a page shows must not be refused.
#[test]
fn what_the_pages_show_is_accepted_and_makes_sense() {
    let page = read(&root("docs/alerting.md"));
    let blocks: Vec<&str> = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    for block in &blocks {
        let object: Value = serde_saphyr::from_str(block).unwrap();
        assert_eq!(faults(&object), Vec::<String>::new(), "{block}");
        sensible(&object);
    }
    assert_eq!(blocks.len(), 1);
}

/// What the operator looks at beyond the schema.
fn sensible(object: &Value) {
    let site = Site { namespace: "fleetscope-system".to_owned(), ..Site::default() };
    let fleets =
        [SelectedFleet { namespace: "agents".to_owned(), name: "sample".to_owned(), ..SelectedFleet::default() }];
    let policy = |policy: Policy<'_>| of_policy(policy, &fleets, &site, Installed::all()).unwrap().warnings;
    let warnings = match object["kind"].as_str() {
        Some("AlertPolicy") => policy(Policy::Namespaced(&admit_as(object).unwrap())),
        Some("ClusterAlertPolicy") => policy(Policy::Cluster(&admit_as(object).unwrap())),
        Some("ScrapePolicy") => {
            scrape_policy::desired(&admit_as(object).unwrap(), &[], &site, Installed::all()).unwrap();
            Vec::new()
        }
        Some("ModelPriceList") => {
            let list: ModelPriceList = admit_as(object).unwrap();
            assert_eq!(prices::check(&list.spec), []);
            Vec::new()
        }
        _ => Vec::new(),
    };
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn defaults_of_the_schema_are_those_of_the_types() {
    let read = admit_as::<AgentFleet>(&fleet(&json!({ "selector": {} }))).unwrap();
    assert_eq!(read.spec, AgentFleetSpec::default());
    // A nested object that says one thing gets the rest.
    let read = admit_as::<AgentFleet>(&fleet(&json!({ "selector": {}, "scrape": { "interval": "1m" } }))).unwrap();
    assert_eq!(read.spec.scrape.scrape_timeout, "10s");
    let read = admit_as::<AgentFleet>(&fleet(&json!({ "selector": {}, "tasks": { "rules": [rule()] } }))).unwrap();
    assert_eq!((read.spec.tasks.rules[0].group.as_str(), read.spec.tasks.max_unmatched), ("default", 100));
    let read =
        admit_as::<AgentFleet>(&fleet(&json!({ "selector": {}, "grpc": { "nativeHistograms": true } }))).unwrap();
    assert_eq!(read.spec.grpc, GrpcSpec { native_histograms: true, ..GrpcSpec::default() });
}

fn policy(kind: &str, spec: &Value) -> Value {
    json!({ "apiVersion": "fleetscope.io/v1alpha1", "kind": kind, "metadata": { "name": "p" }, "spec": spec })
}

#[test]
fn defaults_of_the_policies_are_those_of_the_types() {
    let read: ScrapePolicy = admit_as(&policy("ScrapePolicy", &json!({ "pods": {} }))).unwrap();
    let wanted = ScrapePolicySpec { pods: read.spec.pods.clone(), ..serde_json::from_value(json!({})).unwrap() };
    assert_eq!(read.spec, wanted);
    let read: AlertPolicy = admit_as(&policy("AlertPolicy", &json!({}))).unwrap();
    assert_eq!(read.spec, AlertPolicySpec::default());
    let read: ClusterAlertPolicy = admit_as(&policy("ClusterAlertPolicy", &json!({}))).unwrap();
    assert_eq!(read.spec, ClusterAlertPolicySpec { self_alerts: true, ..ClusterAlertPolicySpec::default() });
}

#[test]
fn a_fleet_that_was_read_is_written_as_it_was() {
    let path = root("tests/samples/everything.yaml");
    let object: Value = serde_saphyr::from_str(&read(&path)).unwrap();
    let read: AgentFleet = admit_as::<AgentFleet>(&object).unwrap();
    let again = admit_as::<AgentFleet>(&serde_json::to_value(&read).unwrap()).unwrap();
    assert_eq!(again, read);
}

#[test]
fn keys_of_results_are_codes_signals_and_what_stands_for_them() {
    let codes = "/tasks/rules/0/resultByExitCode";
    for key in ["0", "9", "10", "99", "199", "249", "255", "*", "oom", "sigterm", "sigkill", "sigusr1", "sigrtmin"] {
        assert_eq!(faults(&with(codes, json!({ key: "ok" }))).join("; "), "", "{key}");
    }
    for key in ["00", "01", "256", "300", "-1", "", "**", "SIGTERM", "sig", "oomm", "1 "] {
        let says =
            "spec.tasks.rules[0].resultByExitCode: keys are an exit code 0 to 255, a signal such as sigterm, oom, or *";
        assert_eq!(faults(&with(codes, json!({ key: "ok" }))).join("; "), says, "{key}");
    }
}

#[test]
fn every_bound_is_enforced() {
    for (path, value) in [
        ("/profile", json!("generic")),
        ("/tasks/maxUnmatched", json!(-1)),
        ("/tasks/maxUnmatched", json!(10_001)),
        ("/tasks/maxUnmatched", json!("1")),
        ("/tasks/unmatched", json!("group")),
        ("/tasks/rules", json!(vec![rule(); 65])),
        ("/tasks/rules/0/name", json!("-a")),
        ("/tasks/rules/0/name", json!("a".repeat(64))),
        ("/tasks/rules/0/match", json!({})),
        ("/tasks/rules/0/match", json!({ "executable": "a*b" })),
        ("/tasks/rules/0/match", json!({ "executable": "a", "arguments": vec!["x"; 17] })),
        ("/tasks/rules/0/match", json!({ "executable": "a", "arguments": [""] })),
        ("/tasks/rules/0/resultByExitCode", json!({ "0": "Success" })),
        ("/grpc/enabled", json!("no")),
        ("/grpc/maxMethods", json!(-1)),
        ("/grpc/maxMethods", json!(10_001)),
        ("/grpc/includeMethods", json!(vec!["a.B/*"; 65])),
        ("/grpc/includeMethods", json!(["a b"])),
        ("/grpc/excludeMethods", json!(["a".repeat(257)])),
        ("/grpc/excludeMethods", json!([""])),
        ("/grpc/buckets", json!((1..=41).collect::<Vec<_>>())),
        ("/grpc/buckets", json!([0])),
        ("/grpc/buckets", json!([0.1, 86_401])),
        ("/grpc/buckets", json!(["1"])),
        ("/scrape/sampleLimit", json!(10_000_001)),
        ("/scrape/sampleLimit", json!(1.5)),
        ("/scrape/interval", json!("1500ms")),
        ("/scrape/labels", json!({ "a": "b c" })),
        ("/selector/matchLabels", json!({ "a": "b".repeat(64) })),
        ("/selector/matchExpressions", json!([{ "key": "a", "operator": "in", "values": ["b"] }])),
        ("/selector/matchNames", json!(["a"])),
    ] {
        let faults = faults(&with(path, value.clone()));
        assert_eq!(faults.len(), 1, "{path} {value}: {faults:?}");
    }
}

fn walk(schema: &Value, path: &str, look: &mut impl FnMut(&Value, &str)) {
    look(schema, path);
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        walk(inner, &format!("{path}.{name}"), look);
    }
    for inner in [&schema["items"], &schema["additionalProperties"]] {
        if inner.is_object() {
            walk(inner, &format!("{path}[]"), look);
        }
    }
}

#[test]
fn every_field_has_docs_and_bounds_and_none_accepts_null() {
    for (kind, part) in schemas().iter().flat_map(|kind| [(kind, "spec"), (kind, "status")]) {
        let (kind, schema) = kind;
        walk(&schema["properties"][part], &format!("{kind} {part}"), &mut |schema, path| {
            assert_eq!(schema.get("nullable"), None, "{path}");
            let bounded = match schema["type"].as_str() {
                Some("integer") => {
                    (schema["format"] == "int32" || schema["format"] == "int64") && schema["minimum"].is_number()
                }
                Some("string") => {
                    schema.get("enum").is_some() || schema["format"] == "date-time" || schema["maxLength"].is_number()
                }
                Some("array") => schema["maxItems"].is_number(),
                Some("object") => schema.get("additionalProperties").is_none() || schema["maxProperties"].is_number(),
                Some("number") => schema["minimum"].is_number() && schema["maximum"].is_number(),
                Some("boolean") => true,
                _ => false,
            };
            assert!(bounded, "{path} has no bounds");
            let documented = path.ends_with("[]") || schema["description"].as_str().is_some_and(|d| d.ends_with('.'));
            assert!(documented, "{path} has no docs");
        });
    }
}

#[test]
fn every_rule_compiles() {
    for (kind, schema) in schemas() {
        walk(&schema, &kind, &mut |schema, path| {
            let compiled = compile_schema(schema);
            assert!(!compiled.has_errors(), "{path}: {:?}", compiled.compilation_errors());
        });
    }
}

#[test]
fn an_object_of_another_kind_is_refused() {
    let other = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "spec": { "selector": {} } });
    assert_eq!(
        faults(&other),
        ["kind: must be one of AgentFleet, AlertPolicy, ClusterAlertPolicy, ModelPriceList, ScrapePolicy"]
    );
    let faults = admit_as::<AgentFleet>(&other).unwrap_err().faults;
    let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["apiVersion", "kind", "metadata.name"]);
    assert_eq!(admit_as::<AgentFleet>(&Value::Null).unwrap_err().faults.len(), 4);
}
