//! What all alerts of a policy have in common: its label, the labels that the user adds, where the runbooks are.

use super::rule::{Rule, Texts, texts};
use super::{SOURCE, SelectedFleet};
use crate::api::scalars::Severity;

/// What all rules of a policy have in common.
pub(super) struct Told<'a> {
    /// Value of the label `policy`.
    pub(super) policy: &'a str,
    pub(super) namespaced: bool,
    /// Labels on all alerts.
    pub(super) labels: Texts,
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
}
