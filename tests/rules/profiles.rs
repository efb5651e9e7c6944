//! The recordings of profiles: what they make of Fleetscope's series.

use fleetscope_core::api::ProfileName;
use fleetscope_core::profiles::{self, Profile, rules};
use fleetscope_tests::command;

use crate::{folder, has_promtool};

/// Profiles with recordings, and the name of their files.
const FILES: [(ProfileName, &str); 5] = [
    (ProfileName::SlothRunner, "sloth-runner"),
    (ProfileName::GoldenArmada, "golden-armada"),
    (ProfileName::AgentOrchestrator, "agent-orchestrator"),
    (ProfileName::Atoll, "atoll"),
    (ProfileName::DevOpsAgent, "devops-agent"),
];

/// Runs promtool in a folder that has the profile's rules for the fleet `sample` in `agents`. What it printed.
fn promtool(folder: &std::path::Path, profile: &Profile, arguments: &[&str], file: &str) -> String {
    let rules = serde_json::to_string(&rules::file(profile, "agents", "sample")).unwrap();
    std::fs::write(folder.join("rules.yaml"), rules).unwrap();
    let path = folder.join(file);
    let mut all = arguments.to_vec();
    all.push(path.to_str().unwrap());
    command::run("promtool", &all).unwrap_or_else(|error| panic!("{}: {error}", profile.name))
}

#[test]
fn every_profile_with_recordings_has_tests() {
    let with: Vec<_> = profiles::all().iter().filter(|profile| !profile.recordings().is_empty()).collect();
    assert_eq!(with.iter().map(|profile| profile.name).collect::<Vec<_>>(), FILES.map(|(name, _)| name));
}

#[test]
#[ignore = "needs promtool: make test-rules"]
fn recordings_of_every_profile_are_rules_that_promtool_takes() {
    if !has_promtool("rules::profiles::recordings_of_every_profile_are_rules_that_promtool_takes") {
        return;
    }
    for (name, file) in FILES {
        let printed =
            promtool(&folder(&format!("check-{file}")), profiles::get(name), &["check", "rules"], "rules.yaml");
        let rules = rules::group(profiles::get(name), "agents", "sample").unwrap()["rules"].as_array().unwrap().len();
        assert!(printed.contains(&format!("SUCCESS: {rules} rules found")), "{name}: {printed}");
    }
}

#[test]
#[ignore = "needs promtool: make test-rules"]
fn recordings_give_the_metrics_that_the_systems_users_query() {
    if !has_promtool("rules::profiles::recordings_give_the_metrics_that_the_systems_users_query") {
        return;
    }
    for (name, file) in FILES {
        let folder = folder(&format!("test-{file}"));
        let tests = command::root().join("core/profiles/tests").join(format!("{file}.yaml"));
        std::fs::copy(tests, folder.join("test.yaml")).unwrap();
        let printed = promtool(&folder, profiles::get(name), &["test", "rules"], "test.yaml");
        assert!(printed.contains("SUCCESS"), "{name}: {printed}");
    }
}
