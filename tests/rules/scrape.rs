//! Scrape configuration: monitors and ScrapeConfigs as prometheus-operator's definitions have them, jobs as promtool reads them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use anyhow::{Context as _, Result};
use fleetscope_core::api::admission::{admit, admit_as};
use fleetscope_core::api::{AgentFleet, ScrapePolicy};
use fleetscope_core::resources::scrape_policy::{FleetRef, Port, desired};
use fleetscope_core::resources::{ChildKind, Installed, SCRAPE_CONFIGS, Site, scrape_object};
use fleetscope_tests::{command, skip};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

/// Policies that say much and little.
const POLICIES: [&str; 2] = [
    include_str!("../../core/src/resources/scrape_policy/testdata/minimal.yaml"),
    include_str!("../../core/src/resources/scrape_policy/testdata/everything.yaml"),
];
const FORMS: [&str; 5] = ["Auto", "PodMonitor", "ServiceMonitor", "ScrapeConfig", "ConfigMap"];

fn site() -> Site {
    Site {
        namespace: "fleetscope-system".to_owned(),
        monitor_labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        ..Site::default()
    }
}

fn fleets() -> Result<[FleetRef; 2]> {
    let selector = json!({
        "matchLabels": { "app.kubernetes.io/name": "review" },
        "matchExpressions": [
            { "key": "tier", "operator": "In", "values": ["a", "b"] },
            { "key": "stage", "operator": "NotIn", "values": ["test"] },
            { "key": "owner", "operator": "Exists" },
            { "key": "debug", "operator": "DoesNotExist" },
        ],
    });
    let review =
        FleetRef { name: "review".to_owned(), selector: serde_json::from_value(selector)?, ..FleetRef::default() };
    let (port, path) = (Some(Port::Number(9090)), Some("/prom".to_owned()));
    Ok([review, FleetRef { name: "edge".to_owned(), port, path, ..FleetRef::default() }])
}

/// Each way to prove who one is; none is that of the policy itself.
fn credentials() -> [Value; 4] {
    let key = |key: &str| json!({ "name": "scrape", "key": key });
    [
        json!({}),
        json!({ "basicAuth": { "username": key("u"), "password": key("p") } }),
        json!({ "authorization": { "type": "Token", "credentials": key("t") } }),
        json!({ "oauth2": { "clientId": key("i"), "clientSecret": key("s"), "tokenUrl": "https://id.example.com/token", "scopes": ["metrics"] } }),
    ]
}

/// All objects of all policies in all forms, with all credentials that the form has.
fn objects() -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for policy in POLICIES {
        for form in FORMS {
            for credentials in credentials() {
                let mut policy: Value = serde_saphyr::from_str(policy)?;
                if let Some(own) = credentials.as_object().filter(|own| !own.is_empty()) {
                    policy["spec"].as_object_mut().context("it has a spec")?.remove("basicAuth");
                    policy["spec"].as_object_mut().context("it has a spec")?.extend(own.clone());
                }
                policy["spec"]["output"] = json!(form);
                if form == "ServiceMonitor" {
                    policy["spec"]["services"] = json!({ "matchLabels": { "app": "review" } });
                }
                let policy: ScrapePolicy = admit_as(&policy)?;
                match desired(&policy, &fleets()?, &site(), Installed::all()) {
                    Ok(made) => objects.extend(made.into_iter().map(|object| object.body)),
                    Err(faults) => {
                        let faults: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
                        assert_eq!((form, faults), ("ConfigMap", vec!["spec.oauth2"]));
                    }
                }
            }
        }
    }
    let fleet = json!({ "apiVersion": "fleetscope.io/v1alpha1", "kind": "AgentFleet",
        "metadata": { "name": "review", "namespace": "agents", "uid": "1" }, "spec": { "selector": {} } });
    let fleet: AgentFleet = admit_as(&fleet)?;
    let kinds = [ChildKind::PodMonitor, ChildKind::ServiceMonitor, ChildKind::ConfigMap];
    objects.extend(kinds.map(|kind| scrape_object(kind, &fleet, &site())));
    Ok(objects)
}

