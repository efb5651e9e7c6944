//! The catalogue: alerts and recording rules as data, their expressions, and the cases that prove them.
//!
//! ```text
//! core/catalogue/{recordings.yaml, alerts/*.yaml, tests/*.yaml}  -> typed rows -> expressions of rules (operator, CLI)
//!                                                                              -> thresholds (dashboards, CLI)
//!                                                                              -> docs/alerts.md, docs/runbooks/
//!                                                                              -> files for promtool (tests)
//! ```
//!
//! The rows are embedded and parsed once. What the rules of a policy are called, which labels they carry and which of them are
//! overridden is for whoever renders them: here is only what they say.

mod alert;
mod case;
mod duration;
mod expression;
mod fleets;
mod known;
mod placeholder;
pub mod promtool;
mod recording;

pub use alert::{Alert, AlertScope, Area, Minimum, Threshold, Unit, alert, alerts};
pub use case::{Case, Fires, InputSeries, Quiet, cases};
pub use duration::{duration, is_duration};
pub use expression::{ExpressionError, Values};
pub use fleets::Fleets;
pub use known::{Known, Origin, known, labels_of};
pub use placeholder::PlaceholderError;
pub use recording::{FLEET_INFO, Recording, recording, recordings};

/// Where the runbooks are, unless an installation has its own: `<base>/<alert>.md`.
pub const RUNBOOKS: &str = "https://github.com/fleetscope/fleetscope/blob/main/docs/runbooks";
/// Labels that the result of every rule of a fleet carries, before its own.
pub const FLEET_LABELS: [&str; 2] = ["namespace", "fleet"];
/// The static label that marks the alerts of Fleetscope, and its value.
pub const SOURCE_LABEL: (&str, &str) = ("source", "fleetscope");

#[cfg(test)]
mod tests;
