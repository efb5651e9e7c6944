//! The controller of `AgentFleet`: one object that carries the scrape configuration, the status, and Events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fleetscope_core::api::conditions::ConditionType;
use fleetscope_core::api::{AgentFleet, AgentFleetStatus, GROUP, VERSION};
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::{DeserializeGuard, DynamicObject, error_boundary::InvalidObject};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType};
use kube::{Api, CustomResourceExt as _, Resource as _, ResourceExt as _};
use serde_json::json;

use super::{program, status};
use crate::clock;
use crate::context::{Context, lock};
use crate::error::Error;
use crate::fleets::Claim;
use crate::metrics::{Outcome, Write};
use crate::requeue::FleetKey;

/// Field manager of the status, apart from that of the children, for both are applied whole.
pub const STATUS_MANAGER: &str = "fleetscope-operator-status";
/// Most bytes of an Event's note (API of events.k8s.io).
const NOTE_MAX: usize = 1_000;

/// A status that only counts differently is written at most this often: each write comes back by the watch and would find the
/// next pod already counted.
const STATUS_PERIOD: Duration = Duration::from_secs(1);

/// How a turn ended.
enum Turn {
    /// All is as the fleet says.
    Done,
    /// All is, but the status is to be written a little later.
    Later(Duration),
    /// It has to be tried again, and the status says why.
    Failed,
}

/// A fleet as the watch gives it: one that cannot be read does not stop the others.
pub type Guarded = DeserializeGuard<AgentFleet>;

/// One reconcile. Never fails: what went wrong is counted, shown, and tried again here.
pub async fn reconcile(object: Arc<Guarded>, ctx: Arc<Context>) -> Result<Action, Infallible> {
    let started = clock::now();
    let key = FleetKey::new(object.namespace().unwrap_or_default(), object.name_any());
    let gone = object.meta().deletion_timestamp.is_some();
    let neighbours = match &object.0 {
        Ok(fleet) if !gone => lock(&ctx.fleets).put(&key, Claim::of(fleet)),
        _ => lock(&ctx.fleets).remove(&key),
    };
    ctx.requeue.push(neighbours);
    if gone {
        return Ok(Action::await_change());
    }
    let result = if ctx.gate.open(started) { turn(&object, &key, &ctx).await } else { Err(Error::NotLeading) };
    let (outcome, action) = match result {
        Ok(done @ (Turn::Done | Turn::Later(_))) => {
            lock(&ctx.backoffs).forget(&key);
            arrived(&ctx, &key, object.meta().generation);
            let next = if let Turn::Later(wait) = done { Action::requeue(wait) } else { resync(ctx.resync) };
            (Outcome::Ok, next)
        }
        Err(Error::NotLeading) => (Outcome::Standby, Action::await_change()),
        failed => {
            let wait = lock(&ctx.backoffs).failed(key.clone(), clock::random());
            if let Err(error) = failed {
                tracing::warn!(fleet = %key, %error, wait_s = wait.as_secs_f32(), "Reconcile failed");
            }
            (Outcome::Error, Action::requeue(wait))
        }
    };
    let waiting = lock(&ctx.backoffs).len();
    ctx.metrics.reconciled(outcome, clock::now().saturating_sub(started), waiting);
    Ok(action)
}

/// The work.
async fn turn(object: &Guarded, key: &FleetKey, ctx: &Context) -> Result<Turn, Error> {
    let fleet = match &object.0 {
        Ok(fleet) => fleet,
        Err(invalid) => return unreadable(invalid, key, ctx).await,
    };
    if !lock(&ctx.pods).synced() {
        return Ok(Turn::Done);
    }
    let Some(programmed) = program::program(ctx, fleet).await? else { return Ok(Turn::Done) };
    let seen = status::observe(key, &lock(&ctx.fleets), &lock(&ctx.pods));
    // It was deleted meanwhile.
    let Some(seen) = seen else { return Ok(Turn::Done) };
    let before = last_status(fleet, key, ctx);
    let now = Timestamp::now();
    let next = status::status(
        &before,
        fleet.meta().generation,
        fleet.spec.suspend,
        &seen,
        programmed.fact,
        programmed.object,
        now,
    );
    let (mut later, mut announced) = (None, None);
    if next != before && only_counts(&before, &next) {
        let last = lock(&ctx.memory).get(key).and_then(|memory| memory.written_at);
        later = last.and_then(|last| (last + STATUS_PERIOD).checked_sub(clock::now())).filter(|wait| !wait.is_zero());
    }
    if next != before && later.is_none() {
        let version = fleet.resource_version().unwrap_or_default();
        write_status(key, fleet.uid(), &next, ctx).await?;
        let mut memory = lock(&ctx.memory);
        let memory = memory.entry(key.clone()).or_default();
        memory.written = Some((version, next.clone()));
        memory.written_at = Some(clock::now());
        announced = Some(next);
    }
    if let Some(next) = announced {
        announce(fleet, &before, &next, ctx).await;
    }
    Ok(match (programmed.retry, later) {
        (true, _) => Turn::Failed,
        (false, Some(wait)) => Turn::Later(wait),
        (false, None) => Turn::Done,
    })
}

