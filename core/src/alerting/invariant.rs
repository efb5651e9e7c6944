//! Invariants: expressions that must never have a result.

use super::checker::Checker;
use super::fleets::Selection;
use super::rule::{Rule, texts};
use super::told::Told;
use crate::api::alerting::Invariant;

/// The alert of an invariant; None if its expression is wrong.
pub(super) fn rule(
    i: usize,
    invariant: &Invariant,
    fleets: &Selection,
    told: &Told<'_>,
    checker: &mut Checker<'_>,
) -> Option<Rule> {
    let path = format!("spec.invariants[{i}]");
    if let Some(description) = &invariant.description {
        checker.template(&format!("{path}.description"), &description.0);
    }
    let expr = checker.expression(&format!("{path}.expr"), &invariant.expr.0, fleets, &[])?;
    let name = invariant.name.as_str();
    // A result that is not of one fleet is told of by the policy.
    let whose = format!(
        "{{{{ with $labels.fleet }}}}Fleet {{{{ $labels.namespace }}}}/{{{{ . }}}}{{{{ else }}}}Policy {}{{{{ end }}}}",
        told.policy
    );
    let summary = format!("{whose}: the invariant {name} is violated");
    let description = match &invariant.description {
        Some(text) => text.0.clone(),
        None => format!(
            "The invariant {name} of the policy {} must never have a result, and has the value {{{{ $value }}}}.",
            told.policy
        ),
    };
    let alert = told.alert(
        "FleetInvariantViolated",
        expr,
        invariant.severity,
        texts([("invariant", name)]),
        &summary,
        &description,
    );
    told.warn_if_unheard(&format!("{path}.expr"), &alert, checker);
    Some(alert.holding(invariant.hold.as_ref().map(|hold| hold.0.as_str())))
}
