//! Several policies and one fleet: the oldest decides, the others say so.

use fleetscope_core::resources::ChildKind::PrometheusRule;
use fleetscope_operator::owner::OwnerKind::{AlertPolicy, ClusterAlertPolicy};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::server::eventually;
use crate::world::{LIMIT, World};

/// Waits until a policy decides this many fleets and yields that many.
pub(crate) async fn shares(
    world: &World,
    kind: fleetscope_operator::owner::OwnerKind,
    name: &str,
    fleets: i64,
    yielded: i64,
) {
    let has = async || {
        let status = world.owners(kind).get(name).await.unwrap().data["status"].clone();
        (status["fleets"] == fleets && status["yielded"] == yielded).then_some(())
    };
    eventually(LIMIT, &format!("{name} to decide {fleets} fleets and to yield {yielded}"), has).await;
}

async fn rules(world: &World, name: &str) -> String {
    world.children(PrometheusRule).get(name).await.unwrap().data.to_string()
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn policies_that_contradict_are_decided_by_age() {
    let world = World::start().await;
    world.install_children();
    let operator = world.operator("one", &[]);
    for name in ["review", "other"] {
        world.fleet(name, json!({})).await;
    }
    let team = json!({ "metadata": { "labels": { "team": "a" } } });
    world.fleets().patch("review", &PatchParams::default(), &Patch::Merge(team)).await.unwrap();

    world.make(ClusterAlertPolicy, "all", json!({})).await;
    shares(&world, ClusterAlertPolicy, "all", 2, 0).await;
    // Of one second, the name decides.
    let of_team = json!({ "fleets": { "matchLabels": { "team": "a" } } });
    world.make(AlertPolicy, "a-elder", of_team).await;
    shares(&world, AlertPolicy, "a-elder", 1, 0).await;
    shares(&world, ClusterAlertPolicy, "all", 1, 1).await;
    world.make(AlertPolicy, "b-younger", json!({})).await;
    shares(&world, AlertPolicy, "b-younger", 1, 1).await;
    shares(&world, ClusterAlertPolicy, "all", 0, 2).await;
    let younger = world.condition_of(AlertPolicy, "b-younger", "Degraded=True PolicyOverlap", LIMIT).await;
    let told = younger.data["status"]["conditions"].to_string();
    assert!(told.contains("a-elder: review"), "{told}");
    world.condition_of(AlertPolicy, "b-younger", "Ready=True Observed", LIMIT).await;
    world.condition_of(ClusterAlertPolicy, "all", "Degraded=False AsExpected", LIMIT).await;
    assert!(!rules(&world, "b-younger-alerts").await.contains("review"), "it leaves that fleet to the elder");

    // The elder makes no sense any more: its rules are in place and fire, so it still decides; by an operator that begins then, too.
    let bad = json!({ "rules": [{ "alert": "A", "expr": "sum(" }] });
    world.change(AlertPolicy, "a-elder", bad.clone()).await;
    let elder = world.condition_of(AlertPolicy, "a-elder", "Accepted=False InvalidExpr", LIMIT).await;
    let told = elder.data["status"]["conditions"].to_string();
    assert!(told.contains("stays in place, and decides the catalogue's alerts of 1 fleet"), "{told}");
    operator.signal("TERM");
    let _operator = world.operator("two", &[]);
    // One that was never accepted decides nothing.
    world.make(AlertPolicy, "a-never", bad).await;
    world.condition_of(AlertPolicy, "a-never", "Accepted=False InvalidExpr", LIMIT).await;
    world.quiet().await;
    shares(&world, AlertPolicy, "a-elder", 1, 0).await;
    shares(&world, AlertPolicy, "b-younger", 1, 1).await;
    assert!(rules(&world, "a-elder-alerts").await.contains("review"));
    assert!(!rules(&world, "b-younger-alerts").await.contains("review"), "each alert fires once");
    world.owners(AlertPolicy).delete("a-never", &DeleteParams::default()).await.unwrap();

    // It makes sense again, then it is suspended, then it is gone.
    world.change(AlertPolicy, "a-elder", json!({ "rules": [] })).await;
    world.condition_of(AlertPolicy, "a-elder", "Ready=True Observed", LIMIT).await;
    shares(&world, AlertPolicy, "b-younger", 1, 1).await;
    world.change(AlertPolicy, "a-elder", json!({ "suspend": true })).await;
    shares(&world, AlertPolicy, "b-younger", 2, 0).await;
    world.change(AlertPolicy, "a-elder", json!({ "suspend": false })).await;
    shares(&world, AlertPolicy, "b-younger", 1, 1).await;
    world.owners(AlertPolicy).delete("a-elder", &DeleteParams::default()).await.unwrap();
    shares(&world, AlertPolicy, "b-younger", 2, 0).await;
    world.condition_of(AlertPolicy, "b-younger", "Degraded=False AsExpected", LIMIT).await;

    // A fleet comes, and a cluster-wide policy that gives way to nobody.
    world.fleet("late", json!({})).await;
    shares(&world, AlertPolicy, "b-younger", 3, 0).await;
    shares(&world, ClusterAlertPolicy, "all", 0, 3).await;
    world.make(ClusterAlertPolicy, "enforced", json!({ "enforced": true })).await;
    shares(&world, ClusterAlertPolicy, "enforced", 3, 0).await;
    assert_eq!(world.server.forbidden(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn a_cluster_wide_policy_follows_the_labels_of_namespaces() {
    let world = World::start().await;
    world.install_children();
    let _operator = world.operator("one", &[]);
    world.fleet("review", json!({})).await;
    let of_stage: Value = json!({ "namespaces": { "matchLabels": { "stage": "live" } } });
    world.make(ClusterAlertPolicy, "live", of_stage).await;
    shares(&world, ClusterAlertPolicy, "live", 0, 0).await;
    let label = |label: &str| {
        let (labelled, said) = world.server.kubectl(&["label", "namespace", crate::world::NAMESPACE, label]);
        assert!(labelled, "{said}");
    };
    label("stage=live");
    shares(&world, ClusterAlertPolicy, "live", 1, 0).await;
    label("stage-");
    shares(&world, ClusterAlertPolicy, "live", 0, 0).await;
}
