//! What a fleet's status says, and how `kubectl get fleets` shows it.

use std::time::Duration;

use fleetscope_core::api::{AgentFleet, AgentFleetStatus};
use fleetscope_tests::cluster::kubectl;
use fleetscope_tests::wait::eventually;

use crate::scene::{FLEET, Scene, rules};

/// Status and reason of a condition.
fn condition(fleet: &AgentFleet, kind: &str) -> Option<(String, String)> {
    let conditions = &fleet.status.as_ref()?.conditions;
    conditions
        .iter()
        .find(|condition| condition.type_ == kind)
        .map(|condition| (condition.status.clone(), condition.reason.clone()))
}

/// Waits until Ready has this status and reason, for the fleet's newest generation.
async fn ready(scene: &Scene, limit: Duration, status: &str, reason: &str) -> AgentFleetStatus {
    let what = format!("Ready is {status} with reason {reason}");
    let fleets = scene.fleets();
    let (fleet, _) = eventually(limit, &what, async || {
        let fleet = fleets.get(FLEET).await?;
        let observed = fleet.status.as_ref().and_then(|status| status.observed_generation);
        let holds = condition(&fleet, "Ready") == Some((status.to_owned(), reason.to_owned()))
            && observed == fleet.metadata.generation;
        anyhow::ensure!(holds, "{:?}", fleet.status);
        Ok(Some(fleet))
    })
    .await
    .unwrap();
    fleet.status.unwrap()
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn fleet_that_selects_nothing_is_ready_with_reason_no_pods_selected() {
    let scene = Scene::open("nopods").await;
    scene.create_fleet(FLEET, rules()).await;
    let status = ready(&scene, Duration::from_secs(5), "True", "NoPodsSelected").await;
    assert_eq!(status.agents.unwrap().total, 0);
    kubectl(&["-n", scene.namespace(), "wait", "--for=condition=Ready", "--timeout=5s", "agentfleet/crew"]).unwrap();
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn columns_of_get_fleets_show_agents_nodes_and_targets() {
    let scene = Scene::open("columns").await;
    scene.fleet(rules()).await;
    let nodes = scene.cluster.nodes().await.unwrap();
    scene.pod("runs", &["idle"], Some(&nodes[0])).await;
    scene.pod("fails", &["end", "1", "0"], Some(&nodes[0])).await;
    let what = "one agent runs and one has failed";
    let fleets = scene.fleets();
    eventually(Duration::from_secs(30), what, async || {
        let agents = fleets.get(FLEET).await?.status.unwrap_or_default().agents.unwrap_or_default();
        Ok(((agents.total, agents.running, agents.failed) == (2, 1, 1)).then_some(()))
    })
    .await
    .unwrap();
    ready(&scene, Duration::from_secs(5), "True", "Observed").await;

    let table = kubectl(&["-n", scene.namespace(), "get", "fleets", "-o", "wide"]).unwrap();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines[0],
        [
            "NAME",
            "READY",
            "REASON",
            "AGENTS",
            "RUNNING",
            "FAILED",
            "NODES",
            "TARGETS",
            "SCRAPE",
            "PROFILE",
            "SUSPENDED",
            "AGE"
        ],
        "{table}"
    );
    let targets = nodes.len().to_string();
    assert_eq!(
        lines[1][..11],
        [FLEET, "True", "Observed", "2", "1", "1", "1/1", &targets, "PodMonitor", "Generic", "false"],
        "{table}"
    );
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn second_fleet_of_the_same_pods_says_that_they_belong_to_the_first() {
    let scene = Scene::open("overlap").await;
    scene.fleet(rules()).await;
    scene.pod("runs", &["idle"], None).await;
    ready(&scene, Duration::from_secs(20), "True", "Observed").await;
    scene.create_fleet("younger", rules()).await;
    let fleets = scene.fleets();
    let (younger, _) = eventually(Duration::from_secs(10), "the younger fleet is Degraded", async || {
        let fleet = fleets.get("younger").await?;
        Ok((condition(&fleet, "Degraded") == Some(("True".to_owned(), "SelectorOverlap".to_owned()))).then_some(fleet))
    })
    .await
    .unwrap();
    assert_eq!(younger.status.unwrap().agents.unwrap().total, 0, "the pod belongs to the older fleet");
}