/// Whether two statuses differ in nothing but what pods and nodes give.
fn only_counts(before: &AgentFleetStatus, next: &AgentFleetStatus) -> bool {
    let programmed = |status: &AgentFleetStatus| {
        status.conditions.iter().find(|c| c.type_ == ConditionType::Programmed.as_str()).cloned()
    };
    before.observed_generation == next.observed_generation && programmed(before) == programmed(next)
}

/// The status as it is on the server, so far as it is known: the cache may not show the last write yet.
fn last_status(fleet: &AgentFleet, key: &FleetKey, ctx: &Context) -> AgentFleetStatus {
    let memory = lock(&ctx.memory);
    let written = memory.get(key).and_then(|memory| memory.written.as_ref());
    match written {
        Some((version, status)) if fleet.metadata.resource_version.as_ref() == Some(version) => status.clone(),
        _ => fleet.status.clone().unwrap_or_default(),
    }
}

/// Says on the fleet itself that it cannot be read.
async fn unreadable(invalid: &InvalidObject, key: &FleetKey, ctx: &Context) -> Result<Turn, Error> {
    let version = invalid.metadata.resource_version.clone().unwrap_or_default();
    let known = lock(&ctx.memory).get(key).and_then(|memory| memory.written.clone());
    let before = known.as_ref().map(|(_, status)| status.clone()).unwrap_or_default();
    let next = status::unreadable(&before, invalid.metadata.generation, &invalid.error, Timestamp::now());
    if next != before {
        tracing::warn!(fleet = %key, error = %invalid.error, "Fleet cannot be read");
        write_status(key, invalid.metadata.uid.clone(), &next, ctx).await?;
        lock(&ctx.memory).entry(key.clone()).or_default().written = Some((version, next));
    }
    Ok(Turn::Done)
}

async fn write_status(
    key: &FleetKey,
    uid: Option<String>,
    status: &AgentFleetStatus,
    ctx: &Context,
) -> Result<(), Error> {
    program::leading(ctx)?;
    let api = Api::<DynamicObject>::namespaced_with(ctx.client.clone(), &key.namespace, &AgentFleet::api_resource());
    // The uid: a fleet that was made again under the same name has not earned this status.
    let patch = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "AgentFleet",
        "metadata": { "name": key.name, "namespace": key.namespace, "uid": uid },
        "status": status,
    });
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
            Err(Error::Api { verb: "write the status of", kind: "AgentFleet", name: key.name.clone(), source })
        }
    }
}

/// One Event per condition whose status or reason changed. An Event that cannot be written is lost, and the fleet is none the worse.
async fn announce(fleet: &AgentFleet, before: &AgentFleetStatus, after: &AgentFleetStatus, ctx: &Context) {
    let told = [ConditionType::Programmed, ConditionType::NodesReady, ConditionType::Degraded, ConditionType::Ready];
    for condition in after.conditions.iter().filter(|c| told.iter().any(|kind| kind.as_str() == c.type_)) {
        let known = before
            .conditions
            .iter()
            .any(|c| (&c.type_, &c.status, &c.reason) == (&condition.type_, &condition.status, &condition.reason));
        let bad_when = if condition.type_ == ConditionType::Degraded.as_str() { "True" } else { "False" };
        let bad = condition.status == bad_when;
        // That a good state is what it always was is no news.
        let first = !before.conditions.iter().any(|c| c.type_ == condition.type_);
        let quiet = first && !bad && condition.type_ != ConditionType::Programmed.as_str();
        if known || quiet {
            continue;
        }
        let note = &condition.message[..condition.message.floor_char_boundary(NOTE_MAX)];
        let event = Event {
            type_: if bad { EventType::Warning } else { EventType::Normal },
            reason: condition.reason.clone(),
            note: Some(note.to_owned()),
            action: condition.type_.clone(),
            secondary: None,
        };
        if let Err(error) = ctx.recorder.publish(&event, &fleet.object_ref(&())).await {
            tracing::warn!(fleet = %fleet.name_any(), %error, "Event not written");
        }
    }
}

/// Counts the lag of a generation that was worked on for the first time.
fn arrived(ctx: &Context, key: &FleetKey, generation: Option<i64>) {
    let mut memory = lock(&ctx.memory);
    if let Some(memory) = memory.get_mut(key)
        && let Some((seen, since)) = memory.arrived
        && Some(seen) == generation
        && !memory.counted
    {
        memory.counted = true;
        ctx.metrics.lag(clock::now().saturating_sub(since));
    }
}

/// The next look without cause, up to a tenth earlier, so that fleets that came together spread out.
fn resync(every: Duration) -> Action {
    if every.is_zero() {
        return Action::await_change();
    }
    Action::requeue(every.mul_f64(1.0 - 0.1 * clock::share(clock::random())))
}

/// Whether all caches hold what the cluster holds.
pub fn synced(ctx: &Context) -> bool {
    lock(&ctx.pods).synced() && ctx.children.known()
}
