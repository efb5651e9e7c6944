//! Makes an owner's objects what is wanted, and removes what is no longer wanted.
//!
//! Nothing is written that is already so, and nothing is touched that the owner does not control.

use std::collections::BTreeSet;

use fleetscope_core::api::agent_fleet::ObjectStatus;
use fleetscope_core::api::conditions::{ConditionType, Fact, Reason};
use fleetscope_core::resources::{ChildKind, Desired, MANAGER};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::{DynamicObject, Status};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use super::compare;
use super::kind::cut;
use crate::children::{Availability, Child, Place, api_resource, of_desired};
use crate::clock;
use crate::context::Context;
use crate::error::Error;
use crate::metrics::Write;
use crate::owner::OwnerKey;

/// Who wants objects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    /// Kind, namespace and name.
    pub key: &'a OwnerKey,
    /// Its uid.
    pub uid: &'a str,
    /// It is suspended: it wants none.
    pub suspended: bool,
}

/// What became of an owner's objects.
#[derive(Debug)]
pub(crate) struct Programmed {
    /// The condition.
    pub fact: Fact,
    /// The objects that are in place.
    pub objects: Vec<ObjectStatus>,
    /// Whether to try again.
    pub retry: bool,
    /// Whether that may well be all that is needed.
    pub passing: bool,
}

/// An object in place of a kind whose objects cannot be seen.
#[derive(Debug)]
struct Unseen {
    kind: ChildKind,
    name: String,
    why: String,
}

/// Makes it so: applies each object, whatever became of the others; and when all are in place, removes the rest. `before` are the objects that were in
/// place by the last status.
pub(crate) async fn program(
    ctx: &Context,
    owner: Owner<'_>,
    desired: Vec<Desired>,
    before: &[ObjectStatus],
) -> Result<Programmed, Error> {
    let keep: BTreeSet<(ChildKind, Place)> = desired.iter().map(|object| (object.kind, place(object))).collect();
    let (mut objects, mut errors, mut left) = (Vec::new(), Vec::new(), BTreeSet::new());
    for Unseen { kind, name, why } in unseen(ctx, owner, before) {
        objects.push(ObjectStatus { kind: kind.as_str().to_owned(), name: name.clone() });
        if !desired.iter().any(|object| object.kind == kind && object.name == name) {
            errors.push(Error::Unseen { verb: "delete", kind, name: name.clone(), why });
            left.insert(name);
        }
    }
    // Of another kind under the same name: its successor, and with both in place all would be there twice.
    for object in desired.into_iter().filter(|object| !left.contains(&object.name)) {
        let status = ObjectStatus { kind: object.kind.as_str().to_owned(), name: object.name.clone() };
        match apply(ctx, owner, object).await {
            Ok(()) => objects.push(status),
            Err(Error::NotLeading) => return Err(Error::NotLeading),
            Err(error) => errors.push(error),
        }
    }
    // What is in place stays until its successor is.
    if errors.is_empty() {
        match prune(ctx, owner, &keep).await {
            Err(Error::NotLeading) => return Err(Error::NotLeading),
            result => errors.extend(result.err()),
        }
    }
    let retry = errors.iter().any(Error::is_retryable);
    let passing = errors.iter().all(Error::is_passing);
    Ok(Programmed { fact: fact(owner, &objects, &errors), objects, retry, passing })
}

/// Objects of the owner that are in place, as far as is known, and cannot be seen.
fn unseen(ctx: &Context, owner: Owner<'_>, before: &[ObjectStatus]) -> Vec<Unseen> {
    let mut unseen = Vec::new();
    for kind in ChildKind::ALL {
        let Availability::Failing(why) = ctx.children.availability(kind) else { continue };
        // Known from before it failed, or, by a process that began later, from the status.
        let seen = ctx.children.owned(kind, owner.uid).into_iter().map(|((_, name), _)| name);
        let told = before.iter().filter(|object| object.kind == kind.as_str()).map(|object| object.name.clone());
        let names: BTreeSet<String> = seen.chain(told).collect();
        unseen.extend(names.into_iter().map(|name| Unseen { kind, name, why: why.clone() }));
    }
    unseen
}

fn fact(owner: Owner<'_>, objects: &[ObjectStatus], errors: &[Error]) -> Fact {
    let told = |reason, message| Fact::new(ConditionType::Programmed, errors.is_empty(), reason, message);
    let names = |objects: &[ObjectStatus]| {
        let named: Vec<String> = objects.iter().map(|object| format!("{} {}", object.kind, object.name)).collect();
        cut(&named, ", ")
    };
    if !errors.is_empty() {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let place = if objects.is_empty() { String::new() } else { format!("; in place: {}", names(objects)) };
        return told(worst(errors, objects.is_empty()), format!("{}{place}", cut(&texts, ", ")));
    }
    match objects {
        [] if owner.suspended => told(Reason::Suspended, "it is suspended: it has no object".to_owned()),
        [] => told(Reason::NotRequested, "the spec asks for no object".to_owned()),
        [object] => told(Reason::Applied, format!("{} {} is in place", object.kind, object.name)),
        objects => told(Reason::Applied, format!("{} are in place", names(objects))),
    }
}

