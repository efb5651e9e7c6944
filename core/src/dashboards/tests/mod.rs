//! What holds for all dashboards: their structure, their queries, and that nothing of the requirements is missing.

mod expressions;
mod known;
mod structure;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::levels::Levels;

use super::*;

/// Rows of the list of requirements that ask for a panel, or for a query that a panel shows.
const REQUIRED: [&str; 44] = [
    "O38", "O39", "O40", "O41", "O42", "O43", "O44", "O45", "O51", "O52", "O53", "O54", "O55", "O56", "O57", "O58",
    "O59", "O60", "O61", "G50", "G51", "G52", "G53", "G54", "G55", "G56", "G57", "G58", "G59", "G60", "A29", "A30",
    "A31", "A32", "A34", "A35", "A36", "A37", "A38", "S39", "S40", "S41", "S42", "S43",
];

/// A threshold for every alert.
fn any(alert: &str) -> Option<f64> {
    (!alert.is_empty()).then_some(0.5)
}

fn models() -> Vec<Dashboard> {
    let mut all = all(&any);
    let model = fleet_dashboard("agents", "sample.v1", &any);
    all.push(Dashboard { uid: model["uid"].as_str().unwrap().to_owned(), model });
    all
}

#[test]
fn every_required_panel_is_on_a_dashboard() {
    let boards = boards();
    let covered: BTreeSet<&str> =
        boards.iter().flat_map(Board::panels).flat_map(|panel| panel.covers).copied().collect();
    assert_eq!(covered, BTreeSet::from(REQUIRED));
}

#[test]
fn uids_never_change() {
    let uids: Vec<String> = all(&any).into_iter().map(|dashboard| dashboard.uid).collect();
    let expected = ["overview", "tasks", "grpc", "llm", "tools", "nodes"].map(|name| format!("fleetscope-{name}"));
    assert_eq!(uids, expected);
}

#[test]
fn a_dashboard_of_a_fleet_is_the_overview_with_constants() {
    let model = fleet_dashboard("agents", "sample.v1", &any);
    assert_eq!(model["title"], "Fleetscope / agents/sample.v1");
    assert_eq!(model["uid"], "fleetscope-fleet-7a6tgo4v");
    let variables: Vec<_> = model["templating"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| {
            (variable["name"].clone(), variable["type"].clone(), variable["query"].clone(), variable["hide"].clone())
        })
        .collect();
    assert_eq!(
        json!(variables),
        json!([
            ["datasource", "datasource", "prometheus", 0],
            ["namespace", "constant", "agents", 2],
            ["fleet", "constant", "sample.v1", 2],
        ])
    );
    let overview = &all(&any)[0].model;
    let titles = |model: &Value| {
        json!(model["panels"].as_array().unwrap().iter().map(|panel| &panel["title"]).collect::<Vec<_>>())
    };
    assert_eq!(titles(&model), titles(overview));
    assert!(model.to_string().contains(r#"fleet:health:score{namespace=\"$namespace\",fleet=\"$fleet\"}"#));
    let links: Vec<&str> =
        model["links"].as_array().unwrap().iter().map(|link| link["url"].as_str().unwrap()).collect();
    assert_eq!(links.len(), 6);
    assert_eq!(links[1], "/d/fleetscope-tasks?var-namespace=agents&var-fleet=sample.v1&${datasource:queryparam}");
}

#[test]
fn fleets_of_the_same_name_in_two_namespaces_have_two_dashboards() {
    let uid = |namespace, name| fleet_dashboard(namespace, name, &any)["uid"].clone();
    assert_ne!(uid("a", "fleet"), uid("b", "fleet"));
    assert_ne!(uid("a-b", "c"), uid("a", "b-c"));
}

#[test]
fn levels_are_those_of_alerts_that_there_are_in_their_direction() {
    let boards = boards();
    let panels: Vec<_> = boards.iter().flat_map(Board::panels).collect();
    let columns = panels.iter().flat_map(|panel| panel.targets.iter().filter_map(|target| target.column));
    let levels = panels.iter().map(|panel| panel.levels).chain(columns.map(|column| column.levels));
    for levels in levels {
        let Some(name) = levels.alert() else { continue };
        assert!(alerts().contains(name));
        let alert = catalogue::alert(name).unwrap_or_else(|| panic!("there is no alert {name}"));
        let threshold = alert.threshold.as_ref().unwrap_or_else(|| panic!("{name} has no threshold"));
        assert_eq!(threshold.above, !matches!(levels, Levels::Below { .. }), "{name}");
        assert_eq!(threshold.unit == catalogue::Unit::Count, matches!(levels, Levels::CountAbove(_)), "{name}");
        assert_eq!(catalogue_threshold(name).map(|value| value.to_string()), Some(threshold.value.clone()), "{name}");
    }
}

/// Panels that no alert judges, and that have levels of their own all the same. docs/dashboards.md says which they are, and why.
const OWN_LEVELS: [&str; 5] =
    ["Start success", "Active tasks", "Merge duration", "Memory of node agents", "Time to answer a scrape, p99"];

/// The values of all steps in a panel, those of its columns included.
fn levels_of(panel: &Value) -> Vec<f64> {
    let steps = panel["steps"].as_array().into_iter().flatten().filter_map(|step| step["value"].as_f64());
    let inner: Vec<&Value> = match panel {
        Value::Array(all) => all.iter().collect(),
        Value::Object(all) => all.values().collect(),
        _ => Vec::new(),
    };
    steps.chain(inner.into_iter().flat_map(levels_of)).collect()
}

#[test]
fn where_no_alert_has_a_threshold_the_panels_that_the_docs_name_have_levels_and_no_others() {
    // More than nothing, one, more than one: no numbers that somebody chose.
    let plain = |value: &f64| [1e-6, 1.0, 2.0].contains(value);
    let mut own = Vec::new();
    for board in all(&|_| None) {
        for panel in board.model["panels"].as_array().unwrap() {
            if !levels_of(panel).iter().all(plain) {
                own.push(panel["title"].as_str().unwrap().to_owned());
            }
        }
    }
    assert_eq!(own, OWN_LEVELS);
    let docs = include_str!("../../../../docs/dashboards.md");
    assert!(OWN_LEVELS.iter().all(|title| docs.contains(&format!("*{title}*"))));
}

#[test]
fn levels_of_a_panel_follow_the_threshold_of_its_alert() {
    let of = |threshold: f64| {
        let thresholds = move |alert: &str| (alert == "FleetTaskFailureRatioHigh").then_some(threshold);
        let model = all(&thresholds).swap_remove(0).model;
        let panels = model["panels"].as_array().unwrap().clone();
        let panel = panels.into_iter().find(|panel| panel["title"] == "Share of tasks that fail").unwrap();
        panel["fieldConfig"]["defaults"]["thresholds"]["steps"].clone()
    };
    let steps = |yellow: f64, red: f64| {
        json!([
            {"value": null, "color": "green"},
            {"value": yellow, "color": "yellow"},
            {"value": red, "color": "red"},
        ])
    };
    assert_eq!(of(0.1), steps(0.075, 0.1));
    assert_eq!(of(0.4), steps(0.3, 0.4));
}
