//! Condition types and reasons as enums: the words are API, and a test holds them still.
//!
//! In: what is true now, as [`Fact`]s, the conditions of before and the time. Out: the list for the status. A condition
//! keeps its `lastTransitionTime` unless its status flips, and one that is not asserted any more is dropped.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::MESSAGE_MAX;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word as it stands in the status.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What a condition is about.
    ConditionType {
        /// The sum of the others: the fleet is observed as its spec says.
        Ready = "Ready",
        /// The spec makes sense.
        Accepted = "Accepted",
        /// The generated objects are what the spec says.
        Programmed = "Programmed",
        /// A Prometheus (an Alertmanager) takes what was generated.
        Selected = "Selected",
        /// Each node with pods of the fleet has a ready node agent.
        NodesReady = "NodesReady",
        /// Something works less well than it could, without making the fleet unready. True is the bad state.
        Degraded = "Degraded",
    }
}

words! {
    /// Why a condition has its status.
    Reason {
        /// Ready: all is as the spec says.
        Observed = "Observed",
        /// Ready is True: the fleet selects no pod at present.
        NoPodsSelected = "NoPodsSelected",
        /// Ready is False, Programmed is True: the spec says suspend, and nothing is made or recorded.
        Suspended = "Suspended",
        /// Ready is False: Accepted is. Programmed is False: what was made of the last accepted spec stays.
        NotAccepted = "NotAccepted",
        /// Ready is False: Programmed is.
        NotProgrammed = "NotProgrammed",
        /// Ready is False: `NodesReady` is.
        NodesNotReady = "NodesNotReady",
        /// Accepted is True.
        Valid = "Valid",
        /// Accepted is False: the object cannot be read; it was stored under another schema.
        InvalidSpec = "InvalidSpec",
        /// Accepted is False: an expression is not `PromQL`, or names a placeholder that does not exist.
        InvalidExpr = "InvalidExpr",
        /// Accepted is False: a value makes no sense where it stands, such as a threshold that is no bound of a histogram.
        InvalidValue = "InvalidValue",
        /// Accepted is False: something that is named does not exist: an alert of the catalogue, a Secret, its key, a fleet.
        RefNotFound = "RefNotFound",
        /// Programmed is True: the objects are in place.
        Applied = "Applied",
        /// Programmed is True: the spec asks for no object.
        NotRequested = "NotRequested",
        /// Programmed is False: an object is in place, another one is not.
        PartiallyApplied = "PartiallyApplied",
        /// Programmed is False: the API server refused, or could not be asked.
        ApplyFailed = "ApplyFailed",
        /// Programmed is False: an object of that name exists and is not ours; it is left alone.
        NameConflict = "NameConflict",
        /// Programmed is False: the spec asks for a kind that is not installed.
        CrdNotInstalled = "CRDNotInstalled",
        /// Selected is True.
        SelectedBy = "SelectedBy",
        /// Selected is False: no Prometheus (Alertmanager) selects an object; the message names label and remedy.
        NotSelected = "NotSelected",
        /// Selected is Unknown: there is no Prometheus (Alertmanager) object in the cluster.
        NoPrometheus = "NoPrometheus",
        /// Selected is True: nothing is generated that somebody would have to select.
        NothingToSelect = "NothingToSelect",
        /// `NodesReady` is True.
        AllNodesCovered = "AllNodesCovered",
        /// `NodesReady` is True: no pod of the fleet is on a node.
        NoNodes = "NoNodes",
        /// `NodesReady` is False: nodes with pods of the fleet have no ready node agent.
        AgentsMissing = "AgentsMissing",
        /// Degraded is False.
        AsExpected = "AsExpected",
        /// Degraded is True: an older fleet selects some of the same pods, and has them.
        SelectorOverlap = "SelectorOverlap",
        /// Degraded is True: an older policy decides the same alerts of some of the same fleets.
        PolicyOverlap = "PolicyOverlap",
        /// Degraded is True: a rule is over metrics that nothing emits.
        UnknownMetric = "UnknownMetric",
    }
}

/// Status of a condition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It cannot be told.
    Unknown,
}

impl Status {
    /// The word as it stands in the status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Status {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// What is true now about one condition type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fact {
    /// What it is about.
    pub kind: ConditionType,
    /// Whether it holds.
    pub status: Status,
    /// Why, as a word.
    pub reason: Reason,
    /// Why, as a sentence. Cut to [`MESSAGE_MAX`] bytes.
    pub message: String,
}

