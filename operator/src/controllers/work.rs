//! The work of a turn, of whichever kind: decide, program, and what is to be told of it.

use std::time::Duration;

use fleetscope_core::api::conditions::{ConditionType, Fact, Reason, merge};
use fleetscope_core::resources::Fault;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource as _;

use super::guard::Unreadable;
use super::kind::{Kind, Told};
use super::memory::{Guarded, Turns};
use super::program::{self, Owner};
use super::selected;
use crate::clock;
use crate::context::lock;
use crate::error::Error;
use crate::owner::OwnerKey;
use crate::secrets;

/// A status that only counts differently is written at most this often: each write comes back by the watch and would find the
/// next pod already counted.
const STATUS_PERIOD: Duration = Duration::from_secs(1);
/// Faults in a message, at most.
const NAMED: usize = 10;

/// How a turn ended.
#[derive(Debug)]
pub(super) enum End {
    /// All is as the object says.
    Done,
    /// All is, but somebody has to look again a little later.
    Later(Duration),
    /// It has to be tried again, and the status says why.
    Failed,
}

/// What is to be told of an object.
pub(super) struct News<S> {
    /// The status before.
    pub before: S,
    /// The status from now on.
    pub next: S,
}

/// The work, and what is to be told of it, if anything is. `last` is the status that was written last, where the object does not show it yet.
pub(super) async fn work<K: Kind>(
    guarded: &Guarded<K>,
    key: &OwnerKey,
    last: Option<K::Status>,
    turns: &Turns<K>,
) -> Result<(End, Option<News<K::Status>>), Error> {
    let ctx = &*turns.ctx;
    if !lock(&ctx.claims).namespaces.known() || lock(&ctx.claims).namespaces.deleting(&key.namespace) {
        return Ok((End::Done, None));
    }
    let object = match &guarded.0 {
        Ok(object) => object,
        Err(unreadable) => return Ok((End::Done, unreadable_news::<K>(unreadable, key, last))),
    };
    if !K::known(ctx, object) || !lock(&ctx.workloads).known() {
        return Ok((End::Done, None));
    }
    let (secrets, mut later) = look_for_secrets(object, key, turns).await?;
    let decision = K::decide(ctx, key, object);
    let faults: Vec<Fault> = decision.faults.into_iter().chain(secrets.faults).collect();
    let accepted = faults.is_empty();
    K::accepted(ctx, key, object, accepted);
    let uid = object.meta().uid.clone().unwrap_or_default();
    let owner = Owner { key, uid: &uid, suspended: K::suspended(object) };
    let selectable = if accepted { selected::children::<K>(ctx, object, &decision.desired) } else { Vec::new() };
    let before = last.or_else(|| K::status_of(object)).unwrap_or_default();
    let programmed = if accepted {
        Some(program::program(ctx, owner, decision.desired, &K::in_place(&before)).await?)
    } else {
        None
    };
    let retry = programmed.as_ref().is_some_and(|programmed| programmed.retry);
    let passing = programmed.as_ref().filter(|programmed| programmed.retry && programmed.passing);
    if let Some(programmed) = passing.filter(|_| !lock(&turns.backoffs).keeps_failing(key)) {
        // A request that fails now and then is no news: the next one will hardly, and the status would come and go, with an Event each time.
        tracing::info!(object = %key, why = programmed.fact.message, "Objects are not all in place; they are tried again");
        return Ok((End::Failed, None));
    }
    let mut facts = vec![
        accepted_fact(&faults, secrets.unread),
        programmed.as_ref().map_or_else(kept, |programmed| programmed.fact.clone()),
    ];
    if accepted {
        facts.push(selected::fact(ctx, selectable));
    }
    let told = Told {
        before: &before,
        generation: object.meta().generation,
        facts,
        programmed,
        seen: decision.seen,
        now: Timestamp::now(),
    };
    // None: it was deleted meanwhile.
    let Some(next) = K::status(ctx, key, object, told) else { return Ok((End::Done, None)) };
    let mut wait = None;
    if next != before && only_counts(K::conditions(&before), K::conditions(&next)) {
        let last = turns.remember(key, |memory| memory.written_at);
        wait = last.and_then(|last| (last + STATUS_PERIOD).checked_sub(clock::now())).filter(|wait| !wait.is_zero());
    }
    later = later.into_iter().chain(wait).min();
    let news = (next != before && wait.is_none()).then_some(News { before, next });
    let end = match (retry, later) {
        (true, _) => End::Failed,
        (false, Some(wait)) => End::Later(wait),
        (false, None) => End::Done,
    };
    Ok((end, news))
}

/// What is known of the Secrets that the object names, and when to look again.
async fn look_for_secrets<K: Kind>(
    object: &K::Object,
    key: &OwnerKey,
    turns: &Turns<K>,
) -> Result<(secrets::Known, Option<Duration>), Error> {
    let keys = K::secrets(object);
    if keys.is_empty() || K::suspended(object) {
        return Ok((secrets::Known::default(), None));
    }
    let ctx = &turns.ctx;
    let before = turns.remember(key, |memory| memory.secrets.clone());
    let now = clock::now();
    let known = match before {
        Some(known) if known.fresh(&keys, now) => known,
        before => {
            let namespace = if K::KIND.namespaced() { &key.namespace } else { &ctx.site.namespace };
            let known = secrets::check(&ctx.client, namespace, &keys, before.as_ref(), now).await?;
            turns.remember(key, |memory| memory.secrets = Some(known.clone()));
            known
        }
    };
    let again = known.again(now);
    Ok((known, again))
}

