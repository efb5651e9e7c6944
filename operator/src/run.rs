//! Puts the parts together, and takes them apart in order.
//!
//! One part that ends takes the process with it: half an operator is worse than none, for nobody would restart it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fleetscope_core::resources::{ChildKind, Site};
use futures::{Future, StreamExt as _, stream};
use kube::runtime::controller::{self, Action};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{Controller, WatchStreamExt as _, watcher as watch_objects};
use kube::{Api, ResourceExt as _};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::args::RunArgs;
use crate::clock;
use crate::context::{Context, lock};
use crate::controllers::agent_fleet::{Guarded, reconcile};
use crate::leader::{Elector, Gate, Lost};
use crate::requeue::FleetKey;
use crate::server::{self, Health, ServerError};
use crate::{children, deadline, pods};

/// How long reconciles may go on after the signal to stop. Below Kubernetes' 30 s, and below the lease's deadline.
const DRAIN: Duration = Duration::from_secs(8);

/// Why the operator ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No API server is configured.
    #[error("failed to find the API server: {0}")]
    Client(#[source] kube::Error),
    /// Leadership was lost.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The HTTP server failed.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A part ended that never ends.
    #[error("failed to keep {part} running: it ended")]
    Ended {
        /// Which.
        part: &'static str,
    },
    /// A part panicked.
    #[error("failed to keep a part running: {0}")]
    Panicked(#[source] tokio::task::JoinError),
}

/// Runs until `stop`, or until something fails.
pub async fn run(args: RunArgs, stop: impl Future<Output = ()>) -> Result<(), RunError> {
    let site = Site { namespace: args.pod_namespace.clone(), monitor_labels: args.monitor_labels() };
    let RunArgs {
        listen,
        pod_name,
        pod_namespace,
        lease,
        concurrency,
        resync,
        log_level: _,
        log_format: _,
        monitor_label: _,
    } = args;
    let gate = Arc::new(Gate::default());
    let client = deadline::client(Some(Arc::clone(&gate))).await.map_err(RunError::Client)?;
    // The lease is written while this process does not lead, too.
    let elections = deadline::client(None).await.map_err(RunError::Client)?;
    let ctx = Arc::new(Context::new(client, site, resync, &pod_name, Arc::clone(&gate)));
    let elector = Arc::new(Elector::new(elections, &pod_namespace, &lease, &pod_name, gate));
    let listed = Arc::new(AtomicBool::new(false));
    let (stopping, stopped) = watch::channel(false);
    let (won, leading) = oneshot::channel();

    let listener = server::listen(listen).await?;
    tracing::info!(address = %listener.local_addr().unwrap_or(listen), version = env!("CARGO_PKG_VERSION"), "Operator started");
    let mut parts: JoinSet<Result<&'static str, RunError>> = JoinSet::new();
    let health = Health { ctx: Arc::clone(&ctx), elector: Arc::clone(&elector), listed: Arc::clone(&listed) };
    let http = server::serve(listener, health, signalled(stopped.clone()));
    parts.spawn(async move { http.await.map(|()| "the HTTP server").map_err(RunError::from) });
    for kind in ChildKind::ALL {
        let watch = children::watch(Arc::clone(&ctx), kind);
        parts.spawn(async move {
            watch.await;
            Ok("the watch of children")
        });
    }
    let watch = pods::watch(Arc::clone(&ctx));
    parts.spawn(async move {
        watch.await;
        Ok("the watch of pods")
    });
    let election = {
        let (ctx, elector) = (Arc::clone(&ctx), Arc::clone(&elector));
        async move {
            let won = || {
                ctx.metrics.leading();
                // The controller that would hear it may have ended: then the process ends.
                let _ = won.send(());
            };
            Err(RunError::Lost(elector.run(won).await))
        }
    };
    parts.spawn(election);
    let work = control(Arc::clone(&ctx), concurrency, leading, listed, signalled(stopped));
    let mut work = tokio::spawn(work);

    tokio::select! {
        () = stop => {}
        ended = &mut work => return Err(ended.map_or_else(RunError::Panicked, |()| RunError::Ended { part: "the controller" })),
        Some(ended) = parts.join_next() => {
            return Err(match ended {
                Ok(Ok(part)) => RunError::Ended { part },
                Ok(Err(error)) => error,
                Err(error) => RunError::Panicked(error),
            });
        }
    }
    tracing::info!("Stopping");
    // Nobody is left to hear it when all parts ended.
    let _ = stopping.send(true);
    if tokio::time::timeout(DRAIN, &mut work).await.is_err() {
        tracing::warn!(after_s = DRAIN.as_secs(), "Reconciles cut off");
        work.abort();
    }
    elector.release().await;
    parts.shutdown().await;
    Ok(())
}

async fn signalled(mut stopped: watch::Receiver<bool>) {
    // The sender goes away when the process ends: the same.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// The controller, until `stop`.
async fn control(
    ctx: Arc<Context>,
    concurrency: u16,
    leading: oneshot::Receiver<()>,
    listed: Arc<AtomicBool>,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) {
    let (reader, writer) = reflector::store::<Guarded>();
    let (seen, counted) = (Arc::clone(&ctx), Arc::clone(&ctx));
    let fleets = watch_objects(Api::<Guarded>::all(ctx.client.clone()), watcher::Config::default())
        .default_backoff()
        .modify(prune)
        .inspect(move |event| match event {
            Ok(event) => note(&seen, &listed, event),
            Err(error) => counted.metrics.watch_error("AgentFleet", error),
        })
        .reflect(writer)
        .touched_objects();
    let requeued = stream::unfold(Arc::clone(&ctx), |ctx| async move {
        let key = ctx.requeue.next().await;
        Some((ObjectRef::new(&key.name).within(&key.namespace), ctx))
    });
    let forget = Arc::clone(&ctx);
    Controller::for_stream(fleets, reader)
        .with_config(controller::Config::default().concurrency(concurrency))
        .reconcile_on(requeued)
        .reconcile_all_on(stream::once(async move {
            // Not sent: the process ends.
            let _ = leading.await;
        }))
        .graceful_shutdown_on(stop)
        .run(reconcile, |_, never, _| -> Action { match *never {} }, ctx)
        .for_each(move |result| {
            // An error of the watch was counted where it arose.
            if let Err(controller::Error::ObjectNotFound(gone)) = result {
                forget.forget(&FleetKey::new(gone.namespace.unwrap_or_default(), gone.name));
            }
            std::future::ready(())
        })
        .await;
}

/// Who changed what when is of no use here, and the larger part of an object.
fn prune(fleet: &mut Guarded) {
    fleet.managed_fields_mut().clear();
}

/// Notes when a generation arrived, for the lag, and that all fleets were listed.
fn note(ctx: &Context, listed: &AtomicBool, event: &Event<Guarded>) {
    match event {
        Event::Apply(fleet) | Event::InitApply(fleet) => {
            let key = FleetKey::new(fleet.namespace().unwrap_or_default(), fleet.name_any());
            let generation = kube::Resource::meta(fleet).generation.unwrap_or_default();
            let mut memory = lock(&ctx.memory);
            let memory = memory.entry(key).or_default();
            if memory.arrived.is_none_or(|(known, _)| known != generation) {
                memory.arrived = Some((generation, clock::now()));
                memory.counted = false;
            }
        }
        Event::InitDone => listed.store(true, Ordering::Release),
        Event::Init | Event::Delete(_) => {}
    }
}
