//! Renderings equal the golden files.

use std::path::Path;

use fleetscope_tests::command;
use fleetscope_tests::versions::pinned;

use crate::{has_helm, object, objects, template};

/// A rendering with the name of the file in place of each dashboard's text, which has tests of its own.
fn without_dashboards(rendering: &str) -> String {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in rendering.lines() {
        inside = inside && line.starts_with("    ");
        if inside {
            continue;
        }
        lines.push(line.to_owned());
        if let Some(file) = line.trim_start().strip_suffix(".json: |") {
            lines.push(format!("    (files/dashboards/{file}.json)"));
            inside = true;
        }
    }
    lines.join("\n") + "\n"
}

/// Compares a rendering with a file of `tests/golden/chart`, or rewrites the file.
fn compare(name: &str, rendering: &str) {
    let rendering = &without_dashboards(rendering);
    let path = command::root().join("tests/golden/chart").join(name);
    if std::env::var_os("FLEETSCOPE_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, rendering).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden file is there");
    let differs = golden.lines().zip(rendering.lines()).position(|(a, b)| a != b).map(|line| line + 1);
    assert!(
        golden == *rendering,
        "{} differs, first in line {differs:?}: make generate, and look at the difference",
        path.display()
    );
}

fn full_values() -> String {
    Path::new("tests/golden/chart").join("full-values.yaml").to_string_lossy().into_owned()
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn default_values_render_as_the_golden_file() {
    if has_helm("chart::default_values_render_as_the_golden_file") {
        compare("default.yaml", &template(&["--set", "crds.install=false"]).unwrap());
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn full_values_render_as_the_golden_file() {
    if has_helm("chart::full_values_render_as_the_golden_file") {
        compare("full.yaml", &template(&["--set", "crds.install=false", "-f", &full_values()]).unwrap());
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn two_renderings_are_the_same() {
    if has_helm("chart::two_renderings_are_the_same") {
        assert_eq!(template(&["-f", &full_values()]).unwrap(), template(&["-f", &full_values()]).unwrap());
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn lint_finds_nothing() {
    if !has_helm("chart::lint_finds_nothing") {
        return;
    }
    for values in ["charts/fleetscope/values.yaml", &full_values()] {
        let output = command::run(
            "helm",
            &["lint", "--strict", crate::CHART, "--kube-version", pinned("KUBERNETES"), "-f", values],
        );
        let output = output.unwrap();
        assert!(!output.contains("[WARNING]") && !output.contains("[ERROR]"), "{output}");
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn names_fit_for_release_names_of_any_length_and_stay_distinct() {
    if !has_helm("chart::names_fit_for_release_names_of_any_length_and_stay_distinct") {
        return;
    }
    let mut services = Vec::new();
    for release in ["a", "fleetscope", "my-fleetscope", &"r".repeat(53), &format!("{}s", "r".repeat(52))] {
        let arguments =
            ["template", release, crate::CHART, "--kube-version", pinned("KUBERNETES"), "--set", "crds.install=false"];
        let objects = objects(&command::run("helm", &arguments).unwrap()).unwrap();
        for object in &objects {
            let name = object["metadata"]["name"].as_str().unwrap();
            assert!(name.len() <= 63 && !name.ends_with('-'), "{release}: {name}");
        }
        services.push(object(&objects, "Service", "-node-agent")["metadata"]["name"].clone());
    }
    services.sort_by_key(ToString::to_string);
    services.dedup();
    assert_eq!(services.len(), 5, "{services:?}");
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn every_object_carries_the_recommended_labels() {
    if !has_helm("chart::every_object_carries_the_recommended_labels") {
        return;
    }
    for object in objects(&template(&["-f", &full_values()]).unwrap()).unwrap() {
        let labels = &object["metadata"]["labels"];
        let label = |key: &str| labels[key].as_str().map(str::to_owned);
        assert_eq!(
            ["name", "instance", "managed-by", "part-of"].map(|key| label(&format!("app.kubernetes.io/{key}"))),
            ["fleetscope", "fleetscope", "Helm", "fleetscope"].map(|value| Some(value.to_owned())),
            "{object}"
        );
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn selectors_hold_only_what_never_changes() {
    if !has_helm("chart::selectors_hold_only_what_never_changes") {
        return;
    }
    let objects = objects(&template(&["-f", &full_values()]).unwrap()).unwrap();
    for (kind, suffix) in [("DaemonSet", "-node-agent"), ("Deployment", "-operator")] {
        let selector = object(&objects, kind, suffix)["spec"]["selector"]["matchLabels"].as_object().unwrap();
        let keys: Vec<&str> = selector.keys().map(String::as_str).collect();
        let expected = ["app.kubernetes.io/component", "app.kubernetes.io/instance", "app.kubernetes.io/name"];
        assert_eq!(keys.len(), 3);
        assert!(expected.iter().all(|key| keys.contains(key)), "{keys:?}");
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn monitor_of_self_metrics_needs_its_kind_or_a_word() {
    if !has_helm("chart::monitor_of_self_metrics_needs_its_kind_or_a_word") {
        return;
    }
    let monitors = |arguments: &[&str]| {
        objects(&template(arguments).unwrap()).unwrap().iter().filter(|object| object["kind"] == "PodMonitor").count()
    };
    let kind = ["--api-versions", "monitoring.coreos.com/v1/PodMonitor"];
    assert_eq!(monitors(&[]), 0);
    assert_eq!(monitors(&kind), 1);
    assert_eq!(monitors(&["--set", "monitoring.self.enabled=always"]), 1);
    assert_eq!(monitors(&[&kind[..], &["--set", "monitoring.self.enabled=never"]].concat()), 0);
    let rendered = objects(&template(&kind).unwrap()).unwrap();
    let monitor = rendered.iter().find(|object| object["kind"] == "PodMonitor").unwrap();
    assert_eq!(monitor["spec"]["podMetricsEndpoints"][0]["honorLabels"], true, "what is nobody's stays so");
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn disruption_budget_is_there_for_several_replicas_only() {
    if !has_helm("chart::disruption_budget_is_there_for_several_replicas_only") {
        return;
    }
    let budgets = |replicas: &str| {
        let rendering = template(&["--set", &format!("operator.replicas={replicas}")]).unwrap();
        objects(&rendering).unwrap().iter().filter(|object| object["kind"] == "PodDisruptionBudget").count()
    };
    assert_eq!([budgets("1"), budgets("2")], [0, 1]);
}
