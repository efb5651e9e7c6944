//! Puts the agent together: probes on the calling thread, then everything else on a small runtime, until a signal ends it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fleetscope_core::series;
use fleetscope_serve::{listen, serve};
use kube::Client;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::args::{Args, GrpcMode};
use crate::engine::handle::Handle;
use crate::engine::restart::Restart;
use crate::engine::{Changes, Engine, Settings};
use crate::http::App;
use crate::info::{Capabilities, Cgroups, Info, Limits, Probe, VERSION, check_text, kernel, probes_reason};
use crate::mounts::{Mounts, Paths};
use crate::probes::capabilities::{self, CapabilityError, Dropped, Held};
use crate::probes::memory::give_back;
use crate::probes::persist::PersistError;
use crate::probes::pin_folder;
use crate::probes::report::chain;
use crate::probes::{Options, Probes, Rpc};
use crate::readiness::{Part, Readiness};
use crate::sampling::Sampling;
use crate::{fleets, pods};

/// Threads of the runtime: one for the engine, one for HTTP and the watches.
const THREADS: usize = 2;
/// Most threads that read `/proc` or write scrapes at once; idle ones end after a while.
const BLOCKING_THREADS: usize = 6;
/// Most changes of one kind of object that wait for the engine; a watch that is faster waits.
const CHANGES_MAX: usize = 64;
/// Pause before the Kubernetes configuration is looked for again.
const CLIENT_PAUSE: Duration = Duration::from_secs(10);

