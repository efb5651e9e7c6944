//! Values that are wrong are refused, with the field's name.

use crate::{has_helm, template};

#[test]
#[ignore = "needs helm: make test-chart"]
fn check_11_wrong_values_are_refused_with_the_name_of_the_field() {
    if !has_helm("chart::check_11_wrong_values_are_refused_with_the_name_of_the_field") {
        return;
    }
    for (wrong, named) in [
        ("nodeagent.runqueue=true", "nodeagent"),
        ("nodeAgent.runqeue=true", "runqeue"),
        ("nodeAgent.runqueue=maybe", "/nodeAgent/runqueue"),
        ("nodeAgent.ringBytes=5000", "/nodeAgent/ringBytes"),
        ("nodeAgent.maxSeries=10", "/nodeAgent/maxSeries"),
        ("nodeAgent.seriesGrace=5", "/nodeAgent/seriesGrace"),
        ("nodeAgent.maxUnavailable=0%", "/nodeAgent/maxUnavailable"),
        ("nodeAgent.image.repo=x", "repo"),
        ("nodeAgent.image.digest=sha256:1", "/nodeAgent/image/digest"),
        ("nodeAgent.privileged=true", "privileged"),
        ("operator.replicas=-1", "/operator/replicas"),
        ("operator.replicas=two", "/operator/replicas"),
        ("operator.logFormat=xml", "/operator/logFormat"),
        ("operator.image.pullPolicy=Sometimes", "/operator/image/pullPolicy"),
        ("operator.resources.limit.memory=1Gi", "limit"),
        ("crds.kep=false", "kep"),
        ("namespaces={Team_A}", "/namespaces/0"),
        ("namespaces={a,a}", "/namespaces"),
        ("monitoring.self.enabled=yes", "/monitoring/self/enabled"),
        ("monitoring.self.interval=fast", "/monitoring/self/interval"),
        ("monitoring.self.interval=2m", "/monitoring/self/interval"),
        ("monitoring.dashboards.enabled=maybe", "/monitoring/dashboards/enabled"),
        ("monitoring.dashboards.label=no label", "/monitoring/dashboards/label"),
        ("monitoring.dashboards.folders=x", "folders"),
        ("rbac.cliSubjects[0].kind=Robot", "/rbac/cliSubjects/0/kind"),
        ("imagePullSecrets[0]=registry", "/imagePullSecrets/0"),
        ("fullnameOverride=Fleet_Scope", "/fullnameOverride"),
    ] {
        let error = template(&["--set", wrong]).expect_err(wrong).to_string();
        assert!(error.contains("values don't meet the specifications of the schema"), "{wrong}: {error}");
        assert!(error.contains(named), "{wrong}: {error}");
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn full_values_set_every_field_that_the_chart_has() {
    if !has_helm("chart::full_values_set_every_field_that_the_chart_has") {
        return;
    }
    let read = |path: &str| -> serde_json::Value {
        serde_saphyr::from_str(&std::fs::read_to_string(fleetscope_tests::command::root().join(path)).unwrap()).unwrap()
    };
    let (defaults, full) = (read("charts/fleetscope/values.yaml"), read("tests/golden/chart/full-values.yaml"));
    assert_eq!(missing("", &defaults, &full), Vec::<String>::new());
}

/// Paths of `defaults` that `full` leaves out. Free-form maps end the walk.
fn missing(path: &str, defaults: &serde_json::Value, full: &serde_json::Value) -> Vec<String> {
    let Some(fields) = defaults.as_object().filter(|fields| !fields.is_empty()) else { return Vec::new() };
    let mut paths = Vec::new();
    for (key, value) in fields {
        let path = format!("{path}/{key}");
        match full.get(key) {
            None => paths.push(path),
            Some(_) if key == "nodeSelector" => {}
            Some(inner) => paths.extend(missing(&path, value, inner)),
        }
    }
    paths
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn a_scrape_may_not_take_longer_than_until_the_next_one() {
    let with = |interval: &str, timeout: &str| {
        let values = format!(
            "monitoring.self.enabled=always,monitoring.self.interval={interval},monitoring.self.scrapeTimeout={timeout}"
        );
        template(&["--set", &values])
    };
    for (interval, timeout) in [("30s", "31s"), ("59s", "1m"), ("5s", "10s")] {
        let error = with(interval, timeout).expect_err(timeout).to_string();
        assert!(
            error.contains(&format!("scrapeTimeout ({timeout}) is longer than monitoring.self.interval ({interval})")),
            "{error}"
        );
    }
    for (interval, timeout) in [("30s", "30s"), ("1m", "60s"), ("60s", "1m"), ("1m", "9s")] {
        with(interval, timeout).expect(timeout);
    }
}
