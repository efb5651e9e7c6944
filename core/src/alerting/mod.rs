//! The rules of Prometheus that an `AlertPolicy` or a `ClusterAlertPolicy` asks for, and those of a fleet.
//!
//! ```text
//! catalogue, profiles, overrides -> effective -> instances --+
//! own rules, invariants -> checker (expression) -------------+-> rules -> groups -> objects: PrometheusRule or ConfigMap
//! SLOs -> indicator -> slo ------- budgets -> budget --------+
//! selected fleets -> fleets (matchers, conditions, membership)
//! ```
//!
//! In: a policy, the fleets that it selects, the catalogue. Out: the objects as they are applied, how many rules there are, and
//! warnings; or everything that is wrong with the policy.
//!
//! # Precedence
//! The caller says for which fleets a policy decides the catalogue's alerts ([`SelectedFleet::decides`]). A policy of a namespace
//! records those fleets, and a cluster-wide policy that is not enforced leaves out what is recorded, when its rules are
//! evaluated. What a policy says itself (own rules, SLOs, budgets, invariants) is for all fleets that it selects.
//!
//! # Labels
//! Every rule has the label `policy`: `<namespace>/<name>` of an `AlertPolicy`, `<name>` of a `ClusterAlertPolicy`, so that no two
//! policies ever give the same series. Alerts have `severity` and `source="fleetscope"`, too, and those of an `AlertPolicy` always
//! `namespace`: without it prometheus-operator lets none of them through to the policy's receivers.

use std::collections::BTreeSet;

pub mod budget;
pub mod built_in;
mod catalogue_rules;
mod checker;
mod effective;
mod expression;
pub mod fleets;
mod group;
mod indicator;
mod input;
mod invariant;
mod nearest;
mod object;
mod own;
pub mod receivers;
pub mod recordings;
mod rule;
pub mod slo;
mod template;
mod told;

use crate::api::alerting::Alerting;
use crate::catalogue::{Fleets, RUNBOOKS};
use crate::resources::{Desired, Fault, Installed, Site};
use checker::Checker;
pub use fleets::SelectedFleet;
use fleets::{Reach, Selection};
use group::Area;
pub use group::{GROUP_BYTES, OBJECT_BYTES, RULES_PER_GROUP};
pub use input::{Known, Policy, PolicyInput, ProfileAlert, ProfileAlerts};
pub use object::{POLICY_LABEL, RULES};
use rule::texts;
pub use rule::{Group, Rule, Texts};
use told::Told;

/// Value of the label `source` of everything that is made here.
pub const SOURCE: &str = "fleetscope";
/// Recorded for each policy: its `metadata.generation`, so that a dashboard can mark when it changed.
pub const GENERATION: &str = "fleetscope:policy_generation:info";

/// A recording is gone for Prometheus this long after its last evaluation.
const LOOKBACK_SECONDS: u64 = 300;

/// What a policy asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rendered {
    /// The objects with its rules.
    pub objects: Vec<Desired>,
    /// Alerting rules in them.
    pub alerts: usize,
    /// Recording rules in them.
    pub recordings: usize,
    /// Receivers in them.
    pub receivers: usize,
    /// What is not wrong, and still hardly meant.
    pub warnings: Vec<String>,
}

/// All that a policy asks for, receivers included, by what is built in.
///
/// # Errors
/// As [`desired`].
pub fn of_policy(
    policy: Policy<'_>,
    fleets: &[SelectedFleet],
    site: &Site,
    installed: Installed,
) -> Result<Rendered, Vec<Fault>> {
    let (alerts, profiles) = (crate::catalogue::alerts(), built_in::profiles());
    let input = PolicyInput { policy, fleets, alerts, profiles, known: &built_in::emits };
    let mut made = desired(&input, site, installed)?;
    if let Some(object) = receivers::desired(policy, site, installed) {
        made.objects.push(object);
        made.receivers = policy.alerting().routing.receivers.len();
    }
    Ok(made)
}

/// The objects with a policy's rules; none if it is suspended.
///
/// # Errors
/// Everything that is wrong with the policy and that its schema cannot see.
pub fn desired(input: &PolicyInput<'_>, site: &Site, installed: Installed) -> Result<Rendered, Vec<Fault>> {
    let (groups, warnings) = groups(input)?;
    if input.policy.alerting().suspend {
        return Ok(Rendered { warnings, ..Rendered::default() });
    }
    let rules = || groups.iter().flat_map(|group| &group.rules);
    let alerts = rules().filter(|rule| rule.alert.is_some()).count();
    let recordings = rules().count() - alerts;
    let kind = object::kind(input.policy.alerting().output, installed);
    let objects = object::objects(groups, kind, &input.policy.owner(site));
    Ok(Rendered { objects, alerts, recordings, receivers: 0, warnings })
}

