//! How the program ends: its exit codes, which scripts may rely on, and problems with their remedies.

use std::process::ExitCode;

use serde::Serialize;

/// How a verb ended. Its number is the exit code; 2 is clap's, for a wrong command line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// 0: everything that was asked for was shown.
    Done,
    /// 1: nothing could be shown, or something that was asked for does not exist.
    Error,
    /// 3: `status` found something that is not ready or has failed.
    NotReady,
    /// 4: some node agents did not answer; the rest was shown.
    Partial,
}

/// Something that is wrong, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Problem {
    /// What is wrong, naming the object.
    pub(crate) problem: String,
    /// What to do.
    pub(crate) remedy: String,
}

// === impl Outcome ===

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Error => 1,
            Outcome::NotReady => 3,
            Outcome::Partial => 4,
        })
    }
}

// === impl Problem ===

impl Problem {
    /// A problem with its remedy.
    pub(crate) fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: remedy.into() }
    }
}
