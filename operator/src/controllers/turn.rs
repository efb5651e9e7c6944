//! One reconcile, of whichever kind: decide, program, tell.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetscope_core::api::conditions::{ConditionType, Fact, Reason, merge};
use fleetscope_core::api::{GROUP, VERSION};
use fleetscope_core::resources::Fault;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use kube::core::{DeserializeGuard, DynamicObject, error_boundary::InvalidObject};
use kube::runtime::controller::Action;
use kube::runtime::watcher::Event;
use kube::{Api, CustomResourceExt as _, Resource as _, ResourceExt as _};
use serde_json::json;

use super::announce::announce;
use super::kind::{Kind, Told};
use super::program::{self, Owner};
use super::selected;
use crate::backoff::Backoffs;
use crate::clock;
use crate::context::{Context, lock};
use crate::error::Error;
use crate::metrics::{Outcome, Write};
use crate::owner::OwnerKey;
use crate::secrets;

/// Field manager of the status, apart from that of the children, for both are applied whole.
pub const STATUS_MANAGER: &str = "fleetscope-operator-status";
/// A status that only counts differently is written at most this often: each write comes back by the watch and would find the
/// next pod already counted.
const STATUS_PERIOD: Duration = Duration::from_secs(1);
/// A turn that takes longer is given up and tried again: others wait for its place.
const LONGEST: Duration = Duration::from_mins(1);
/// Faults in a message, at most.
const NAMED: usize = 10;

/// An object as the watch gives it: one that cannot be read does not stop the others.
pub(crate) type Guarded<K> = DeserializeGuard<<K as Kind>::Object>;

/// A controller: what is remembered between two turns.
pub(crate) struct Turns<K: Kind> {
    /// What all controllers share.
    pub ctx: Arc<Context>,
    backoffs: Mutex<Backoffs<OwnerKey>>,
    memory: Mutex<HashMap<OwnerKey, Memory<K::Status>>>,
    /// Objects of the list that is being read, to find those that are gone.
    listing: Mutex<Option<BTreeSet<OwnerKey>>>,
}

/// What is remembered of an object.
struct Memory<S> {
    /// The newest generation that the watch showed, and when.
    arrived: Option<(i64, Duration)>,
    /// Whether the lag of that generation was counted.
    counted: bool,
    /// The status that was written last, with the resource version that it was based on: while the cache still shows that version, it is
    /// behind.
    written: Option<(String, S)>,
    /// When that was.
    written_at: Option<Duration>,
    /// The generation of the last turn, and when it ended.
    turned: Option<(i64, Duration)>,
    /// What is known of its Secrets.
    secrets: Option<secrets::Known>,
}

/// How a turn ended.
enum Turn {
    /// All is as the object says.
    Done,
    /// All is, but somebody has to look again a little later.
    Later(Duration),
    /// It has to be tried again, and the status says why.
    Failed,
}

// === impl Memory ===

impl<S> Default for Memory<S> {
    fn default() -> Self {
        Self { arrived: None, counted: false, written: None, written_at: None, turned: None, secrets: None }
    }
}

// === impl Turns ===

impl<K: Kind> Turns<K> {
    /// A controller that knows nothing yet.
    pub(crate) fn new(ctx: Arc<Context>) -> Self {
        Self { ctx, backoffs: Mutex::default(), memory: Mutex::default(), listing: Mutex::default() }
    }

    /// Takes in what the watch shows, before any turn about it.
    pub(crate) fn note(&self, event: &Event<Guarded<K>>) {
        match event {
            Event::Init => *lock(&self.listing) = Some(BTreeSet::new()),
            Event::InitApply(object) => {
                if let Some(listing) = &mut *lock(&self.listing) {
                    listing.insert(key::<K>(object));
                }
                self.enter(object);
            }
            Event::Apply(object) => self.enter(object),
            Event::Delete(object) => self.forget(&key::<K>(object)),
            Event::InitDone => {
                let listing = lock(&self.listing).take().unwrap_or_default();
                let known: Vec<OwnerKey> = lock(&self.memory).keys().cloned().collect();
                known.iter().filter(|key| !listing.contains(*key)).for_each(|key| self.forget(key));
                if self.ctx.list(K::KIND) {
                    // Who decides by these objects waited for them.
                    self.ctx.requeue_all();
                }
            }
        }
    }

    fn enter(&self, object: &Guarded<K>) {
        let key = key::<K>(object);
        let generation = object.meta().generation.unwrap_or_default();
        {
            let mut memory = lock(&self.memory);
            let memory = memory.entry(key.clone()).or_default();
            if memory.arrived.is_none_or(|(known, _)| known != generation) {
                memory.arrived = Some((generation, clock::now()));
                memory.counted = false;
            }
            if memory
                .written
                .as_ref()
                .is_some_and(|(version, _)| Some(version) != object.meta().resource_version.as_ref())
            {
                memory.written = None;
            }
        }
        let gone = object.meta().deletion_timestamp.is_some();
        K::enter(&self.ctx, &key, object.0.as_ref().ok().filter(|_| !gone));
    }

