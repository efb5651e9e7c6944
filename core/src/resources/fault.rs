//! What is wrong with a custom resource that its schema cannot see.

use std::fmt;

use crate::api::conditions::Reason;

/// One thing that is wrong. It becomes a condition and a line of `fleetscope lint`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Why the object is not accepted: `InvalidExpr`, `InvalidValue` or `RefNotFound`.
    pub reason: Reason,
    /// Where, for example `spec.rules[3].expr`.
    pub path: String,
    /// What, in lower case.
    pub message: String,
    /// What to do about it, in lower case.
    pub remedy: String,
}

// === impl Fault ===

impl Fault {
    /// A value that makes no sense where it stands.
    pub fn value(path: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason: Reason::InvalidValue, path: path.into(), message: message.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.path, self.message, self.remedy)
    }
}
