//! The watch of one kind's objects, and whose turn it is.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::watcher::{self, Event};
use kube::{CustomResourceExt as _, Resource as _, ResourceExt as _};
use tokio::sync::watch;

use super::changes::Changes;
use super::dispatch::{Again, Most, dispatch};
use super::kind::Kind;
use super::memory::{Guarded, Turns, key};
use super::turn::reconcile;
use crate::context::Context;
use crate::follow::{Followed, Subject, follow};
use crate::owner::{OwnerKey, OwnerKind};

/// Objects per page of a list: a policy may have a thousand rules.
const PAGE: u32 = 250;

/// The controller of a kind, until `stopped`. While the kind is not installed there is nothing to do, and nobody waits.
pub(crate) async fn control<K: Kind>(
    ctx: Arc<Context>,
    mut leading: watch::Receiver<bool>,
    stopped: watch::Receiver<bool>,
) {
    let turns = Arc::new(Turns::<K>::new(Arc::clone(&ctx)));
    let most = Most { begun: ctx.places.begun(), quiet: ctx.places.quiet() };
    let queue = Arc::new(if K::KIND == OwnerKind::AgentFleet { ctx.places.fleets() } else { ctx.places.policies() });
    let (cache, writer) = reflector::store::<Guarded<K>>();
    let seen = Arc::clone(&turns);
    let mut changes = Changes::new(cache.clone());
    let touched = events::<K>(Arc::clone(&ctx))
        .modify(prune::<K>)
        .flat_map(move |event| {
            let changes =
                event.map_or_else(|error| vec![Err(error)], |event| changes.of(event).into_iter().map(Ok).collect());
            stream::iter(changes)
        })
        .inspect(move |event| {
            if let Ok(event) = event {
                seen.note(event);
            }
        })
        .reflect(writer)
        .touched_objects()
        // An error of the watch was counted where it arose.
        .filter_map(|object| std::future::ready(object.ok().map(|object| key::<K>(&object))));
    let requeued = stream::unfold(Arc::clone(&ctx), |ctx| async move { Some((ctx.requeue.next(K::KIND).await, ctx)) });
    let leads = stream::once(async move {
        // Not sent: the process ends.
        let _ = leading.wait_for(|leading| *leading).await;
    });
    let everybody = stream::unfold(ctx.everybody(), |mut everybody| async move {
        everybody.changed().await.ok()?;
        Some(((), everybody))
    });
    let all = cache.clone();
    let everybody = stream::select(leads, everybody)
        .flat_map(move |()| stream::iter(all.state().into_iter().map(|object| key::<K>(&object))));
    let listed = cache.clone();
    let listed = async move {
        if listed.wait_until_ready().await.is_err() {
            // What fills the cache is gone, and with it those who ask.
            std::future::pending::<()>().await;
        }
    };
    let asked = stream::select(touched, stream::select(requeued, everybody));
    dispatch(asked, most, listed, signalled(stopped), |key| {
        let (turns, key, cache, queue) = (Arc::clone(&turns), key.clone(), cache.clone(), Arc::clone(&queue));
        async move {
            // None: the process is to stop.
            let Some(place) = turns.ctx.places.work(&queue).await else { return Again::default() };
            // As it is now, and not as it was when it had to wait. What was said of it is of the same moment: the watch is of this task.
            if let Some(object) = cache.get(&reference::<K>(&key)) {
                let said = turns.said(&key, object.meta());
                return reconcile::<K>(&object, &key, said, &turns, place).await;
            }
            turns.forget(&key);
            Again::default()
        }
    })
    .await;
}

/// How the cache names an object.
fn reference<K: Kind>(key: &OwnerKey) -> ObjectRef<Guarded<K>> {
    let object = ObjectRef::new(&key.name);
    if K::KIND.namespaced() { object.within(&key.namespace) } else { object }
}

/// Ends when the process is to stop.
async fn signalled(mut stopped: watch::Receiver<bool>) {
    // The sender goes away when the process ends: the same.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// What the watch shows. A kind that is not installed has no objects.
fn events<K: Kind>(ctx: Arc<Context>) -> impl futures::Stream<Item = Result<Event<Guarded<K>>, watcher::Error>> + Send {
    let subject = Subject {
        definition: Some(K::KIND.crd()),
        kind: K::KIND.as_str(),
        version: fleetscope_core::api::VERSION,
        parts: K::parts(&ctx, &watcher::Config::default().page_size(PAGE)),
    };
    debug_assert_eq!(K::Object::crd_name(), K::KIND.crd());
    follow(ctx, subject).flat_map(|told| {
        stream::iter(match told {
            Followed::Event(event) => vec![Ok(event)],
            Followed::Absent => {
                tracing::info!(kind = K::KIND.as_str(), "The kind is not installed: nothing is done about it");
                vec![Ok(Event::Init), Ok(Event::InitDone)]
            }
            Followed::Failing(why) => {
                tracing::warn!(kind = K::KIND.as_str(), why, "Objects cannot be seen");
                Vec::new()
            }
            Followed::Starting => Vec::new(),
        })
    })
}

/// Who changed what when is of no use here, and the larger part of an object.
fn prune<K: Kind>(object: &mut Guarded<K>) {
    object.managed_fields_mut().clear();
}
