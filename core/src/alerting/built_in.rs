//! What is built in and rules are made of: what profiles change of the catalogue, which series there are, and profiles' recordings.

use std::sync::LazyLock;

use super::{ProfileAlert, ProfileAlerts, Rule, Texts};
use crate::catalogue;
use crate::profiles::{self, Profile};

/// Starts of names that nobody but Fleetscope gives to series.
const OURS: [&str; 2] = ["fleetscope_", "fleet:"];

static PROFILES: LazyLock<Vec<ProfileAlerts<'static>>> =
    LazyLock::new(|| profiles::all().iter().map(alerts_of).collect());

/// What each profile changes of the catalogue's alerts.
pub fn profiles() -> &'static [ProfileAlerts<'static>] {
    &PROFILES
}

/// Whether anything may emit a series of this name. Of names that are not ours, who knows.
pub fn emits(series: &str) -> bool {
    // A native histogram is asked for by its own name.
    let known = || catalogue::known(series).or_else(|| catalogue::known(&format!("{series}_count"))).is_some();
    !OURS.iter().any(|start| series.starts_with(start)) || known()
}

/// A profile's recordings for one fleet.
pub fn recordings_of(profile: &Profile, namespace: &str, fleet: &str) -> Vec<Rule> {
    let matchers = profiles::rules::matchers(namespace, fleet);
    let rules = profile.recordings.iter().flat_map(|recording| recording.rules(&matchers));
    rules
        .map(|rule| {
            let text = |field: &str| rule[field].as_str().unwrap_or_default().to_owned();
            let labels = rule["labels"].as_object().into_iter().flatten();
            let labels: Texts =
                labels.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
            Rule::record(text("record"), text("expr"), labels)
        })
        .collect()
}

fn alerts_of(profile: &'static Profile) -> ProfileAlerts<'static> {
    let changed = |change: &profiles::AlertOverride| ProfileAlert {
        enabled: change.enabled,
        threshold: change.threshold.clone(),
        minimum: change.minimum.clone(),
        hold: change.hold.clone(),
        severity: change.severity,
    };
    let alerts = profile.alerts.iter().map(|(name, change)| (name.as_str(), changed(change)));
    ProfileAlerts { name: profile.name.as_str(), alerts: alerts.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ProfileName;

    #[test]
    fn each_profile_is_there_and_changes_alerts_that_there_are() {
        let names: Vec<&str> = profiles().iter().map(|profile| profile.name).collect();
        assert_eq!(names, ProfileName::ALL.map(ProfileName::as_str));
        for alert in profiles().iter().flat_map(|profile| profile.alerts.keys()) {
            assert!(catalogue::alert(alert).is_some(), "{alert}");
        }
    }

    #[test]
    fn of_our_names_only_those_are_emitted_that_are_known() {
        for (series, is) in [
            ("fleetscope_tasks_total", true),
            ("fleetscope_task_duration_seconds_bucket", true),
            ("fleetscope_task_duration_seconds", true),
            ("fleet:tasks:rate5m", true),
            ("up", true),
            ("http_requests_total", true),
            ("fleetscope_taks_total", false),
            ("fleet:taks:rate5m", false),
        ] {
            assert_eq!(emits(series), is, "{series}");
        }
    }

    #[test]
    fn a_profiles_recordings_are_rules_for_the_fleet() {
        let rules = profiles::all().iter().flat_map(|profile| recordings_of(profile, "ns", "f"));
        for rule in rules {
            assert!(
                rule.record.is_some_and(|name| !name.is_empty()) && rule.expr.contains("namespace=\"ns\",fleet=\"f\"")
            );
        }
    }
}