/// A definition of prometheus-operator or grafana-operator, of the version that the test cluster has; `make setup` puts them beside the programs.
fn definition(kind: ChildKind) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let whose = if kind == ChildKind::GrafanaDashboard { "grafana" } else { "prometheus" };
    let file = format!("{whose}-operator-crds/{}_{}.yaml", kind.group(), kind.plural());
    std::env::split_paths(&path).map(|folder| folder.join(&file)).find(|file| file.is_file())
}

/// All of these that we make objects of, by kind; none where they are not installed.
pub(crate) fn upstream() -> Option<&'static BTreeMap<&'static str, CustomResourceDefinition>> {
    static ALL: LazyLock<Option<BTreeMap<&'static str, CustomResourceDefinition>>> = LazyLock::new(|| {
        let read = |kind: ChildKind| {
            let text = std::fs::read_to_string(definition(kind)?).unwrap();
            let definition: Value = serde_saphyr::from_str(&text).unwrap();
            Some((kind.as_str(), serde_json::from_value(definition).unwrap()))
        };
        ChildKind::ALL.into_iter().filter(|kind| kind.crd().is_some()).map(read).collect()
    });
    ALL.as_ref()
}

/// The same; a test without them is skipped.
pub(crate) fn upstream_for(test: &str) -> Option<&'static BTreeMap<&'static str, CustomResourceDefinition>> {
    let all = upstream();
    if all.is_none() {
        let why = "the definitions of prometheus-operator and grafana-operator are not beside a folder of PATH: make setup, then make test-rules";
        skip::skip(test, why);
    }
    all
}

#[test]
fn monitors_are_as_prometheus_operators_definitions_have_them() -> Result<()> {
    let mut checked = BTreeMap::new();
    let Some(definitions) = upstream_for("rules::scrape") else { return Ok(()) };
    for kind in [ChildKind::PodMonitor, ChildKind::ServiceMonitor, ChildKind::ScrapeConfig] {
        let definition = &definitions[kind.as_str()];
        for object in objects()?.iter().filter(|object| object["kind"] == kind.as_str()) {
            admit(definition, object).with_context(|| object.to_string())?;
            *checked.entry(kind.as_str()).or_insert(0) += 1;
        }
        // What is not in the definition is told, so the check can fail.
        let mut wrong =
            objects()?.into_iter().find(|object| object["kind"] == kind.as_str()).context("there is one")?;
        wrong["spec"]["sampelLimit"] = json!(1);
        let told = admit(definition, &wrong).unwrap_err().faults;
        assert_eq!(told.iter().map(|fault| fault.path.as_str()).collect::<Vec<_>>(), ["spec.sampelLimit"]);
    }
    let enough = |kind: &str| checked.get(kind).is_some_and(|checked| *checked >= 8);
    assert!(["PodMonitor", "ServiceMonitor", "ScrapeConfig"].into_iter().all(enough), "{checked:?}");
    Ok(())
}

#[test]
fn plain_scrape_configuration_is_accepted_by_promtool() -> Result<()> {
    if !super::has_promtool("rules::scrape") {
        return Ok(());
    }
    let folder = super::folder("scrape");
    let mut checked = 0;
    for object in objects()?.iter().filter(|object| object["kind"] == "ConfigMap") {
        let file = folder.join("prometheus.yml");
        let text = object["data"][SCRAPE_CONFIGS].as_str().context("it has the file")?;
        std::fs::write(&file, text)?;
        // The files of Secrets are in nobody's file system here: the syntax alone is checked.
        let ran = command::run_with("promtool", &["check", "config", "--syntax-only", &file.to_string_lossy()], "")?;
        assert_eq!(ran.code, 0, "{}{}\n{text}", ran.stdout, ran.stderr);
        checked += 1;
    }
    std::fs::write(folder.join("wrong.yml"), "scrape_configs: [{job_name: a, sampel_limit: 1}]")?;
    let wrong = command::run_with(
        "promtool",
        &["check", "config", "--syntax-only", &folder.join("wrong.yml").to_string_lossy()],
        "",
    )?;
    assert_ne!(wrong.code, 0, "promtool tells what it does not know");
    assert!(checked >= 12, "{checked} files");
    Ok(())
}
