//! What Grafana needs of every dashboard.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::models;

/// Half of what a ConfigMap of Kubernetes takes at most, and what a client-side apply still can annotate.
const LARGEST: usize = 250 * 1024;
/// Panel types that are in use; `graph` is gone from Grafana.
const KINDS: [&str; 9] =
    ["row", "timeseries", "stat", "gauge", "bargauge", "table", "piechart", "state-timeline", "heatmap"];

fn panels(model: &Value) -> impl Iterator<Item = &Value> {
    model["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn files_are_json_and_small() {
    for dashboard in models() {
        let file = dashboard.text();
        assert_eq!(serde_json::from_str::<Value>(&file).unwrap(), dashboard.model);
        assert!(file.len() < LARGEST, "{}: {} bytes", dashboard.uid, file.len());
        assert!(dashboard.uid.len() <= 40, "{}", dashboard.uid);
        assert_eq!(dashboard.model["schemaVersion"], 41);
        assert_eq!(dashboard.model.get("id"), None);
        assert_eq!(dashboard.model.get("__inputs"), None);
    }
}

#[test]
fn panels_have_numbers_of_their_own_and_a_known_type() {
    for dashboard in models() {
        let mut ids = BTreeSet::new();
        for panel in dashboard.model["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}: {}", dashboard.uid, panel["title"]);
            assert!(KINDS.contains(&text(&panel["type"])), "{}", panel["type"]);
        }
    }
}

#[test]
fn titles_are_unique_on_a_dashboard() {
    for dashboard in models() {
        let mut titles = BTreeSet::new();
        for panel in dashboard.model["panels"].as_array().unwrap() {
            assert!(titles.insert(text(&panel["title"])), "{}: {}", dashboard.uid, panel["title"]);
        }
    }
}

#[test]
fn the_grid_has_no_overlaps() {
    for dashboard in models() {
        let mut taken = BTreeSet::new();
        for panel in dashboard.model["panels"].as_array().unwrap() {
            let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(place("x") + place("w") <= 24, "{}: {}", dashboard.uid, panel["title"]);
            for x in place("x")..place("x") + place("w") {
                for y in place("y")..place("y") + place("h") {
                    assert!(taken.insert((x, y)), "{}: {} overlaps", dashboard.uid, panel["title"]);
                }
            }
        }
    }
}

#[test]
fn lines_are_full_and_their_panels_equally_high() {
    for dashboard in models() {
        let mut lines = BTreeMap::<u64, (u64, BTreeSet<u64>)>::new();
        for panel in dashboard.model["panels"].as_array().unwrap() {
            let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            let (width, heights) = lines.entry(place("y")).or_default();
            *width += place("w");
            heights.insert(place("h"));
        }
        for (y, (width, heights)) in lines {
            assert_eq!((width, heights.len()), (24, 1), "{}: line {y}", dashboard.uid);
        }
    }
}

#[test]
fn every_panel_has_a_unit_words_queries_and_the_chosen_data_source() {
    for dashboard in models() {
        for panel in panels(&dashboard.model) {
            let title = text(&panel["title"]);
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(!text(&defaults["unit"]).is_empty(), "{title}");
            assert!(!defaults["thresholds"]["steps"].as_array().unwrap().is_empty(), "{title}");
            let description = text(&panel["description"]);
            assert!(description.contains("\n\nGood: ") && description.contains("\n\nBad: "), "{title}");
            let sentences =
                description.split("\n\n").map(|part| part.trim_start_matches("Good: ").trim_start_matches("Bad: "));
            assert!(sentences.into_iter().all(|part| part.ends_with('.') && part.len() > 1), "{title}: {description}");
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty(), "{title}");
            for target in std::iter::once(panel).chain(targets) {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            }
        }
    }
}

#[test]
fn legends_are_given_and_columns_have_names() {
    for dashboard in models() {
        for panel in panels(&dashboard.model) {
            let table = panel["type"] == "table";
            for target in panel["targets"].as_array().unwrap() {
                assert_eq!(text(&target["legendFormat"]).is_empty(), table, "{}: {}", dashboard.uid, panel["title"]);
            }
            if table {
                let names = panel["transformations"][1]["options"]["renameByName"].as_object().unwrap();
                assert_eq!(names.len(), panel["targets"].as_array().unwrap().len(), "{}", panel["title"]);
                let overrides = panel["fieldConfig"]["overrides"].as_array().unwrap();
                let columns: BTreeSet<&str> =
                    overrides.iter().map(|entry| text(&entry["matcher"]["options"])).collect();
                assert_eq!(columns, names.values().map(text).collect(), "{}", panel["title"]);
            }
        }
    }
}

#[test]
fn variables_are_used_and_what_is_used_is_a_variable() {
    let built_in = ["__rate_interval", "__range", "__interval", "__url_time_range", "__field"];
    let word = regex::Regex::new(r"\$\{?([A-Za-z_]+)").unwrap();
    for dashboard in models() {
        let mut used = BTreeSet::new();
        let whole = dashboard.model.to_string();
        used.extend(word.captures_iter(&whole).map(|found| found.get(1).unwrap().as_str()));
        used.remove("__all");
        let list = dashboard.model["templating"]["list"].as_array().unwrap();
        let defined: BTreeSet<&str> = list.iter().map(|variable| text(&variable["name"])).collect();
        let asked: BTreeSet<&str> = used.iter().copied().filter(|name| !built_in.contains(name)).collect();
        assert_eq!(asked, defined, "{}", dashboard.uid);
    }
}

#[test]
fn links_lead_to_dashboards_that_there_are() {
    let link = regex::Regex::new(r"/d/([a-z-]+)").unwrap();
    let models = models();
    let uids: BTreeSet<&str> = models.iter().map(|dashboard| dashboard.uid.as_str()).collect();
    let mut found = 0;
    for dashboard in &models {
        for target in link.captures_iter(&dashboard.model.to_string()) {
            found += 1;
            assert!(uids.contains(&target[1]), "{}: {}", dashboard.uid, &target[1]);
        }
        let tags: Vec<&str> = dashboard.model["tags"].as_array().unwrap().iter().map(text).collect();
        assert_eq!(tags, ["fleetscope"]);
    }
    assert!(found > 0);
}

#[test]
fn rollouts_and_policy_changes_are_marked_everywhere() {
    for dashboard in models() {
        let list = dashboard.model["annotations"]["list"].as_array().unwrap();
        let names: Vec<&str> = list.iter().map(|mark| text(&mark["name"])).collect();
        assert_eq!(names, ["Annotations & Alerts", "Rollouts", "Policy changes", "Fleetscope rollouts"]);
    }
}

#[test]
fn exemplars_are_asked_of_raw_histograms_alone() {
    let mut asked = 0;
    for dashboard in models() {
        for panel in panels(&dashboard.model) {
            for target in panel["targets"].as_array().unwrap() {
                let raw = text(&target["expr"]).contains("_bucket");
                assert_eq!(target.get("exemplar").is_some(), raw, "{}: {}", dashboard.uid, panel["title"]);
                asked += usize::from(raw);
            }
        }
    }
    assert!(asked > 5, "{asked}");
}
