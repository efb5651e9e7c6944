//! A known mix of processes gives exactly the known totals, and durations within 1 %.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetscope_tests::exposition;

use crate::scene::{Scene, lost, rules};

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn ten_thousand_processes_of_several_pods_give_the_known_totals_and_durations() {
    let scene = Scene::open("exact").await;
    scene.fleet(rules()).await;
    let nodes = scene.cluster.nodes().await.unwrap();
    let lost_before = lost(&scene.cluster).await;
    for number in 0..5 {
        let node = &nodes[number % nodes.len()];
        scene.pod(&format!("load-{number}"), &["run", "2000", "12"], Some(node)).await;
    }
    let truth = scene.truth(5, Duration::from_mins(5)).await;

    let wanted: BTreeMap<Vec<String>, f64> = truth
        .iter()
        .map(|((task, exit), (count, _))| (vec![task.clone(), exit.clone()], f64::from(u32::try_from(*count).unwrap())))
        .collect();
    assert_eq!(wanted.values().sum::<f64>().to_string(), "10000");
    assert_eq!(wanted.len(), 8, "0, 1, 2, 126, 127, sigkill, sigterm and other: {wanted:?}");
    let samples = scene
        .scraped(Duration::from_secs(10), "the totals equal the truth", |samples| {
            exposition::sum_by(samples, "fleetscope_tasks_total", &["task", "exit"]) == wanted
        })
        .await;

    // Results follow the rule: 1 is a conflict, SIGKILL is killed, what is not named is failed.
    let by_result = exposition::sum_by(&samples, "fleetscope_tasks_total", &["result"]);
    let count = |exit: &str| wanted[&vec!["end".to_owned(), exit.to_owned()]];
    let failed = count("2") + count("126") + count("127") + count("sigterm") + count("other");
    let expected =
        [("conflict", count("1")), ("failed", failed), ("killed", count("sigkill")), ("success", count("0"))];
    assert_eq!(by_result, expected.into_iter().map(|(result, count)| (vec![result.to_owned()], count)).collect());

    let truth_seconds: f64 = truth.values().map(|(_, seconds)| seconds).sum();
    let seconds = exposition::sum(&samples, "fleetscope_task_duration_seconds_sum", &[]);
    assert!(
        (seconds / truth_seconds - 1.0).abs() < 0.01,
        "measured {seconds} s, the workload itself {truth_seconds} s"
    );
    assert_eq!(exposition::sum(&samples, "fleetscope_task_duration_seconds_count", &[]).to_string(), "10000");
    assert_eq!(exposition::sum(&samples, "fleetscope_tasks_running", &[]).to_string(), "0");
    assert_eq!(lost(&scene.cluster).await.to_string(), lost_before.to_string());
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn threads_and_forks_without_exec_are_no_tasks() {
    let scene = Scene::open("forks").await;
    scene.fleet(serde_json::json!({})).await;
    // The workload starts 12 threads; the standard library of Rust spawns without a fork that stays.
    scene.pod("load", &["run", "24", "12"], None).await;
    let truth = scene.truth(1, Duration::from_mins(1)).await;
    assert_eq!(truth.values().map(|(count, _)| count).sum::<u64>(), 24);
    let samples = scene
        .scraped(Duration::from_secs(10), "24 processes have ended and one runs", |samples| {
            exposition::sum(samples, "fleetscope_tasks_total", &[("task", "workload")]).to_string() == "24"
        })
        .await;
    // Without a rule, a task is named after its executable, in the group `other`; process 1 of the container runs on.
    assert_eq!(exposition::sum(&samples, "fleetscope_tasks_total", &[("group", "other")]).to_string(), "24");
    assert_eq!(exposition::sum(&samples, "fleetscope_tasks_running", &[("task", "workload")]).to_string(), "1");
}
