//! Makes a fleet's object what the spec says, and removes what it no longer says.
//!
//! Nothing is written that is already so, and nothing is touched that the fleet does not control.

use fleetscope_core::api::AgentFleet;
use fleetscope_core::api::agent_fleet::{ObjectStatus, ScrapeOutput};
use fleetscope_core::api::conditions::{ConditionType, Fact, Reason};
use fleetscope_core::resources::{ChildKind, MANAGER, scrape_name, scrape_object};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use super::compare;
use crate::children::{Availability, Child, api_resource};
use crate::clock;
use crate::context::Context;
use crate::error::Error;
use crate::metrics::Write;

/// What became of a fleet's object.
#[derive(Debug)]
pub(super) struct Programmed {
    /// The condition.
    pub fact: Fact,
    /// The object, while it is in place.
    pub object: Option<ObjectStatus>,
    /// Whether to try again.
    pub retry: bool,
}

/// Makes it so. None while it is not known yet which kinds are installed: each fleet is woken up when it is.
pub(super) async fn program(ctx: &Context, fleet: &AgentFleet) -> Result<Option<Programmed>, Error> {
    if !known(ctx, fleet) {
        return Ok(None);
    }
    let wanted = ChildKind::wanted(fleet, |kind| ctx.children.availability(kind) == Availability::Ready);
    let applied = match wanted {
        Some(kind) => apply(ctx, fleet, kind).await,
        None => Ok(()),
    };
    // What is in place stays until its successor is.
    let pruned = match applied {
        Ok(()) => prune(ctx, fleet, wanted).await,
        Err(_) => Ok(()),
    };
    let name = scrape_name(&fleet.name_any());
    let object = wanted.map(|kind| ObjectStatus { kind: kind.as_str().to_owned(), name: name.clone() });
    let failed = |error: &Error, reason| Fact::new(ConditionType::Programmed, false, reason, error.to_string());
    Ok(Some(match (applied, pruned) {
        (Err(Error::NotLeading), _) | (_, Err(Error::NotLeading)) => return Err(Error::NotLeading),
        (Err(error), _) => {
            Programmed { fact: failed(&error, error.reason()), object: None, retry: error.is_retryable() }
        }
        (_, Err(error)) => Programmed { fact: failed(&error, Reason::PartiallyApplied), object, retry: true },
        (Ok(()), Ok(())) => Programmed { fact: done(fleet, object.as_ref()), object, retry: false },
    }))
}

fn done(fleet: &AgentFleet, object: Option<&ObjectStatus>) -> Fact {
    let (reason, message) = match object {
        Some(object) => (Reason::Applied, format!("{} {} is in place", object.kind, object.name)),
        None if fleet.spec.suspend => (Reason::Suspended, "the fleet is suspended: it has no object".to_owned()),
        None => (Reason::NotRequested, "spec.scrape.output is None".to_owned()),
    };
    Fact::new(ConditionType::Programmed, true, reason, message)
}

/// Whether enough is known to choose a kind.
fn known(ctx: &Context, fleet: &AgentFleet) -> bool {
    let needed: &[ChildKind] = match fleet.spec.scrape.output {
        ScrapeOutput::PodMonitor => &[ChildKind::PodMonitor],
        ScrapeOutput::ServiceMonitor => &[ChildKind::ServiceMonitor],
        ScrapeOutput::ConfigMap => &[ChildKind::ConfigMap],
        ScrapeOutput::Auto | ScrapeOutput::None => &ChildKind::OF_FLEETS,
    };
    let known =
        |kind: &ChildKind| !matches!(ctx.children.availability(*kind), Availability::Unknown | Availability::Starting);
    needed.iter().all(known)
}

