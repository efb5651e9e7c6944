//! Alerts: what each says, when it fires, and how its expression is made.

use std::sync::LazyLock;

use serde::Deserialize;

use super::placeholder::{self, PlaceholderError};
use super::{RUNBOOKS, is_duration};

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

/// Where the series of a rule come from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Measured by the node agents, without the agents' help.
    Kernel,
    /// The agents' own telemetry, which this version does not emit yet.
    Telemetry,
    /// What Prometheus says of its targets.
    Scrape,
    /// What Fleetscope says of itself.
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

/// How urgent an alert is: value of the label `severity`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Needs somebody soon.
    Warning,
    /// Needs somebody now.
    Critical,
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

/// What an expression is made with. What is `None` comes from the catalogue.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Values<'a> {
    /// Label matchers: [`super::Fleets`] as text. An alert about Fleetscope itself needs none.
    pub fleets: &'a str,
    /// In place of the threshold.
    pub threshold: Option<&'a str>,
    /// In place of the minimum.
    pub minimum: Option<&'a str>,
    /// In place of the window.
    pub window: Option<&'a str>,
}

/// Why an alert has no expression with these values.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ExpressionError {
    /// A value for what the alert does not have.
    #[error("failed to set the {what} of {alert}: it has none")]
    NotThere {
        /// The alert.
        alert: String,
        /// threshold, minimum or window.
        what: &'static str,
    },
    /// A value that is no number.
    #[error("failed to set the {what} of {alert}: {value:?} is not a decimal number")]
    NotANumber {
        /// The alert.
        alert: String,
        /// threshold or minimum.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// A value that makes no sense.
    #[error("failed to set the {what} of {alert}: {value} is not between {min} and {max}")]
    OutOfRange {
        /// The alert.
        alert: String,
        /// threshold or minimum.
        what: &'static str,
        /// The value.
        value: String,
        /// The least value.
        min: String,
        /// The greatest value.
        max: String,
    },
    /// A window that is no duration.
    #[error("failed to set the window of {alert}: {value:?} is not a duration such as 5m or 1h30m")]
    NotADuration {
        /// The alert.
        alert: String,
        /// The value.
        value: String,
    },
    /// The expression of an alert about a fleet without label matchers would be about everything.
    #[error("failed to make the expression of {alert}: it has to be told which fleets it is about")]
    NoFleets {
        /// The alert.
        alert: String,
    },
    /// The expression has a placeholder that is not one.
    #[error(transparent)]
    Placeholder(#[from] PlaceholderError),
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

/// The greatest minimum; above it nothing would ever fire.
const MINIMUM_MAX: &str = "1000000000000";

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
    /// Its expression with these values.
    pub fn expression(&self, values: &Values<'_>) -> Result<String, ExpressionError> {
        if self.scope == AlertScope::Fleet && values.fleets.trim().is_empty() {
            return Err(ExpressionError::NoFleets { alert: self.name.clone() });
        }
        let threshold = self.threshold.as_ref().map(|own| (own.value.as_str(), own.min.as_str(), own.max.as_str()));
        let threshold = self.number("threshold", values.threshold, threshold)?;
        let minimum = self.minimum.as_ref().map(|own| (own.value.as_str(), "0", MINIMUM_MAX));
        let minimum = self.number("minimum", values.minimum, minimum)?;
        let window = self.chosen("window", values.window, self.window.as_deref())?;
        if let Some(value) = window.filter(|window| !is_duration(window)) {
            return Err(ExpressionError::NotADuration { alert: self.name.clone(), value: value.to_owned() });
        }
        let filled = placeholder::fill(&self.expr, |name| match name {
            "fleets" => Some(values.fleets),
            "threshold" => threshold,
            "minimum" => minimum,
            "window" => window,
            _ => None,
        })?;
        Ok(filled.trim_end().to_owned())
    }

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

    fn chosen<'a>(
        &self,
        what: &'static str,
        given: Option<&'a str>,
        own: Option<&'a str>,
    ) -> Result<Option<&'a str>, ExpressionError> {
        match (given, own) {
            (Some(_), None) => Err(ExpressionError::NotThere { alert: self.name.clone(), what }),
            _ => Ok(given.or(own)),
        }
    }

    /// The value that counts, within `own`'s limits.
    fn number<'a>(
        &self,
        what: &'static str,
        given: Option<&'a str>,
        own: Option<(&'a str, &str, &str)>,
    ) -> Result<Option<&'a str>, ExpressionError> {
        let chosen = self.chosen(what, given, own.map(|(value, ..)| value))?;
        let (Some(text), Some((_, min, max))) = (chosen, own) else { return Ok(chosen) };
        let Some(number) = decimal(text) else {
            return Err(ExpressionError::NotANumber { alert: self.name.clone(), what, value: text.to_owned() });
        };
        let limit = |limit: &str| decimal(limit).expect("a test reads the limits");
        if number < limit(min) || number > limit(max) {
            let (alert, value) = (self.name.clone(), text.to_owned());
            return Err(ExpressionError::OutOfRange { alert, what, value, min: min.to_owned(), max: max.to_owned() });
        }
        Ok(chosen)
    }
}

// === impl Severity ===

impl Severity {
    /// Value of the label `severity`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
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

/// A number out of decimal text: digits with at most one point, nothing that PromQL could read as something else.
pub(super) fn decimal(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let ends = text.starts_with(|c: char| c.is_ascii_digit()) && text.ends_with(|c: char| c.is_ascii_digit());
    if plain && ends && text.len() <= 32 { text.parse().ok() } else { None }
}
