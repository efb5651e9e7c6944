//! More than anybody would ask for: figures stay right, memory stays bounded, caps hold.

use std::collections::BTreeSet;
use std::time::Duration;

use fleetscope_core::metrics::OTHER;
use fleetscope_tests::exposition::{self, Sample};
use fleetscope_tests::node_agents;
use serde_json::json;

use crate::scene::{Scene, lost, rules};

/// Highest resident memory of the node agents, in MiB.
async fn resident(scene: &Scene) -> f64 {
    let samples = node_agents::scrape(&scene.cluster, "", "").await.unwrap();
    let bytes =
        exposition::matching(&samples, "fleetscope_process_resident_memory_bytes", &[]).map(|sample| sample.value);
    bytes.fold(0.0, f64::max) / f64::from(1 << 20)
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn ten_thousand_executables_fill_the_cap_and_the_rest_counts_as_other() {
    let scene = Scene::open("distinct").await;
    scene.fleet(json!({"rules": [], "maxUnmatched": 50})).await;
    let node = scene.cluster.nodes().await.unwrap().remove(0);
    let lost_before = lost(&scene.cluster).await;
    scene.pod("tools", &["distinct", "10000"], Some(&node)).await;
    // One after the other, each with a new name in its folder: 25 s on two cores with nothing else at work.
    let truth = scene.truth(1, Duration::from_mins(3)).await;
    assert_eq!(truth.values().map(|(count, _)| *count).collect::<Vec<u64>>(), [10_000]);
    let samples = scene
        .scraped(Duration::from_secs(10), "all of them are counted", |samples| {
            exposition::sum(samples, "fleetscope_tasks_total", &[("exit", "0")]).to_string() == "10000"
        })
        .await;
    let names = |samples: &[Sample], name: &str| -> BTreeSet<String> {
        exposition::matching(samples, name, &[]).map(|sample| sample.labels["task"].clone()).collect()
    };
    let tasks = names(&samples, "fleetscope_tasks_total");
    assert!(tasks.contains(OTHER), "{tasks:?}");
    // 50 names from executables, one of which is the workload itself, which still runs.
    let own = tasks.iter().filter(|task| task.starts_with("tool-")).count();
    assert_eq!((own, tasks.len()), (49, 50), "{tasks:?}");
    assert_eq!(
        exposition::sum(&samples, "fleetscope_tasks_total", &[("task", OTHER)]).to_string(),
        (10_000 - 49).to_string()
    );
    assert_eq!(lost(&scene.cluster).await.to_string(), lost_before.to_string());
    let resident = resident(&scene).await;
    assert!(resident < 128.0, "{resident} MiB");
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn storm_of_twenty_thousand_processes_is_counted_exactly() {
    let scene = Scene::open("storm").await;
    scene.fleet(rules()).await;
    let nodes = scene.cluster.nodes().await.unwrap();
    let lost_before = lost(&scene.cluster).await;
    for number in 0..4 {
        scene.pod(&format!("storm-{number}"), &["storm", "5000", "8"], Some(&nodes[number % nodes.len()])).await;
    }
    let truth = scene.truth(4, Duration::from_mins(5)).await;
    assert_eq!(truth.values().map(|(count, _)| *count).collect::<Vec<u64>>(), [20_000]);
    let samples = scene
        .scraped(Duration::from_secs(10), "all of them are counted", |samples| {
            exposition::sum(samples, "fleetscope_tasks_total", &[]).to_string() == "20000"
        })
        .await;
    assert_eq!(
        exposition::sum(&samples, "fleetscope_tasks_total", &[("task", "end"), ("exit", "0")]).to_string(),
        "20000"
    );
    assert_eq!(exposition::sum(&samples, "fleetscope_tasks_running", &[]).to_string(), "0");
    assert_eq!(lost(&scene.cluster).await.to_string(), lost_before.to_string());
    let resident = resident(&scene).await;
    assert!(resident < 128.0, "{resident} MiB");
    assert!(node_agents::all(&scene.cluster).await.unwrap().iter().all(|agent| agent.restarts == 0));
}
