//! A fleet has its monitor within a second, keeps it, and Prometheus scrapes it.

use std::time::{Duration, Instant};

use fleetscope_tests::exposition;
use fleetscope_tests::wait::{eventually, until};
use fleetscope_tests::{node_agents, prometheus};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, ObjectMeta, PostParams};
use kube::{Resource as _, ResourceExt as _};

use crate::scene::{FLEET, Scene, rules};

/// The only monitor of the namespace, if it is there.
async fn only_monitor(monitors: &Api<DynamicObject>) -> anyhow::Result<Option<DynamicObject>> {
    let mut items = monitors.list(&ListParams::default()).await?.items;
    anyhow::ensure!(items.len() <= 1, "more than one monitor: {items:?}");
    Ok(items.pop())
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn fleet_has_a_monitor_within_a_second_and_its_targets_come_up() {
    let scene = Scene::open("monitor").await;
    let monitors = scene.cluster.pod_monitors(scene.namespace());
    let fleet = scene.create_fleet(FLEET, rules()).await;
    let (monitor, waited) =
        eventually(Duration::from_secs(1), "the fleet has a PodMonitor", async || only_monitor(&monitors).await)
            .await
            .unwrap();
    println!("PodMonitor after {waited:.1?}");

    let owner = &monitor.owner_references()[0];
    assert_eq!((owner.uid.as_str(), owner.controller), (fleet.meta().uid.as_deref().unwrap(), Some(true)));
    assert_eq!(
        monitor.labels().get("release").map(String::as_str),
        Some("kps"),
        "the label that Prometheus selects by"
    );

    let agents = node_agents::all(&scene.cluster).await.unwrap().len();
    let job = format!("{}/{}", scene.namespace(), monitor.name_any());
    let waited =
        until(Duration::from_secs(90), "Prometheus shows every node agent as a target that is up", async || {
            let up = prometheus::query(&scene.cluster, &format!("up{{job={job:?}}}")).await?;
            Ok(up.len() == agents && up.iter().all(|target| target.value > 0.0))
        })
        .await
        .unwrap();
    println!("targets up after {waited:.1?}");
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn prometheus_has_the_same_totals_as_the_node_agents() {
    let scene = Scene::open("totals").await;
    scene.fleet(rules()).await;
    scene.pod("load", &["run", "120", "8"], None).await;
    let truth = scene.truth(1, Duration::from_mins(1)).await;
    assert_eq!(truth.values().map(|(count, _)| count).sum::<u64>(), 120);
    let by = ["namespace", "fleet", "pod", "container", "workload", "task", "group", "result", "exit"];
    let wanted = exposition::sum_by(&scene.counted(120).await, "fleetscope_tasks_total", &by);
    // The fleet's monitor takes what this Prometheus likes best, which is protobuf here; another one like it asks for the text.
    let monitors = scene.cluster.pod_monitors(scene.namespace());
    let made = only_monitor(&monitors).await.unwrap().unwrap();
    let mut text =
        DynamicObject { types: made.types.clone(), metadata: ObjectMeta::default(), data: made.data.clone() };
    text.metadata.name = Some("text".to_owned());
    text.metadata.labels = Some([("release".to_owned(), "kps".to_owned())].into());
    text.data["spec"]["scrapeProtocols"] = serde_json::json!(["OpenMetricsText1.0.0"]);
    monitors.create(&PostParams::default(), &text).await.unwrap();
    for monitor in [made.name_any().as_str(), "text"] {
        let query = format!("fleetscope_tasks_total{{job=\"{}/{monitor}\"}}", scene.namespace());
        until(Duration::from_secs(90), &format!("Prometheus has the same by the monitor {monitor}"), async || {
            let samples = prometheus::query(&scene.cluster, &query).await?;
            Ok(exposition::sum_by(&samples, "fleetscope_tasks_total", &by) == wanted)
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn tasks_of_a_pod_that_lives_between_two_scrapes_are_in_the_increase() {
    let scene = Scene::open("between").await;
    scene.fleet(rules()).await;
    let up = format!("sum(up{{job=~\"{}/.*\"}})", scene.namespace());
    let agents = node_agents::all(&scene.cluster).await.unwrap().len();
    until(Duration::from_secs(90), "Prometheus scrapes the node agents", async || {
        let up = prometheus::query(&scene.cluster, &up).await?;
        Ok(up.first().is_some_and(|up| up.value.to_string() == agents.to_string()))
    })
    .await
    .unwrap();
    scene.pod("short", &["storm", "300", "2"], None).await;
    // What Prometheus knows that was added, without extrapolation: it has to know that the series were zero before it first saw them.
    let series = format!("fleetscope_tasks_total{{namespace={:?}}}[5m]", scene.namespace());
    let added = format!("sum(max_over_time({series}) - min_over_time({series}))");
    let what = "all 300 are in the increase (Prometheus runs with --enable-feature=created-timestamp-zero-ingestion?)";
    until(Duration::from_mins(1), what, async || {
        let added = prometheus::query(&scene.cluster, &added).await?;
        anyhow::ensure!(added.first().is_some_and(|sum| sum.value.to_string() == "300"), "{added:?}");
        Ok(true)
    })
    .await
    .unwrap();
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn check_04_deleted_monitor_is_repaired_within_two_seconds() {
    let scene = Scene::open("repair").await;
    let monitors = scene.cluster.pod_monitors(scene.namespace());
    scene.create_fleet(FLEET, rules()).await;
    let limit = Duration::from_secs(2);
    let (monitor, _) =
        eventually(limit, "the fleet has a PodMonitor", async || only_monitor(&monitors).await).await.unwrap();
    let uid = monitor.uid();
    let deleted = Instant::now();
    monitors.delete(&monitor.name_any(), &DeleteParams::default()).await.unwrap();
    let (again, _) = eventually(limit, "the PodMonitor is there again", async || {
        Ok(only_monitor(&monitors).await?.filter(|monitor| monitor.uid() != uid))
    })
    .await
    .unwrap();
    println!("repaired after {:.1?}", deleted.elapsed());
    assert_eq!(again.name_any(), monitor.name_any());
    assert_eq!(again.data, monitor.data);
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn suspended_fleet_has_no_monitor_and_deleted_fleet_leaves_none() {
    let scene = Scene::open("suspend").await;
    let monitors = scene.cluster.pod_monitors(scene.namespace());
    let limit = Duration::from_secs(5);
    scene.create_fleet(FLEET, rules()).await;
    let there = async || Ok(only_monitor(&monitors).await?.is_some());
    let gone = async || Ok(only_monitor(&monitors).await?.is_none());
    until(limit, "the fleet has a PodMonitor", there).await.unwrap();
    scene.patch_fleet(serde_json::json!({"suspend": true})).await;
    until(limit, "the suspended fleet has none", gone).await.unwrap();
    scene.patch_fleet(serde_json::json!({"suspend": false})).await;
    until(limit, "it has one again", there).await.unwrap();
    scene.fleets().delete(FLEET, &DeleteParams::default()).await.unwrap();
    until(Duration::from_secs(30), "the deleted fleet leaves none", gone).await.unwrap();
}
