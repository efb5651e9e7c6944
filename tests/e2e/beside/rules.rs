//! An edit of the rules reaches the nodes within two seconds, and applies to new processes.

use std::time::{Duration, Instant};

use fleetscope_tests::cluster::kubectl;
use fleetscope_tests::exposition;
use fleetscope_tests::wait::until;
use serde_json::json;

use crate::scene::{Scene, rules};

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn edited_rules_apply_to_new_processes_within_two_seconds_and_leave_old_ones_alone() {
    let scene = Scene::open("rules").await;
    scene.fleet(rules()).await;
    // A task that starts before the edit and ends after it keeps its name.
    scene.pod("old", &["end", "0", "15000"], None).await;
    scene.pod("new", &["idle"], None).await;
    scene
        .scraped(Duration::from_secs(20), "both pods run, and the old task", |samples| {
            exposition::sum(samples, "fleetscope_tasks_running", &[("task", "end"), ("pod", "old")]).to_string() == "1"
                && exposition::sum(samples, "fleetscope_agents", &[("status", "running")]).to_string() == "2"
        })
        .await;

    scene
        .patch_fleet(json!({"tasks": {"rules": [
            {"name": "finish", "match": {"executable": "workload", "arguments": ["end", "3"]}, "resultByExitCode": {"3": "conflict"}},
            {"ignore": true, "match": {"executable": "workload", "arguments": ["idle"]}},
        ]}}))
        .await;
    let edited = Instant::now();
    until(Duration::from_secs(2), "a new process has its new name", async || {
        let _ = kubectl(&["-n", scene.namespace(), "exec", "new", "--", "/workload", "end", "3", "0"]);
        let samples = scene.scrape().await;
        let labels =
            [("task", "finish"), ("group", "default"), ("result", "conflict"), ("exit", "other"), ("pod", "new")];
        Ok(exposition::sum(&samples, "fleetscope_tasks_total", &labels) > 0.0)
    })
    .await
    .unwrap();
    println!("new rules after {:.1?}", edited.elapsed());

    let samples = scene
        .scraped(Duration::from_secs(30), "the old task has ended under its old name", |samples| {
            exposition::sum(samples, "fleetscope_tasks_total", &[("task", "end"), ("pod", "old")]).to_string() == "1"
        })
        .await;
    assert_eq!(exposition::sum(&samples, "fleetscope_tasks_running", &[("task", "end")]).to_string(), "0");
}
