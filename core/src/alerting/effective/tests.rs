use std::collections::BTreeMap;

use super::*;
use crate::alerting::ProfileAlert;
use crate::api::scalars::TemplateText;

const HERE: Audience = Audience { cluster: false, self_alerts: false };

fn rows() -> Vec<Alert> {
    let yaml = r"
- {name: FleetTaskSlow, scope: fleet, source: kernel, area: tasks, severity: warning, for: 5m, keepFiringFor: 10m, window: 30m, threshold: {value: '60', unit: seconds, above: true, min: '0', max: '7200'}, by: [task], expr: 'x{$fleets}[$window] > $threshold', summary: s, description: d, runbook: r, covers: [], defaultEnabled: true}
- {name: FleetQuiet, scope: fleet, source: kernel, area: tasks, severity: info, for: 0s, keepFiringFor: 0s, minimum: {value: '10', of: tasks}, by: [], expr: 'y{$fleets} > $minimum', summary: s, description: d, runbook: r, covers: [], defaultEnabled: false}
- {name: FleetscopeProbeFailed, scope: self, source: self, area: self, severity: critical, for: 1m, keepFiringFor: 0s, by: [], expr: 'z', summary: s, description: d, runbook: r, covers: [], defaultEnabled: true}
";
    serde_saphyr::from_str(yaml).unwrap()
}

fn over(alert: &str) -> AlertOverride {
    AlertOverride { alert: alert.to_owned(), ..AlertOverride::default() }
}