    /// Forgets an object that is gone.
    pub(crate) fn forget(&self, key: &OwnerKey) {
        lock(&self.backoffs).forget(key);
        lock(&self.memory).remove(key);
        K::enter(&self.ctx, key, None);
    }

    fn remember<T>(&self, key: &OwnerKey, change: impl FnOnce(&mut Memory<K::Status>) -> T) -> T {
        change(lock(&self.memory).entry(key.clone()).or_default())
    }

    /// How long the object still has to wait for its turn, if it did not change itself.
    fn wait(&self, key: &OwnerKey, generation: i64) -> Option<Duration> {
        let (turned, at) = lock(&self.memory).get(key)?.turned?;
        let wait = (at + K::PERIOD).saturating_sub(clock::now());
        (turned == generation && !wait.is_zero()).then_some(wait)
    }

    /// Counts the lag of a generation that was worked on for the first time.
    fn arrived(&self, key: &OwnerKey, generation: i64) {
        let lag = self.remember(key, |memory| {
            memory.turned = Some((generation, clock::now()));
            let (seen, since) = memory.arrived?;
            let first = seen == generation && !std::mem::replace(&mut memory.counted, seen == generation);
            first.then(|| clock::now().saturating_sub(since))
        });
        if let Some(lag) = lag {
            self.ctx.metrics.lag(K::KIND, lag);
        }
    }
}

/// One reconcile. Never fails: what went wrong is counted, shown, and tried again here.
pub(crate) async fn reconcile<K: Kind>(object: Arc<Guarded<K>>, turns: Arc<Turns<K>>) -> Result<Action, Infallible> {
    let ctx = &turns.ctx;
    let key = key::<K>(&object);
    let generation = object.meta().generation.unwrap_or_default();
    if object.meta().deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    if let Some(wait) = turns.wait(&key, generation) {
        return Ok(Action::requeue(wait));
    }
    // Nobody closes it.
    let _place = ctx.turns.acquire().await;
    let started = clock::now();
    let result = if ctx.gate.open(started) {
        let slow = Err(Error::Slow { after_s: LONGEST.as_secs() });
        tokio::time::timeout(LONGEST, turn(&object, &key, &turns)).await.unwrap_or(slow)
    } else {
        Err(Error::NotLeading)
    };
    let (outcome, action) = match result {
        Ok(done @ (Turn::Done | Turn::Later(_))) => {
            lock(&turns.backoffs).forget(&key);
            turns.arrived(&key, generation);
            let next = resync(ctx.resync);
            let next = if let Turn::Later(wait) = done { Some(next.map_or(wait, |next| next.min(wait))) } else { next };
            (Outcome::Ok, next.map_or_else(Action::await_change, Action::requeue))
        }
        Err(Error::NotLeading) => (Outcome::Standby, Action::await_change()),
        failed => {
            let wait = lock(&turns.backoffs).failed(key.clone(), clock::random());
            if let Err(error) = failed {
                tracing::warn!(object = %key, %error, wait_s = wait.as_secs_f32(), "Reconcile failed");
            }
            (Outcome::Error, Action::requeue(wait))
        }
    };
    let waiting = lock(&turns.backoffs).len();
    ctx.metrics.reconciled(K::KIND, outcome, clock::now().saturating_sub(started), waiting);
    Ok(action)
}