impl Fact {
    /// A fact.
    pub fn new(kind: ConditionType, status: impl Into<Status>, reason: Reason, message: impl Into<String>) -> Self {
        Self { kind, status: status.into(), reason, message: message.into() }
    }
}

/// The new list of conditions, in the order of `facts`; the last fact of a type counts. `generation` is the one that
/// the facts are about.
pub fn merge(before: &[Condition], facts: &[Fact], generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    let mut merged: Vec<Condition> = Vec::with_capacity(facts.len());
    for fact in facts {
        let same = before.iter().find(|c| c.type_ == fact.kind.as_str() && c.status == fact.status.as_str());
        let condition = Condition {
            type_: fact.kind.as_str().to_owned(),
            status: fact.status.as_str().to_owned(),
            reason: fact.reason.as_str().to_owned(),
            message: cut(&fact.message, MESSAGE_MAX).to_owned(),
            observed_generation: generation,
            last_transition_time: same.map_or(Time(now), |c| c.last_transition_time.clone()),
        };
        match merged.iter_mut().find(|c| c.type_ == condition.type_) {
            Some(earlier) => *earlier = condition,
            None => merged.push(condition),
        }
    }
    merged
}

/// Ready as it follows from the other facts; `agents` is the number of pods that the fleet has.
pub fn ready(facts: &[Fact], suspended: bool, agents: usize) -> Fact {
    if suspended {
        let message = "the fleet is suspended: nothing is recorded, and what was generated is removed";
        return Fact::new(ConditionType::Ready, false, Reason::Suspended, message);
    }
    for (kind, reason) in [
        (ConditionType::Accepted, Reason::NotAccepted),
        (ConditionType::Programmed, Reason::NotProgrammed),
        (ConditionType::NodesReady, Reason::NodesNotReady),
    ] {
        if let Some(fact) = facts.iter().find(|f| f.kind == kind && f.status != Status::True) {
            return Fact::new(ConditionType::Ready, fact.status, reason, format!("{}: {}", fact.reason, fact.message));
        }
    }
    if agents == 0 {
        let message = "no pod of the namespace matches the selector";
        return Fact::new(ConditionType::Ready, true, Reason::NoPodsSelected, message);
    }
    let agents = if agents == 1 { "1 agent is observed".to_owned() } else { format!("{agents} agents are observed") };
    Fact::new(ConditionType::Ready, true, Reason::Observed, agents)
}

/// Ready of a policy (a price list), as it follows from the other facts; `good` is what is said when nothing is wrong. Whether a
/// Prometheus selects what was made is not ours to bring about: the message says it, and Ready stays.
pub fn policy_ready(facts: &[Fact], suspended: bool, good: &str) -> Fact {
    if suspended {
        let message = "it is suspended: what was generated is removed";
        return Fact::new(ConditionType::Ready, false, Reason::Suspended, message);
    }
    for (kind, reason) in
        [(ConditionType::Accepted, Reason::NotAccepted), (ConditionType::Programmed, Reason::NotProgrammed)]
    {
        if let Some(fact) = facts.iter().find(|f| f.kind == kind && f.status != Status::True) {
            return Fact::new(ConditionType::Ready, fact.status, reason, format!("{}: {}", fact.reason, fact.message));
        }
    }
    let unselected = facts.iter().find(|f| f.kind == ConditionType::Selected && f.status != Status::True);
    let unselected = unselected.map_or(String::new(), |fact| format!("; {}: {}", fact.reason, fact.message));
    Fact::new(ConditionType::Ready, true, Reason::Observed, format!("{good}{unselected}"))
}

