//! What the controllers have in common, and where they differ.

use std::fmt::Debug;
use std::time::Duration;

use fleetscope_core::api::agent_fleet::ObjectStatus;
use fleetscope_core::api::conditions::Fact;
use fleetscope_core::resources::{Desired, Fault, Site};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::watcher::Config;
use kube::{Api, CustomResourceExt, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::guard::Unreadable;
use super::memory::Guarded;
use super::program::Programmed;
use crate::context::Context;
use crate::owner::{OwnerKey, OwnerKind};
use crate::secrets::Named;
use crate::watched::Part;

/// Entries of a list in a message, at most.
const NAMED: usize = 5;

/// A kind that the operator acts on.
pub(crate) trait Kind: Send + Sync + 'static {
    /// Its objects.
    type Object: Resource<DynamicType = ()>
        + CustomResourceExt
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static;
    /// Their status.
    type Status: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What a decision found out that the status shows.
    type Seen: Send + Sync;

    /// Which kind.
    const KIND: OwnerKind;
    /// An object that did not change itself is looked at again this long after the last time, at the earliest.
    const PERIOD: Duration = Duration::ZERO;

    /// Its objects, in the namespaces that are looked at; a kind that has none has them all.
    fn parts(ctx: &Context, config: &Config) -> Vec<Part<Guarded<Self>>>
    where
        Self: Sized,
    {
        vec![Part { api: Api::all(ctx.client.clone()), config: config.clone() }]
    }

    /// Notes what others look at, and wakes those whom it concerns. Without an object: it is gone.
    fn enter(ctx: &Context, key: &OwnerKey, object: Option<&Self::Object>);

    /// The same of an object that cannot be read: what is known of it still holds, and what is not known is taken from what can be read of it.
    fn enter_unreadable(_ctx: &Context, _key: &OwnerKey, _unreadable: &Unreadable) {}

    /// Whether enough is known to decide: who waits is woken up when it is.
    fn known(ctx: &Context, object: &Self::Object) -> bool;

    /// Whether its spec says suspend.
    fn suspended(object: &Self::Object) -> bool;

    /// Keys of Secrets that it names.
    fn secrets(_object: &Self::Object) -> Vec<Named> {
        Vec::new()
    }

    /// What is wanted for it, or what is wrong with it.
    fn decide(ctx: &Context, key: &OwnerKey, object: &Self::Object) -> Decision<Self::Seen>;

    /// Where a user can give labels to what is made of it, as in `spec.scrape.labels of AgentFleet review`.
    fn label_field(object: &Self::Object) -> String;

    /// Whether an object is about more than its own namespace: targets that are elsewhere, rules or receivers for all namespaces.
    fn beyond_namespace(site: &Site, wanted: &Desired) -> bool;

    /// Notes whether an object is accepted, where others look at that.
    fn accepted(_ctx: &Context, _key: &OwnerKey, _object: &Self::Object, _accepted: bool) {}

    /// Its status as it was read.
    fn status_of(object: &Self::Object) -> Option<Self::Status>;

    /// The conditions of a status.
    fn conditions(status: &Self::Status) -> &[Condition];

    /// The same, to be changed.
    fn conditions_mut(status: &mut Self::Status) -> &mut [Condition];

    /// The objects that are in place by a status.
    fn in_place(_status: &Self::Status) -> Vec<ObjectStatus> {
        Vec::new()
    }

    /// Its next status. None when it is gone meanwhile.
    fn status(
        ctx: &Context,
        key: &OwnerKey,
        object: &Self::Object,
        told: Told<'_, Self::Status, Self::Seen>,
    ) -> Option<Self::Status>;

    /// The status of an object that cannot be read: what is in place is, and what was counted otherwise is not shown as if it held.
    fn unreadable(before: Self::Status, conditions: Vec<Condition>, generation: Option<i64>) -> Self::Status;
}

/// What is wanted for an object.
#[derive(Debug)]
pub(crate) struct Decision<S> {
    /// What is wrong with its spec. With a fault nothing is applied and nothing removed: what was made of the last good spec stays.
    pub faults: Vec<Fault>,
    /// The objects that are wanted.
    pub desired: Vec<Desired>,
    /// What the status shows.
    pub seen: S,
}

/// What a turn tells the status.
pub(crate) struct Told<'a, S, T> {
    /// The status before.
    pub before: &'a S,
    /// The generation that the turn was about.
    pub generation: Option<i64>,
    /// `Accepted`, `Programmed`, and `Selected` where something is to be selected.
    pub facts: Vec<Fact>,
    /// What became of the objects; none when they were left as they are.
    pub programmed: Option<Programmed>,
    /// What the decision found out.
    pub seen: T,
    /// The time.
    pub now: Timestamp,
}

/// A number of things in a status.
pub(super) fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// The objects that a status lists; it has room for 64.
pub(super) fn listed(mut objects: Vec<ObjectStatus>) -> Vec<ObjectStatus> {
    objects.truncate(64);
    objects
}

/// A list in a message: the first few, and how many more there are.
pub(super) fn cut(texts: &[String], separator: &str) -> String {
    let more = texts.len().saturating_sub(NAMED);
    let shown = texts[..texts.len() - more].join(separator);
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
