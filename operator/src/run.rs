//! Puts the parts together, and takes them apart in order.
//!
//! One part that ends takes the process with it: half an operator is worse than none, for nobody would restart it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fleetscope_core::resources::{ChildKind, Site};
use fleetscope_core::selected::WorkloadKind;
use futures::Future;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::args::RunArgs;
use crate::backoff::Backoffs;
use crate::clock;
use crate::context::Context;
use crate::controllers::{Alerts, ClusterAlerts, Fleet, Prices, Scrape, control};
use crate::leader::{Elector, Gate, Lost};
use crate::metrics::Outcome;
use crate::scope::Scope;
use crate::server::{self, Health};
use crate::{children, deadline, installation, namespaces, pods, workloads};

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
    /// The address is not free, or not ours.
    #[error("failed to listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
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

/// What runs beside the controllers, and says which it was when it ends.
type Parts = JoinSet<Result<&'static str, RunError>>;

/// Runs until `stop`, or until something fails.
pub async fn run(args: RunArgs, stop: impl Future<Output = ()>) -> Result<(), RunError> {
    let site = Site {
        namespace: args.pod_namespace.clone(),
        monitor_labels: args.monitor_labels(),
        sidecar: args.grafana_sidecar,
        grafana_labels: args.grafana_labels(),
    };
    let RunArgs {
        listen,
        pod_name,
        pod_namespace,
        lease,
        namespaces,
        concurrency,
        resync,
        default_policy,
        log_level: _,
        log_format: _,
        monitor_label: _,
        grafana_sidecar: _,
        grafana_label: _,
    } = args;
    let gate = Arc::new(Gate::default());
    let client = deadline::client(Some(Arc::clone(&gate))).await.map_err(RunError::Client)?;
    // The lease is written while this process does not lead, too.
    let elections = deadline::client(None).await.map_err(RunError::Client)?;
    let scope = Scope::new(&namespaces, &pod_namespace);
    let namespaces_watched = scope.to_string();
    let ctx = Arc::new(Context::new(client, site, scope, resync, concurrency, &pod_name, Arc::clone(&gate)));
    let elector = Arc::new(Elector::new(elections, &pod_namespace, &lease, &pod_name, gate));
    let (stopping, stopped) = watch::channel(false);
    let (won, leading) = watch::channel(false);

    let listener = fleetscope_serve::listen(listen).map_err(|source| RunError::Listen { address: listen, source })?;
    tracing::info!(address = %listener.local_addr().unwrap_or(listen), namespaces = namespaces_watched, version = env!("CARGO_PKG_VERSION"), "Operator started");
    let mut parts = Parts::new();
    let health = Health { ctx: Arc::clone(&ctx), elector: Arc::clone(&elector) };
    let http = server::serve(listener, health, stopped.clone());
    parts.spawn(async move {
        http.await;
        Ok("the HTTP server")
    });
    for kind in ChildKind::ALL {
        let watch = children::watch(Arc::clone(&ctx), kind);
        parts.spawn(async move {
            watch.await;
            Ok("the watch of children")
        });
    }
    for kind in WorkloadKind::ALL {
        let watch = workloads::watch(Arc::clone(&ctx), kind);
        parts.spawn(async move {
            watch.await;
            Ok("the watch of workloads")
        });
    }
    let (pods, namespaces) = (pods::watch(Arc::clone(&ctx)), namespaces::watch(Arc::clone(&ctx)));
    parts.spawn(async move {
        pods.await;
        Ok("the watch of pods")
    });
    parts.spawn(async move {
        namespaces.await;
        Ok("the watch of namespaces")
    });
    let election = {
        let (ctx, elector) = (Arc::clone(&ctx), Arc::clone(&elector));
        async move {
            let won = || {
                ctx.metrics.leading();
                // The controllers that would hear it may have ended: then the process ends.
                let _ = won.send(true);
            };
            Err(RunError::Lost(elector.run(won).await))
        }
    };
    parts.spawn(election);
    let installed = install(Arc::clone(&ctx), default_policy, leading.clone());
    parts.spawn(async move {
        installed.await;
        Ok("the policy of the installation")
    });
    let mut work = tokio::spawn(control_all(Arc::clone(&ctx), leading, stopped));

    until(stop, &mut work, &mut parts).await?;
    tracing::info!("Stopping");
    // Nobody is left to hear it when all parts ended.
    let _ = stopping.send(true);
    ctx.places.close();
    if tokio::time::timeout(DRAIN, &mut work).await.is_err() {
        tracing::warn!(after_s = DRAIN.as_secs(), "Reconciles cut off");
        work.abort();
    }
    elector.release().await;
    parts.shutdown().await;
    Ok(())
}

