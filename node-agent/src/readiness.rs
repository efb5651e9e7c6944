//! What must be true before the agent serves right figures, and for each part that is not, one sentence with the remedy.

use std::sync::Mutex;
use std::sync::PoisonError;

use serde::Serialize;

/// The parts, in the order in which /readyz lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// Every probe that is required is attached.
    Probes,
    /// The cgroup above this node's pods is known.
    PodRoot,
    /// What was alive before the agent is known.
    Processes,
    /// The pods of this node were listed.
    Pods,
    /// The fleets were listed. Not required: before the kind is installed there are none.
    Fleets,
}

const PARTS: [Part; 5] = [Part::Probes, Part::PodRoot, Part::Processes, Part::Pods, Part::Fleets];

/// State of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// Which part.
    pub part: Part,
    /// Is the agent not ready without it?
    pub required: bool,
    /// Is it as it should be?
    pub ready: bool,
    /// One sentence: what is, and if that is not good, what to do.
    pub reason: String,
}

/// Answer of /readyz.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Is every required part ready?
    pub ready: bool,
    /// All parts that are in use.
    pub conditions: Vec<Condition>,
}

/// State of all parts, written by whoever owns the part, read by /readyz.
#[derive(Debug)]
pub struct Readiness(Mutex<Vec<Condition>>);

// === impl Part ===

impl Part {
    fn is_required(self) -> bool {
        self != Self::Fleets
    }

    fn is_of_kubernetes(self) -> bool {
        matches!(self, Self::Pods | Self::Fleets)
    }
}

// === impl Readiness ===

impl Readiness {
    /// Nothing is ready yet. Without Kubernetes its parts are left out.
    pub fn new(standalone: bool) -> Self {
        let parts = PARTS.into_iter().filter(|part| !(standalone && part.is_of_kubernetes()));
        let starting = |part: Part| Condition {
            part,
            required: part.is_required(),
            ready: false,
            reason: "the agent is starting".to_owned(),
        };
        Self(Mutex::new(parts.map(starting).collect()))
    }

    /// Says how a part is, and in one sentence why; gives back whether that is news. A part that is not in use is left alone.
    pub fn set(&self, part: Part, ready: bool, reason: impl Into<String>) -> bool {
        let mut conditions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(condition) = conditions.iter_mut().find(|condition| condition.part == part) else { return false };
        let reason = reason.into();
        if condition.ready == ready && condition.reason == reason {
            return false;
        }
        (condition.ready, condition.reason) = (ready, reason);
        true
    }

    /// Says in one sentence why a part is as it is, and leaves open whether that is good; gives back whether that is news.
    pub fn explain(&self, part: Part, reason: impl Into<String>) -> bool {
        let ready = self.report().conditions.iter().any(|condition| condition.part == part && condition.ready);
        self.set(part, ready, reason)
    }

    /// All of it, now.
    pub fn report(&self) -> Report {
        let conditions = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Report { ready: conditions.iter().all(|condition| condition.ready || !condition.required), conditions }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_every_required_part_is() {
        let readiness = Readiness::new(false);
        for part in [Part::Probes, Part::PodRoot, Part::Processes, Part::Pods] {
            assert!(!readiness.report().ready);
            assert!(readiness.set(part, true, "fine"));
        }
        let report = readiness.report();
        assert!(report.ready);
        assert_eq!(
            report.conditions[4],
            Condition { part: Part::Fleets, required: false, ready: false, reason: "the agent is starting".to_owned() }
        );
        assert!(!readiness.set(Part::Pods, true, "fine"), "no news");
        assert!(readiness.set(Part::Pods, false, "gone"));
        assert!(!readiness.report().ready);
    }

    #[test]
    fn standalone_needs_nothing_of_kubernetes() {
        let readiness = Readiness::new(true);
        for part in [Part::Probes, Part::PodRoot, Part::Processes] {
            readiness.set(part, true, "fine");
        }
        assert!(!readiness.set(Part::Pods, false, "no such part"));
        assert!(readiness.report().ready);
    }
}
