//! Containers that live for a moment are attributed, and by name.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetscope_tests::exposition;
use fleetscope_tests::workload;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Api, PostParams};
use serde_json::json;

use crate::scene::{Scene, image, lost, rules};

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn jobs_whose_containers_end_at_once_are_counted_under_their_own_names() {
    const PODS: usize = 12;
    let scene = Scene::open("jobs").await;
    scene.fleet(rules()).await;
    let lost_before = lost(&scene.cluster).await;
    // The container's first process is the task, and ends at once.
    let mut spec = workload::pod_spec(&image(), &["end", "0", "0"]);
    spec["restartPolicy"] = "Never".into();
    let job = json!({
        "metadata": {"name": "errand"},
        "spec": {
            "completions": PODS, "parallelism": 4,
            "template": {"metadata": {"labels": {workload::LABEL.0: workload::LABEL.1}}, "spec": spec},
        },
    });
    let jobs = Api::<Job>::namespaced(scene.cluster.client.clone(), scene.namespace());
    jobs.create(&PostParams::default(), &serde_json::from_value(job).unwrap()).await.unwrap();

    let samples = scene
        .scraped(Duration::from_mins(2), "every pod of the job is counted", |samples| {
            exposition::sum(samples, "fleetscope_tasks_total", &[("task", "end"), ("result", "success")]).to_string()
                == PODS.to_string()
        })
        .await;
    let by_pod = exposition::sum_by(&samples, "fleetscope_tasks_total", &["workload", "container", "pod"]);
    let pods = scene.cluster.pods(scene.namespace(), "job-name=errand").await.unwrap();
    let expected: BTreeMap<Vec<String>, f64> = pods
        .iter()
        .map(|pod| (vec!["errand".to_owned(), "agent".to_owned(), pod.metadata.name.clone().unwrap()], 1.0))
        .collect();
    assert_eq!(by_pod, expected);
    assert_eq!(lost(&scene.cluster).await.to_string(), lost_before.to_string());
}
