use std::collections::BTreeSet;

use super::expression::decimal;
use super::{
    Alert, AlertScope, Area, ExpressionError, FLEET_INFO, FLEET_LABELS, Fleets, Origin, Values, alert, alerts, cases,
    duration, is_duration, known, labels_of, promtool, recording, recordings,
};
use crate::metrics::{IDENTITY_LABELS, Scope, Source};
use crate::promql::Promql;

/// Labels that the scrape adds to the series of Fleetscope itself, beside `instance` and `job`.
const OF_OWN_TARGETS: [&str; 3] = ["namespace", "node", "pod"];
/// Labels that the scrape adds to the series of fleets.
const OF_FLEETS_TARGETS: [&str; 3] = ["namespace", "fleet", "node"];

fn set<'a>(labels: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    labels.into_iter().map(str::to_owned).collect()
}

fn expression(row: &Alert) -> String {
    row.expression(&Values { fleets: &Fleets::All.to_string(), ..Values::default() }).unwrap()
}

fn parsed(text: &str) -> Promql {
    Promql::parse(text).unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

#[test]
fn whether_a_fleet_is_seen_is_told_by_the_targets_that_are_node_agents() {
    let (label, value) = crate::resources::TARGET_LABEL;
    for (name, operator) in
        [("FleetAgentAbsent", "="), ("FleetScrapeDown", "="), ("FleetNotScraped", "="), ("FleetTargetDown", "!=")]
    {
        let matcher = format!("up{{$fleets,{label}{operator}\"{value}\"}}");
        assert!(alert(name).unwrap().expr.contains(&matcher), "{name} has no {matcher}");
    }
    // No alert about a fleet takes any target for a node agent.
    assert!(alerts().iter().all(|row| !row.expr.contains("up{$fleets}")));
}

/// The text within `{{ }}` of a template.
fn parts(template: &str) -> Vec<&str> {
    template.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap().trim()).collect()
}

/// The PromQL of a runbook.
fn queries(runbook: &str) -> Vec<&str> {
    runbook.split("```promql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_embedded_files_are_read_and_names_are_unique() {
    let names: BTreeSet<&str> = alerts().iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names.len(), alerts().len());
    let records: BTreeSet<&str> = recordings().iter().map(|row| row.record.as_str()).collect();
    assert_eq!(records.len(), recordings().len());
    assert!(names.len() >= 50 && records.len() >= 45, "{} alerts, {} recordings", names.len(), records.len());
    assert_eq!(cases().len(), alerts().len());
    assert!(records.iter().all(|record| record.starts_with("fleet:") && known(record).is_some()));
    assert!(!records.contains(FLEET_INFO));
}

#[test]
fn rows_are_found_by_name() {
    assert_eq!(alert("FleetTaskStuck").map(|row| row.area), Some(Area::Tasks));
    assert_eq!((alert("Nothing"), recording("Nothing")), (None, None));
    assert_eq!(recording("fleet:task_queue:sum").map(|row| row.source), Some(Source::Telemetry));
}

#[test]
fn a_row_with_an_unknown_field_is_refused() {
    let text = "- {record: a, area: tasks, source: kernel, help: b, expr: c, exprs: d}";
    assert!(serde_saphyr::from_str::<Vec<super::Recording>>(text).is_err());
    let text = text.replace(", exprs: d", "");
    assert_eq!(serde_saphyr::from_str::<Vec<super::Recording>>(&text).unwrap().len(), 1);
}

#[test]
fn names_say_whom_an_alert_is_about() {
    for row in alerts() {
        let own = row.name.starts_with("Fleetscope");
        assert_eq!(row.scope == AlertScope::Fleetscope, own, "{}", row.name);
        assert_eq!(row.area == Area::Fleetscope, own, "{}", row.name);
        assert!(row.name.starts_with("Fleet") && row.name.chars().all(|c| c.is_ascii_alphanumeric()), "{}", row.name);
        assert_eq!(row.uses("fleets"), !own, "{}", row.name);
    }
}

#[test]
fn every_expression_parses_and_names_only_series_that_there_are() {
    let rules = recordings().iter().map(|row| (&row.record, row.expression(&Fleets::All.to_string()).unwrap()));
    for (name, text) in rules.chain(alerts().iter().map(|row| (&row.name, expression(row)))) {
        for series in parsed(&text).series() {
            assert!(known(&series).is_some(), "{name}: nothing makes {series}");
        }
    }
}

