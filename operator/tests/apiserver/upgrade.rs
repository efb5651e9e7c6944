//! The chart over an older one of itself, by helm, with fleets in place.

use std::fs;
use std::path::Path;
use std::process::Command;

use fleetscope_core::resources::ChildKind::{self, PodMonitor};
use fleetscope_operator::owner::OwnerKind;
use fleetscope_tests::release;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::server::{cache, root};
use crate::world::{NAMESPACE, World};

/// The definition of the fleets in the chart.
const DEFINITION: &str = "agentfleets.fleetscope.io";

/// A copy of the chart as an older release could have been: a definition without a field, and a value fewer.
fn older(folder: &Path) {
    let copied = Command::new("cp").arg("-r").arg(root().join("charts/fleetscope")).arg(folder).status().unwrap();
    assert!(copied.success());
    let edit = |file: &str, from: &str, to: &str| {
        let path = folder.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has {from}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
    };
    edit("Chart.yaml", "\nversion: ", "\nversion: 0.0.1-");
    edit("values.yaml", "\nnamespaces: []\n", "\n");
    // The field with all that is below it.
    let path = folder.join("files/crds/fleetscope.io_agentfleets.yaml");
    let (text, indent) = (fs::read_to_string(&path).unwrap(), " ".repeat(14));
    let mut inside = false;
    let mut kept = String::new();
    for line in text.lines() {
        let key = line.strip_prefix(&indent).filter(|rest| !rest.starts_with([' ', '-']));
        inside = key.map_or(inside && line.starts_with(&indent), |key| key == "dashboard:");
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    assert!(kept.len() < text.len(), "the definition has the field");
    fs::write(&path, kept).unwrap();
}

/// Runs helm as admin.
pub(crate) fn helm(world: &World, args: &[&str]) {
    let (done, said) = helm_says(world, args);
    assert!(done, "{said}");
}

/// The same, and whether it succeeded, with what it said if not.
fn helm_says(world: &World, args: &[&str]) -> (bool, String) {
    let kubeconfig = world.server.kubeconfig("admin");
    let output = Command::new(cache().join("helm")).args(args).env("KUBECONFIG", kubeconfig).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The properties of a fleet's spec, as the API server has them.
fn fields(world: &World) -> Value {
    let path = "jsonpath={.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties}";
    let (read, said) = world.server.kubectl(&["get", "crd", DEFINITION, "-o", path]);
    assert!(read, "{said}");
    serde_json::from_str(&said).unwrap()
}

#[tokio::test]
#[ignore = "needs etcd, kube-apiserver and helm: make test-operator"]
async fn check_11_an_upgrade_of_the_chart_upgrades_the_definitions_and_keeps_the_fleets() {
    let world = World::none().await;
    let folder = world.server.folder.join("older-chart");
    older(&folder);
    let older = folder.to_string_lossy().into_owned();
    let current = root().join("charts/fleetscope").to_string_lossy().into_owned();
    let namespace = ["-n", release::NAMESPACE];
    let values = ["--set", "monitoring.labels.release=kps"];
    helm(&world, &[&["install", "fleetscope", &older, "--create-namespace"], &namespace[..], &values].concat());
    world.established(&OwnerKind::ALL.map(OwnerKind::crd));
    assert_eq!(fields(&world)["dashboard"], Value::Null);
    world.namespace(NAMESPACE);
    world.install_monitors();
    world.bind();
    let operator = world.operator("before", &[]);
    let fleet = world.fleet("review", json!({})).await;
    world.condition("review", "Programmed=True Applied").await;
    let (monitor, _) = world.object(PodMonitor, "review-scrape").await;
    let writes = world.quiet().await;

    // The values stay; those that the older chart did not have are missing in the templates then.
    helm(&world, &[&["upgrade", "fleetscope", &current, "--reuse-values"], &namespace[..]].concat());
    assert_ne!(fields(&world)["dashboard"], Value::Null);
    operator.signal("TERM");
    let _operator = world.operator("after", &[]);
    world.change(OwnerKind::AgentFleet, "review", json!({ "dashboard": "Overview" })).await;
    world.object(ChildKind::ConfigMap, "review-dashboard").await;
    let now = world.fleets().get("review").await.unwrap();
    assert_eq!(now.uid(), fleet.uid());
    let same = world.children(PodMonitor).get("review-scrape").await.unwrap();
    assert_eq!((same.uid(), same.resource_version()), (monitor.uid(), monitor.resource_version()));
    let after = world.quiet().await.split_off(writes.len());
    let other: Vec<&String> = after
        .iter()
        .filter(|write| !write.ends_with("configmaps/review-dashboard") && *write != "patch agentfleets/status/review")
        .collect();
    assert!(other.iter().all(|write| write.contains("clusteralertpolicies")), "{other:?}");

    helm(&world, &[&["uninstall", "fleetscope"], &namespace[..]].concat());
    assert_eq!(world.fleets().get("review").await.unwrap().uid(), fleet.uid(), "crds.keep is on");
}

#[tokio::test]
#[ignore = "needs etcd, kube-apiserver and helm: make test-operator"]
async fn a_second_installation_is_refused_with_what_to_do() {
    let world = World::none().await;
    world.namespace("team");
    let chart = root().join("charts/fleetscope").to_string_lossy().into_owned();
    let first = ["install", "first", &chart, "-n", "one", "--create-namespace"];
    helm(&world, &first);
    // Nothing of it would have the name of anything of the first one.
    let apart = ["--create-namespace", "--set", "crds.install=false", "--set", "namespaces={team}"];
    for (name, namespace) in [("second", "two"), ("first", "two"), ("second", "one")] {
        let named = ["install", name, &chart, "-n", namespace, "--set", "fullnameOverride=another"];
        let (installed, said) = helm_says(&world, &[&named[..], &apart].concat());
        let says = "Fleetscope is in this cluster already, as the release \"first\" in the namespace \"one\"";
        assert!(!installed && said.contains(says) && said.contains("(value namespaces)"), "{name} {namespace}: {said}");
    }
    helm(&world, &["upgrade", "first", &chart, "-n", "one", "--set", "operator.logLevel=debug"]);
    helm(&world, &["uninstall", "first", "-n", "one"]);
    helm(&world, &[&["install", "second", &chart, "-n", "two"][..], &apart].concat());
}
