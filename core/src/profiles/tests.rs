use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::api::AgentFleet;
use crate::api::admission::admit_as;

mod expressions;

/// What a profile changes about alerts that are not in the catalogue.
fn unknown_alerts(known: &BTreeSet<&str>) -> Vec<(ProfileName, &'static str)> {
    let named = |profile: &'static Profile| profile.alerts.keys().map(move |alert| (profile.name, alert.as_str()));
    all().iter().flat_map(named).filter(|(_, alert)| !known.contains(alert)).collect()
}

#[test]
fn every_file_is_a_profile_and_stands_in_its_place() {
    for (file, name) in FILES.iter().zip(ProfileName::ALL) {
        let profile = parse(file).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((profile.name, get(name)), (name, &profile));
        assert!(!profile.description.is_empty() && profile.dashboard.starts_with("fleetscope-"), "{name}");
    }
    assert_eq!(all().len(), ProfileName::ALL.len());
}

#[test]
fn names_are_those_of_the_api() {
    for name in ProfileName::ALL {
        assert_eq!(serde_json::to_value(name).unwrap(), json!(name.to_string()));
    }
    assert_eq!(ProfileName::default(), ProfileName::Generic);
}

#[test]
fn a_field_that_means_nothing_is_refused() {
    let good = "name: Atoll\ndescription: a\ntasks: []\ndashboard: fleetscope-overview\n";
    assert!(parse(good).is_ok());
    for bad in [
        "colour: red\n",
        "scrape: {port: 1, path: /, interval: 1s, timeout: 1s, speed: 3}\n",
        "alerts: {A: {reason: a, threshhold: '1'}}\n",
    ] {
        assert!(parse(&format!("{good}{bad}")).is_err(), "{bad}");
    }
}

#[test]
fn task_rules_are_such_as_the_api_server_takes() {
    for (file, name) in FILES.iter().zip(ProfileName::ALL) {
        let raw: Value = serde_saphyr::from_str(file).unwrap();
        let fleet = json!({
            "apiVersion": "fleetscope.io/v1alpha1", "kind": "AgentFleet", "metadata": { "name": "f" },
            "spec": { "selector": {}, "profile": name, "tasks": { "rules": raw["tasks"] } },
        });
        let read = admit_as::<AgentFleet>(&fleet).unwrap_or_else(|refused| panic!("{name}: {:?}", refused.faults));
        assert_eq!((read.spec.profile, read.spec.tasks.rules.as_slice()), (name, get(name).task_rules()));
    }
}

#[test]
fn no_profile_knows_less_than_the_generic_one() {
    let generic = get(ProfileName::Generic).task_rules();
    for profile in all() {
        let missing: Vec<_> = generic.iter().filter(|rule| !profile.tasks.contains(rule)).collect();
        assert_eq!((missing, generic.is_empty()), (Vec::new(), false), "{}", profile.name);
    }
}

#[test]
fn scrapes_are_within_the_limits_of_a_fleet_s() {
    let seconds = |text: &str| text.strip_suffix('s').and_then(|number| number.parse::<u32>().ok()).unwrap();
    for profile in all() {
        let Some(scrape) = &profile.scrape else { continue };
        assert!(scrape.port > 0 && scrape.path.starts_with('/'), "{}", profile.name);
        assert!(seconds(&scrape.timeout) <= seconds(&scrape.interval), "{}", profile.name);
    }
    assert_eq!(get(ProfileName::Generic).scrape, None);
    assert_eq!(get(ProfileName::AgentOrchestrator).scrape.as_ref().map(|scrape| scrape.port), Some(8000));
}

#[test]
fn overrides_name_alerts_of_the_catalogue_and_change_something() {
    let known = [
        "FleetAgentAbsent",
        "FleetAgentMemoryHigh",
        "FleetConcurrentMerges",
        "FleetHealthLow",
        "FleetLlmRateLimited",
        "FleetLlmSlow",
        "FleetTaskTailSlow",
    ];
    assert_eq!(unknown_alerts(&known.into()), []);
    assert_eq!(unknown_alerts(&BTreeSet::new()).len(), known.len());
    for (name, change) in all().iter().flat_map(|profile| &profile.alerts) {
        assert_ne!(AlertOverride { reason: change.reason.clone(), ..AlertOverride::default() }, *change, "{name}");
        assert!(!change.reason.is_empty(), "{name}");
        for number in [&change.threshold, &change.minimum].into_iter().flatten() {
            assert!(number.parse::<f64>().is_ok_and(f64::is_finite), "{name}: {number}");
        }
    }
    let merges = get(ProfileName::AgentOrchestrator).alert_override("FleetConcurrentMerges").unwrap();
    assert_eq!(
        (merges.enabled, merges.hold.as_deref(), merges.severity),
        (Some(true), Some("30s"), Some(Severity::Critical))
    );
    assert_eq!(get(ProfileName::Generic).alert_override("FleetConcurrentMerges"), None);
}

#[test]
fn what_covers_is_named_by_the_checklist_s_rows() {
    let prefixes = [
        (ProfileName::SlothRunner, 'S'),
        (ProfileName::GoldenArmada, 'G'),
        (ProfileName::AgentOrchestrator, 'O'),
        (ProfileName::Atoll, 'A'),
        (ProfileName::DevOpsAgent, 'D'),
    ];
    for (name, prefix) in prefixes {
        let profile = get(name);
        let recorded = profile.recordings.iter().map(|recording| (&recording.record, &recording.covers));
        for (metric, covers) in
            recorded.clone().chain(profile.not_derivable.iter().map(|gap| (&gap.metric, &gap.covers)))
        {
            let row = |id: &String| id.strip_prefix(prefix).is_some_and(|number| number.parse::<u8>().is_ok());
            assert!(covers.iter().all(row), "{name}: {metric}: {covers:?}");
        }
        assert!(recorded.clone().count() > 0 && recorded.clone().all(|(_, covers)| !covers.is_empty()), "{name}");
    }
}

#[test]
fn every_metric_of_the_documents_is_recorded_or_said_to_be_out_of_reach() {
    let rows = [
        (ProfileName::SlothRunner, 'S', 9..=22),
        (ProfileName::GoldenArmada, 'G', 11..=26),
        (ProfileName::AgentOrchestrator, 'O', 23..=36),
        (ProfileName::Atoll, 'A', 9..=25),
        (ProfileName::DevOpsAgent, 'D', 35..=41),
    ];
    for (name, prefix, numbers) in rows {
        let profile = get(name);
        let recorded = profile.recordings.iter().flat_map(|recording| &recording.covers);
        let covered: BTreeSet<_> = recorded.chain(profile.not_derivable.iter().flat_map(|gap| &gap.covers)).collect();
        let missing: Vec<_> =
            numbers.map(|number| format!("{prefix}{number}")).filter(|row| !covered.contains(row)).collect();
        assert_eq!(missing, [""; 0], "{name}");
    }
}
