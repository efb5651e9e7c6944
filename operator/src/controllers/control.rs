//! The watch of one kind's objects, and whose turn it is.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use kube::runtime::controller::{self, Action};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{Controller, WatchStreamExt as _};
use kube::{CustomResourceExt as _, ResourceExt as _};
use tokio::sync::watch;

use super::changes::Changes;
use super::kind::Kind;
use super::memory::{Guarded, Turns};
use super::turn::reconcile;
use crate::context::Context;
use crate::follow::{Followed, Subject, follow};
use crate::owner::OwnerKey;

/// Objects per page of a list: a policy may have a thousand rules.
const PAGE: u32 = 250;

/// The controller of a kind, until `stopped`. While the kind is not installed there is nothing to do, and nobody waits.
pub(crate) async fn control<K: Kind>(
    ctx: Arc<Context>,
    concurrency: u16,
    mut leading: watch::Receiver<bool>,
    stopped: watch::Receiver<bool>,
) {
    let turns = Arc::new(Turns::<K>::new(Arc::clone(&ctx)));
    let (reader, writer) = reflector::store::<Guarded<K>>();
    let seen = Arc::clone(&turns);
    let mut changes = Changes::new(reader.clone());
    let objects = events::<K>(Arc::clone(&ctx))
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
        .touched_objects();
    let requeued = stream::unfold(Arc::clone(&ctx), |ctx| async move {
        let key = ctx.requeue.next(K::KIND).await;
        let object = ObjectRef::new(&key.name);
        Some((if K::KIND.namespaced() { object.within(&key.namespace) } else { object }, ctx))
    });
    let everybody = stream::unfold(ctx.everybody(), |mut everybody| async move {
        everybody.changed().await.ok()?;
        Some(((), everybody))
    });
    let forget = Arc::clone(&turns);
    let idle = idle::<K>(ctx, stopped.clone());
    let work = Controller::for_stream(objects, reader)
        .with_config(controller::Config::default().concurrency(concurrency))
        .reconcile_on(requeued)
        .reconcile_all_on(stream::once(async move {
            // Not sent: the process ends.
            let _ = leading.wait_for(|leading| *leading).await;
        }))
        .reconcile_all_on(everybody)
        .graceful_shutdown_on(signalled(stopped))
        .run(reconcile::<K>, |_, never, _| -> Action { match *never {} }, turns)
        .for_each(move |result| {
            // An error of the watch was counted where it arose.
            if let Err(controller::Error::ObjectNotFound(gone)) = result {
                forget.forget(&OwnerKey::new(K::KIND, gone.namespace.unwrap_or_default(), gone.name));
            }
            std::future::ready(())
        });
    tokio::select! {
        () = work => {}
        () = idle => {}
    }
}

/// Ends at the signal to stop if the objects were never listed: kube's controller waits for the list, and nothing runs.
async fn idle<K: Kind>(ctx: Arc<Context>, stopped: watch::Receiver<bool>) {
    signalled(stopped).await;
    if ctx.listed(K::KIND) {
        std::future::pending::<()>().await;
    }
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
