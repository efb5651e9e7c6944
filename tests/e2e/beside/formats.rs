//! `/metrics` in its formats: promtool accepts it, and all of them say the same.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetscope_core::metrics::{ALL, Scope};
use fleetscope_tests::exposition::{self, Sample};
use fleetscope_tests::{command, node_agents, release};

use crate::scene::{FLEET, Scene, rules};

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn promtool_finds_nothing_in_the_metrics_of_node_agent_and_operator() {
    let scene = Scene::open("promtool").await;
    scene.fleet(rules()).await;
    scene.pod("load", &["run", "24", "4"], None).await;
    scene.truth(1, Duration::from_mins(1)).await;
    let operator = scene
        .cluster
        .pods(release::NAMESPACE, "app.kubernetes.io/name=fleetscope,app.kubernetes.io/component=operator")
        .await
        .unwrap();
    let operator = operator[0].metadata.name.as_deref().unwrap();
    let mut expositions = vec![(
        operator.to_owned(),
        scene
            .cluster
            .get(&format!("/api/v1/namespaces/{}/pods/{operator}:10981/proxy/metrics", release::NAMESPACE))
            .await
            .unwrap(),
    )];
    for agent in node_agents::all(&scene.cluster).await.unwrap() {
        for path in [
            "/metrics".to_owned(),
            "/metrics?scope=self".to_owned(),
            format!("/metrics?namespace={}&fleet={FLEET}", scene.namespace()),
        ] {
            expositions.push((format!("{}{path}", agent.pod), agent.get(&scene.cluster, &path).await.unwrap()));
        }
    }
    for (source, text) in expositions {
        let ran = command::run_with("promtool", &["check", "metrics"], &text).unwrap();
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""), "{source}");
    }
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn openmetrics_says_the_same_as_text() {
    let scene = Scene::open("openmetrics").await;
    scene.fleet(rules()).await;
    scene.pod("load", &["run", "24", "4"], None).await;
    scene.truth(1, Duration::from_mins(1)).await;
    scene.counted(24).await;
    // Only what stands still: the tasks, which have all ended.
    let tasks = |samples: Vec<Sample>| -> BTreeMap<(String, exposition::Labels), String> {
        let tasks = samples
            .into_iter()
            .filter(|sample| sample.name.starts_with("fleetscope_task") && !sample.name.ends_with("_created"));
        tasks.map(|sample| ((sample.name, sample.labels), sample.value.to_string())).collect()
    };
    let path = format!("/metrics?namespace={}&fleet={FLEET}", scene.namespace());
    let mut compared = 0;
    for agent in node_agents::all(&scene.cluster).await.unwrap() {
        let accept = "application/openmetrics-text; version=1.0.0";
        let open = agent.get_as(&scene.cluster, &path, accept).await.unwrap();
        assert!(open.ends_with("# EOF\n"), "{open}");
        let text = agent.get_as(&scene.cluster, &path, "text/plain; version=0.0.4").await.unwrap();
        let (open, text) = (tasks(exposition::parse(&open).unwrap()), tasks(exposition::parse(&text).unwrap()));
        assert_eq!(open, text, "{agent:?}");
        compared += text.len();
    }
    assert!(compared > 30, "{compared} series were compared");
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn fleet_and_self_metrics_are_apart_and_only_those_of_the_table() {
    let scene = Scene::open("scopes").await;
    scene.fleet(rules()).await;
    scene.pod("load", &["run", "24", "4"], None).await;
    scene.truth(1, Duration::from_mins(1)).await;
    let known = |scope: Scope| -> Vec<&'static str> {
        ALL.iter().filter(|metric| metric.scope == scope).map(|metric| metric.name).collect()
    };
    let base = |sample: &Sample| -> String {
        let name = sample.name.as_str();
        ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name).to_owned()
    };
    for agent in node_agents::all(&scene.cluster).await.unwrap() {
        for sample in agent.scrape(&scene.cluster, scene.namespace(), FLEET).await.unwrap() {
            assert!(known(Scope::Fleet).contains(&base(&sample).as_str()), "{sample:?}");
            let own = ["namespace", "fleet"].map(|label| sample.labels[label].as_str());
            assert_eq!(own, [scene.namespace(), FLEET], "{sample:?}");
        }
        for sample in agent.scrape(&scene.cluster, "", "").await.unwrap() {
            assert!(known(Scope::NodeAgent).contains(&base(&sample).as_str()), "{sample:?}");
        }
    }
}
