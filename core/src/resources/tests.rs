//! Golden objects, and what holds for any fleet.

use kube::core::ObjectMeta;
use proptest::prelude::*;

use super::*;
use crate::api::AgentFleetSpec;
use crate::api::agent_fleet::LabelValue;

fn site() -> Site {
    let monitor_labels = BTreeMap::from([("release".to_owned(), "kps".to_owned())]);
    Site { namespace: "fleetscope-system".to_owned(), monitor_labels, ..Site::default() }
}

fn fleet(name: &str) -> AgentFleet {
    let mut spec = AgentFleetSpec::default();
    spec.scrape.labels.insert("team".to_owned(), LabelValue("review".to_owned()));
    AgentFleet {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("agents".to_owned()),
            uid: Some("0b1c".to_owned()),
            ..ObjectMeta::default()
        },
        spec,
        status: None,
    }
}

fn golden_metadata() -> Value {
    json!({
        "name": "review-scrape",
        "namespace": "agents",
        "labels": {
            "app.kubernetes.io/managed-by": "fleetscope-operator",
            "app.kubernetes.io/name": "fleetscope",
            "fleetscope.io/fleet": "review",
            "release": "kps",
            "team": "review",
        },
        "ownerReferences": [{
            "apiVersion": "fleetscope.io/v1alpha1",
            "controller": true,
            "kind": "AgentFleet",
            "name": "review",
            "uid": "0b1c",
        }],
    })
}

fn golden_monitor(kind: &str, endpoints: &str) -> Value {
    json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": kind,
        "metadata": golden_metadata(),
        "spec": {
            "namespaceSelector": { "matchNames": ["fleetscope-system"] },
            "selector": { "matchLabels": {
                "app.kubernetes.io/name": "fleetscope",
                "app.kubernetes.io/component": "node-agent",
            } },
            "sampleLimit": 50000,
            endpoints: [{
                "port": "metrics",
                "path": "/metrics",
                "params": { "namespace": ["agents"], "fleet": ["review"] },
                "honorLabels": true,
                "interval": "15s",
                "scrapeTimeout": "10s",
                "relabelings": [
                    { "action": "replace", "sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node" },
                    { "action": "replace", "targetLabel": "namespace", "replacement": "agents" },
                    { "action": "replace", "targetLabel": "fleet", "replacement": "review" },
                    { "action": "replace", "targetLabel": "fleetscope_target", "replacement": "node-agent" },
                ],
                "metricRelabelings": [{ "action": "labeldrop", "regex": "fleetscope_target" }],
            }],
        },
    })
}

#[test]
fn a_pod_monitor_selects_the_node_agents_and_asks_for_one_fleet() {
    let golden = golden_monitor("PodMonitor", "podMetricsEndpoints");
    assert_eq!(scrape_object(ChildKind::PodMonitor, &fleet("review"), &site()), golden);
}

#[test]
fn a_service_monitor_is_the_same_by_the_headless_service() {
    let golden = golden_monitor("ServiceMonitor", "endpoints");
    assert_eq!(scrape_object(ChildKind::ServiceMonitor, &fleet("review"), &site()), golden);
}

#[test]
fn a_config_map_carries_a_file_of_scrape_configs() {
    let object = scrape_object(ChildKind::ConfigMap, &fleet("review"), &site());
    assert_eq!(object["metadata"], golden_metadata());
    assert_eq!(object["apiVersion"], "v1");
    assert_eq!(object["data"][SCRAPE_CONFIGS], include_str!("testdata/scrape_configs.yaml"));
}

#[test]
fn no_sample_limit_is_no_field() {
    let mut fleet = fleet("review");
    fleet.spec.scrape.sample_limit = 0;
    assert_eq!(scrape_object(ChildKind::PodMonitor, &fleet, &site())["spec"].get("sampleLimit"), None);
    let file = &scrape_object(ChildKind::ConfigMap, &fleet, &site())["data"][SCRAPE_CONFIGS];
    assert!(!file.as_str().unwrap().contains("sample_limit"));
}

#[test]
fn a_fleet_from_a_file_owns_nothing() {
    let mut fleet = fleet("review");
    fleet.metadata.uid = None;
    fleet.metadata.namespace = None;
    let object = scrape_object(ChildKind::PodMonitor, &fleet, &site());
    assert_eq!(object["metadata"].get("ownerReferences"), None);
    assert_eq!(object["metadata"]["namespace"], "default");
}

#[test]
fn labels_of_a_user_never_hide_ours() {
    let mut site = site();
    site.monitor_labels.insert(MANAGED_BY.to_owned(), "me".to_owned());
    let object = scrape_object(ChildKind::PodMonitor, &fleet("review"), &site);
    assert_eq!(object["metadata"]["labels"][MANAGED_BY], MANAGER);
}

#[test]
fn auto_takes_the_first_kind_that_is_installed() {
    let fleet = fleet("review");
    let auto = |installed: &[ChildKind]| ChildKind::wanted(&fleet, |kind| installed.contains(&kind));
    assert_eq!(auto(&[ChildKind::PodMonitor, ChildKind::ServiceMonitor]), Some(ChildKind::PodMonitor));
    assert_eq!(auto(&[ChildKind::ServiceMonitor]), Some(ChildKind::ServiceMonitor));
    assert_eq!(auto(&[]), Some(ChildKind::ConfigMap));
}

#[test]
fn an_explicit_kind_is_wanted_whether_installed_or_not_and_nothing_when_suspended() {
    let mut fleet = fleet("review");
    fleet.spec.scrape.output = ScrapeOutput::ServiceMonitor;
    assert_eq!(ChildKind::wanted(&fleet, |_| false), Some(ChildKind::ServiceMonitor));
    fleet.spec.scrape.output = ScrapeOutput::None;
    assert_eq!(ChildKind::wanted(&fleet, |_| true), None);
    fleet.spec.scrape.output = ScrapeOutput::ConfigMap;
    fleet.spec.suspend = true;
    assert_eq!(ChildKind::wanted(&fleet, |_| true), None);
}

proptest! {
    #[test]
    fn any_name_survives_the_yaml_of_the_config_map(name in "[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?|yes|no|null|true|1e3|0x1f|1.5|on") {
        let object = scrape_object(ChildKind::ConfigMap, &fleet(&name), &site());
        let file: Value = serde_saphyr::from_str(object["data"][SCRAPE_CONFIGS].as_str().unwrap()).unwrap();
        prop_assert_eq!(&file["scrape_configs"][0]["params"]["fleet"][0], &Value::from(name.clone()));
        prop_assert_eq!(&file["scrape_configs"][0]["job_name"], &Value::from(format!("agents/{name}")));
    }
}
