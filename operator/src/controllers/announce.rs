//! Events: one per condition whose status or reason changed.

use fleetscope_core::api::conditions::ConditionType;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType};

use crate::context::Context;
use crate::error::told;

/// Most bytes of an Event's note (API of events.k8s.io).
const NOTE_MAX: usize = 1_000;

/// Writes what changed. An Event that cannot be written is lost, and the object is none the worse.
pub(super) async fn announce(ctx: &Context, object: &ObjectReference, before: &[Condition], after: &[Condition]) {
    for event in events(before, after) {
        if let Err(error) = ctx.recorder.publish(&event, object).await {
            tracing::warn!(
                object = object.name.as_deref().unwrap_or_default(),
                error = told(&error),
                "Event not written"
            );
        }
    }
}

fn events(before: &[Condition], after: &[Condition]) -> Vec<Event> {
    let is = |condition: &Condition, kind: ConditionType| condition.type_ == kind.as_str();
    let mut events = Vec::new();
    for condition in after {
        let known = before
            .iter()
            .any(|c| (&c.type_, &c.status, &c.reason) == (&condition.type_, &condition.status, &condition.reason));
        let bad_when = if is(condition, ConditionType::Degraded) { "True" } else { "False" };
        let bad = condition.status == bad_when;
        // That a good state is what it always was is no news.
        let first = !before.iter().any(|c| c.type_ == condition.type_);
        let quiet = first && !bad && !is(condition, ConditionType::Programmed);
        if known || quiet {
            continue;
        }
        let note = &condition.message[..condition.message.floor_char_boundary(NOTE_MAX)];
        events.push(Event {
            type_: if bad { EventType::Warning } else { EventType::Normal },
            reason: condition.reason.clone(),
            note: Some(note.to_owned()),
            action: condition.type_.clone(),
            secondary: None,
        });
    }
    events
}

#[cfg(test)]
mod tests {
    use fleetscope_core::api::conditions::{Fact, Reason, merge};
    use jiff::Timestamp;

    use super::*;

    fn conditions(facts: &[(ConditionType, bool, Reason)]) -> Vec<Condition> {
        let facts: Vec<Fact> =
            facts.iter().map(|(kind, status, reason)| Fact::new(*kind, *status, *reason, "ä".repeat(999))).collect();
        merge(&[], &facts, Some(1), Timestamp::UNIX_EPOCH)
    }

    fn words(before: &[Condition], after: &[Condition]) -> Vec<String> {
        let text = |event: Event| format!("{:?} {} {}", event.type_, event.action, event.reason);
        events(before, after).into_iter().map(text).collect()
    }

    #[test]
    fn a_change_is_told_once_and_a_good_beginning_only_of_what_was_made() {
        let good = conditions(&[
            (ConditionType::Ready, true, Reason::Observed),
            (ConditionType::Programmed, true, Reason::Applied),
            (ConditionType::Degraded, false, Reason::AsExpected),
        ]);
        assert_eq!(words(&[], &good), ["Normal Programmed Applied"]);
        assert_eq!(words(&good, &good), [""; 0]);
        let bad = conditions(&[
            (ConditionType::Ready, false, Reason::NotAccepted),
            (ConditionType::Accepted, false, Reason::InvalidExpr),
            (ConditionType::Degraded, true, Reason::PolicyOverlap),
        ]);
        assert_eq!(
            words(&good, &bad),
            ["Warning Ready NotAccepted", "Warning Accepted InvalidExpr", "Warning Degraded PolicyOverlap"]
        );
        assert_eq!(
            words(&bad, &good),
            ["Normal Ready Observed", "Normal Programmed Applied", "Normal Degraded AsExpected"]
        );
    }

    #[test]
    fn a_long_note_is_cut_between_characters() {
        let event = &events(&[], &conditions(&[(ConditionType::Ready, false, Reason::NotAccepted)]))[0];
        assert_eq!(event.note.as_ref().map(String::len), Some(NOTE_MAX));
    }
}
