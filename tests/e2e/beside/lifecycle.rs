//! Agents that fail, and pods that come again under their old names.

use std::time::Duration;

use fleetscope_tests::wait::until;
use fleetscope_tests::{exposition, workload};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams};
use serde_json::json;

use crate::scene::{Scene, image, rules};

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn pod_that_comes_back_under_its_old_name_starts_from_zero() {
    let scene = Scene::open("again").await;
    scene.fleet(rules()).await;
    let pods = Api::<Pod>::namespaced(scene.cluster.client.clone(), scene.namespace());
    for processes in ["24", "12"] {
        scene.pod("same", &["run", processes, "4"], None).await;
        scene.truth(1, Duration::from_mins(1)).await;
        if processes == "24" {
            pods.delete("same", &DeleteParams::default().grace_period(0)).await.unwrap();
            until(Duration::from_secs(10), "the pod is gone", async || Ok(pods.get_opt("same").await?.is_none()))
                .await
                .unwrap();
        }
    }
    // One series per name: a counter that goes on, or that starts again, but never one that is wrong.
    let samples = scene
        .scraped(Duration::from_secs(10), "the second pod's tasks are counted", |samples| {
            ["12", "36"].contains(
                &exposition::sum(samples, "fleetscope_tasks_total", &[("pod", "same"), ("task", "end")])
                    .to_string()
                    .as_str(),
            )
        })
        .await;
    assert_eq!(exposition::sum(&samples, "fleetscope_tasks_running", &[]).to_string(), "0");
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn containers_that_fail_are_failed_agents_with_their_tasks_and_reasons() {
    let scene = Scene::open("failures").await;
    scene.fleet(json!({})).await;
    // The container's first process is the task.
    scene.pod("conflict", &["end", "1", "200"], None).await;
    scene.pod("seven", &["end", "7", "200"], None).await;
    // Takes 64 MiB where there are 32.
    let mut hoard = workload::pod_spec(&image(), &["hoard", "64"]);
    hoard["containers"][0]["resources"]["limits"] = json!({"memory": "32Mi"});
    workload::start(&scene.cluster, scene.namespace(), "hoard", hoard).await.unwrap();
    let samples = scene
        .scraped(Duration::from_secs(30), "three agents have failed", |samples| {
            exposition::sum(samples, "fleetscope_agents", &[("status", "failed")]).to_string() == "3"
                && exposition::sum(samples, "fleetscope_tasks_total", &[("task", "workload")]).to_string() == "3"
        })
        .await;
    for (pod, exit) in [("conflict", "1"), ("seven", "other"), ("hoard", "oom")] {
        let labels = [("pod", pod), ("exit", exit), ("result", "failed"), ("task", "workload")];
        assert_eq!(exposition::sum(&samples, "fleetscope_tasks_total", &labels).to_string(), "1", "{pod}");
    }
    let stops = exposition::sum(&samples, "fleetscope_agent_stops_total", &[("result", "failure")]);
    assert_eq!(stops.to_string(), "3");
    for (reason, count) in [("exit_code", "2"), ("oom", "1")] {
        let failures = exposition::sum(&samples, "fleetscope_agent_failures_total", &[("reason", reason)]);
        assert_eq!(failures.to_string(), count, "{reason}");
    }
}
