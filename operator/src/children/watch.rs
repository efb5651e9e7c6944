//! The watches: of a kind's definition, and, while that is there, of its objects with our label.

use std::sync::Arc;
use std::time::Duration;

use fleetscope_core::resources::{ChildKind, MANAGED_BY, MANAGER};
use futures::StreamExt as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_objects};
use kube::{Api, Resource as _};
use tokio::task::JoinHandle;

use super::Availability;
use crate::context::{Context, lock};

/// A definition is served within fractions of a second after it appears; until then its objects are not found.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(30);

/// The watch of a kind's objects; ends with its owner.
#[derive(Default)]
struct Objects(Option<JoinHandle<()>>);

/// Follows one kind for ever.
pub async fn watch(ctx: Arc<Context>, kind: ChildKind) {
    let Some(definition) = kind.crd() else {
        turn(&ctx, kind, &Availability::Starting);
        return objects(ctx, kind).await;
    };
    let api = Api::<PartialObjectMeta<CustomResourceDefinition>>::all(ctx.client.clone());
    let config = watcher::Config::default().fields(&format!("metadata.name={definition}"));
    let mut stream = std::pin::pin!(watch_objects(api, config).backoff(retry()));
    let (mut running, mut listed) = (Objects::default(), false);
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Init) => listed = false,
            Ok(Event::InitApply(crd) | Event::Apply(crd)) => {
                listed = true;
                // One that is being deleted serves nothing new, and its objects go.
                if crd.meta().deletion_timestamp.is_some() {
                    running.stop(&ctx, kind).await;
                } else {
                    running.start(&ctx, kind);
                }
            }
            Ok(Event::Delete(_)) => running.stop(&ctx, kind).await,
            Ok(Event::InitDone) if !listed => running.stop(&ctx, kind).await,
            Ok(Event::InitDone) => {}
            Err(error) => {
                ctx.metrics.watch_error("CustomResourceDefinition", &error);
                if ctx.children.availability(kind) == Availability::Unknown {
                    turn(&ctx, kind, &Availability::Failing(format!("its definition cannot be watched: {error}")));
                }
            }
        }
    }
}

async fn objects(ctx: Arc<Context>, kind: ChildKind) {
    let api = Api::<DynamicObject>::all_with(ctx.client.clone(), &super::api_resource(kind));
    let config = watcher::Config::default().labels(&format!("{MANAGED_BY}={MANAGER}"));
    let mut stream = std::pin::pin!(watch_objects(api, config).backoff(retry()));
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => {
                let done = matches!(event, Event::InitDone);
                let fleets = lock(ctx.children.state(kind)).store.handle(event);
                ctx.requeue.push(fleets);
                if done {
                    turn(&ctx, kind, &Availability::Ready);
                }
            }
            Err(error) => {
                ctx.metrics.watch_error(kind.as_str(), &error);
                let seen = ctx.children.availability(kind) == Availability::Ready;
                if !seen && !not_found(&error) {
                    turn(&ctx, kind, &Availability::Failing(format!("its objects cannot be watched: {error}")));
                }
            }
        }
    }
}

// === impl Objects ===

impl Objects {
    fn start(&mut self, ctx: &Arc<Context>, kind: ChildKind) {
        if self.0.is_none() {
            turn(ctx, kind, &Availability::Starting);
            self.0 = Some(tokio::spawn(objects(Arc::clone(ctx), kind)));
        }
    }

    async fn stop(&mut self, ctx: &Context, kind: ChildKind) {
        if let Some(running) = self.0.take() {
            running.abort();
            // It has said its last word when it is joined; whether it ended or was stopped is the same.
            let _ = running.await;
        }
        turn(ctx, kind, &Availability::Absent);
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            running.abort();
        }
    }
}

/// Notes what became of a kind; every fleet looks again, for `Auto` may now mean another kind.
fn turn(ctx: &Context, kind: ChildKind, to: &Availability) {
    if ctx.children.set(kind, to) {
        tracing::info!(kind = kind.as_str(), state = ?to, "Kind of children changed its state");
        ctx.metrics.available(kind, *to == Availability::Ready);
        ctx.requeue.push(lock(&ctx.fleets).all());
    }
}

fn not_found(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 404,
        _ => false,
    }
}

/// Doubles from [`RETRY_FIRST`] to [`RETRY_LONGEST`].
struct Retry(Duration);

fn retry() -> Retry {
    Retry(RETRY_FIRST)
}

// === impl Retry ===

impl Iterator for Retry {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.0;
        self.0 = (wait * 2).min(RETRY_LONGEST);
        Some(wait)
    }
}

impl Backoff for Retry {
    fn reset(&mut self) {
        *self = retry();
    }
}
