//! Node agents that come again, and pods that go for good: nothing is counted twice, and nothing stays for ever.

use std::time::Duration;

use fleetscope_tests::wait::until;
use fleetscope_tests::{exposition, node_agents, release};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams};
use serde_json::json;

use crate::scene::{Scene, rules};

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn restarted_node_agent_counts_nothing_twice_and_the_end_of_what_ran_before() {
    let scene = Scene::open("restart").await;
    scene.fleet(rules()).await;
    let node = scene.cluster.nodes().await.unwrap().remove(0);
    scene.pod("done", &["run", "24", "4"], Some(&node)).await;
    scene.truth(1, Duration::from_mins(1)).await;
    scene.pod("lasting", &["end", "2", "25000"], Some(&node)).await;
    scene
        .scraped(Duration::from_secs(20), "24 tasks have ended and one runs", |samples| {
            exposition::sum(samples, "fleetscope_tasks_total", &[]).to_string() == "24"
                && exposition::sum(samples, "fleetscope_tasks_running", &[]).to_string() == "1"
        })
        .await;

    let before = node_agents::all(&scene.cluster).await.unwrap();
    let old = before.iter().find(|agent| agent.node == node).unwrap();
    let pods = Api::<Pod>::namespaced(scene.cluster.client.clone(), release::NAMESPACE);
    pods.delete(&old.pod, &DeleteParams::default()).await.unwrap();
    until(Duration::from_mins(1), "another node agent has taken over", async || {
        let now = node_agents::all(&scene.cluster).await?;
        let Some(new) = now.iter().find(|agent| agent.node == node && agent.uid != old.uid) else { return Ok(false) };
        new.get(&scene.cluster, "/readyz").await?;
        Ok(now.len() == before.len())
    })
    .await
    .unwrap();

    let samples = scene
        .scraped(Duration::from_secs(10), "the lasting task is known to run", |samples| {
            exposition::sum(samples, "fleetscope_tasks_running", &[("task", "end"), ("pod", "lasting")]).to_string()
                == "1"
        })
        .await;
    assert_eq!(exposition::sum(&samples, "fleetscope_tasks_total", &[]).to_string(), "0");
    let samples = scene
        .scraped(Duration::from_mins(1), "the lasting task has ended", |samples| {
            exposition::sum(samples, "fleetscope_tasks_total", &[("exit", "2"), ("pod", "lasting")]).to_string() == "1"
        })
        .await;
    assert_eq!(exposition::sum(&samples, "fleetscope_tasks_total", &[]).to_string(), "1");
    assert_eq!(exposition::sum(&samples, "fleetscope_tasks_running", &[]).to_string(), "0");
    // Its whole life counts, not only what the new node agent saw of it.
    let seconds = exposition::sum(&samples, "fleetscope_task_duration_seconds_sum", &[]);
    assert!((24.5..27.0).contains(&seconds), "{seconds}");
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn series_of_a_deleted_pod_are_served_for_the_grace_period_and_then_gone() {
    // Records may be late by the pending timeout; the grace period begins when none can come any more.
    release::ensure_with(&json!({"nodeAgent": {"seriesGrace": "8s", "pendingTimeout": "2s"}})).await.unwrap();
    let scene = Scene::open_as_installed("grace").await;
    scene.fleet(rules()).await;
    scene.pod("short", &["run", "12", "4"], None).await;
    scene.pod("long", &["run", "12", "4"], None).await;
    scene.truth(2, Duration::from_mins(1)).await;
    let total = |samples: &[exposition::Sample], pod| {
        exposition::sum(samples, "fleetscope_tasks_total", &[("pod", pod)]).to_string()
    };
    let pods = Api::<Pod>::namespaced(scene.cluster.client.clone(), scene.namespace());
    pods.delete("short", &DeleteParams::default().grace_period(0)).await.unwrap();
    until(Duration::from_secs(10), "the pod is gone", async || Ok(pods.get_opt("short").await?.is_none()))
        .await
        .unwrap();
    // What ended before the kubelet said which container it was waits for that, at most as long as the pending timeout.
    scene
        .scraped(Duration::from_secs(5), "Prometheus can see the last values", |samples| {
            total(samples, "short") == "12"
        })
        .await;
    let samples = scene
        .scraped(Duration::from_secs(30), "its series are gone", |samples| {
            !samples.iter().any(|sample| sample.labels.get("pod").is_some_and(|pod| pod == "short"))
        })
        .await;
    assert_eq!(total(&samples, "long"), "12");
}
