//! Rules and groups of Prometheus, as they are written.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::api::scalars::PromDuration;

/// Labels or annotations.
pub type Texts = BTreeMap<String, String>;

/// A recording rule or an alerting rule: one of `record` and `alert` is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rule {
    /// Name of the series that is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Name of the alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// The expression.
    pub expr: String,
    /// How long it must hold before the alert fires.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    /// How long the alert goes on after it holds no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_firing_for: Option<String>,
    /// Labels on the result.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: Texts,
    /// Annotations of the alert.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Texts,
}

/// Rules that are evaluated one after the other. Groups are evaluated side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// Its name, unique in the file.
    pub name: String,
    /// Time between two evaluations.
    pub interval: String,
    /// The rules.
    pub rules: Vec<Rule>,
}

// === impl Rule ===

impl Rule {
    /// A recording.
    pub fn record(name: impl Into<String>, expr: impl Into<String>, labels: Texts) -> Self {
        Self { record: Some(name.into()), expr: expr.into(), labels, ..Self::default() }
    }

    /// An alert without `for`, labels and annotations.
    pub fn alert(name: impl Into<String>, expr: impl Into<String>) -> Self {
        Self { alert: Some(name.into()), expr: expr.into(), ..Self::default() }
    }

    /// Sets how long it must hold; a duration of zero is none.
    #[must_use]
    pub fn holding(mut self, hold: Option<&str>) -> Self {
        self.hold = hold.and_then(not_zero);
        self
    }

    /// Sets how long it goes on; a duration of zero is none.
    #[must_use]
    pub fn keeping(mut self, keep: Option<&str>) -> Self {
        self.keep_firing_for = keep.and_then(not_zero);
        self
    }

    /// What two rules of one policy must not have in common: name and labels.
    pub fn identity(&self) -> (&str, &str, &Texts) {
        (self.record.as_deref().unwrap_or_default(), self.alert.as_deref().unwrap_or_default(), &self.labels)
    }

    /// Bytes that it takes at most in the YAML that prometheus-operator writes of it: its JSON, and the indentation of each of
    /// its lines.
    pub fn weight(&self) -> usize {
        let json = serde_json::to_vec(self).map_or(usize::MAX, |json| json.len());
        let texts = self.annotations.values().chain(self.labels.values()).chain([&self.expr]);
        let lines: usize = texts.map(|text| 1 + text.matches('\n').count()).sum();
        json.saturating_add(lines.saturating_mul(INDENTATION))
    }
}

/// Columns by which a text of a rule is indented in a file, generously.
const INDENTATION: usize = 16;

fn not_zero(duration: &str) -> Option<String> {
    (PromDuration::from(duration).seconds() != Some(0)).then(|| duration.to_owned())
}

// === impl Group ===

impl Group {
    /// Bytes that it takes at most; see [`Rule::weight`].
    pub fn weight(&self) -> usize {
        self.rules.iter().fold(256_usize, |sum, rule| sum.saturating_add(rule.weight()))
    }
}

/// Labels or annotations out of pairs.
pub(super) fn texts<const N: usize>(pairs: [(&str, &str); N]) -> Texts {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
