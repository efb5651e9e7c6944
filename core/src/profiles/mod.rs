//! Profiles: what is known beforehand about a system whose agents a fleet observes.
//!
//! A profile is data: one YAML file below `core/profiles/`, embedded, and read once. In: its name, `AgentFleet.spec.profile`. Out:
//! task rules behind the fleet's own, the scrape of its own `/metrics`, overrides of catalogue alerts, recording rules that
//! give the metric names that the system's users know, and the dashboard to begin with. Whatever a user says of a fleet comes
//! before what its profile says.
//!
//! # Layout
//! - [`rules`]: a profile's recordings as a group of Prometheus rules, for one fleet

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::api::ProfileName;
use crate::api::agent_fleet::TaskRule;
use crate::api::scalars::Severity;
use crate::metrics::Source;

pub mod rules;

/// The files, in the order of [`ProfileName::ALL`].
const FILES: [&str; 6] = [
    include_str!("../../profiles/generic.yaml"),
    include_str!("../../profiles/sloth-runner.yaml"),
    include_str!("../../profiles/golden-armada.yaml"),
    include_str!("../../profiles/agent-orchestrator.yaml"),
    include_str!("../../profiles/atoll.yaml"),
    include_str!("../../profiles/devops-agent.yaml"),
];

static PROFILES: LazyLock<[Profile; 6]> =
    LazyLock::new(|| FILES.map(|file| parse(file).expect("the embedded files are read by a test")));

/// One profile.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// Its name.
    pub name: ProfileName,
    /// What it is, for users; Markdown.
    pub description: String,
    /// Task rules, behind the fleet's own.
    pub tasks: Vec<TaskRule>,
    /// The system's own `/metrics`: what a `ScrapePolicy` of such a fleet takes where it says nothing. None: it has none.
    pub scrape: Option<Scrape>,
    /// What is different about alerts of the catalogue, by their names.
    #[serde(default)]
    pub alerts: BTreeMap<String, AlertOverride>,
    /// Metrics under the names that the system's users know.
    #[serde(default)]
    pub recordings: Vec<Recording>,
    /// Metrics of the system that Fleetscope's series cannot give, with the reason.
    #[serde(default)]
    pub not_derivable: Vec<NotDerivable>,
    /// Uid of the dashboard to begin with.
    pub dashboard: String,
}

/// Where the system itself exposes metrics.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scrape {
    /// Port of its container.
    pub port: u16,
    /// Path.
    pub path: String,
    /// Time between two scrapes, as Prometheus writes durations.
    pub interval: String,
    /// How long one may take.
    pub timeout: String,
}

/// What of a catalogue alert is different. What is not said stays as it is in the catalogue.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlertOverride {
    /// Whether there is such an alert.
    pub enabled: Option<bool>,
    /// The threshold, as decimal text in the alert's unit.
    pub threshold: Option<String>,
    /// The least traffic, as decimal text.
    pub minimum: Option<String>,
    /// How long the expression holds before the alert fires.
    #[serde(rename = "for")]
    pub hold: Option<String>,
    /// `critical`, `warning`, `info`.
    pub severity: Option<Severity>,
    /// Why: what the system's documents say.
    pub reason: String,
}

/// A metric under the name that the system's users know.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recording {
    /// The name; of a histogram, without `_bucket`, `_sum`, `_count`.
    pub record: String,
    /// What it is, for those who query it.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Where its series come from.
    pub source: Source,
    /// Rows of the requirements' checklist that ask for it.
    pub covers: Vec<String>,
    /// Labels that all its series have.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// `PromQL`, with `$fleets` inside braces, and of a histogram `$part` behind a name.
    pub expr: String,
    /// What is different from the system's own metric; Markdown.
    pub note: Option<String>,
}

/// What a recorded metric is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Only grows, per pod.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Three rules: `_bucket`, `_sum`, `_count`, each a counter.
    Histogram,
}

/// A metric of the system that Fleetscope's series cannot give.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NotDerivable {
    /// Its name, or a few.
    pub metric: String,
    /// Rows of the requirements' checklist that ask for it.
    pub covers: Vec<String>,
    /// Why; Markdown.
    pub reason: String,
}

/// The profile of this name.
pub fn get(name: ProfileName) -> &'static Profile {
    &PROFILES[name as usize]
}

/// All profiles, in the order of [`ProfileName::ALL`].
pub fn all() -> &'static [Profile] {
    &*PROFILES
}

fn parse(file: &str) -> Result<Profile, serde_saphyr::Error> {
    serde_saphyr::from_str(file)
}

// === impl Profile ===

impl Profile {
    /// Its task rules, which come behind the fleet's own.
    pub fn task_rules(&self) -> &[TaskRule] {
        &self.tasks
    }

    /// The metrics under names that the system's users know.
    pub fn recordings(&self) -> &[Recording] {
        &self.recordings
    }

    /// What is different about the catalogue's alert of this name; none if nothing is.
    pub fn alert_override(&self, name: &str) -> Option<&AlertOverride> {
        self.alerts.get(name)
    }
}

#[cfg(test)]
mod tests;
