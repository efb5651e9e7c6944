//! The status of an object, and its Events, as they are written.

use fleetscope_core::api::{GROUP, VERSION};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::api::Patch;
use kube::core::DynamicObject;
use kube::{Api, CustomResourceExt as _};
use serde_json::json;

use super::announce::announce;
use super::kind::Kind;
use super::memory::{Turns, Written};
use super::program;
use crate::clock;
use crate::context::Context;
use crate::error::Error;
use crate::metrics::Write;
use crate::owner::OwnerKey;
use crate::watched::number;

/// Field manager of the status, apart from that of the children, for both are applied whole.
pub const STATUS_MANAGER: &str = "fleetscope-operator-status";

/// Writes the next status of an object that is `shown` with the one `before`, and tells what is new. `tried` may have been written before it.
///
/// # Errors
/// When the status cannot be written. Whether it was may then be unknown, and the next try says the same to the second: once more the same
/// status, only later, would be a change for whoever watches.
pub(super) async fn tell<K: Kind>(
    reference: &ObjectReference,
    shown: &ObjectMeta,
    key: &OwnerKey,
    before: &K::Status,
    tried: Option<&K::Status>,
    mut next: K::Status,
    turns: &Turns<K>,
) -> Result<(), Error> {
    let ctx = &turns.ctx;
    program::leading(ctx)?;
    if let Some(tried) = tried {
        keep_times(K::conditions_mut(&mut next), K::conditions(before), K::conditions(tried));
    }
    // Before it is sent: the turn may be given up meanwhile.
    let earlier = turns.remember(key, |memory| {
        let since = memory.shown.map(|shown| shown.saturating_add(1));
        memory.tried.replace(Written { since, status: next.clone() })
    });
    let result = write::<K>(key, shown.uid.as_deref(), &next, ctx).await;
    turns.remember(key, |memory| match &result {
        Ok(since) => {
            memory.tried = None;
            let written = Written { since: *since, status: next.clone() };
            memory.written = Some(written).filter(|written| written.is_newer_than(memory.shown));
            memory.written_at = Some(clock::now());
        }
        Err(error) if error.is_refusal() => {
            memory.tried = earlier.filter(|earlier| earlier.is_newer_than(memory.shown));
        }
        Err(_) => {}
    });
    result?;
    announce(ctx, reference, K::conditions(before), K::conditions(&next)).await;
    Ok(())
}

/// Gives the conditions that changed, and were tried to be told already, the time that was tried to be told.
fn keep_times(next: &mut [Condition], before: &[Condition], tried: &[Condition]) {
    for condition in next {
        let same = |other: &&Condition| other.type_ == condition.type_ && other.status == condition.status;
        if before.iter().all(|other| !same(&other))
            && let Some(told) = tried.iter().find(same)
        {
            condition.last_transition_time = told.last_transition_time.clone();
        }
    }
}

/// Writes it, and gives the version that the object has with it.
async fn write<K: Kind>(
    key: &OwnerKey,
    uid: Option<&str>,
    status: &K::Status,
    ctx: &Context,
) -> Result<Option<u64>, Error> {
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
    let params = program::applying(STATUS_MANAGER).force();
    match api.patch_status(&key.name, &params, &Patch::Apply(&patch)).await {
        Ok(object) => {
            ctx.metrics.status(Write::Applied);
            Ok(number(&object.metadata))
        }
        // Deleted meanwhile, or made again: there is nobody to tell.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(source) => {
            ctx.metrics.status(Write::Error);
            Err(Error::Api { verb: "write the status of", kind: K::KIND.as_str(), name: key.name.clone(), source })
        }
    }
}

#[cfg(test)]
mod tests {
    use fleetscope_core::api::conditions::{ConditionType, Fact, Reason, merge};
    use jiff::Timestamp;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn told(before: &[Condition], ready: bool, accepted: bool, now: i64) -> Vec<Condition> {
        let fact = |kind, status| Fact::new(kind, status, Reason::Valid, "");
        let facts = [fact(ConditionType::Ready, ready), fact(ConditionType::Accepted, accepted)];
        merge(before, &facts, Some(1), at(now))
    }

    fn times(conditions: &[Condition]) -> Vec<i64> {
        conditions.iter().map(|condition| condition.last_transition_time.0.as_second()).collect()
    }

    #[test]
    fn what_was_tried_to_be_told_is_told_with_the_same_time() {
        let before = told(&[], false, true, 10);
        let tried = told(&before, true, true, 20);
        let mut next = told(&before, true, true, 30);
        keep_times(&mut next, &before, &tried);
        assert_eq!(next, tried);
        let mut first = told(&[], true, true, 30);
        keep_times(&mut first, &[], &tried);
        assert_eq!(first, tried);
    }

    #[test]
    fn what_was_not_tried_to_be_told_has_its_own_time() {
        let before = told(&[], false, true, 10);
        let tried = told(&before, true, true, 20);
        let mut both = told(&before, true, false, 30);
        keep_times(&mut both, &before, &tried);
        assert_eq!(times(&both), [20, 30]);
        let mut back = told(&before, false, true, 30);
        keep_times(&mut back, &before, &tried);
        assert_eq!(back, before, "it never was otherwise, as far as anybody saw");
    }
}