/// The work.
async fn turn<K: Kind>(guarded: &Guarded<K>, key: &OwnerKey, turns: &Turns<K>) -> Result<Turn, Error> {
    let ctx = &*turns.ctx;
    if !lock(&ctx.claims).namespaces.known() || lock(&ctx.claims).namespaces.deleting(&key.namespace) {
        return Ok(Turn::Done);
    }
    let object = match &guarded.0 {
        Ok(object) => object,
        Err(invalid) => return unreadable(invalid, key, turns).await,
    };
    if !K::known(ctx, object) || !lock(&ctx.workloads).known() {
        return Ok(Turn::Done);
    }
    let (secrets, mut later) = look_for_secrets(object, key, turns).await?;
    let decision = K::decide(ctx, key, object);
    let faults: Vec<Fault> = decision.faults.into_iter().chain(secrets.faults).collect();
    let accepted = faults.is_empty();
    K::accepted(ctx, key, accepted);
    let uid = object.meta().uid.clone().unwrap_or_default();
    let owner = Owner { key, uid: &uid, suspended: K::suspended(object) };
    let selectable = if accepted { selected::children::<K>(ctx, object, &decision.desired) } else { Vec::new() };
    let programmed = if accepted { Some(program::program(ctx, owner, decision.desired).await?) } else { None };
    let before = last_status(object, key, turns);
    let retry = programmed.as_ref().is_some_and(|programmed| programmed.retry);
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
    let Some(next) = K::status(ctx, key, object, told) else { return Ok(Turn::Done) };
    let mut wait = None;
    if next != before && only_counts(K::conditions(&before), K::conditions(&next)) {
        let last = turns.remember(key, |memory| memory.written_at);
        wait = last.and_then(|last| (last + STATUS_PERIOD).checked_sub(clock::now())).filter(|wait| !wait.is_zero());
    }
    if next != before && wait.is_none() {
        let version = object.meta().resource_version.clone().unwrap_or_default();
        write_status::<K>(key, Some(&uid), &next, ctx).await?;
        turns.remember(key, |memory| {
            memory.written = Some((version, next.clone()));
            memory.written_at = Some(clock::now());
        });
        announce(ctx, &object.object_ref(&()), K::conditions(&before), K::conditions(&next)).await;
    }
    later = later.into_iter().chain(wait).min();
    Ok(match (retry, later) {
        (true, _) => Turn::Failed,
        (false, Some(wait)) => Turn::Later(wait),
        (false, None) => Turn::Done,
    })
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

/// The status as it is on the server, so far as it is known: the cache may not show the last write yet.
fn last_status<K: Kind>(object: &K::Object, key: &OwnerKey, turns: &Turns<K>) -> K::Status {
    let memory = lock(&turns.memory);
    let written = memory.get(key).and_then(|memory| memory.written.as_ref());
    match written {
        Some((version, status)) if object.meta().resource_version.as_ref() == Some(version) => status.clone(),
        _ => K::status_of(object).unwrap_or_default(),
    }
}

/// Says on the object itself that it cannot be read.
async fn unreadable<K: Kind>(invalid: &InvalidObject, key: &OwnerKey, turns: &Turns<K>) -> Result<Turn, Error> {
    let version = invalid.metadata.resource_version.clone().unwrap_or_default();
    let before = turns.remember(key, |memory| memory.written.as_ref().map(|(_, status)| status.clone()));
    let before = before.unwrap_or_default();
    let message = format!("the object cannot be read: {}", invalid.error);
    let accepted = Fact::new(ConditionType::Accepted, false, Reason::InvalidSpec, message);
    let ready = Fact::new(
        ConditionType::Ready,
        false,
        Reason::NotAccepted,
        format!("{}: {}", accepted.reason, accepted.message),
    );
    let generation = invalid.metadata.generation;
    let conditions = merge(K::conditions(&before), &[ready, accepted], generation, Timestamp::now());
    let next = K::unreadable(conditions, generation);
    if next != before {
        tracing::warn!(object = %key, error = %invalid.error, "Object cannot be read");
        write_status::<K>(key, invalid.metadata.uid.as_deref(), &next, &turns.ctx).await?;
        turns.remember(key, |memory| memory.written = Some((version, next)));
    }
    Ok(Turn::Done)
}

async fn write_status<K: Kind>(
    key: &OwnerKey,
    uid: Option<&str>,
    status: &K::Status,
    ctx: &Context,
) -> Result<(), Error> {
    program::leading(ctx)?;
    let resource = K::Object::api_resource();
    let api = if K::KIND.namespaced() {
        Api::<DynamicObject>::namespaced_with(ctx.client.clone(), &key.namespace, &resource)
    } else {
        Api::<DynamicObject>::all_with(ctx.client.clone(), &resource)
    };
    // The uid: an object that was made again under the same name has not earned this status.
    let mut patch = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": K::KIND.as_str(),
        "metadata": { "name": key.name, "uid": uid },
        "status": status,
    });
    if K::KIND.namespaced() {
        patch["metadata"]["namespace"] = json!(key.namespace);
    }
    let params = PatchParams::apply(STATUS_MANAGER).force();
    match api.patch_status(&key.name, &params, &Patch::Apply(&patch)).await {
        Ok(_) => {
            ctx.metrics.status(Write::Applied);
            Ok(())
        }
        // Deleted meanwhile, or made again: there is nobody to tell.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(source) => {
            ctx.metrics.status(Write::Error);
            Err(Error::Api { verb: "write the status of", kind: K::KIND.as_str(), name: key.name.clone(), source })
        }
    }
}

fn key<K: Kind>(object: &Guarded<K>) -> OwnerKey {
    OwnerKey::new(K::KIND, object.namespace().unwrap_or_default(), object.name_any())
}

/// The next look without cause, up to a tenth earlier, so that objects that came together spread out.
fn resync(every: Duration) -> Option<Duration> {
    (!every.is_zero()).then(|| every.mul_f64(1.0 - 0.1 * clock::share(clock::random())))
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
    fn a_status_waits_when_only_what_is_counted_differs() {
        let conditions = |kind, message: &str| {
            merge(&[], &[Fact::new(kind, true, Reason::Valid, message)], Some(1), Timestamp::UNIX_EPOCH)
        };
        assert!(only_counts(&conditions(ConditionType::Ready, "a"), &conditions(ConditionType::Ready, "b")));
        assert!(!only_counts(&conditions(ConditionType::Accepted, "a"), &conditions(ConditionType::Accepted, "b")));
        assert!(!only_counts(&[], &conditions(ConditionType::Programmed, "a")));
    }
}