/// The longest start of `text` that has at most `max` bytes and ends between characters.
fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn fact(status: bool, message: &str) -> Fact {
        Fact::new(ConditionType::Ready, status, Reason::Observed, message)
    }

    #[test]
    fn words_are_api_and_never_change() {
        let types: Vec<_> = ConditionType::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(types, ["Ready", "Accepted", "Programmed", "Selected", "NodesReady", "Degraded"]);
        let reasons: Vec<_> = Reason::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(
            reasons,
            [
                "Observed",
                "NoPodsSelected",
                "Suspended",
                "NotAccepted",
                "NotProgrammed",
                "NodesNotReady",
                "Valid",
                "InvalidSpec",
                "InvalidExpr",
                "InvalidValue",
                "RefNotFound",
                "Applied",
                "NotRequested",
                "PartiallyApplied",
                "ApplyFailed",
                "NameConflict",
                "CRDNotInstalled",
                "SelectedBy",
                "NotSelected",
                "NoPrometheus",
                "NothingToSelect",
                "AllNodesCovered",
                "NoNodes",
                "AgentsMissing",
                "AsExpected",
                "SelectorOverlap",
                "PolicyOverlap",
                "UnknownMetric",
            ]
        );
    }

    #[test]
    fn the_transition_time_stays_until_the_status_flips() {
        let first = merge(&[], &[fact(true, "a")], Some(1), at(10));
        let same = merge(&first, &[fact(true, "b")], Some(2), at(20));
        assert_eq!(same[0].last_transition_time, Time(at(10)));
        assert_eq!((same[0].message.as_str(), same[0].observed_generation), ("b", Some(2)));
        let flipped = merge(&same, &[fact(false, "b")], Some(2), at(30));
        assert_eq!(flipped[0].last_transition_time, Time(at(30)));
    }

    #[test]
    fn merging_the_same_facts_again_changes_nothing() {
        let facts = [fact(true, "a"), Fact::new(ConditionType::Degraded, false, Reason::AsExpected, "")];
        let first = merge(&[], &facts, Some(1), at(10));
        assert_eq!(merge(&first, &facts, Some(1), at(99)), first);
    }

    #[test]
    fn a_condition_that_nobody_asserts_is_dropped() {
        let before = merge(
            &[],
            &[fact(true, "a"), Fact::new(ConditionType::Degraded, false, Reason::AsExpected, "")],
            None,
            at(1),
        );
        let now = merge(&before, &[fact(true, "a")], None, at(2));
        assert_eq!(now.iter().map(|c| c.type_.as_str()).collect::<Vec<_>>(), ["Ready"]);
    }

    #[test]
    fn the_last_fact_of_a_type_counts() {
        let now = merge(&[], &[fact(true, "a"), fact(false, "b")], None, at(1));
        assert_eq!((now.len(), now[0].status.as_str(), now[0].message.as_str()), (1, "False", "b"));
    }

    #[test]
    fn a_message_is_cut_between_characters() {
        let long = "ä".repeat(MESSAGE_MAX);
        let message = &merge(&[], &[fact(true, &format!("x{long}"))], None, at(1))[0].message;
        assert_eq!(message.len(), MESSAGE_MAX - 1);
        assert!(message.ends_with('ä'));
    }

    #[test]
    fn a_fleet_without_pods_is_ready() {
        let ready = ready(&[Fact::new(ConditionType::Programmed, true, Reason::Applied, "")], false, 0);
        assert_eq!((ready.status, ready.reason), (Status::True, Reason::NoPodsSelected));
    }

    #[test]
    fn ready_tells_the_first_thing_that_is_wrong() {
        let facts = [
            Fact::new(ConditionType::Accepted, true, Reason::Valid, ""),
            Fact::new(ConditionType::Programmed, false, Reason::NameConflict, "monitor x is not ours"),
            Fact::new(ConditionType::NodesReady, false, Reason::AgentsMissing, "0 of 1"),
        ];
        assert_eq!(
            ready(&facts, false, 3),
            Fact::new(ConditionType::Ready, false, Reason::NotProgrammed, "NameConflict: monitor x is not ours")
        );
        assert_eq!(ready(&facts, true, 3).reason, Reason::Suspended);
    }

    #[test]
    fn a_policy_is_ready_though_nobody_selects_what_it_made_and_says_so() {
        let mut facts = vec![
            Fact::new(ConditionType::Accepted, true, Reason::Valid, ""),
            Fact::new(ConditionType::Programmed, true, Reason::Applied, ""),
            Fact::new(ConditionType::Selected, false, Reason::NotSelected, "add the label release"),
        ];
        let ready = policy_ready(&facts, false, "2 fleets are scraped");
        assert_eq!((ready.status, ready.reason), (Status::True, Reason::Observed));
        assert_eq!(ready.message, "2 fleets are scraped; NotSelected: add the label release");
        assert_eq!(policy_ready(&facts, true, "").reason, Reason::Suspended);
        facts[0] = Fact::new(ConditionType::Accepted, false, Reason::InvalidExpr, "spec.rules[0].expr");
        let ready = policy_ready(&facts, false, "");
        assert_eq!((ready.reason, ready.message.as_str()), (Reason::NotAccepted, "InvalidExpr: spec.rules[0].expr"));
    }
}
