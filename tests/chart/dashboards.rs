//! Dashboards are in the chart as they are generated, and the sidecar of Grafana finds them.

use serde_json::{Value, json};

use crate::crds::files;
use crate::{has_helm, objects, template};

fn config_maps(arguments: &[&str]) -> Vec<Value> {
    let objects = objects(&template(arguments).unwrap()).unwrap();
    // The operator's policy is in one, too.
    let dashboards = objects.into_iter().filter(|object| object["data"].get("policy.yaml").is_none());
    dashboards.filter(|object| object["kind"] == "ConfigMap").collect()
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn each_dashboard_is_in_a_config_map_as_it_is_generated() {
    if !has_helm("chart::each_dashboard_is_in_a_config_map_as_it_is_generated") {
        return;
    }
    let expected = files("charts/fleetscope/files/dashboards");
    assert_eq!(expected.len(), 6);
    let maps = config_maps(&["--set", "crds.install=false"]);
    let rendered = maps.iter().map(|map| {
        let (file, text) = map["data"].as_object().unwrap().iter().next().unwrap();
        (file.clone(), text.as_str().unwrap().to_owned())
    });
    // Compared as a whole, and not printed: they have hundreds of kilobytes.
    assert!(rendered.collect::<std::collections::BTreeMap<_, _>>() == expected);
    for map in &maps {
        let name = format!("{}.json", map["metadata"]["name"].as_str().unwrap());
        assert_eq!(map["data"].as_object().unwrap().keys().collect::<Vec<_>>(), [&name]);
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn dashboards_carry_what_the_sidecar_looks_for() {
    if !has_helm("chart::dashboards_carry_what_the_sidecar_looks_for") {
        return;
    }
    let defaults = config_maps(&["--set", "crds.install=false"]);
    for map in &defaults {
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
        assert_eq!(map["metadata"]["annotations"], json!({"grafana_folder": "Fleetscope"}));
        assert_eq!(map["metadata"]["namespace"], "fleetscope-system");
    }
    for map in &config_maps(&["--set", "crds.install=false", "-f", "tests/golden/chart/full-values.yaml"]) {
        let metadata = &map["metadata"];
        assert_eq!(metadata["namespace"], "grafana");
        assert_eq!(metadata["labels"]["example.com/dashboard"], "fleet");
        assert_eq!(metadata["labels"]["tenant"], "observability");
        assert_eq!(metadata["labels"].get("grafana_dashboard"), None);
        assert_eq!(metadata["annotations"], json!({"example.com/folder": "Agents", "example.com/note": "dashboard"}));
    }
    let plain = config_maps(&["--set", "crds.install=false,monitoring.dashboards.folder="]);
    assert_eq!(plain.len(), defaults.len());
    assert!(plain.iter().all(|map| map["metadata"].get("annotations").is_none()));
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn dashboards_are_for_grafana_operator_where_its_kind_is_or_when_told_so() {
    if !has_helm("chart::dashboards_are_for_grafana_operator_where_its_kind_is_or_when_told_so") {
        return;
    }
    let there = ["--api-versions", "grafana.integreatly.org/v1beta1/GrafanaDashboard"];
    let kinds = |when: &str, more: &[&str]| {
        let set = format!("crds.install=false,monitoring.dashboards.grafanaOperator={when}");
        let objects = objects(&template(&[&["--set", &set], more].concat()).unwrap()).unwrap();
        let all = |kind: &str| objects.iter().filter(|object| object["kind"] == kind).cloned().collect::<Vec<_>>();
        // The operator's policy is in a ConfigMap, too.
        (all("GrafanaDashboard"), all("ConfigMap").len() - 1)
    };
    let count = |(dashboards, maps): (Vec<Value>, usize)| (dashboards.len(), maps);
    assert_eq!(count(kinds("auto", &[])), (0, 6));
    assert_eq!(count(kinds("auto", &there)), (6, 0));
    assert_eq!(count(kinds("never", &there)), (0, 6));
    let (dashboards, maps) = kinds("always", &[]);
    assert_eq!((dashboards.len(), maps), (6, 0));
    let models = files("charts/fleetscope/files/dashboards");
    for dashboard in &dashboards {
        let file = format!("{}.json", dashboard["metadata"]["name"].as_str().unwrap());
        let spec = &dashboard["spec"];
        assert!(spec["json"] == models[&file].as_str(), "{file} is as it is generated");
        assert_eq!(spec["instanceSelector"], json!({}), "all instances");
        assert_eq!((&spec["allowCrossNamespaceImport"], &spec["folder"]), (&json!(true), &json!("Fleetscope")));
        assert_eq!(dashboard["metadata"].get("annotations"), None);
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn dashboards_can_be_left_out() {
    if has_helm("chart::dashboards_can_be_left_out") {
        assert_eq!(config_maps(&["--set", "monitoring.dashboards.enabled=false"]), Vec::<Value>::new());
    }
}
