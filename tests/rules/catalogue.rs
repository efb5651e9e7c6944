//! The rules of the catalogue, as Prometheus' own promtool sees them: it accepts every file, each alert fires in its case with
//! exactly the labels, annotations and value that the case says, and does not in the one that comes close.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fleetscope_core::catalogue::{AlertScope, Fleets, alerts, promtool};
use fleetscope_tests::command::{self, Ran};
use serde_json::{Value, json};

use crate::has_promtool;

/// The fleet of the cases.
const FLEET: (&str, &str) = ("agents", "review");
/// Rule files of every folder that [`folder`] makes.
const RULES: [&str; 3] = ["recordings.yaml", "fleets.yaml", "fleetscope.yaml"];

/// A folder with all rule files, and one for each file of unit tests.
fn files(name: &str, fleets: &Fleets) -> (PathBuf, BTreeMap<String, PathBuf>) {
    let folder = crate::folder(name);
    let rules = [
        promtool::recording_rules(FLEET.0, FLEET.1).unwrap(),
        promtool::alerting_rules(AlertScope::Fleet, fleets).unwrap(),
        promtool::alerting_rules(AlertScope::Fleetscope, fleets).unwrap(),
    ];
    for (file, text) in RULES.iter().zip(rules) {
        std::fs::write(folder.join(file), text).unwrap();
    }
    let tests = promtool::unit_tests(&RULES).unwrap().into_iter().map(|(interval, text)| {
        let path = folder.join(format!("tests-{interval}.yaml"));
        std::fs::write(&path, text).unwrap();
        (interval, path)
    });
    let tests = tests.collect();
    (folder, tests)
}

fn ran(arguments: &[&str]) -> Ran {
    command::run_with("promtool", arguments, "").unwrap()
}

#[test]
#[ignore = "needs promtool: make test-rules"]
fn check_07_promtool_accepts_every_rule_file() {
    if !has_promtool("rules::catalogue::check_07_promtool_accepts_every_rule_file") {
        return;
    }
    let some = Fleets::Some { namespace: "agents".to_owned(), fleets: vec!["review".to_owned(), "a.b".to_owned()] };
    for (place, fleets) in [Fleets::All, Fleets::Namespace { namespace: "agents".to_owned() }, some].iter().enumerate()
    {
        let (folder, _) = files(&format!("check-{place}"), fleets);
        let mut checked = 0;
        for file in RULES {
            let ran = ran(&["check", "rules", "--lint=all", "--lint-fatal", folder.join(file).to_str().unwrap()]);
            assert_eq!(ran.code, 0, "{file}: {}{}", ran.stdout, ran.stderr);
            let count = ran.stdout.split("SUCCESS: ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
            checked += count.parse::<usize>().unwrap();
        }
        assert_eq!(checked, alerts().len() + fleetscope_core::catalogue::recordings().len());
    }
}

#[test]
#[ignore = "needs promtool: make test-rules"]
fn check_07_every_alert_fires_in_its_case_and_not_in_the_one_that_comes_close() {
    if !has_promtool("rules::catalogue::check_07_every_alert_fires_in_its_case_and_not_in_the_one_that_comes_close") {
        return;
    }
    let (_, tests) = files("fire", &Fleets::All);
    for path in tests.values() {
        let ran = ran(&["test", "rules", path.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    }
}

/// The tests would be worth nothing if they passed whatever the case says.
#[test]
#[ignore = "needs promtool: make test-rules"]
fn a_case_that_says_another_value_or_that_nothing_fires_fails() {
    if !has_promtool("rules::catalogue::a_case_that_says_another_value_or_that_nothing_fires_fails") {
        return;
    }
    let (folder, tests) = files("wrong", &Fleets::All);
    let mut file: Value = serde_saphyr::from_str(&std::fs::read_to_string(&tests["1m"]).unwrap()).unwrap();
    let only = |test: &&Value| test["name"] == "FleetTaskFailureRatioHigh fires";
    file["tests"] = json!([file["tests"].as_array().unwrap().iter().find(only).unwrap()]);
    let right = file.to_string(); // JSON is YAML
    let wrong = [("40%", "41%"), ("0+2x20", "0+0x20"), ("\"warning\"", "\"info\""), ("\"15m\"", "\"3m\"")];
    for (from, to) in [("", "")].into_iter().chain(wrong) {
        assert!(right.contains(from), "{right}");
        let path = folder.join("one.yaml");
        std::fs::write(&path, if from.is_empty() { right.clone() } else { right.replace(from, to) }).unwrap();
        let ran = ran(&["test", "rules", path.to_str().unwrap()]);
        assert_eq!(ran.code, i32::from(!from.is_empty()), "{to} in place of {from}: {}{}", ran.stdout, ran.stderr);
    }
}
