//! Two nodes, one kernel: each node agent counts the pods of its own node.

use std::collections::BTreeSet;
use std::time::Duration;

use fleetscope_tests::{exposition, node_agents, skip};

use crate::scene::{FLEET, Scene, rules};

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn each_node_agent_counts_only_the_pods_of_its_own_node() {
    let scene = Scene::open("nodes").await;
    let nodes = scene.cluster.nodes().await.unwrap();
    if nodes.len() < 2 {
        skip::skip(
            "e2e::beside::nodes::each_node_agent_counts_only_the_pods_of_its_own_node",
            "the cluster has one node: NODES=2",
        );
        return;
    }
    scene.fleet(rules()).await;
    for (node, processes) in [(&nodes[0], "12"), (&nodes[1], "36")] {
        scene.pod(&format!("on-{node}"), &["run", processes, "4"], Some(node)).await;
    }
    let truth = scene.truth(2, Duration::from_mins(1)).await;
    assert_eq!(truth.values().map(|(count, _)| count).sum::<u64>(), 48);
    scene.counted(48).await;
    for agent in node_agents::all(&scene.cluster).await.unwrap() {
        let samples = agent.scrape(&scene.cluster, scene.namespace(), FLEET).await.unwrap();
        let pods: BTreeSet<&str> =
            samples.iter().filter_map(|sample| sample.labels.get("pod")).map(String::as_str).collect();
        let own = format!("on-{}", agent.node);
        assert_eq!(pods.into_iter().filter(|pod| !pod.is_empty()).collect::<Vec<_>>(), [own.as_str()], "{agent:?}");
        let expected = if agent.node == nodes[0] { "12" } else { "36" };
        assert_eq!(exposition::sum(&samples, "fleetscope_tasks_total", &[]).to_string(), expected, "{agent:?}");
        assert_eq!(
            exposition::sum(&samples, "fleetscope_agents", &[("status", "running")]).to_string(),
            "1",
            "{agent:?}"
        );
    }
}