/// The groups of a policy, whether suspended or not, and the warnings.
///
/// # Errors
/// As [`desired`].
pub fn groups(input: &PolicyInput<'_>) -> Result<(Vec<Group>, Vec<String>), Vec<Fault>> {
    let spec = input.policy.alerting();
    let label = input.policy.label();
    let namespace = input.policy.namespace();
    let reach = Reach {
        policy: &label,
        namespace: namespace.as_deref(),
        everything: input.policy.selects_everything(),
        gives_way: namespace.is_none() && !input.policy.enforced(),
        fleets: input.fleets,
    };
    let runbooks = spec.catalogue.runbook_base.as_deref().unwrap_or(RUNBOOKS).trim_end_matches('/');
    let mut labels: Texts = spec.catalogue.labels.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect();
    labels.extend(namespace.iter().map(|namespace| ("namespace".to_owned(), told::namespace_of(namespace))));
    let told = Told {
        policy: &label,
        namespaced: namespace.is_some(),
        labels,
        routing: &spec.routing,
        runbooks,
        fleets: input.fleets,
    };
    let mut checker = Checker::new(input.known, spec.rules.iter().filter_map(|rule| rule.record.as_deref()));
    check_interval(spec, &mut checker);
    let mut areas = vec![Area::ordered("fleets", None, reach.members())];
    areas.extend(catalogue_rules::areas(input, &reach, &told, &mut checker));
    // Without fleets expressions are looked at all the same: a policy is right or wrong before its fleets are there.
    let own = reach.own();
    let fleets = own.clone().unwrap_or_else(|| Selection { matchers: Fleets::All.to_string(), conditions: Vec::new() });
    let mut said = vec![Area {
        name: "rules".to_owned(),
        seconds: None,
        lists: own::rules(&spec.rules, &fleets, &told, &mut checker),
    }];
    for (i, slo) in spec.slos.iter().enumerate() {
        said.extend(slo::rules(i, slo, &fleets, &told, &mut checker));
    }
    for (i, budget) in spec.budgets.iter().enumerate() {
        said.extend(budget::rules(i, budget, &fleets, &told, &mut checker));
    }
    let invariants = spec.invariants.iter().enumerate();
    let invariants = invariants.filter_map(|(i, it)| invariant::rule(i, it, &fleets, &told, &mut checker)).collect();
    said.push(Area::loose("invariants", invariants));
    if own.is_some() {
        areas.extend(said);
    }
    let mut of_policy = texts([("policy", label.as_str())]);
    of_policy.extend(namespace.iter().map(|namespace| ("namespace".to_owned(), namespace.clone())));
    let generation = Rule::record(GENERATION, format!("vector({})", input.policy.generation()), of_policy);
    areas.push(Area::loose("policy", vec![generation]));
    check_rules(&areas, &mut checker);
    let warnings = checker.finish()?;
    let prefix = match &namespace {
        Some(namespace) => format!("AlertPolicy/{namespace}/{}", label.rsplit('/').next().unwrap_or_default()),
        None => format!("ClusterAlertPolicy/{label}"),
    };
    Ok((group::groups(&prefix, &spec.evaluation_interval, areas), warnings))
}

fn check_interval(spec: &Alerting, checker: &mut Checker<'_>) {
    let seconds = spec.evaluation_interval.seconds().unwrap_or_default();
    if seconds == 0 {
        checker.value("spec.evaluationInterval", "rules cannot be evaluated all the time", "set for example 30s");
    }
    if seconds >= LOOKBACK_SECONDS {
        checker.warn("spec.evaluationInterval: Prometheus forgets a recorded series five minutes after its last evaluation; rules that read recordings will have gaps");
    }
}

/// No two rules with the same name and labels, of which one would hide the other; and none that fits in no object.
fn check_rules(areas: &[Area], checker: &mut Checker<'_>) {
    let mut seen = BTreeSet::new();
    for rule in areas.iter().flat_map(|area| &area.lists).flatten() {
        let name = rule.alert.as_ref().or(rule.record.as_ref()).cloned().unwrap_or_default();
        if rule.weight() > GROUP_BYTES {
            let message = format!("the rule {name} takes {} bytes of {GROUP_BYTES}", rule.weight());
            checker.value("spec", message, "shorten its expression, labels and annotations");
        }
        if !seen.insert(rule.identity()) {
            let message = format!("there are two rules {name} with the same labels");
            checker.value(
                "spec.rules",
                message,
                "give an own rule another name than those of the catalogue, or a label",
            );
        }
    }
}

#[cfg(test)]
mod tests;
