//! The catalogue's alerts as rules: each instance for the fleets that it is for.

use std::collections::BTreeSet;

use super::checker::Checker;
use super::effective::{Instance, instances};
use super::fleets::{Profiles, Reach, Selection};
use super::group::Area;
use super::rule::{Rule, texts};
use super::told::Told;
use super::{PolicyInput, ProfileAlerts, SOURCE};
use crate::catalogue::{AlertScope, Values};

/// The catalogue's alerts, by area, and for which fleets they are.
pub(super) fn areas(
    input: &PolicyInput<'_>,
    reach: &Reach<'_>,
    told: &Told<'_>,
    checker: &mut Checker<'_>,
) -> Vec<Area> {
    let spec = &input.policy.alerting().catalogue;
    let there: BTreeSet<&str> = input.fleets.iter().map(|fleet| fleet.profile.as_str()).collect();
    let profiles: Vec<ProfileAlerts<'_>> =
        input.profiles.iter().filter(|profile| there.contains(profile.name)).cloned().collect();
    let instances = instances(input.alerts, &profiles, input.policy.audience(), spec, checker);
    if !spec.enabled {
        return Vec::new();
    }
    let mut areas = vec![Area::ordered("covered", None, reach.covered())];
    for instance in &instances {
        let Some(rule) = of_instance(instance, reach, told, checker) else { continue };
        let name = instance.row.area.as_str();
        match areas.iter_mut().find(|area| area.name == name) {
            Some(area) => area.lists.push(vec![rule]),
            None => areas.push(Area::loose(name, vec![rule])),
        }
    }
    areas
}

fn of_instance(instance: &Instance<'_>, reach: &Reach<'_>, told: &Told<'_>, checker: &mut Checker<'_>) -> Option<Rule> {
    let (row, values) = (instance.row, &instance.values);
    let profiles = instance.profile.map_or(Profiles::Except(&instance.except), Profiles::Only);
    let fleets = if row.scope == AlertScope::Fleet { reach.catalogue(profiles)? } else { Selection::default() };
    let filled = row.expression(&Values {
        fleets: &fleets.matchers,
        threshold: values.threshold.as_deref(),
        minimum: values.minimum.as_deref(),
        window: values.window.as_deref(),
    });
    let expr = match filled {
        Ok(expr) => fleets.filter(&expr),
        Err(error) => {
            checker.value("spec.catalogue.overrides", error.to_string(), "set a value that the alert can have");
            return None;
        }
    };
    let mut labels = instance.labels.clone();
    labels.extend(texts([("severity", values.severity.as_str()), ("policy", told.policy), ("source", SOURCE)]));
    labels.extend(instance.profile.map(|profile| ("profile".to_owned(), profile.to_owned())));
    let runbook_url = instance.runbook_url.map_or_else(|| row.runbook_url(Some(told.runbooks)), str::to_owned);
    let mut annotations = texts([
        ("summary", row.summary.trim()),
        ("description", row.description.trim()),
        ("runbook_url", &runbook_url),
    ]);
    annotations.extend(instance.annotations.clone());
    let rule = Rule { labels, annotations, ..Rule::alert(&row.name, expr) };
    Some(rule.holding(Some(&values.hold)).keeping(Some(&values.keep_firing_for)))
}
