use super::*;
use crate::api::receivers::Routing;
use crate::api::scalars::{Expression, Severity, TemplateText};

fn own(name: &str, expr: &str) -> OwnRule {
    OwnRule { alert: Some(name.to_owned()), expr: Expression(expr.to_owned()), ..OwnRule::default() }
}

fn recording(name: &str, expr: &str) -> OwnRule {
    OwnRule { record: Some(name.to_owned()), expr: Expression(expr.to_owned()), ..OwnRule::default() }
}

/// Lists of rules, and warnings.
type Made = (Vec<Vec<Rule>>, Vec<String>);

fn made(own: &[OwnRule]) -> Result<Made, Vec<String>> {
    let known = |metric: &str| !metric.starts_with("fleetscope_no");
    let mut checker = Checker::new(&known, own.iter().filter_map(|rule| rule.record.as_deref()));
    let labels = Texts::from([("team".to_owned(), "review".to_owned())]);
    let routing = Routing::default();
    let told =
        Told { policy: "agents/p", namespaced: true, labels, routing: &routing, runbooks: "https://r", fleets: &[] };
    let fleets = Selection { matchers: "namespace=\"agents\"".to_owned(), conditions: Vec::new() };
    let lists = rules(own, &fleets, &told, &mut checker);
    match checker.finish() {
        Ok(warnings) => Ok((lists, warnings)),
        Err(faults) => Err(faults.iter().map(ToString::to_string).collect()),
    }
}

fn labels(pairs: &[(&str, &str)]) -> Texts {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn an_alert_and_a_recording_carry_whose_they_are() {
    let alert = OwnRule {
        hold: Some("5m".into()),
        keep_firing_for: Some("0s".into()),
        severity: Some(Severity::Info),
        labels: [("team".to_owned(), TemplateText("mine".to_owned()))].into(),
        annotations: [("summary".to_owned(), TemplateText("{{ $value }}".to_owned()))].into(),
        ..own("A", "x{$fleets} > 1")
    };
    let (lists, warnings) = made(&[alert, recording("r", "sum(x{$fleets})")]).unwrap();
    let alert = Rule {
        hold: Some("5m".to_owned()),
        labels: labels(&[("policy", "agents/p"), ("severity", "info"), ("source", "fleetscope"), ("team", "mine")]),
        annotations: labels(&[("summary", "{{ $value }}")]),
        ..Rule::alert("A", "x{namespace=\"agents\"} > 1")
    };
    let of_policy = labels(&[("policy", "agents/p"), ("source", "fleetscope")]);
    let recording = Rule::record("r", "sum(x{namespace=\"agents\"})", of_policy);
    assert_eq!((lists, warnings), (vec![vec![alert], vec![recording]], Vec::new()));
}

#[test]
fn what_reads_a_recording_stays_behind_it() {
    let rules = [own("A", "x"), recording("r:a", "y"), own("B", "r:b > 1"), own("C", "z"), recording("r:b", "r:a * 2")];
    let (lists, _) = made(&rules).unwrap();
    let names: Vec<Vec<&str>> = lists
        .iter()
        .map(|list| list.iter().filter_map(|rule| rule.alert.as_deref().or(rule.record.as_deref())).collect())
        .collect();
    assert_eq!(names, [vec!["A"], vec!["r:a", "B", "r:b"], vec!["C"]]);
}

#[test]
fn metrics_that_nothing_emits_are_warned_of() {
    let (_, warnings) = made(&[own("A", "fleetscope_nothing{$fleets} + r"), recording("r", "x")]).unwrap();
    assert_eq!(warnings, ["spec.rules[0].expr: nothing emits the metric fleetscope_nothing"]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let rules = [
        own("A", "x{$fleets}[5m]"),
        recording("fleetscope:alert_policy:info", "vector(1)"),
        OwnRule { hold: Some("5m".into()), ..recording("r", "x") },
        OwnRule {
            annotations: [("summary".to_owned(), TemplateText("{{ $valu }}".to_owned()))].into(),
            ..own("B", "x")
        },
        own("C", "x"),
        own("C", "y"),
        own("D", "x > $threshold"),
    ];
    let remedy = "correct the expression; promtool promql format shows how Prometheus reads it";
    assert_eq!(
        made(&rules).unwrap_err(),
        [
            format!("spec.rules[0].expr: failed to make a rule of PromQL: the result is a range or a string, not a vector: {remedy}"),
            "spec.rules[1].record: names that begin with fleetscope: are Fleetscope's own: record it under another name".to_owned(),
            "spec.rules[2].for: a recording is never for a time: remove for, or make it an alert".to_owned(),
            "spec.rules[3].annotations.summary: failed to parse template: there is no variable $valu; Prometheus has $labels, $value, $externalLabels and $externalURL: correct the template, or write {{ \"{{\" }} for two braces".to_owned(),
            format!("spec.rules[6].expr: failed to fill in $threshold: placeholders are $fleets: {remedy}"),
            "spec.rules[5]: it has the name and the labels of spec.rules[4]: give one of them another name, severity or label".to_owned(),
        ]
    );
}