/// Name, profile, severity, threshold of each instance; and the faults.
fn made(
    overrides: Vec<AlertOverride>,
    profiles: &[ProfileAlerts<'_>],
    audience: Audience,
) -> (Vec<String>, Vec<String>) {
    let spec = CatalogueSpec { overrides, ..CatalogueSpec::default() };
    let known = |_: &str| true;
    let mut checker = Checker::new(&known, []);
    let rows = rows();
    let told: Vec<String> = instances(&rows, profiles, audience, &spec, &mut checker)
        .into_iter()
        .map(|it| {
            let values = [
                it.profile,
                Some(it.values.severity.as_str()),
                it.values.threshold.as_deref(),
                it.values.minimum.as_deref(),
            ];
            let values: Vec<&str> = values.into_iter().map(|value| value.unwrap_or("-")).collect();
            let except = if it.except.is_empty() { String::new() } else { format!(" but {}", it.except.join(" ")) };
            format!("{} {}{except}", it.row.name, values.join(" "))
        })
        .collect();
    let faults = checker.finish().err().unwrap_or_default();
    (told, faults.iter().map(ToString::to_string).collect())
}

#[test]
fn the_catalogue_alone_gives_what_is_on_by_default() {
    assert_eq!(made(Vec::new(), &[], HERE), (vec!["FleetTaskSlow - warning 60 -".to_owned()], Vec::new()));
    let cluster = Audience { cluster: true, self_alerts: true };
    let all = ["FleetTaskSlow - warning 60 -", "FleetscopeProbeFailed - critical - -"].map(str::to_owned).to_vec();
    assert_eq!(made(Vec::new(), &[], cluster), (all, Vec::new()));
}

#[test]
fn an_override_counts_before_the_profile_and_that_before_the_catalogue() {
    let changed = |threshold: &str| ProfileAlert { threshold: Some(threshold.to_owned()), ..ProfileAlert::default() };
    let off = ProfileAlert { enabled: Some(false), ..ProfileAlert::default() };
    let profiles = [
        ProfileAlerts { name: "Atoll", alerts: BTreeMap::from([("FleetTaskSlow", changed("10"))]) },
        ProfileAlerts { name: "Generic", alerts: BTreeMap::new() },
        ProfileAlerts { name: "Quiet", alerts: BTreeMap::from([("FleetTaskSlow", off)]) },
    ];
    let (told, _) = made(Vec::new(), &profiles, HERE);
    assert_eq!(told, ["FleetTaskSlow Atoll warning 10 -", "FleetTaskSlow - warning 60 - but Atoll Quiet"]);
    // What the override says is the same for all, and it turns the alert on everywhere when it says so.
    let (told, _) = made(
        vec![AlertOverride { threshold: Some("030".into()), enabled: Some(true), ..over("FleetTaskSlow") }],
        &profiles,
        HERE,
    );
    assert_eq!(told, ["FleetTaskSlow - warning 30 -"]);
}

#[test]
fn what_is_overridden_is_on_unless_it_is_turned_off() {
    let minimum = AlertOverride { minimum: Some("3".into()), ..over("FleetQuiet") };
    let off = AlertOverride { enabled: Some(false), ..over("FleetTaskSlow") };
    assert_eq!(made(vec![minimum, off], &[], HERE).0, ["FleetQuiet - info - 3"]);
    assert_eq!(made(vec![over("FleetQuiet")], &[], HERE).0, ["FleetTaskSlow - warning 60 -"]);
}

#[test]
fn two_severities_of_one_alert_are_two_alerts_and_the_same_twice_is_a_fault() {
    let at = |threshold: &str, severity| AlertOverride {
        threshold: Some(threshold.into()),
        severity,
        ..over("FleetTaskSlow")
    };
    let (told, faults) = made(vec![at("60", None), at("600", Some(Severity::Critical))], &[], HERE);
    assert_eq!((told.len(), faults), (2, Vec::new()));
    let (_, faults) = made(vec![at("60", None), at("600", Some(Severity::Warning))], &[], HERE);
    assert_eq!(
        faults,
        [
            "spec.catalogue.overrides: FleetTaskSlow has the severity warning twice: set a different severity in each override of one alert"
        ]
    );
}

#[test]
fn what_an_alert_does_not_have_cannot_be_set() {
    let labels = BTreeMap::from([
        ("task".to_owned(), TemplateText("x".to_owned())),
        ("slo".to_owned(), TemplateText("{{ oops }}".to_owned())),
    ]);
    let wrong = vec![
        AlertOverride {
            minimum: Some("1".into()),
            threshold: Some("9999".into()),
            window: Some("0s".into()),
            labels,
            ..over("FleetTaskSlow")
        },
        AlertOverride { threshold: Some("1".into()), window: Some("5m".into()), ..over("FleetQuiet") },
        over("FleetTaskSlwo"),
        over("Nothing"),
        over("FleetscopeProbeFailed"),
    ];
    let (_, faults) = made(wrong, &[], HERE);
    assert_eq!(
        faults,
        [
            "spec.catalogue.overrides[0].threshold: 9999 is not from 0 to 7200: set a value within these bounds",
            "spec.catalogue.overrides[0].minimum: FleetTaskSlow has no minimum of traffic: remove minimum",
            "spec.catalogue.overrides[0].window: \"0s\" is no time to look over: set for example 5m",
            "spec.catalogue.overrides[0].labels.slo: failed to parse template: there is no function oops: correct the template, or write {{ \"{{\" }} for two braces",
            "spec.catalogue.overrides[1].threshold: FleetQuiet compares with no threshold: remove threshold",
            "spec.catalogue.overrides[1].window: FleetQuiet has no window of its own: it looks at a recording: remove window",
            "spec.catalogue.overrides[2].alert: the catalogue has no alert FleetTaskSlwo: did you mean FleetTaskSlow? docs/alerts.md lists all",
            "spec.catalogue.overrides[3].alert: the catalogue has no alert Nothing: docs/alerts.md lists all alerts",
            "spec.catalogue.overrides[4].alert: FleetscopeProbeFailed is about Fleetscope itself, not about a fleet: override it in a ClusterAlertPolicy",
            "spec.catalogue.overrides[0].labels.slo: the label slo tells alerts apart: give the label another name",
            "spec.catalogue.overrides[0].labels.task: the label task tells alerts apart: give the label another name",
        ]
    );
}