/// Waits for the signal to stop. A part, or the work, that ends before is an error, however it ended.
async fn until(stop: impl Future<Output = ()>, work: &mut JoinHandle<()>, parts: &mut Parts) -> Result<(), RunError> {
    tokio::select! {
        () = stop => Ok(()),
        ended = work => Err(ended.map_or_else(RunError::Panicked, |()| RunError::Ended { part: "a controller" })),
        Some(ended) = parts.join_next() => Err(match ended {
            Ok(Ok(part)) => RunError::Ended { part },
            Ok(Err(error)) => error,
            Err(error) => RunError::Panicked(error),
        }),
    }
}

/// All controllers, until `stopped`, or until one of them ends by itself.
async fn control_all(ctx: Arc<Context>, leading: watch::Receiver<bool>, stopped: watch::Receiver<bool>) {
    let mut controllers = JoinSet::new();
    macro_rules! start {
        ($($kind:ty),*) => {
            $(controllers.spawn(control::<$kind>(Arc::clone(&ctx), leading.clone(), stopped.clone()));)*
        };
    }
    start!(Fleet, Scrape, Alerts, ClusterAlerts, Prices);
    // One that panicked, or ended though nobody asked it to, ends them all.
    while let Some(ended) = controllers.join_next().await {
        if ended.is_err() || !*stopped.borrow() {
            return;
        }
    }
}

/// Puts the policy of the installation in place when this process leads, and tries until it is.
async fn install(ctx: Arc<Context>, file: Option<PathBuf>, mut leading: watch::Receiver<bool>) {
    // Not sent: the process ends.
    let _ = leading.wait_for(|leading| *leading).await;
    let mut backoffs = Backoffs::default();
    while ctx.gate.open(clock::now()) {
        match installation::install(&ctx.client, file.as_deref()).await {
            Ok(()) => {
                ctx.metrics.installed(Outcome::Ok);
                break;
            }
            Err(error) => {
                ctx.metrics.installed(Outcome::Error);
                let wait = backoffs.failed((), clock::random());
                tracing::warn!(%error, wait_s = wait.as_secs_f32(), "Policy of the installation not in place");
                tokio::time::sleep(wait).await;
            }
        }
    }
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    /// What ends the operator when this is its elector.
    async fn with(elector: impl Future<Output = Result<&'static str, RunError>> + Send + 'static) -> RunError {
        let mut parts = Parts::new();
        parts.spawn(pending());
        parts.spawn(elector);
        let mut work = tokio::spawn(pending());
        let ended = tokio::time::timeout(Duration::from_secs(10), until(pending(), &mut work, &mut parts)).await;
        ended.expect("it ends").expect_err("nobody asked it to stop")
    }

    #[tokio::test]
    async fn check_08_an_elector_that_panics_or_loses_ends_the_operator() {
        let panics = with(async { panic!("the elector panics") }).await;
        assert!(matches!(&panics, RunError::Panicked(error) if error.is_panic()), "{panics}");
        let lost = with(async { Err(RunError::Lost(Lost { lease: "ns/lease".to_owned() })) }).await;
        assert!(lost.to_string().contains("ns/lease"), "{lost}");
        let ends = with(async { Ok("the elector") }).await;
        assert!(matches!(ends, RunError::Ended { part: "the elector" }), "{ends}");
    }

    #[tokio::test]
    async fn a_controller_that_panics_ends_the_operator() {
        let mut work = tokio::spawn(async { panic!("a controller panics") });
        let ended = until(pending(), &mut work, &mut Parts::new()).await;
        assert!(matches!(ended, Err(RunError::Panicked(_))), "{ended:?}");
        let mut work = tokio::spawn(async {});
        let ended = until(pending(), &mut work, &mut Parts::new()).await;
        assert!(matches!(ended, Err(RunError::Ended { part: "a controller" })), "{ended:?}");
    }

    #[tokio::test]
    async fn the_signal_to_stop_is_no_error() {
        let mut work = tokio::spawn(pending());
        until(async {}, &mut work, &mut Parts::new()).await.unwrap();
    }
}
