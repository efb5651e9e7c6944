//! Recording rules: what alerts, dashboards and profiles share.

use std::sync::LazyLock;

use serde::Deserialize;

use super::alert::Area;
use super::placeholder::{self, PlaceholderError};
use crate::metrics::Source;

/// The series that stands for the fleet itself: constant 1, with its profile. Whoever renders a fleet's rules writes it.
pub const FLEET_INFO: &str = "fleet:info:one";

/// One recording rule of every fleet.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// Name of the series.
    pub record: String,
    /// What it is about.
    pub area: Area,
    /// Where its series come from.
    pub source: Source,
    /// One or more sentences.
    pub help: String,
    /// Its expression, with placeholders.
    pub expr: String,
}

static ROWS: LazyLock<Vec<Recording>> = LazyLock::new(|| {
    serde_saphyr::from_str(include_str!("../../catalogue/recordings.yaml")).expect("a test parses the embedded file")
});

/// All of them, in the order in which they have to be evaluated.
pub fn recordings() -> &'static [Recording] {
    &ROWS
}

/// The one of this name.
pub fn recording(name: &str) -> Option<&'static Recording> {
    ROWS.iter().find(|row| row.record == name)
}

// === impl Recording ===

impl Recording {
    /// Its expression for these fleets: [`super::Fleets`] as text.
    pub fn expression(&self, fleets: &str) -> Result<String, PlaceholderError> {
        placeholder::fill(&self.expr, |name| (name == "fleets").then_some(fleets))
            .map(|text| text.trim_end().to_owned())
    }
}
