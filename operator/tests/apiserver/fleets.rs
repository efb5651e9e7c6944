//! A fleet's life: made, disturbed, changed, suspended; and what is left alone.

use std::time::Duration;

use fleetscope_core::resources::ChildKind::{ConfigMap, PodMonitor, ServiceMonitor};
use fleetscope_operator::owner::OwnerKind::AgentFleet;
use fleetscope_tests::audit::Request;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::world::{LIMIT, NAMESPACE, World};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn check_03_a_second_reconcile_of_an_unchanged_fleet_writes_nothing() {
    let world = World::start().await;
    world.install_children();
    let operator = world.operator("one", &["--resync=2s"]);
    world.fleet("plain", json!({})).await;
    world.fleet("suspended", json!({})).await;
    world.patch("suspended", json!({ "spec": { "suspend": true } })).await;
    world.fleet("labelled", json!({ "labels": { "team": "a" } })).await;
    world.patch("labelled", json!({ "spec": { "dashboard": "Overview" } })).await;
    world.condition("plain", "Programmed=True Applied").await;
    world.condition("suspended", "Ready=False Suspended").await;
    world.object(ConfigMap, "labelled-dashboard").await;
    world.condition("labelled", "Programmed=True Applied").await;

    // Looked at again every 2 s; three fleets, twice each. The API server's audit log has the writes.
    let writes = world.quiet().await;
    operator.looks(AgentFleet, 6).await;
    assert_eq!(world.server.writes(), writes);
    // The API server parses what it is to validate the fields of a second time.
    let validated = |request: &Request| request.verb == "patch" && !request.uri.contains("fieldValidation=Ignore");
    let validated: Vec<String> =
        world.server.written().into_iter().filter(validated).map(|request| request.uri).collect();
    assert_eq!(validated, Vec::<String>::new());
    operator.signal("TERM");

    // So does one that has just started, but for its lease.
    let next = world.operator("two", &["--resync=2s"]);
    next.leads(&world, LIMIT).await;
    next.looks(AgentFleet, 6).await;
    assert_eq!(world.server.writes(), writes);
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn a_fleet_gets_its_monitor_keeps_it_and_loses_it() {
    let world = World::start().await;
    world.install_monitors();
    let _operator = world.operator("one", &["--resync=2s"]);
    world.fleet("warm", json!({})).await;
    world.condition("warm", "Ready=True NoPodsSelected").await;

    world.fleet("review", json!({ "labels": { "team": "a" } })).await;
    let (monitor, took) = world.child(PodMonitor, "review").await;
    assert!(took < SECOND, "built after {took:?}");
    assert_eq!(monitor.data["spec"]["podMetricsEndpoints"][0]["params"]["fleet"], json!(["review"]));
    assert_eq!((&monitor.labels()["release"], &monitor.labels()["team"]), (&"kps".to_owned(), &"a".to_owned()));
    let fleet = world.condition("review", "Programmed=True Applied").await;
    let status = fleet.status.unwrap();
    assert_eq!((status.observed_generation, status.scrape.unwrap().name.as_str()), (Some(1), "review-scrape"));

    world.delete(PodMonitor, "review").await;
    let (_, took) = world.child(PodMonitor, "review").await;
    assert!(took < SECOND * 2, "made again after {took:?}");

    let edit = json!({ "spec": { "podMetricsEndpoints": [{ "port": "other" }] }, "metadata": { "labels": { "theirs": "x" } } });
    world.children(PodMonitor).patch("review-scrape", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    let port = async || {
        let monitor = world.children(PodMonitor).get("review-scrape").await.unwrap();
        (monitor.data["spec"]["podMetricsEndpoints"][0]["port"] == "metrics").then_some(monitor)
    };
    let (monitor, took) = crate::server::eventually(SECOND * 20, "the edit to be taken back", port).await;
    assert!(took < SECOND * 2, "repaired after {took:?}");
    assert_eq!(monitor.labels()["theirs"], "x", "what others add stays theirs");

    world.patch("review", json!({ "spec": { "scrape": { "labels": { "team": null } } } })).await;
    let unlabelled = async || {
        let monitor = world.children(PodMonitor).get("review-scrape").await.unwrap();
        (!monitor.labels().contains_key("team")).then_some(())
    };
    crate::server::eventually(SECOND * 5, "the label to go", unlabelled).await;

    world.patch("review", json!({ "spec": { "scrape": { "output": "ServiceMonitor" } } })).await;
    world.child(ServiceMonitor, "review").await;
    world.no_child(PodMonitor, "review").await;
    world.patch("review", json!({ "spec": { "scrape": { "output": "ConfigMap" } } })).await;
    world.child(ConfigMap, "review").await;
    world.no_child(ServiceMonitor, "review").await;
    world.patch("review", json!({ "spec": { "suspend": true } })).await;
    world.no_child(ConfigMap, "review").await;
    world.condition("review", "Ready=False Suspended").await;
    assert_eq!(world.server.forbidden(), [""; 0], "the role has all that the operator asks for");
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn check_02_what_is_not_ours_stays_as_it_is() {
    let world = World::start().await;
    world.install_monitors();
    let theirs: Value = json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor",
        "metadata": { "name": "review-scrape", "labels": { "app.kubernetes.io/managed-by": "fleetscope-operator" } },
        "spec": { "selector": {}, "podMetricsEndpoints": [{ "port": "theirs" }] },
    });
    let api = world.children(PodMonitor);
    let theirs = api.create(&PostParams::default(), &serde_json::from_value(theirs).unwrap()).await.unwrap();
    let _operator = world.operator("one", &[]);
    world.fleet("review", json!({})).await;
    world.condition("review", "Programmed=False NameConflict").await;
    world.condition("review", "Ready=False NotProgrammed").await;
    world.patch("review", json!({ "spec": { "scrape": { "output": "ConfigMap" } } })).await;
    world.condition("review", "Programmed=True Applied").await;
    world.fleets().delete("review", &DeleteParams::default()).await.unwrap();
    world.quiet().await;
    assert_eq!(api.get("review-scrape").await.unwrap(), theirs);
}

fn pod(name: &str, app: &str, node: &str) -> Pod {
    let pod = json!({
        "metadata": { "name": name, "labels": { "app": app } },
        "spec": { "nodeName": node, "containers": [{ "name": "main", "image": "x" }] },
    });
    serde_json::from_value(pod).unwrap()
}

fn running(ready: bool) -> Value {
    json!({ "status": {
        "phase": "Running",
        "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "False" } }],
        "containerStatuses": [{
            "name": "main", "image": "x", "imageID": "", "ready": ready, "restartCount": 0, "started": true,
            "state": { "running": { "startedAt": "2026-01-01T00:00:00Z" } },
        }],
    } })
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn the_status_follows_pods_and_node_agents_without_a_write_per_event() {
    let world = World::start().await;
    let _operator = world.operator("one", &[]);
    world.fleet("review", json!({})).await;
    world.condition("review", "Ready=True NoPodsSelected").await;
    let pods = Api::<Pod>::namespaced(world.client.clone(), NAMESPACE);
    let site = Api::<Pod>::namespaced(world.client.clone(), "fleetscope-system");
    pods.create(&PostParams::default(), &pod("a", "review", "n1")).await.unwrap();
    pods.create(&PostParams::default(), &pod("other", "else", "n1")).await.unwrap();
    world.condition("review", "NodesReady=False AgentsMissing").await;

    let mut agent = pod("node-agent", "x", "n1");
    agent.labels_mut().extend(fleetscope_core::resources::NODE_AGENT_LABELS.map(|(k, v)| (k.to_owned(), v.to_owned())));
    site.create(&PostParams::default(), &agent).await.unwrap();
    site.patch_status("node-agent", &PatchParams::default(), &Patch::Merge(running(true))).await.unwrap();
    let fleet = world.condition("review", "Ready=True Observed").await;
    let status = fleet.status.unwrap();
    assert_eq!((status.targets, status.nodes.unwrap().summary.as_str()), (Some(1), "1/1"));
    pods.patch_status("a", &PatchParams::default(), &Patch::Merge(running(true))).await.unwrap();
    let counted = async || {
        let agents = world.fleets().get("review").await.unwrap().status?.agents?;
        (agents.running == 1 && agents.total == 1).then_some(())
    };
    let ((), took) = crate::server::eventually(SECOND * 20, "the agent to run", counted).await;
    assert!(took < SECOND * 2, "counted after {took:?}");

    let before = world.quiet().await.len();
    let churn = std::time::Instant::now();
    for i in 0..60 {
        pods.create(&PostParams::default(), &pod(&format!("churn-{i}"), "review", "n1")).await.unwrap();
    }
    let seconds = usize::try_from(churn.elapsed().as_secs()).unwrap();
    let writes = world.quiet().await.len() - before;
    assert!((1..=seconds + 3).contains(&writes), "{writes} writes for 60 pods in {seconds} s");
    assert_eq!(world.fleets().get("review").await.unwrap().status.unwrap().agents.unwrap().total, 61);

    // A younger fleet that selects the same pods.
    world.fleet("young", json!({})).await;
    world.patch("young", json!({ "spec": { "selector": { "matchLabels": { "app": "review" } } } })).await;
    world.condition("young", "Degraded=True SelectorOverlap").await;
    world.fleets().delete("review", &DeleteParams::default()).await.unwrap();
    world.condition("young", "Degraded=False AsExpected").await;
    assert_eq!(world.server.forbidden(), [""; 0]);
}
