//! What all alerts of a policy have in common: its label, the labels that the user adds, where the runbooks are, who is told.

use std::collections::BTreeSet;

use super::checker::Checker;
use super::rule::{Rule, Texts, texts};
use super::{SOURCE, SelectedFleet};
use crate::api::receivers::{Route, Routing};
use crate::api::scalars::Severity;
use crate::catalogue::labels_of;
use crate::glob::Glob;
use crate::promql::Promql;

/// What all rules of a policy have in common.
pub(super) struct Told<'a> {
    /// Value of the label `policy`.
    pub(super) policy: &'a str,
    pub(super) namespaced: bool,
    /// Labels on all alerts that are not of the catalogue.
    pub(super) labels: Texts,
    pub(super) routing: &'a Routing,
    pub(super) runbooks: &'a str,
    pub(super) fleets: &'a [SelectedFleet],
}

// === impl Told ===

impl Told<'_> {
    /// An alert that is not of the catalogue.
    pub(super) fn alert(
        &self,
        name: &str,
        expr: String,
        severity: Severity,
        labels: Texts,
        summary: &str,
        description: &str,
    ) -> Rule {
        let mut all = self.labels.clone();
        all.extend(labels);
        all.extend(texts([("severity", severity.as_str()), ("policy", self.policy), ("source", SOURCE)]));
        let runbook_url = format!("{}/{name}.md", self.runbooks);
        let annotations = texts([("summary", summary), ("description", description), ("runbook_url", &runbook_url)]);
        Rule { labels: all, annotations, ..Rule::alert(name, expr) }
    }

    /// Warns of an alert that reaches nobody, as its result has not what the routes ask for. Of labels that cannot be known nothing is said.
    pub(super) fn warn_if_unheard(&self, path: &str, rule: &Rule, checker: &mut Checker<'_>) {
        if self.routing.default_receiver.is_some() {
            return;
        }
        let Some(of_result) = Promql::parse(&rule.expr).ok().and_then(|expr| expr.labels(&labels_of)) else { return };
        let has = |label: &str| of_result.contains(label) || rule.labels.contains_key(label);
        let missing = |route: &Route| {
            let asked = [("namespace", &route.namespaces), ("fleet", &route.fleets)];
            asked.into_iter().find(|(label, values)| !values.is_empty() && !has(label)).map(|(label, _)| label)
        };
        let routes = self.routing.routes.iter().filter(|route| could_take(route, rule));
        let Some(missing) = routes.map(missing).collect::<Option<BTreeSet<&str>>>() else { return };
        if !missing.is_empty() {
            let labels = missing.into_iter().collect::<Vec<_>>().join(", ");
            checker.warn(&format!(
                "{path}: its result has no label {labels}, which each route that could take the alert asks for: nobody is told"
            ));
        }
    }
}

/// The label `namespace` of alerts whose expressions may lose it: the namespace of the result, or else that of the policy. By it
/// prometheus-operator tells which alerts the receivers of a namespace are for. A plain value would make results of several
/// namespaces the same, and Prometheus refuse them.
pub(super) fn namespace_of(policy: &str) -> String {
    format!("{{{{ with $labels.namespace }}}}{{{{ . }}}}{{{{ else }}}}{policy}{{{{ end }}}}")
}

/// Whether a route takes the alert, by its name and its severity.
fn could_take(route: &Route, rule: &Rule) -> bool {
    let name = rule.alert.as_deref().unwrap_or_default();
    let severity = rule.labels.get("severity").map(String::as_str);
    (route.severities.is_empty() || route.severities.iter().any(|taken| Some(taken.as_str()) == severity))
        && (route.alerts.is_empty() || route.alerts.iter().any(|pattern| Glob::new(pattern).matches(name)))
}