#[test]
fn every_selector_of_a_rule_about_fleets_says_which() {
    for row in recordings() {
        assert!(
            parsed(&row.expression(&Fleets::All.to_string()).unwrap()).always_matches_on("fleet"),
            "{}",
            row.record
        );
    }
    for row in alerts().iter().filter(|row| row.scope == AlertScope::Fleet) {
        assert!(parsed(&expression(row)).always_matches_on("fleet"), "{}", row.name);
    }
}

#[test]
fn recordings_use_only_those_above_them() {
    for (place, row) in recordings().iter().enumerate() {
        for series in parsed(&row.expression(&Fleets::All.to_string()).unwrap()).series() {
            let of_catalogue = known(&series).unwrap().origin == Origin::Recording;
            let above = recordings()[..place].iter().any(|other| other.record == series);
            assert!(!of_catalogue || above, "{} uses {series}", row.record);
        }
    }
}

#[test]
fn results_of_recordings_carry_namespace_and_fleet() {
    for row in recordings() {
        let labels = labels_of(&row.record).unwrap();
        assert!(FLEET_LABELS.iter().all(|label| labels.contains(*label)), "{}: {labels:?}", row.record);
        assert!(!IDENTITY_LABELS[2..].iter().any(|label| labels.contains(*label)), "{}: {labels:?}", row.record);
    }
    let wanted = set(["namespace", "fleet", "rpc_method"]);
    assert_eq!(labels_of("fleet:rpc_server_call_duration_seconds:p99_5m"), Some(wanted));
    assert_eq!(labels_of("fleet:health:score"), Some(set(FLEET_LABELS)));
    assert_eq!(labels_of("fleet:llm_error:ratio_rate5m"), Some(set(["namespace", "fleet", "provider", "model"])));
}

#[test]
fn results_of_alerts_have_exactly_the_labels_that_their_row_says() {
    for row in alerts() {
        let labels = parsed(&expression(row)).labels(&labels_of);
        assert_eq!(labels, Some(set(row.labels())), "{}", row.name);
        assert!(
            !row.by.iter().any(|label| FLEET_LABELS.contains(&label.as_str())) || row.scope == AlertScope::Fleetscope
        );
    }
}

#[test]
fn labels_of_alerts_are_labels_of_their_series() {
    for row in alerts() {
        let series = parsed(&expression(row)).series();
        let mut there: BTreeSet<String> = series.iter().flat_map(|name| known(name).unwrap().labels.clone()).collect();
        there.extend(set(if row.scope == AlertScope::Fleet { OF_FLEETS_TARGETS } else { OF_OWN_TARGETS }));
        for label in row.labels() {
            assert!(there.contains(label), "{}: no series has {label}", row.name);
        }
    }
}

#[test]
fn alerts_say_rightly_where_their_series_come_from() {
    for row in alerts() {
        let origins: Vec<Origin> = parsed(&expression(row)).series().iter().map(|name| origin(name)).collect();
        let telemetry = origins.iter().any(|origin| matches!(origin, Origin::Telemetry(_)));
        assert_eq!(row.source == Source::Telemetry, telemetry, "{}", row.name);
        let own = origins.iter().all(|origin| !matches!(origin, Origin::Measured(Scope::Fleet)));
        assert!(row.scope == AlertScope::Fleet || own, "{}", row.name);
    }
    for row in recordings() {
        let text = row.expression(&Fleets::All.to_string()).unwrap();
        let telemetry = parsed(&text).series().iter().any(|name| matches!(origin(name), Origin::Telemetry(_)));
        // The health score takes what there is.
        assert_eq!(row.source == Source::Telemetry, telemetry && row.record != "fleet:health:score", "{}", row.record);
    }
}

/// Where a series comes from in the end: telemetry if a recording uses some.
fn origin(series: &str) -> Origin {
    match recording(series).map(|row| row.source) {
        Some(Source::Telemetry) => Origin::Telemetry(Scope::Fleet),
        _ => known(series).unwrap().origin,
    }
}

