//! Dashboards as objects of grafana-operator, where its kind is installed, and as ConfigMaps where it is not.

use std::time::Duration;

use fleetscope_core::resources::ChildKind::{ConfigMap, GrafanaDashboard, PodMonitor};
use fleetscope_operator::owner::OwnerKind::AgentFleet;
use fleetscope_tests::release;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::server::root;
use crate::upgrade::helm;
use crate::world::World;

const NAME: &str = "review-dashboard";

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn a_fleets_dashboard_is_of_grafana_operators_kind_while_that_is_installed() {
    let world = World::start().await;
    world.install_monitors();
    let operator = world.operator("one", &["--grafana-label", "team=platform"]);
    world.fleet("review", json!({})).await;
    world.change(AgentFleet, "review", json!({ "dashboard": "Overview" })).await;
    let (map, _) = world.object(ConfigMap, NAME).await;
    world.install_dashboards();
    let (made, took) = world.object(GrafanaDashboard, NAME).await;
    assert!(took < Duration::from_secs(5), "after {took:?}");
    world.no_object(ConfigMap, NAME).await;
    assert_eq!(made.data["spec"]["json"], map.data["data"][format!("{NAME}.json")]);
    assert_eq!(made.data["spec"]["instanceSelector"], json!({ "matchLabels": { "team": "platform" } }));
    world.condition("review", "Programmed=True Applied").await;
    assert_eq!(world.child(PodMonitor, "review").await.0.data["spec"]["podMetricsEndpoints"][0]["port"], "metrics");

    // Repaired, not written without cause, and removed when nobody asks for it any more.
    world.children(GrafanaDashboard).delete(NAME, &DeleteParams::default()).await.unwrap();
    let (again, _) = world.object(GrafanaDashboard, NAME).await;
    assert_ne!(again.metadata.uid, made.metadata.uid);
    let writes = world.quiet().await;
    world.patch("review", json!({ "metadata": { "annotations": { "note": "looked at" } } })).await;
    assert_eq!(world.quiet().await, writes);
    world.change(AgentFleet, "review", json!({ "dashboard": "None" })).await;
    world.no_object(GrafanaDashboard, NAME).await;
    world.change(AgentFleet, "review", json!({ "dashboard": "Overview" })).await;
    world.object(GrafanaDashboard, NAME).await;

    // Without the kind it is a ConfigMap again.
    let (removed, said) = world.server.kubectl(&["delete", "crd", GrafanaDashboard.crd().unwrap()]);
    assert!(removed, "{said}");
    world.object(ConfigMap, NAME).await;
    operator.signal("TERM");
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn with_the_sidecar_a_dashboard_is_a_config_map_whatever_is_installed() {
    let world = World::start().await;
    world.install_monitors();
    world.install_dashboards();
    let before = world.operator("before", &[]);
    world.fleet("review", json!({})).await;
    world.change(AgentFleet, "review", json!({ "dashboard": "Overview" })).await;
    let (made, _) = world.object(GrafanaDashboard, NAME).await;
    assert_eq!(made.data["spec"]["instanceSelector"], json!({}), "all instances");
    before.signal("TERM");
    let _after = world.operator("after", &["--grafana-sidecar"]);
    world.object(ConfigMap, NAME).await;
    world.no_object(GrafanaDashboard, NAME).await;
}

/// The dashboards of the release, by their kind and name.
fn of_the_release(world: &World, kind: &str) -> Vec<Value> {
    let selector = "-lapp.kubernetes.io/name=fleetscope";
    let (read, said) = world.server.kubectl(&["get", kind, "-n", release::NAMESPACE, selector, "-o", "json"]);
    assert!(read, "{said}");
    let mut list: Value = serde_json::from_str(&said).unwrap();
    let mut items = std::mem::take(list["items"].as_array_mut().unwrap());
    items.retain(|item| item["data"].get("policy.yaml").is_none());
    items
}

#[tokio::test]
#[ignore = "needs etcd, kube-apiserver and helm: make test-operator"]
async fn the_charts_dashboards_are_of_the_kind_that_the_cluster_has() {
    let world = World::none().await;
    let chart = root().join("charts/fleetscope").to_string_lossy().into_owned();
    let namespace = ["-n", release::NAMESPACE];
    helm(&world, &[&["install", "fleetscope", &chart, "--create-namespace"], &namespace[..]].concat());
    let maps = of_the_release(&world, "configmaps");
    assert_eq!(maps.len(), 6);
    world.install_dashboards();
    let kind = GrafanaDashboard.crd().unwrap();
    let labels = "monitoring.dashboards.grafanaLabels.team=platform";
    helm(&world, &[&["upgrade", "fleetscope", &chart, "--reuse-values", "--set", labels], &namespace[..]].concat());
    let objects = of_the_release(&world, kind);
    let model = |object: &Value| object["spec"]["json"].as_str().map(str::trim_end).map(str::to_owned);
    let text = |map: &Value| {
        map["data"].as_object().and_then(|data| data.values().next()?.as_str().map(str::trim_end).map(str::to_owned))
    };
    let told = |objects: &[Value], of: &dyn Fn(&Value) -> Option<String>| -> Vec<(String, Option<String>)> {
        objects.iter().map(|object| (object["metadata"]["name"].to_string(), of(object))).collect()
    };
    // Compared as a whole, and not printed: they have hundreds of kilobytes.
    assert!(told(&objects, &model) == told(&maps, &text), "the same dashboards");
    for object in &objects {
        let spec = &object["spec"];
        let selector = json!({ "matchLabels": { "team": "platform" } });
        assert_eq!((&spec["folder"], &spec["instanceSelector"]), (&json!("Fleetscope"), &selector));
        assert_eq!(object["metadata"]["labels"].get("grafana_dashboard"), None);
    }
    assert_eq!(of_the_release(&world, "configmaps").len(), 0);
    let never = "monitoring.dashboards.grafanaOperator=never";
    helm(&world, &[&["upgrade", "fleetscope", &chart, "--set", never], &namespace[..]].concat());
    assert_eq!((of_the_release(&world, kind).len(), of_the_release(&world, "configmaps").len()), (0, 6));
}