async fn apply(ctx: &Context, fleet: &AgentFleet, kind: ChildKind) -> Result<(), Error> {
    let name = scrape_name(&fleet.name_any());
    match ctx.children.availability(kind) {
        Availability::Ready => {}
        Availability::Failing(why) => return Err(Error::Unseen { kind, name, why }),
        _ => return Err(Error::NotInstalled { kind, name }),
    }
    let mut desired = scrape_object(kind, fleet, &ctx.site);
    compare::stamp(&mut desired);
    let (namespace, uid) = (fleet.namespace().unwrap_or_default(), fleet.uid().unwrap_or_default());
    if ctx.children.get(kind, &namespace, &name).is_some_and(|child| as_wanted(&child, &uid, &desired)) {
        return Ok(());
    }
    let written = write(ctx, kind, &namespace, &name, &uid, desired).await;
    match &written {
        Ok(false) => return Ok(()),
        Ok(true) => ctx.metrics.child(kind, Write::Applied),
        Err(Error::NameConflict { .. }) => ctx.metrics.child(kind, Write::Conflict),
        Err(_) => ctx.metrics.child(kind, Write::Error),
    }
    written?;
    tracing::info!(kind = kind.as_str(), %namespace, %name, "Applied object");
    Ok(())
}

/// Applies after a look at the object itself, for the cache may be behind. False when it is already as wanted.
async fn write(
    ctx: &Context,
    kind: ChildKind,
    namespace: &str,
    name: &str,
    uid: &str,
    mut desired: Value,
) -> Result<bool, Error> {
    let api = Api::<DynamicObject>::namespaced_with(ctx.client.clone(), namespace, &api_resource(kind));
    let failed = |verb, source| Error::Api { verb, kind: kind.as_str(), name: name.to_owned(), source };
    let conflict = || Error::NameConflict { kind, name: name.to_owned() };
    let live = api.get_opt(name).await.map_err(|source| failed("get", source))?.map(Child::of);
    let exists = live.is_some();
    let mut params = PatchParams::apply(MANAGER);
    if let Some(live) = live {
        if !live.controlled_by(uid) {
            return Err(conflict());
        }
        if as_wanted(&live, uid, &desired) {
            return Ok(false);
        }
        // Fields that somebody else took are taken back; the uid makes sure that it is this object still.
        desired["metadata"]["uid"] = json!(live.object.uid());
        params = params.force();
    }
    leading(ctx)?;
    match api.patch(name, &params, &Patch::Apply(&desired)).await {
        Ok(_) => Ok(true),
        // Without force, fields of an object that was made by somebody else meanwhile conflict.
        Err(kube::Error::Api(status)) if status.code == 409 && !exists => Err(conflict()),
        Err(source) => Err(failed("apply", source)),
    }
}

/// Deletes what the fleet controls and no longer wants.
async fn prune(ctx: &Context, fleet: &AgentFleet, wanted: Option<ChildKind>) -> Result<(), Error> {
    let (namespace, uid) = (fleet.namespace().unwrap_or_default(), fleet.uid().unwrap_or_default());
    let keep = scrape_name(&fleet.name_any());
    for kind in ChildKind::ALL {
        for child in ctx.children.owned(kind, &namespace, &uid) {
            let name = child.object.name_any();
            if (wanted == Some(kind) && name == keep) || child.object.metadata.deletion_timestamp.is_some() {
                continue;
            }
            leading(ctx)?;
            let api = Api::<DynamicObject>::namespaced_with(ctx.client.clone(), &namespace, &api_resource(kind));
            let preconditions =
                Preconditions { uid: child.object.uid(), resource_version: child.object.resource_version() };
            let params = DeleteParams::default().preconditions(preconditions);
            match api.delete(&name, &params).await {
                Ok(_) => {
                    ctx.metrics.child(kind, Write::Deleted);
                    tracing::info!(kind = kind.as_str(), %namespace, %name, "Deleted object");
                }
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(source) => {
                    ctx.metrics.child(kind, Write::Error);
                    return Err(Error::Api { verb: "delete", kind: kind.as_str(), name, source });
                }
            }
        }
    }
    Ok(())
}

fn as_wanted(child: &Child, uid: &str, desired: &Value) -> bool {
    let actual = serde_json::to_value(&child.object).expect("an object that was read from JSON is JSON");
    child.controlled_by(uid) && compare::current(&actual, desired)
}

/// Asked before each write, for a leader that slept may have been replaced.
pub(super) fn leading(ctx: &Context) -> Result<(), Error> {
    if ctx.gate.open(clock::now()) { Ok(()) } else { Err(Error::NotLeading) }
}
