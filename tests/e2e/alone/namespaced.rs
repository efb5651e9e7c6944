//! A release that looks at some namespaces: what is in them is measured, and nothing else.

use std::time::Duration;

use fleetscope_tests::wait::until;
use fleetscope_tests::{exposition, node_agents, release};
use serde_json::json;

use crate::scene::{FLEET, Scene, rules};

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn check_11_fleets_of_the_named_namespaces_are_measured_and_others_are_not_seen() {
    let inside = Scene::open_as_installed("inside").await;
    let outside = Scene::open_as_installed("outside").await;
    // Records wait for their pod for a second only, so that this test sees what becomes of those of others.
    let values = json!({ "namespaces": [inside.namespace()], "nodeAgent": { "pendingTimeout": "1s" } });
    release::ensure_with(&values).await.unwrap();
    outside.create_fleet(FLEET, rules()).await;
    outside.pod("load", &["run", "24", "4"], None).await;
    outside.truth(1, Duration::from_mins(1)).await;
    inside.fleet(rules()).await;
    inside.pod("load", &["run", "24", "4"], None).await;
    inside.truth(1, Duration::from_mins(1)).await;
    inside
        .scraped(Duration::from_secs(20), "24 tasks of the named namespace have ended", |samples| {
            exposition::sum(samples, "fleetscope_tasks_total", &[]).to_string() == "24"
        })
        .await;
    until(Duration::from_secs(20), "the fleet has its monitor", async || {
        let fleet = inside.fleets().get(FLEET).await?;
        Ok(fleet.status.is_some_and(|status| status.scrape.is_some()))
    })
    .await
    .unwrap();

    let all = async || {
        let mut samples = Vec::new();
        for agent in node_agents::all(&inside.cluster).await? {
            samples.extend(exposition::parse(&agent.get(&inside.cluster, "/metrics").await?)?);
        }
        anyhow::Ok(samples)
    };
    until(Duration::from_secs(20), "nothing waits for its pod any more", async || {
        let samples = all().await?;
        let waiting = exposition::sum(&samples, "fleetscope_containers", &[("state", "pending")]);
        anyhow::ensure!(waiting == 0.0, "{waiting} containers");
        Ok(true)
    })
    .await
    .unwrap();
    let samples = all().await.unwrap();
    for lost in ["identity_timeout", "pending_full"] {
        let lost = exposition::sum(&samples, "fleetscope_events_lost_total", &[("reason", lost)]);
        assert_eq!(lost.to_string(), "0", "what is not looked at is not lost");
    }
    let namespaces: Vec<&String> =
        samples.iter().filter_map(|sample| sample.labels.get("namespace")).filter(|name| !name.is_empty()).collect();
    assert!(namespaces.iter().all(|name| *name == inside.namespace()), "{namespaces:?}");
    assert_eq!(outside.fleets().get(FLEET).await.unwrap().status, None);
    release::ensure().await.unwrap();
}
