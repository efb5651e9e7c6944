//! The expression of an alert: its text with the values of the catalogue, or with those that a policy gives in their place.
//!
//! A value that makes no sense is refused here, so that no text of a policy becomes PromQL that it should not.

use super::alert::{Alert, AlertScope};
use super::is_duration;
use super::placeholder::{self, PlaceholderError};

/// The greatest minimum; above it nothing would ever fire.
const MINIMUM_MAX: &str = "1000000000000";

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

/// A number out of decimal text: digits with at most one point, nothing that PromQL could read as something else.
pub(super) fn decimal(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let ends = text.starts_with(|c: char| c.is_ascii_digit()) && text.ends_with(|c: char| c.is_ascii_digit());
    if plain && ends && text.len() <= 32 { text.parse().ok() } else { None }
}