/// The reason that somebody has to do something about, before those that may pass by themselves.
fn worst(errors: &[Error], none_in_place: bool) -> Reason {
    let reasons: Vec<Reason> = errors.iter().map(Error::reason).collect();
    let lasting = [Reason::NameConflict, Reason::CrdNotInstalled].into_iter().find(|reason| reasons.contains(reason));
    lasting.unwrap_or(if none_in_place { Reason::ApplyFailed } else { Reason::PartiallyApplied })
}

fn place(object: &Desired) -> Place {
    (object.namespace.clone(), object.name.clone())
}

async fn apply(ctx: &Context, owner: Owner<'_>, object: Desired) -> Result<(), Error> {
    let (kind, place) = (object.kind, place(&object));
    match ctx.children.availability(kind) {
        Availability::Ready => {}
        Availability::Failing(why) => return Err(Error::Unseen { verb: "apply", kind, name: object.name, why }),
        _ => return Err(Error::NotInstalled { kind, name: object.name }),
    }
    let mut desired = object.body;
    compare::stamp(&mut desired);
    let digest = of_desired(&desired);
    if ctx.children.settled(kind, &place, owner.uid, digest) {
        return Ok(());
    }
    let written = write(ctx, owner, kind, &place, desired, digest).await;
    match &written {
        Ok(false) => return Ok(()),
        Ok(true) => ctx.metrics.child(kind, Write::Applied),
        Err(Error::NameConflict { .. }) => ctx.metrics.child(kind, Write::Conflict),
        Err(_) => ctx.metrics.child(kind, Write::Error),
    }
    written?;
    tracing::info!(kind = kind.as_str(), namespace = %place.0, name = %place.1, "Applied object");
    Ok(())
}

/// Applies. False when it is already as wanted.
///
/// An object that nobody touched since it was as desired is written at once, on the condition that it has the version that is known; any other, and
/// one that turns out to have another version, after a look at the object itself, for the cache may be behind.
async fn write(
    ctx: &Context,
    owner: Owner<'_>,
    kind: ChildKind,
    place: &Place,
    mut desired: Value,
    digest: u64,
) -> Result<bool, Error> {
    let (namespace, name) = place;
    let api = Api::<DynamicObject>::namespaced_with(ctx.client.clone(), namespace, &api_resource(kind));
    let failed = |verb, source| Error::Api { verb, kind: kind.as_str(), name: name.clone(), source };
    let conflict = || Error::NameConflict { kind, name: name.clone(), owner: owner.key.clone() };
    let forced = applying(MANAGER).force();
    if let Some((uid, version)) = ctx.children.untouched(kind, place, owner.uid) {
        let mut exactly = desired.clone();
        exactly["metadata"]["uid"] = json!(uid);
        exactly["metadata"]["resourceVersion"] = json!(version);
        leading(ctx)?;
        match api.patch(name, &forced, &Patch::Apply(&exactly)).await {
            Ok(object) => {
                wrote(ctx, kind, place, object, &desired, digest);
                return Ok(true);
            }
            // It changed, or went.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(source) => return Err(failed("apply", source)),
        }
    }
    let live = api.get_opt(name).await.map_err(|source| failed("get", source))?;
    let exists = live.is_some();
    let mut params = applying(MANAGER);
    if let Some(live) = live {
        let child = Child::of(&live);
        if child.controller.as_deref() != Some(owner.uid) {
            return Err(conflict());
        }
        if child.is(owner.uid, digest) || as_wanted(live, &desired) {
            ctx.children.compared(kind, place, digest, child.digest);
            return Ok(false);
        }
        // Fields that somebody else took are taken back; the uid makes sure that it is this object still.
        desired["metadata"]["uid"] = json!(child.uid);
        params = forced;
    }
    leading(ctx)?;
    match api.patch(name, &params, &Patch::Apply(&desired)).await {
        Ok(object) => {
            wrote(ctx, kind, place, object, &desired, digest);
            Ok(true)
        }
        // Without force, fields of an object that was made by somebody else meanwhile conflict.
        Err(kube::Error::Api(status)) if !exists && is_taken(&status) => Err(conflict()),
        Err(source) => Err(failed("apply", source)),
    }
}

/// Notes what the API server made of a write: if that is as wanted (an admission webhook may have changed it) nobody has to look at it again.
fn wrote(ctx: &Context, kind: ChildKind, place: &Place, object: DynamicObject, desired: &Value, digest: u64) {
    let child = Child::of(&object);
    let wanted = child.digest == digest || as_wanted(object, desired);
    ctx.children.wrote(kind, place, &child.resource_version, wanted.then_some(digest));
}

