//! Whether a Prometheus takes what was made, as the condition says and as prometheus-operator does: with kube-prometheus-stack's way to
//! select, by a label.

use std::time::Duration;

use fleetscope_core::api::agent_fleet::AgentFleetStatus;
use fleetscope_tests::cluster::kubectl;
use fleetscope_tests::prometheus;
use fleetscope_tests::wait::{eventually, until};

use crate::scene::{FLEET, Scene, rules};

const LIMIT: Duration = Duration::from_secs(20);
/// Until prometheus-operator, kubelet and reloader have done their part.
const LOADED: Duration = Duration::from_mins(3);

/// Has the Prometheus select by a label with this value, and by the usual one again when this value goes.
struct SelectBy;

impl SelectBy {
    fn label(value: &str) -> Self {
        patch(value);
        Self
    }
}

impl Drop for SelectBy {
    fn drop(&mut self) {
        patch("kps");
    }
}

fn patch(value: &str) {
    let patch = format!(r#"{{"spec":{{"podMonitorSelector":{{"matchLabels":{{"release":"{value}"}}}}}}}}"#);
    kubectl(&["-n", "monitoring", "patch", "prometheus", "k8s", "--type=merge", "-p", &patch]).unwrap();
}

/// Status, reason and message of the condition.
async fn selected(scene: &Scene) -> anyhow::Result<Option<(String, String, String)>> {
    let status: AgentFleetStatus = scene.fleets().get(FLEET).await?.status.unwrap_or_default();
    let condition = status.conditions.into_iter().find(|condition| condition.type_ == "Selected");
    Ok(condition.map(|condition| (condition.status, condition.reason, condition.message)))
}

async fn said(scene: &Scene, status: &str) -> (String, String) {
    let what = format!("Selected is {status}");
    let (told, _) = eventually(LIMIT, &what, async || {
        Ok(selected(scene).await?.filter(|(now, _, _)| now == status).map(|(_, reason, message)| (reason, message)))
    })
    .await
    .unwrap();
    told
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn check_14_selected_says_what_prometheus_does_and_which_label_is_missing() {
    if std::env::var_os("FLEETSCOPE_KUBECONFIG").is_some() {
        let name = "e2e::alone::selected::check_14_selected_says_what_prometheus_does_and_which_label_is_missing";
        fleetscope_tests::skip::skip(name, "it changes the selector of the cluster's Prometheus, here somebody's own");
        return;
    }
    let scene = Scene::open("selected").await;
    scene.create_fleet(FLEET, rules()).await;
    let (reason, message) = said(&scene, "True").await;
    assert_eq!(reason, "SelectedBy");
    assert!(message.contains("monitoring/k8s"), "{message}");
    // By what was scraped in the last seconds: of a job that vanishes with its configuration Prometheus may show the last value for minutes.
    let job = format!("count_over_time(up{{job=\"{}/{FLEET}-scrape\"}}[20s])", scene.namespace());
    let scraped = async || Ok(!prometheus::query(&scene.cluster, &job).await?.is_empty());
    until(LOADED, "Prometheus scrapes the fleet", scraped).await.unwrap();

    let by_another = SelectBy::label("another");
    let (reason, message) = said(&scene, "False").await;
    assert_eq!(reason, "NotSelected");
    for part in ["PodMonitor", "release", "another", "kps", "monitoring.labels.release=another"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let gone = async || Ok(prometheus::query(&scene.cluster, &job).await?.is_empty());
    until(LOADED, "Prometheus scrapes it no more", gone).await.unwrap();

    drop(by_another);
    said(&scene, "True").await;
    until(LOADED, "Prometheus scrapes it again", scraped).await.unwrap();
}