#[test]
fn templates_print_only_labels_that_there_are_and_the_value_in_one_way() {
    for row in alerts() {
        let labels: BTreeSet<String> = set(row.labels());
        let mut values = BTreeSet::new();
        for part in parts(&row.summary).into_iter().chain(parts(&row.description)) {
            match part.strip_prefix("$labels.") {
                Some(label) => assert!(labels.contains(label), "{}: {label}", row.name),
                None => drop(values.insert(part)),
            }
        }
        assert!(values.len() <= 1 && values.iter().all(|part| part.contains("$value")), "{}: {values:?}", row.name);
        for text in [&row.summary, &row.description] {
            let names_fleet = row.scope == AlertScope::Fleetscope
                || FLEET_LABELS.iter().all(|label| text.contains(&format!("{{{{ $labels.{label} }}}}")));
            assert!(names_fleet, "{}: {text}", row.name);
        }
        // Who has a threshold compares a value: it is told.
        assert!(row.threshold.is_none() || values.len() == 1, "{} does not print its value", row.name);
    }
}

#[test]
fn durations_and_numbers_can_be_read_and_placeholders_have_their_values() {
    for row in alerts() {
        assert!(duration(&row.hold).is_some() && duration(&row.keep_firing_for).is_some(), "{}", row.name);
        assert!(row.window.as_deref().is_none_or(is_duration), "{}", row.name);
        assert_eq!(row.uses("window"), row.window.is_some(), "{}", row.name);
        assert_eq!(row.uses("threshold"), row.threshold.is_some(), "{}", row.name);
        assert_eq!(row.uses("minimum"), row.minimum.is_some(), "{}", row.name);
        if let Some(own) = &row.threshold {
            let [value, min, max] = [&own.value, &own.min, &own.max].map(|text| decimal(text).unwrap());
            assert!(min <= value && value <= max, "{}", row.name);
            let compared = if own.above { "> " } else { "< " };
            assert!(row.expr.contains(compared), "{} is not compared as it says", row.name);
        }
        assert!(row.minimum.as_ref().is_none_or(|own| decimal(&own.value).is_some()), "{}", row.name);
        assert!(!row.covers.is_empty(), "{}", row.name);
    }
}

