//! Whether a Prometheus takes what was made, as its object says.

use fleetscope_operator::owner::OwnerKind::{AgentFleet, ScrapePolicy};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

use crate::world::{LIMIT, World};

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn check_14_the_label_that_is_missing_is_named_and_the_condition_follows() {
    let world = World::start().await;
    world.install_children();
    let _operator = world.operator("one", &["--resync=2s"]);
    world.fleet("review", json!({})).await;
    world.condition("review", "Selected=Unknown NoPrometheus").await;
    world.make(ScrapePolicy, "p", json!({ "pods": {} })).await;
    world.condition_of(ScrapePolicy, "p", "Selected=Unknown NoPrometheus", LIMIT).await;

    world.install(&["prometheuses"]);
    let gvk = GroupVersionKind::gvk("monitoring.coreos.com", "v1", "Prometheus");
    let resource = ApiResource::from_gvk_with_plural(&gvk, "prometheuses");
    let api = Api::<DynamicObject>::namespaced_with(world.client.clone(), "fleetscope-system", &resource);
    let of = |release: &str| {
        let by: Value = json!({ "matchLabels": { "release": release } });
        json!({
            "podMonitorSelector": by, "podMonitorNamespaceSelector": {},
            "ruleSelector": by, "ruleNamespaceSelector": {},
        })
    };
    let prometheus = json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "metadata": { "name": "main" }, "spec": of("other"),
    });
    api.create(&PostParams::default(), &serde_json::from_value(prometheus).unwrap()).await.unwrap();
    let fleet = world.condition_of(AgentFleet, "review", "Selected=False NotSelected", LIMIT).await;
    let told = fleet.data["status"]["conditions"].to_string();
    assert!(told.contains("Prometheus fleetscope-system/main") && told.contains("release=other"), "{told}");
    let policy = world.condition_of(ScrapePolicy, "p", "Selected=False NotSelected", LIMIT).await;
    let ready = policy.data["status"]["conditions"][0].clone();
    assert_eq!((&ready["type"], &ready["status"]), (&json!("Ready"), &json!("True")));
    assert!(ready["message"].as_str().is_some_and(|text| text.contains("NotSelected: ")), "{ready}");

    // A change that selects nothing else concerns nobody.
    let writes = world.quiet().await;
    let size = json!({ "spec": { "replicas": 2 } });
    api.patch("main", &PatchParams::default(), &Patch::Merge(size)).await.unwrap();
    assert_eq!(world.quiet().await, writes);

    let right = json!({ "spec": of("kps") });
    api.patch("main", &PatchParams::default(), &Patch::Merge(right)).await.unwrap();
    world.condition_of(AgentFleet, "review", "Selected=True SelectedBy", LIMIT).await;
    world.condition_of(ScrapePolicy, "p", "Selected=True SelectedBy", LIMIT).await;
    assert_eq!(world.server.forbidden(), [""; 0]);
}