fn accepted_fact(faults: &[Fault], unread: usize) -> Fact {
    let Some(first) = faults.first() else {
        let unread = if unread == 0 { "" } else { "; its Secrets are not checked, as the operator may not read them" };
        return Fact::new(ConditionType::Accepted, true, Reason::Valid, format!("the spec is valid{unread}"));
    };
    let texts: Vec<String> = faults.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match faults.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Fact::new(ConditionType::Accepted, false, first.reason, format!("{}{more}", texts.join("; ")))
}

/// What became of the objects of an object that is not accepted.
fn kept() -> Fact {
    let message = "the spec is not accepted; what was made of the last one that was stays in place";
    Fact::new(ConditionType::Programmed, false, Reason::NotAccepted, message)
}

/// Whether two lists of conditions say the same about the spec and the objects: what differs then comes from pods, nodes and others.
fn only_counts(before: &[Condition], next: &[Condition]) -> bool {
    let said = |conditions: &[Condition]| {
        let kinds = [ConditionType::Accepted, ConditionType::Programmed];
        kinds.map(|kind| conditions.iter().find(|c| c.type_ == kind.as_str()).cloned())
    };
    said(before) == said(next)
}

/// What is to be said of an object that cannot be read. What was made of it stays.
fn unreadable_news<K: Kind>(
    unreadable: &Unreadable,
    key: &OwnerKey,
    last: Option<K::Status>,
) -> Option<News<K::Status>> {
    let shown = &unreadable.metadata;
    let before: K::Status = last.or_else(|| serde_json::from_value(unreadable.status.clone()).ok()).unwrap_or_default();
    let conditions = unreadable_conditions(K::conditions(&before), &unreadable.error, shown.generation);
    let next = K::unreadable(before.clone(), conditions, shown.generation);
    if next == before {
        return None;
    }
    tracing::warn!(object = %key, error = %unreadable.error, "Object cannot be read");
    Some(News { before, next })
}

/// The conditions of an object that cannot be read. What else was said of it stays, with the generation that it was said about.
fn unreadable_conditions(before: &[Condition], error: &str, generation: Option<i64>) -> Vec<Condition> {
    let message = format!("the object cannot be read: {error}");
    let accepted = Fact::new(ConditionType::Accepted, false, Reason::InvalidSpec, message);
    let ready = format!("{}: {}", accepted.reason, accepted.message);
    let mut facts = vec![Fact::new(ConditionType::Ready, false, Reason::NotAccepted, ready), accepted];
    if before.iter().any(|condition| condition.type_ == ConditionType::Programmed.as_str()) {
        facts.push(kept());
    }
    let mut conditions = merge(before, &facts, generation, Timestamp::now());
    let others = before.iter().filter(|condition| !facts.iter().any(|fact| fact.kind.as_str() == condition.type_));
    conditions.extend(others.cloned());
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(path: &str) -> Fault {
        Fault::value(path, "is wrong", "right it")
    }

    #[test]
    fn faults_are_named_and_many_are_counted() {
        let one = accepted_fact(&[fault("spec.a")], 0);
        assert_eq!((one.reason, one.message.as_str()), (Reason::InvalidValue, "spec.a: is wrong: right it"));
        let many: Vec<Fault> = (0..12).map(|i| fault(&format!("spec.rules[{i}]"))).collect();
        assert!(accepted_fact(&many, 0).message.ends_with("spec.rules[9]: is wrong: right it; and 2 more"));
    }

    #[test]
    fn a_spec_is_valid_and_says_when_its_secrets_were_not_read() {
        assert_eq!(accepted_fact(&[], 0).message, "the spec is valid");
        let unread = accepted_fact(&[], 1);
        assert_eq!((unread.reason, unread.status.as_str()), (Reason::Valid, "True"));
        assert!(unread.message.contains("not checked"), "{}", unread.message);
    }

    #[test]
    fn an_object_that_cannot_be_read_keeps_what_else_was_said_and_since_when() {
        let said = |kind, status, reason| Fact::new(kind, status, reason, "");
        let facts = [
            said(ConditionType::Ready, true, Reason::Observed),
            said(ConditionType::Accepted, true, Reason::Valid),
            said(ConditionType::Programmed, true, Reason::Applied),
            said(ConditionType::NodesReady, true, Reason::NoNodes),
        ];
        let before = merge(&[], &facts, Some(1), Timestamp::UNIX_EPOCH);
        let once = unreadable_conditions(&before, "unknown variant", Some(2));
        let words = |conditions: &[Condition]| -> Vec<String> {
            let generation = |c: &Condition| c.observed_generation.unwrap_or_default();
            conditions.iter().map(|c| format!("{}={} {} {}", c.type_, c.status, c.reason, generation(c))).collect()
        };
        assert_eq!(
            words(&once),
            [
                "Ready=False NotAccepted 2",
                "Accepted=False InvalidSpec 2",
                "Programmed=False NotAccepted 2",
                "NodesReady=True NoNodes 1"
            ]
        );
        let again = unreadable_conditions(&once, "unknown variant", Some(2));
        assert_eq!(again, once, "nothing is new, the times included");
        assert_eq!(words(&unreadable_conditions(&[], "x", Some(1))).len(), 2, "nothing was made of it");
    }

    #[test]
    fn a_status_waits_when_only_what_is_counted_differs() {
        let conditions = |kind, message: &str| {
            merge(&[], &[Fact::new(kind, true, Reason::Valid, message)], Some(1), Timestamp::UNIX_EPOCH)
        };
        assert!(only_counts(&conditions(ConditionType::Ready, "a"), &conditions(ConditionType::Ready, "b")));
        assert!(!only_counts(&conditions(ConditionType::Accepted, "a"), &conditions(ConditionType::Accepted, "b")));
        assert!(!only_counts(&[], &conditions(ConditionType::Programmed, "a")));
    }
}
