//! Files for promtool: the rules of the catalogue as they are, and unit tests of every alert made of its case.
//!
//! Each test asserts all labels and all annotations of an alert, and with them its value, and that it does not fire in the case
//! that comes close.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::alert::{Alert, AlertScope, Area, alerts};
use super::case::{Case, FLEET, InputSeries, cases};
use super::expression::{ExpressionError, Values};
use super::placeholder::{self, PlaceholderError};
use super::{FLEET_LABELS, Fleets, SOURCE_LABEL, recordings};

/// Group of the recording rules.
const RECORDINGS: &str = "recordings";

/// Why a file for promtool cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PromtoolError {
    /// A rule has no expression.
    #[error(transparent)]
    Expression(#[from] ExpressionError),
    /// A recording rule or a series has an unknown placeholder.
    #[error(transparent)]
    Placeholder(#[from] PlaceholderError),
    /// An alert has no case, or more than one.
    #[error("failed to test {alert}: it has {count} cases, not one")]
    Cases {
        /// The alert.
        alert: String,
        /// How many cases there are of it.
        count: usize,
    },
    /// A case of an alert that there is not.
    #[error("failed to test {alert}: there is no such alert")]
    NoAlert {
        /// What the case calls it.
        alert: String,
    },
    /// A case gives other labels than the alert has.
    #[error("failed to test {alert}: it has the labels {wanted:?}, the case {given:?}")]
    Labels {
        /// The alert.
        alert: String,
        /// Labels of the alert.
        wanted: BTreeSet<String>,
        /// Labels of the case.
        given: BTreeSet<String>,
    },
    /// An annotation prints what the case does not give.
    #[error("failed to test {alert}: its annotations print {missing}, which the case does not give")]
    Annotation {
        /// The alert.
        alert: String,
        /// The template's part.
        missing: String,
    },
    /// It cannot be written as YAML.
    #[error("failed to write YAML")]
    Yaml(#[from] serde_saphyr::ser::Error),
}

/// A rule file with the recording rules of one fleet.
pub fn recording_rules(namespace: &str, fleet: &str) -> Result<String, PromtoolError> {
    let fleets = Fleets::One { namespace: namespace.to_owned(), fleet: fleet.to_owned() }.to_string();
    let rule = |row: &super::Recording| Ok(json!({ "record": row.record, "expr": row.expression(&fleets)? }));
    let rules: Vec<Value> = recordings().iter().map(rule).collect::<Result<_, PlaceholderError>>()?;
    yaml(&json!({ "groups": [{ "name": RECORDINGS, "rules": rules }] }))
}

/// A rule file with all alerts of a scope, one group per area. Those about fleets are about `fleets`.
pub fn alerting_rules(scope: AlertScope, fleets: &Fleets) -> Result<String, PromtoolError> {
    let fleets = fleets.to_string();
    let mut groups = Vec::new();
    for area in Area::ALL {
        let rows = alerts().iter().filter(|row| row.scope == scope && row.area == area);
        let rules: Vec<Value> = rows.map(|row| rule(row, &fleets)).collect::<Result<_, ExpressionError>>()?;
        if !rules.is_empty() {
            groups.push(json!({ "name": area.as_str(), "rules": rules }));
        }
    }
    yaml(&json!({ "groups": groups }))
}

fn rule(row: &Alert, fleets: &str) -> Result<Value, ExpressionError> {
    Ok(json!({
        "alert": row.name,
        "expr": row.expression(&Values { fleets, ..Values::default() })?,
        "for": row.hold,
        "keep_firing_for": row.keep_firing_for,
        "labels": { "severity": row.severity.as_str(), SOURCE_LABEL.0: SOURCE_LABEL.1 },
        "annotations": {
            "summary": row.summary,
            "description": row.description,
            "runbook_url": row.runbook_url(None),
        },
    }))
}

/// Unit tests of all alerts against these rule files, by their evaluation interval: one file for each that the cases have.
pub fn unit_tests(rule_files: &[&str]) -> Result<BTreeMap<String, String>, PromtoolError> {
    for row in alerts() {
        let count = cases().iter().filter(|case| case.alert == row.name).count();
        if count != 1 {
            return Err(PromtoolError::Cases { alert: row.name.clone(), count });
        }
    }
    let mut by_interval: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for case in cases() {
        let tests = by_interval.entry(&case.interval).or_default();
        tests.extend(both(case)?);
    }
    // Without an order promtool takes any: what uses a recording would see its last value, or this one's.
    let order: Vec<&str> = [RECORDINGS].into_iter().chain(Area::ALL.map(Area::as_str)).collect();
    let file = |(interval, tests): (&str, Vec<Value>)| {
        let file = json!({
            "rule_files": rule_files,
            "evaluation_interval": interval,
            "group_eval_order": order,
            "tests": tests,
        });
        Ok((interval.to_owned(), yaml(&file)?))
    };
    by_interval.into_iter().map(file).collect()
}

/// The test in which an alert fires, and the one in which it does not.
fn both(case: &Case) -> Result<[Value; 2], PromtoolError> {
    let name = &case.alert;
    let row = super::alert(name).ok_or_else(|| PromtoolError::NoAlert { alert: name.clone() })?;
    let mut labels = case.fires.labels.clone();
    if row.scope == AlertScope::Fleet {
        labels.extend(
            FLEET_LABELS.into_iter().zip([FLEET.0, FLEET.1]).map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
    }
    let wanted: BTreeSet<String> = row.labels().map(str::to_owned).collect();
    let given: BTreeSet<String> = labels.keys().cloned().collect();
    if wanted != given {
        return Err(PromtoolError::Labels { alert: name.clone(), wanted, given });
    }
    let annotations = json!({
        "summary": printed(row, &row.summary, &labels, case)?,
        "description": printed(row, &row.description, &labels, case)?,
        "runbook_url": row.runbook_url(None),
    });
    labels.insert("severity".to_owned(), row.severity.as_str().to_owned());
    labels.insert(SOURCE_LABEL.0.to_owned(), SOURCE_LABEL.1.to_owned());
    let firing = json!([{ "exp_labels": labels, "exp_annotations": annotations }]);
    Ok([
        test(&format!("{name} fires"), case, &case.fires.series, &case.fires.at, &firing)?,
        test(&format!("{name} does not fire"), case, &case.quiet.series, &case.quiet.at, &json!([]))?,
    ])
}

fn test(title: &str, case: &Case, series: &[InputSeries], at: &str, wanted: &Value) -> Result<Value, PromtoolError> {
    let fleet = Fleets::One { namespace: FLEET.0.to_owned(), fleet: FLEET.1.to_owned() }.to_string();
    let agent =
        |number: u8| format!("{fleet},pod=\"{}-{number}\",container=\"main\",workload=\"{}\"", FLEET.1, FLEET.1);
    let (one, other) = (agent(0), agent(1));
    let input = |given: &InputSeries| {
        let filled = placeholder::fill(&given.series, |name| match name {
            "fleet" => Some(fleet.as_str()),
            "agent" => Some(&one),
            "other" => Some(&other),
            _ => None,
        })?;
        Ok(json!({ "series": filled, "values": given.values }))
    };
    let input: Vec<Value> = series.iter().map(input).collect::<Result<_, PlaceholderError>>()?;
    Ok(json!({
        "name": title,
        "interval": case.interval,
        "input_series": input,
        "alert_rule_test": [{ "eval_time": at, "alertname": case.alert, "exp_alerts": wanted }],
    }))
}

/// What an annotation prints: its template with the case's labels, and with the case's value wherever the value is printed.
fn printed(
    row: &Alert,
    template: &str,
    labels: &BTreeMap<String, String>,
    case: &Case,
) -> Result<String, PromtoolError> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let missing = || PromtoolError::Annotation { alert: row.name.clone(), missing: after.to_owned() };
        let (part, after) = after.split_once("}}").ok_or_else(missing)?;
        text.push_str(before);
        let missing = || PromtoolError::Annotation { alert: row.name.clone(), missing: part.trim().to_owned() };
        let value = match part.trim().strip_prefix("$labels.") {
            Some(label) => labels.get(label),
            None => case.fires.value.as_ref().filter(|_| part.contains("$value")),
        };
        text.push_str(value.ok_or_else(missing)?);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

fn yaml(file: &Value) -> Result<String, PromtoolError> {
    let mut quoted = serde_saphyr::SerializerOptions::default();
    // Each text is quoted: YAML would read `0` and `1m` as something else.
    quoted.quote_all = true;
    Ok(serde_saphyr::to_string_with_options(file, quoted)?)
}