/// Whether a conflict is about fields that somebody else has, and not about two writes at the same time.
fn is_taken(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 409 && causes.into_iter().any(|cause| cause.reason == "FieldManagerConflict")
}

/// Deletes what the owner controls and no longer wants.
async fn prune(ctx: &Context, owner: Owner<'_>, keep: &BTreeSet<(ChildKind, Place)>) -> Result<(), Error> {
    for kind in ChildKind::ALL {
        for (place, child) in ctx.children.owned(kind, owner.uid) {
            let wanted = (kind, place);
            if child.deleting || keep.contains(&wanted) {
                continue;
            }
            let (namespace, name) = wanted.1;
            leading(ctx)?;
            let api = Api::<DynamicObject>::namespaced_with(ctx.client.clone(), &namespace, &api_resource(kind));
            let preconditions = Preconditions { uid: Some(child.uid), resource_version: Some(child.resource_version) };
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

fn as_wanted(mut object: DynamicObject, desired: &Value) -> bool {
    object.managed_fields_mut().clear();
    let actual = serde_json::to_value(&object).expect("an object that was read from JSON is JSON");
    compare::current(&actual, desired)
}

/// How we apply. Without `fieldValidation`: for its warnings, which nobody would read, the API server parses each applied object as YAML once more, a
/// fourteenth of all that an edit costs it. What it made of a write is compared anyway.
pub(super) fn applying(manager: &str) -> PatchParams {
    PatchParams::apply(manager).validation_ignore()
}

/// Asked before each write, for a leader that slept may have been replaced.
pub(super) fn leading(ctx: &Context) -> Result<(), Error> {
    if ctx.gate.open(clock::now()) { Ok(()) } else { Err(Error::NotLeading) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(key: &OwnerKey, suspended: bool) -> Owner<'_> {
        Owner { key, uid: "u", suspended }
    }

    fn objects(names: &[&str]) -> Vec<ObjectStatus> {
        let object = |name: &&str| ObjectStatus { kind: "PrometheusRule".to_owned(), name: (*name).to_owned() };
        names.iter().map(object).collect()
    }

    fn conflict() -> Error {
        Error::NameConflict { kind: ChildKind::PodMonitor, name: "m".to_owned(), owner: OwnerKey::fleet("ns", "f") }
    }

    fn slow() -> Error {
        Error::Slow { after_s: 1 }
    }

    #[test]
    fn the_condition_names_what_is_in_place() {
        let key = OwnerKey::fleet("ns", "f");
        let text = |suspended, names: &[&str]| {
            let fact = fact(owner(&key, suspended), &objects(names), &[]);
            (fact.reason, fact.message)
        };
        assert_eq!(text(false, &["a"]), (Reason::Applied, "PrometheusRule a is in place".to_owned()));
        let (_, many) = text(false, &["a", "b", "c", "d", "e", "f", "g"]);
        assert!(many.ends_with("PrometheusRule e and 2 more are in place"), "{many}");
        assert_eq!(text(false, &[]).0, Reason::NotRequested);
        assert_eq!(text(true, &[]).0, Reason::Suspended);
    }

    #[test]
    fn a_conflict_of_two_writes_is_not_a_taken_name() {
        let status = |code: u16, causes: Value| -> Status {
            serde_json::from_value(json!({ "status": "Failure", "message": "", "reason": "Conflict", "code": code, "details": { "causes": causes } })).unwrap()
        };
        assert!(is_taken(&status(409, json!([{ "reason": "FieldManagerConflict", "field": ".spec" }]))));
        assert!(!is_taken(&status(409, json!([]))));
        assert!(!is_taken(&status(500, json!([{ "reason": "FieldManagerConflict" }]))));
    }

    #[test]
    fn what_somebody_has_to_do_something_about_is_the_reason() {
        let key = OwnerKey::fleet("ns", "f");
        let reason = |names: &[&str], errors: &[Error]| fact(owner(&key, false), &objects(names), errors).reason;
        assert_eq!(reason(&["a"], &[slow(), conflict()]), Reason::NameConflict);
        assert_eq!(reason(&["a"], &[slow()]), Reason::PartiallyApplied);
        assert_eq!(reason(&[], &[slow()]), Reason::ApplyFailed);
        let absent = Error::NotInstalled { kind: ChildKind::PodMonitor, name: "m".to_owned() };
        assert_eq!(reason(&["a"], &[absent]), Reason::CrdNotInstalled);
        let told = fact(owner(&key, false), &objects(&["a"]), &[conflict()]);
        assert_eq!(
            told.message,
            "failed to apply PodMonitor m: an object of that name exists, and AgentFleet ns/f does not control it; \
             in place: PrometheusRule a"
        );
    }
}
