//! The kinds of prometheus-operator vanish and come back while the operator runs.

use std::time::{Duration, Instant};

use fleetscope_core::api::AgentFleet;
use fleetscope_tests::cluster::{Cluster, kubectl};
use fleetscope_tests::wait::{eventually, until};
use fleetscope_tests::{release, skip};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::scene::{Scene, rules};

/// The definitions of the monitors, which are put back when this value goes, however the test ends.
struct Definitions(Value);

const DEFINITIONS: [&str; 2] = ["podmonitors.monitoring.coreos.com", "servicemonitors.monitoring.coreos.com"];

impl Definitions {
    fn remove() -> Self {
        let text = kubectl(&["get", "crd", DEFINITIONS[0], DEFINITIONS[1], "-o", "json"]).unwrap();
        let mut list: Value = serde_json::from_str(&text).unwrap();
        for item in list["items"].as_array_mut().unwrap() {
            item["metadata"] =
                json!({"name": item["metadata"]["name"], "annotations": item["metadata"]["annotations"]});
            item.as_object_mut().unwrap().remove("status");
        }
        let definitions = Self(list);
        kubectl(&["delete", "crd", DEFINITIONS[0], DEFINITIONS[1], "--wait"]).unwrap();
        definitions
    }

    fn put_back(&self) -> anyhow::Result<()> {
        let manifest = self.0.to_string();
        fleetscope_tests::command::run_in(
            "kubectl",
            &["apply", "--server-side", "--force-conflicts", "-f", "-"],
            &manifest,
        )?;
        kubectl(&["wait", "--for=condition=Established", "--timeout=30s", "crd", DEFINITIONS[0], DEFINITIONS[1]])?;
        Ok(())
    }
}

impl Drop for Definitions {
    fn drop(&mut self) {
        let _ = self.put_back();
        // prometheus-operator looks for its kinds when it starts.
        let _ = kubectl(&["-n", "monitoring", "rollout", "restart", "deployment/prometheus-operator"]);
    }
}

/// The operator's pod, its uid and its restarts.
async fn operator(cluster: &Cluster) -> (String, i32) {
    let labels = "app.kubernetes.io/name=fleetscope,app.kubernetes.io/component=operator";
    let pod = cluster.pods(release::NAMESPACE, labels).await.unwrap().remove(0);
    let restarts = pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0].restart_count;
    (pod.uid().unwrap(), restarts)
}

/// Makes fleets one after the other; the longest time until one of them was Ready with the scrape object of this kind.
async fn longest_lag(scene: &Scene, prefix: &str, kind: &str) -> Duration {
    let fleets = scene.fleets();
    let mut longest = Duration::ZERO;
    for number in 0..8 {
        let name = format!("{prefix}-{number}");
        let start = Instant::now();
        scene.create_fleet(&name, rules()).await;
        eventually(Duration::from_secs(5), &format!("{name} is ready with a {kind}"), async || {
            let fleet = fleets.get(&name).await?;
            Ok((scrape_kind(&fleet) == kind && is_ready(&fleet)).then_some(()))
        })
        .await
        .unwrap();
        longest = longest.max(start.elapsed());
    }
    longest
}

fn scrape_kind(fleet: &AgentFleet) -> &str {
    let scrape = fleet.status.as_ref().and_then(|status| status.scrape.as_ref());
    scrape.map_or("", |scrape| scrape.kind.as_str())
}

fn is_ready(fleet: &AgentFleet) -> bool {
    let conditions = fleet.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn check_01_other_fleets_are_as_quick_while_the_monitors_kinds_are_gone_and_all_heals_when_they_return() {
    if std::env::var_os("FLEETSCOPE_KUBECONFIG").is_some() {
        let name = "e2e::alone::optional_kinds::check_01_other_fleets_are_as_quick_while_the_monitors_kinds_are_gone_and_all_heals_when_they_return";
        skip::skip(name, "it would remove the monitors of a cluster that is not the suite's own");
        return;
    }
    let scene = Scene::open("kinds").await;
    let before = operator(&scene.cluster).await;
    let with = longest_lag(&scene, "with", "PodMonitor").await;

    let definitions = Definitions::remove();
    let without = longest_lag(&scene, "without", "ConfigMap").await;
    println!("longest lag {with:.1?} with the kinds, {without:.1?} without");
    // Unchanged, as far as a busy machine lets one tell; the naive wiring takes 30 s and more.
    assert!(without < with + Duration::from_secs(1), "with {with:?}, without {without:?}");

    definitions.put_back().unwrap();
    let fleets = scene.fleets();
    for name in ["with-0", "without-0"] {
        until(Duration::from_secs(10), &format!("{name} has a PodMonitor again"), async || {
            let fleet = fleets.get(name).await?;
            let monitors =
                scene.cluster.pod_monitors(scene.namespace()).list(&kube::api::ListParams::default()).await?;
            let owned = |uid: &str| monitors.iter().any(|m| m.owner_references().iter().any(|owner| owner.uid == uid));
            Ok(scrape_kind(&fleet) == "PodMonitor" && owned(fleet.metadata.uid.as_deref().unwrap_or_default()))
        })
        .await
        .unwrap();
    }
    assert_eq!(operator(&scene.cluster).await, before, "the operator was not restarted");
}
