//! Own rules of a policy: what a user writes, with the labels by which it is told whose it is.
//!
//! A rule that reads what another one records is evaluated after it, so both stay in one group; rules that have nothing to do with
//! one another are spread over groups, which Prometheus evaluates side by side.

use std::collections::BTreeMap;

use super::SOURCE;
use super::checker::Checker;
use super::expression;
use super::fleets::Selection;
use super::rule::{Rule, Texts};
use super::told::Told;
use crate::api::alerting::OwnRule;
use crate::api::conditions::Reason;

/// Starts of names that only generated recordings have. Cluster-wide policies trust them.
const RESERVED: [&str; 2] = ["fleetscope:", "fleet:"];

/// The rules, in lists of rules that belong together, each in the order in which the user wrote it.
pub(super) fn rules(own: &[OwnRule], fleets: &Selection, told: &Told<'_>, checker: &mut Checker<'_>) -> Vec<Vec<Rule>> {
    let mut rules: Vec<(usize, Rule)> = Vec::with_capacity(own.len());
    for (i, rule) in own.iter().enumerate() {
        rules.extend(of(&format!("spec.rules[{i}]"), rule, fleets, told, checker).map(|rule| (i, rule)));
    }
    let mut seen = BTreeMap::new();
    for (i, rule) in &rules {
        if let Some(first) = seen.insert(rule.identity(), *i) {
            let message = format!("it has the name and the labels of spec.rules[{first}]");
            checker.value(format!("spec.rules[{i}]"), message, "give one of them another name, severity or label");
        }
    }
    connected(rules.into_iter().map(|(_, rule)| rule).collect())
}

fn of(path: &str, own: &OwnRule, fleets: &Selection, told: &Told<'_>, checker: &mut Checker<'_>) -> Option<Rule> {
    for (list, texts) in [("labels", &own.labels), ("annotations", &own.annotations)] {
        // Labels of recordings are no templates.
        for (name, text) in texts.iter().filter(|_| own.alert.is_some()) {
            checker.template(&format!("{path}.{list}.{name}"), &text.0);
        }
    }
    let expr = checker.expression(&format!("{path}.expr"), &own.expr.0, fleets, &[]);
    let mut labels: Texts = own.labels.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect();
    labels.insert("policy".to_owned(), told.policy.to_owned());
    labels.insert("source".to_owned(), SOURCE.to_owned());
    if let Some(record) = &own.record {
        if let Some(reserved) = RESERVED.iter().find(|reserved| record.starts_with(**reserved)) {
            let message = format!("names that begin with {reserved} are Fleetscope's own");
            checker.value(format!("{path}.record"), message, "record it under another name");
        }
        if own.hold.is_some() {
            checker.value(format!("{path}.for"), "a recording is never for a time", "remove for, or make it an alert");
        }
        return Some(Rule::record(record, expr?, labels));
    }
    let Some(alert) = &own.alert else {
        checker.fault(Reason::InvalidValue, path, "a rule has either alert or record", "give it a name");
        return None;
    };
    let mut all: Texts = told.labels.clone();
    all.append(&mut labels);
    all.insert("severity".to_owned(), own.severity.unwrap_or_default().as_str().to_owned());
    let rule = Rule {
        labels: all,
        annotations: own.annotations.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect(),
        ..Rule::alert(alert, expr?)
    };
    let duration =
        |duration: &Option<crate::api::scalars::PromDuration>| duration.as_ref().map(|duration| duration.0.clone());
    told.warn_if_unheard(&format!("{path}.expr"), &rule, checker);
    Some(rule.holding(duration(&own.hold).as_deref()).keeping(duration(&own.keep_firing_for).as_deref()))
}

/// Rules that read what others record, together with those; lists in the order of their first rules.
fn connected(rules: Vec<Rule>) -> Vec<Vec<Rule>> {
    let mut recorders: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, rule) in rules.iter().enumerate() {
        if let Some(record) = &rule.record {
            recorders.entry(record).or_default().push(i);
        }
    }
    let mut list_of: Vec<usize> = (0..rules.len()).collect();
    for (i, rule) in rules.iter().enumerate() {
        let Ok(expr) = expression::parse(&rule.expr) else { continue };
        for metric in expression::metrics(&expr) {
            for recorder in recorders.get(metric.as_str()).into_iter().flatten() {
                join(&mut list_of, i, *recorder);
            }
        }
    }
    let roots: Vec<usize> = (0..rules.len()).map(|i| root(&mut list_of, i)).collect();
    let mut lists: BTreeMap<usize, Vec<Rule>> = BTreeMap::new();
    for (root, rule) in roots.into_iter().zip(rules) {
        lists.entry(root).or_default().push(rule);
    }
    lists.into_values().collect()
}

fn join(list_of: &mut [usize], one: usize, other: usize) {
    let (one, other) = (root(list_of, one), root(list_of, other));
    // The smaller one stays: lists are in the order of their first rules.
    list_of[one.max(other)] = one.min(other);
}

/// The first rule of a rule's list; the way there is made shorter for the next one who asks.
fn root(list_of: &mut [usize], i: usize) -> usize {
    let mut at = i;
    while list_of[at] != at {
        list_of[at] = list_of[list_of[at]];
        at = list_of[at];
    }
    at
}

#[cfg(test)]
mod tests;