#[test]
fn runbooks_say_all_four_things_and_their_queries_are_promql_over_series_that_there_are() {
    for row in alerts() {
        let headings: Vec<&str> = row.runbook.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(headings, ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"], "{}", row.name);
        for query in queries(&row.runbook) {
            for series in parsed(query).series() {
                assert!(known(&series).is_some(), "{}: nothing makes {series}", row.name);
            }
        }
        for word in row.runbook.split(|c: char| !c.is_ascii_alphanumeric()) {
            let is_alert =
                word.strip_prefix("Fleet").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
            assert!(!is_alert || alert(word).is_some(), "{} speaks of {word}", row.name);
        }
    }
}

#[test]
fn values_of_a_policy_go_in_place_of_the_catalogues() {
    let row = alert("FleetTaskRetryStorm").unwrap();
    let fleets = r#"namespace="a",fleet=~"b|c""#;
    let text =
        row.expression(&Values { fleets, threshold: Some("0.25"), minimum: Some("7"), window: Some("1h30m") }).unwrap();
    assert!(text.contains("> 0.25\n") && text.ends_with(">= 7") && text.contains("[1h30m]"), "{text}");
    assert!(text.contains(r#"{namespace="a",fleet=~"b|c",result=~"#) && !text.contains('$'), "{text}");
    assert_eq!(row.runbook_url(None), format!("{}/FleetTaskRetryStorm.md", super::RUNBOOKS));
    assert_eq!(row.runbook_url(Some("https://a/b/")), "https://a/b/FleetTaskRetryStorm.md");
}

#[test]
fn values_that_make_no_sense_are_refused() {
    let refused = |name: &str, values: Values<'_>| alert(name).unwrap().expression(&values).unwrap_err().to_string();
    let all = Values { fleets: r#"fleet!="""#, ..Values::default() };
    let cases = [
        (
            "FleetTaskStuck",
            Values { threshold: Some("1"), ..all },
            "failed to set the threshold of FleetTaskStuck: it has none",
        ),
        (
            "FleetHealthLow",
            Values { window: Some("5m"), ..all },
            "failed to set the window of FleetHealthLow: it has none",
        ),
        (
            "FleetHealthLow",
            Values { threshold: Some("101"), ..all },
            "failed to set the threshold of FleetHealthLow: 101 is not between 0 and 100",
        ),
        (
            "FleetHealthLow",
            Values { threshold: Some("1 or vector(1)"), ..all },
            "failed to set the threshold of FleetHealthLow: \"1 or vector(1)\" is not a decimal number",
        ),
        (
            "FleetTaskStuck",
            Values { minimum: Some("NaN"), ..all },
            "failed to set the minimum of FleetTaskStuck: \"NaN\" is not a decimal number",
        ),
        (
            "FleetTaskStuck",
            Values { window: Some("0s"), ..all },
            "failed to set the window of FleetTaskStuck: \"0s\" is not a duration such as 5m or 1h30m",
        ),
        (
            "FleetTaskStuck",
            Values::default(),
            "failed to make the expression of FleetTaskStuck: it has to be told which fleets it is about",
        ),
    ];
    for (name, values, message) in cases {
        assert_eq!(refused(name, values), message);
    }
    let own = alert("FleetscopeOperatorNoLeader").unwrap();
    assert_eq!(own.expression(&Values::default()).unwrap(), "sum by (namespace) (fleetscope_operator_leader) == 0");
    assert!(matches!(
        own.expression(&Values { threshold: Some("1"), ..Values::default() }),
        Err(ExpressionError::NotThere { what: "threshold", .. })
    ));
}

#[test]
fn series_are_known_as_they_stand_in_promql() {
    let bucket = known("fleetscope_task_duration_seconds_bucket").unwrap();
    assert_eq!(bucket.origin, Origin::Measured(Scope::Fleet));
    assert_eq!(bucket.labels, set(IDENTITY_LABELS.into_iter().chain(["group", "le", "result", "task"])));
    assert_eq!(known("fleetscope_operator_leader").unwrap().origin, Origin::Measured(Scope::Operator));
    assert_eq!(known("fleetscope_llm_cost_total").unwrap().origin, Origin::Telemetry(Scope::Fleet));
    assert_eq!(known("up").unwrap().origin, Origin::Prometheus);
    for name in
        ["fleetscope_task_duration_seconds", "fleetscope_tasks", "fleetscope_tasks_total_bucket", "", "node_load1"]
    {
        assert_eq!(known(name), None, "{name}");
    }
}

#[test]
fn files_for_promtool_hold_every_rule_and_two_tests_of_every_alert() {
    let rules = promtool::recording_rules("agents", "review").unwrap();
    assert_eq!(rules.matches("record:").count(), recordings().len());
    let mut count = 0;
    for scope in [AlertScope::Fleet, AlertScope::Fleetscope] {
        count += promtool::alerting_rules(scope, &Fleets::All).unwrap().matches("alert:").count();
    }
    assert_eq!(count, alerts().len());
    let tests: String = promtool::unit_tests(&["rules.yaml"]).unwrap().into_values().collect();
    for row in alerts() {
        for end in ["fires", "does not fire"] {
            assert_eq!(tests.matches(&format!("'{} {end}'", row.name)).count(), 1, "{} {end}", row.name);
        }
    }
}

/// Series that a rule is made of in the end: those of recordings are taken apart.
fn sources(text: &str) -> BTreeSet<String> {
    let parts = |series: String| match recording(&series) {
        Some(row) => sources(&row.expression(&Fleets::All.to_string()).unwrap()),
        None => BTreeSet::from([series]),
    };
    parsed(text).series().into_iter().flat_map(parts).collect()
}

#[test]
fn cases_are_made_of_series_that_there_are_with_labels_that_they_have() {
    for case in cases() {
        let wanted = sources(&expression(alert(&case.alert).unwrap()));
        for given in [&case.fires.series, &case.quiet.series] {
            let names: BTreeSet<&str> = given.iter().map(|row| row.series.split('{').next().unwrap()).collect();
            assert!(names.iter().all(|name| known(name).is_some()), "{}: {names:?}", case.alert);
            // An alert that stays quiet as it looks at something else would prove nothing.
            assert!(names.iter().any(|name| wanted.contains(*name)), "{}: {names:?}", case.alert);
            for row in given {
                let (name, labels) = row.series.split_once('{').unwrap();
                let own = &known(name).unwrap().labels;
                let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.starts_with('$'));
                for label in labels.map(|label| label.split('=').next().unwrap()) {
                    let of_target = OF_OWN_TARGETS.contains(&label) || label == "instance" || name == "up";
                    assert!(own.contains(label) || of_target, "{}: {name} has no label {label}", case.alert);
                }
            }
        }
    }
}
