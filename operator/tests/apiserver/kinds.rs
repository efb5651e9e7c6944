//! The kinds of prometheus-operator: absent, late, gone, and back, under one running operator.

use std::time::Duration;

use fleetscope_core::resources::ChildKind::{ConfigMap, PodMonitor};
use serde_json::json;

use crate::world::World;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn check_01_kinds_come_late_and_go_and_nobody_waits_for_them() {
    let world = World::start().await;
    let mut operator = world.operator("one", &[]);
    world.fleet("auto", json!({})).await;
    world.child(ConfigMap, "auto").await;
    world.fleet("strict", json!({ "output": "PodMonitor" })).await;
    world.condition("strict", "Programmed=False CRDNotInstalled").await;

    // Without the kinds, every fleet is as fast as with them.
    for i in 0..20 {
        let name = format!("absent-{i}");
        world.fleet(&name, json!({})).await;
        let (_, took) = world.child(ConfigMap, &name).await;
        assert!(took < SECOND, "{name}: after {took:?}");
    }

    world.install_monitors();
    let (_, took) = world.child(PodMonitor, "auto").await;
    assert!(took < SECOND * 5, "after {took:?}");
    world.no_child(ConfigMap, "auto").await;
    world.condition("strict", "Programmed=True Applied").await;

    world.remove_monitors();
    world.child(ConfigMap, "auto").await;
    world.condition("strict", "Programmed=False CRDNotInstalled").await;
    for i in 0..20 {
        let name = format!("removed-{i}");
        world.fleet(&name, json!({})).await;
        let (_, took) = world.child(ConfigMap, &name).await;
        assert!(took < SECOND, "{name}: after {took:?}");
    }

    world.install_monitors();
    world.child(PodMonitor, "removed-19").await;
    world.no_child(ConfigMap, "removed-19").await;
    assert!(operator.runs(), "it never restarts");
}
