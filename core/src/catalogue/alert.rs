//! Alerts: what each says, and when it fires.

use std::sync::LazyLock;

use serde::Deserialize;

use super::{RUNBOOKS, placeholder};
use crate::api::scalars::Severity;
use crate::metrics::Source;

/// One alert.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Alert {
    /// Its name, unique: `Fleet...` for alerts about a fleet, `Fleetscope...` for those about Fleetscope itself.
    pub name: String,
    /// Whom it is about.
    pub scope: AlertScope,
    /// Where its series come from.
    pub source: Source,
    /// What it is about; its rule group.
    pub area: Area,
    /// How urgent it is.
    pub severity: Severity,
    /// How long its expression has to hold before it fires.
    #[serde(rename = "for")]
    pub hold: String,
    /// How long it goes on firing after that.
    pub keep_firing_for: String,
    /// Value of `$window`, if it has one.
    pub window: Option<String>,
    /// Value of `$threshold`, if it has one.
    pub threshold: Option<Threshold>,
    /// Value of `$minimum`, if it has one.
    pub minimum: Option<Minimum>,
    /// Labels of its result, after namespace and fleet where it is about a fleet.
    pub by: Vec<String>,
    /// Its expression, with placeholders.
    pub expr: String,
    /// One line, a template of Prometheus.
    pub summary: String,
    /// One or two sentences, a template of Prometheus.
    pub description: String,
    /// What it means and what to do, as Markdown.
    pub runbook: String,
    /// Rows of the requirements that it covers.
    pub covers: Vec<String>,
    /// Whether it is on unless something turns it off.
    pub default_enabled: bool,
}

/// Whom an alert is about.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum AlertScope {
    /// A fleet: its expression has `$fleets`, its result namespace and fleet.
    Fleet,
    /// Fleetscope itself.
    #[serde(rename = "self")]
    Fleetscope,
}

/// What a rule is about: its group.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    /// What the agents' processes do.
    Tasks,
    /// Whether the agents run, and are seen.
    Agents,
    /// Calls of gRPC.
    Grpc,
    /// Requests over HTTP.
    Api,
    /// Models: cost, limits, errors.
    Llm,
    /// Tools and queues.
    Tools,
    /// Memory and processors.
    Resources,
    /// Fleetscope itself.
    #[serde(rename = "self")]
    Fleetscope,
}

/// Unit of a threshold.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A share, from 0 to 1; or how many times something is something else.
    Ratio,
    /// Seconds.
    Seconds,
    /// A number of things.
    Count,
    /// A number of things per second.
    PerSecond,
    /// Bytes.
    Bytes,
    /// Money, in whatever currency.
    Currency,
    /// Points out of 100.
    Score,
}

/// Where an alert begins.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// Its value as decimal text.
    pub value: String,
    /// Its unit.
    pub unit: Unit,
    /// Whether what is above it is bad; else what is below.
    pub above: bool,
    /// The least value that makes sense.
    pub min: String,
    /// The greatest value that makes sense.
    pub max: String,
}

/// How much there has to be before an alert judges it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Minimum {
    /// Its value as decimal text.
    pub value: String,
    /// Of what.
    pub of: String,
}

static ROWS: LazyLock<Vec<Alert>> = LazyLock::new(|| {
    FILES
        .iter()
        .flat_map(|text| serde_saphyr::from_str::<Vec<Alert>>(text).expect("a test parses the embedded files"))
        .collect()
});

/// The embedded files, in the order of the documentation.
const FILES: [&str; 7] = [
    include_str!("../../catalogue/alerts/tasks.yaml"),
    include_str!("../../catalogue/alerts/agents.yaml"),
    include_str!("../../catalogue/alerts/grpc.yaml"),
    include_str!("../../catalogue/alerts/llm.yaml"),
    include_str!("../../catalogue/alerts/tools.yaml"),
    include_str!("../../catalogue/alerts/node-agent.yaml"),
    include_str!("../../catalogue/alerts/operator.yaml"),
];

/// All of them, in the order of the documentation.
pub fn alerts() -> &'static [Alert] {
    &ROWS
}

/// The one of this name.
pub fn alert(name: &str) -> Option<&'static Alert> {
    ROWS.iter().find(|row| row.name == name)
}

// === impl Alert ===

impl Alert {
    /// Labels that its result has: exactly these.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        let fleet: &[&str] = if self.scope == AlertScope::Fleet { &super::FLEET_LABELS } else { &[] };
        fleet.iter().copied().chain(self.by.iter().map(String::as_str))
    }

    /// Where its runbook is: below `base`, or below [`RUNBOOKS`].
    pub fn runbook_url(&self, base: Option<&str>) -> String {
        format!("{}/{}.md", base.unwrap_or(RUNBOOKS).trim_end_matches('/'), self.name)
    }

    /// Whether its expression has this placeholder, such as `window`.
    pub fn uses(&self, placeholder: &str) -> bool {
        placeholder::has(&self.expr, placeholder)
    }
}

// === impl Area ===

impl Area {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 8] =
        [Self::Tasks, Self::Agents, Self::Grpc, Self::Api, Self::Llm, Self::Tools, Self::Resources, Self::Fleetscope];

    /// Its name, as in the catalogue.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Agents => "agents",
            Self::Grpc => "grpc",
            Self::Api => "api",
            Self::Llm => "llm",
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::Fleetscope => "self",
        }
    }
}
