//! An operator that looks at some namespaces, with the roles that the chart gives it for that.

use std::time::Duration;

use fleetscope_core::api::AgentFleet;
use fleetscope_core::resources::ChildKind::{AlertmanagerConfig, PodMonitor, PrometheusRule};
use fleetscope_core::resources::names;
use fleetscope_operator::children::api_resource;
use fleetscope_operator::owner::OwnerKind::{AlertPolicy, ClusterAlertPolicy};
use kube::api::{DynamicObject, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::server::eventually;
use crate::world::{LIMIT, NAMESPACE, World};

/// A namespace beside that of the fleets.
const OTHER: &str = "others";

async fn fleet_in(world: &World, namespace: &str) -> AgentFleet {
    let fleets = Api::<AgentFleet>::namespaced(world.client.clone(), namespace);
    let fleet = json!({
        "apiVersion": "fleetscope.io/v1alpha1", "kind": "AgentFleet", "metadata": { "name": "review" },
        "spec": { "selector": { "matchLabels": { "app": "review" } } },
    });
    fleets.create(&PostParams::default(), &serde_json::from_value(fleet).unwrap()).await.unwrap()
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn check_11_it_acts_in_the_namespaces_that_are_named_and_looks_at_no_other() {
    let world = World::bare().await;
    world.install_children();
    world.install(&["prometheuses", "alertmanagers"]);
    for namespace in [NAMESPACE, OTHER] {
        world.namespace(namespace);
    }
    world.roles(&[NAMESPACE]);
    fleet_in(&world, OTHER).await;
    let _operator = world.operator("one", &[&format!("--namespace={NAMESPACE}")]);

    fleet_in(&world, NAMESPACE).await;
    world.condition("review", "Programmed=True Applied").await;
    world.object(PodMonitor, "review-scrape").await;
    world.secret("hook", &["token"]);
    let token = json!({ "bearerTokenSecret": { "name": "hook", "key": "token" } });
    let receivers = json!([{ "name": "ops", "webhook": { "url": "http://hooks.example.com/a", "httpConfig": token } }]);
    world.make(AlertPolicy, "p", json!({ "receivers": receivers })).await;
    world.condition_of(AlertPolicy, "p", "Programmed=True Applied", LIMIT).await;
    world.object(AlertmanagerConfig, "p-receivers").await;
    // What a policy of all namespaces makes is in the operator's own, and about those that it looks at.
    world.make(ClusterAlertPolicy, "all", json!({ "namespaces": {}, "catalogue": { "enabled": true } })).await;
    let policy = world.condition_of(ClusterAlertPolicy, "all", "Programmed=True Applied", LIMIT).await;
    let status = &policy.data["status"];
    assert_eq!((&status["fleets"], &status["yielded"]), (&json!(0), &json!(1)), "one fleet, which p decides: {status}");
    let own =
        Api::<DynamicObject>::namespaced_with(world.client.clone(), "fleetscope-system", &api_resource(PrometheusRule));
    assert!(own.get_opt("all-alerts").await.unwrap().is_some());

    world.quiet().await;
    assert_eq!(world.server.forbidden(), [""; 0], "the chart's roles suffice");
    let everywhere = ["clusteralertpolicies", "modelpricelists", "namespaces", "customresourcedefinitions"];
    let selectors = ["prometheuses", "prometheusagents", "thanosrulers", "alertmanagers"];
    for request in world.server.requests() {
        let resource = request.resource.split('/').next().unwrap();
        let whole = everywhere.contains(&resource) || selectors.contains(&resource);
        assert!(whole || !request.namespace.is_empty(), "it looks at all: {}", request.uri);
        assert_ne!(request.namespace, OTHER, "{}", request.uri);
    }
    let other = Api::<AgentFleet>::namespaced(world.client.clone(), OTHER).get("review").await.unwrap();
    assert_eq!(other.status, None);
    assert!(other.managed_fields().len() <= 1);
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn a_namespace_whose_role_is_gone_holds_no_other_up_and_may_come_back() {
    let world = World::bare().await;
    world.install_monitors();
    for namespace in [NAMESPACE, OTHER] {
        world.namespace(namespace);
    }
    world.roles(&[NAMESPACE, OTHER]);
    let binding = ["-n", OTHER, "delete", "rolebinding", "fleetscope-operator-fleets"];
    let (deleted, said) = world.server.kubectl(&binding);
    assert!(deleted, "{said}");
    let names = format!("--namespace={NAMESPACE},{OTHER}");
    let _operator = world.operator("one", &[&names]);
    fleet_in(&world, OTHER).await;
    fleet_in(&world, NAMESPACE).await;
    world.object(PodMonitor, "review-scrape").await;

    world.roles(&[NAMESPACE, OTHER]);
    let monitors = Api::<DynamicObject>::namespaced_with(world.client.clone(), OTHER, &api_resource(PodMonitor));
    let name = names::hashed("review-scrape");
    let there = async || monitors.get_opt(&name).await.unwrap();
    // Meanwhile it waits up to 30 s between two looks.
    eventually(Duration::from_mins(1), "the fleet of the namespace to be scraped", there).await;
}
