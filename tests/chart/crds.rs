//! The definitions in the chart are the generated ones.

use std::collections::BTreeMap;

use fleetscope_tests::command;
use serde_json::Value;

use crate::{has_helm, objects, template};

/// Files of a folder by name.
pub(crate) fn files(folder: &str) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(command::root().join(folder)).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

#[test]
fn copy_in_the_chart_equals_the_generated_files() {
    let generated = files("crds");
    assert!(!generated.is_empty(), "there are no generated definitions");
    assert!(files("charts/fleetscope/files/crds") == generated, "the chart's copy is old: make generate");
}

#[test]
fn the_catalogue_of_charts_lists_every_definition() {
    let chart = std::fs::read_to_string(command::root().join("charts/fleetscope/Chart.yaml")).unwrap();
    let chart: Value = serde_saphyr::from_str(&chart).unwrap();
    let listed: Vec<Value> =
        serde_saphyr::from_str(chart["annotations"]["artifacthub.io/crds"].as_str().unwrap()).unwrap();
    let mut listed: Vec<[&str; 3]> =
        listed.iter().map(|row| ["name", "kind", "version"].map(|key| row[key].as_str().unwrap())).collect();
    listed.sort_unstable();
    let generated: Vec<Value> = files("crds").values().map(|text| serde_saphyr::from_str(text).unwrap()).collect();
    let version = |spec: &Value| -> String {
        spec["versions"].as_array().unwrap().iter().map(|version| version["name"].as_str().unwrap()).collect()
    };
    let versions: Vec<String> = generated.iter().map(|definition| version(&definition["spec"])).collect();
    let mut wanted: Vec<[&str; 3]> = generated
        .iter()
        .zip(&versions)
        .map(|(definition, version)| {
            let (name, kind) = (&definition["metadata"]["name"], &definition["spec"]["names"]["kind"]);
            [name.as_str().unwrap(), kind.as_str().unwrap(), version]
        })
        .collect();
    wanted.sort_unstable();
    assert_eq!(listed, wanted);
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn rendered_definitions_differ_from_the_generated_ones_in_labels_and_policy_only() {
    if !has_helm("chart::rendered_definitions_differ_from_the_generated_ones_in_labels_and_policy_only") {
        return;
    }
    let mut generated: Vec<Value> = files("crds").values().map(|text| serde_saphyr::from_str(text).unwrap()).collect();
    for keep in [true, false] {
        let rendering = template(&["--set", &format!("crds.keep={keep}")]).unwrap();
        let mut rendered: Vec<Value> = objects(&rendering)
            .unwrap()
            .into_iter()
            .filter(|object| object["kind"] == "CustomResourceDefinition")
            .collect();
        for object in &mut rendered {
            let metadata = object["metadata"].as_object_mut().unwrap();
            let annotations = metadata.remove("annotations");
            assert_eq!(annotations, keep.then(|| serde_json::json!({"helm.sh/resource-policy": "keep"})));
            assert_eq!(metadata.remove("labels").unwrap()["app.kubernetes.io/part-of"], "fleetscope");
        }
        let name = |object: &Value| object["metadata"]["name"].to_string();
        rendered.sort_by_key(name);
        generated.sort_by_key(name);
        assert_eq!(rendered, generated);
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn definitions_can_be_left_out() {
    if !has_helm("chart::definitions_can_be_left_out") {
        return;
    }
    let rendering = template(&["--set", "crds.install=false"]).unwrap();
    assert!(!rendering.contains("CustomResourceDefinition"));
}