/// Why the agent cannot run at all.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Nobody said which node this is.
    #[error("failed to tell which node this is: set NODE_NAME from spec.nodeName, or run with --standalone")]
    NoNodeName,
    /// The port is taken, or not this process' to take.
    #[error("failed to listen on {address}: choose another address with --listen")]
    Listen {
        /// As given.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The runtime or its signal handlers could not be made.
    #[error("failed to start the runtime")]
    Runtime(#[source] io::Error),
}

/// Loads and attaches every probe and says how that went; true if all that are required are attached.
pub fn check(args: Args) -> (bool, String) {
    let Parts { options, paths, .. } = Parts::from(args);
    let held = capabilities::read().unwrap_or_default();
    // What is left of an agent is not for one that only looks.
    let probes = Probes::load(&Options { persist: None, ..options });
    let cgroups = Cgroups::from(&Mounts::find(paths));
    let (ready, _) = probes_reason(probes.report());
    (ready, check_text(probes.report(), &Capabilities::new(held, held), &cgroups))
}

/// Removes what agents pinned in the folder of `--persist`, and says how much that was.
pub fn unpin(args: &Args) -> Result<String, PersistError> {
    let Some(folder) = &args.persist else { return Ok("nothing to remove: no --persist was given\n".to_owned()) };
    let removed = pin_folder::unpin(folder)?;
    Ok(format!("{removed} pins removed from {}\n", folder.display()))
}

/// Runs until SIGTERM or SIGINT.
pub fn run(args: Args) -> Result<(), AgentError> {
    let Parts { options, paths, node, namespaces, listen, keep_capabilities, settings, limits } = Parts::from(args);
    let standalone = paths.standalone;
    if node.is_empty() && !standalone {
        return Err(AgentError::NoNodeName);
    }
    let readiness = Arc::new(Readiness::new(standalone));
    let mounts = Mounts::find(paths);
    let before = capabilities::read().unwrap_or_default();
    let mut probes = Probes::load(&options);
    let (attached, reason) = probes_reason(probes.report());
    if attached {
        info!(kernel = kernel(), "Probes attached");
    } else {
        error!(kernel = kernel(), reason, "Probes are missing; the rest of the agent serves");
    }
    readiness.set(Part::Probes, attached, reason);
    let restart = Restart::take(&mut probes);
    let after = drop_capabilities(&mut probes, keep_capabilities, before);
    let info = Info {
        version: VERSION,
        node: node.clone(),
        mode: if standalone { "standalone" } else { "kubernetes" },
        kernel: kernel(),
        probes: probes.report().iter().map(Probe::from).collect(),
        capabilities: Capabilities::new(before, after),
        cgroups: Cgroups::from(&mounts),
        restart: restart.report.clone(),
        limits,
    };
    give_back();
    let node = (!standalone).then_some(node);
    // The runtime's threads begin with the capabilities of the thread that makes them: none, from here on.
    let runtime = runtime().map_err(AgentError::Runtime)?;
    let running = Running { listen, node, namespaces, readiness, info, mounts, probes, restart, settings };
    runtime.block_on(running.run())?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(THREADS)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("fleetscope")
        .enable_all()
        .build()
}

/// Gives up what is not needed once the probes are attached, and says what is held from now on.
fn drop_capabilities(probes: &mut Probes, keep: bool, before: Held) -> Held {
    if keep {
        return before;
    }
    let maps = probes.maps();
    match capabilities::drop_all(|| maps.is_none_or(|maps| maps.counters().is_ok())) {
        Ok(Dropped::All) => info!("Capabilities dropped"),
        Ok(Dropped::Kept) => info!("Capabilities kept: this kernel needs them to read maps (before 5.19)"),
        Err(error) => {
            let error: CapabilityError = error;
            warn!(%error, "Capabilities kept");
        }
    }
    capabilities::read().unwrap_or(before)
}

/// The options, by who needs them.
struct Parts {
    options: Options,
    paths: Paths,
    node: String,
    namespaces: Vec<String>,
    listen: std::net::SocketAddr,
    keep_capabilities: bool,
    settings: Settings,
    limits: Limits,
}

impl From<Args> for Parts {
    fn from(args: Args) -> Self {
        let Args {
            node_name,
            namespaces,
            pod_uid,
            listen,
            log_format: _,
            log_level: _,
            cgroup_root,
            proc_root,
            pod_root,
            standalone,
            check: _,
            runqueue,
            grpc,
            grpc_ring_bytes,
            persist,
            unpin: _,
            ring_bytes,
            series_grace,
            pending_timeout,
            max_series,
            max_series_per_fleet,
            keep_capabilities,
        } = args;
        let node = node_name.unwrap_or_default();
        let count = |count: u32| usize::try_from(count).expect("at least 32 bits");
        Self {
            options: Options {
                runqueue,
                rpc: match grpc {
                    GrpcMode::Auto => Rpc::Auto,
                    GrpcMode::Sockets => Rpc::Sockets,
                    GrpcMode::Syscalls => Rpc::Syscalls,
                    GrpcMode::Off => Rpc::Off,
                },
                ring_bytes,
                frames_bytes: grpc_ring_bytes,
                persist,
                ..Options::default()
            },
            paths: Paths { cgroup_root, proc_root, pod_root, pod_uid, standalone },
            listen,
            keep_capabilities,
            settings: Settings {
                node: node.clone(),
                standalone,
                runqueue,
                rpc: grpc != GrpcMode::Off,
                some_namespaces: !namespaces.is_empty(),
                series: series::Limits { per_metric_and_fleet: count(max_series_per_fleet), total: count(max_series) },
                series_grace,
                pending_timeout,
            },
            limits: Limits {
                ring_bytes,
                max_series,
                max_series_per_fleet,
                series_grace_seconds: series_grace.as_secs(),
                pending_timeout_seconds: pending_timeout.as_secs(),
            },
            node,
            namespaces,
        }
    }
}

/// What runs on the runtime.
struct Running {
    listen: std::net::SocketAddr,
    /// The node whose pods are watched; `None` without Kubernetes.
    node: Option<String>,
    /// The namespaces that are watched; all if none is named.
    namespaces: Vec<String>,
    readiness: Arc<Readiness>,
    info: Info,
    mounts: Mounts,
    probes: Probes,
    restart: Restart,
    settings: Settings,
}

impl Running {
    async fn run(self) -> Result<(), AgentError> {
        let Self { listen: address, node, namespaces, readiness, info, mounts, probes, restart, settings } = self;
        let listener = listen(address).map_err(|source| AgentError::Listen { address, source })?;
        let address = listener.local_addr().unwrap_or(address);
        let mut terminate = signal(SignalKind::terminate()).map_err(AgentError::Runtime)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(AgentError::Runtime)?;

        let (handle, questions) = Handle::new();
        let (pods_out, pods) = mpsc::channel(CHANGES_MAX);
        let (fleets_out, fleets) = mpsc::channel(CHANGES_MAX);
        let read_from = mounts.hierarchies.as_ref().ok().map(|found| (found.clone(), mounts.procfs.clone()));
        let (stop_http, http_stopping) = watch::channel(false);
        let (stop_engine, engine_stopping) = watch::channel(false);
        let engine = Engine::new(settings, probes, mounts, Arc::clone(&readiness), restart);
        let engine = tokio::spawn(engine.run(Changes { pods, fleets }, questions, engine_stopping));
        let app = App::new(handle, Sampling::new(read_from), Arc::clone(&readiness), info);
        let told = app.told();
        let http = tokio::spawn(serve(listener, app.router(), told, http_stopping));
        info!(%address, "Serving");
        let watches = node.map(|node| {
            tokio::spawn(async move {
                let client = client(&readiness).await;
                let pods = pods::follow(client.clone(), node, &namespaces, &readiness, pods_out);
                tokio::join!(pods, fleets::follow(client, &namespaces, &readiness, fleets_out))
            })
        });

        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!(signal = name, "Stopping");
        // The order: nothing new comes in; scrapes in flight are answered, with all that the kernel recorded; then the engine ends.
        if let Some(watches) = watches {
            watches.abort();
        }
        let _ = stop_http.send(true);
        let _ = http.await;
        let _ = stop_engine.send(true);
        let _ = engine.await;
        info!("Stopped");
        Ok(())
    }
}

/// A client of the API server, as soon as there is a configuration for one.
async fn client(readiness: &Readiness) -> Client {
    loop {
        let error = match Client::try_default().await {
            Ok(client) => return client,
            Err(error) => error,
        };
        // The error may quote the file, which holds credentials: it is for the log, not for whoever asks /readyz.
        let reason =
            "no way to the Kubernetes API: run as a pod with a service account, or set KUBECONFIG; the log says more";
        if readiness.set(Part::Pods, false, reason) {
            warn!(error = chain(&error), reason, "No Kubernetes client");
        }
        readiness.set(Part::Fleets, false, reason);
        tokio::time::sleep(CLIENT_PAUSE).await;
    }
}
