//! What users write, checked one after the other: the faults and the warnings of a whole policy are collected.

use std::collections::BTreeSet;

use super::expression::{self, Restricted};
use super::fleets::Selection;
use super::{Known, template};
use crate::api::conditions::Reason;
use crate::promql::scan::{self, ExpressionError};
use crate::resources::Fault;

/// Most warnings that a status holds.
const WARNINGS: usize = 32;
/// Most bytes of one of them.
const WARNING_BYTES: usize = 1024;

pub(super) struct Checker<'a> {
    known: &'a dyn Known,
    /// Metrics that the policy's own rules record.
    recorded: BTreeSet<&'a str>,
    faults: Vec<Fault>,
    warnings: Vec<String>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(known: &'a dyn Known, recorded: impl IntoIterator<Item = &'a str>) -> Self {
        Self { known, recorded: recorded.into_iter().collect(), faults: Vec::new(), warnings: Vec::new() }
    }

    pub(super) fn fault(
        &mut self,
        reason: Reason,
        path: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.faults.push(Fault { reason, path: path.into(), message: message.into(), remedy: remedy.into() });
    }

    /// A value that makes no sense.
    pub(super) fn value(&mut self, path: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) {
        self.fault(Reason::InvalidValue, path, message, remedy);
    }

    pub(super) fn warn(&mut self, warning: &str) {
        if self.warnings.len() < WARNINGS {
            self.warnings.push(warning[..warning.floor_char_boundary(WARNING_BYTES)].to_owned());
        }
    }

    /// An expression of a user with its placeholders filled in, for the fleets of the selection. None if it is wrong.
    pub(super) fn expression(
        &mut self,
        path: &str,
        text: &str,
        fleets: &Selection,
        others: &[(&str, &str)],
    ) -> Option<String> {
        match self.try_expression(path, text, fleets, others) {
            Ok(text) => Some(text),
            Err(error) => {
                let remedy = match error {
                    ExpressionError::TooLarge { .. } => "split it by recording rules",
                    _ => "correct the expression; promtool promql format shows how Prometheus reads it",
                };
                self.fault(Reason::InvalidExpr, path, error.to_string(), remedy);
                None
            }
        }
    }

    fn try_expression(
        &mut self,
        path: &str,
        text: &str,
        fleets: &Selection,
        others: &[(&str, &str)],
    ) -> Result<String, ExpressionError> {
        let values: Vec<(&str, &str)> =
            [("fleets", fleets.matchers.as_str())].into_iter().chain(others.iter().copied()).collect();
        let filled = scan::fill(text, &values)?;
        let parsed = expression::parse(&filled)?;
        if !expression::is_of_a_rule(&parsed) {
            return Err(ExpressionError::NoVector);
        }
        for metric in expression::metrics(&parsed) {
            if !self.recorded.contains(metric.as_str()) && !self.known.emits(&metric) {
                self.warn(&format!("{path}: nothing emits the metric {metric}"));
            }
        }
        if fleets.conditions.is_empty() || !scan::names(text, "fleets") {
            return Ok(filled.trim().to_owned());
        }
        let condition = fleets.conditions.join(" ");
        let Restricted { text, whole } = expression::restrict(text, others, &fleets.matchers, &condition)?;
        if !whole {
            self.warn(&format!(
                "{path}: parts of the expression are about all fleets, not only about those that the policy selects"
            ));
        }
        Ok(text)
    }

    /// A text with templates.
    pub(super) fn template(&mut self, path: &str, text: &str) {
        if let Err(error) = template::check(text) {
            self.value(path, error.to_string(), "correct the template, or write {{ \"{{\" }} for two braces");
        }
    }

    /// The warnings, or the faults if there are any.
    pub(super) fn finish(self) -> Result<Vec<String>, Vec<Fault>> {
        if self.faults.is_empty() { Ok(self.warnings) } else { Err(self.faults) }
    }
}
