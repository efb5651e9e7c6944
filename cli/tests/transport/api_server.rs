//! A real HTTP server on loopback with the paths of an API server that the program uses. It stands in for the transport
//! only: what the answers mean is tested against a real cluster in `tests/e2e`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::watch;

/// Numbers the kubeconfigs of one test process.
static SERVERS: AtomicUsize = AtomicUsize::new(0);

/// How a pod behind the proxy answers.
#[derive(Clone)]
pub(crate) enum Answer {
    /// With this text, whatever the path.
    Text(String),
    /// With one of these texts after the other, whatever the path; the last one stays.
    InTurn(Vec<String>),
    /// With a text per path, 404 for others.
    Paths(BTreeMap<&'static str, String>),
    /// The API server cannot reach it.
    Refused,
    /// Never.
    Hangs,
    /// As soon as this many requests have waited at the same time.
    TogetherWith(usize, String),
}

/// What the server knows.
#[derive(Clone, Default)]
pub(crate) struct World {
    /// Pods by label `component`, as objects.
    pub(crate) pods: Vec<Value>,
    /// Fleets as objects.
    pub(crate) fleets: Vec<Value>,
    /// Answers by pod name.
    pub(crate) answers: BTreeMap<String, Answer>,
    /// Listing pods of all namespaces is forbidden.
    pub(crate) forbid_all: bool,
    /// Listing pods in any one namespace is forbidden.
    pub(crate) forbid_namespaces: bool,
    /// The proxy is forbidden.
    pub(crate) forbid_proxy: bool,
}

struct Shared {
    world: World,
    waiting: AtomicUsize,
    open: watch::Sender<bool>,
    most_waiting: AtomicUsize,
    queries: std::sync::Mutex<Vec<String>>,
}

/// A server that lives until it is dropped, and its kubeconfig.
pub(crate) struct ApiServer {
    kubeconfig: PathBuf,
    shared: Arc<Shared>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl ApiServer {
    /// Starts a server on a free port.
    pub(crate) fn start(world: World) -> Self {
        let shared = Arc::new(Shared {
            world,
            waiting: AtomicUsize::new(0),
            open: watch::Sender::new(false),
            most_waiting: AtomicUsize::new(0),
            queries: std::sync::Mutex::default(),
        });
        let app = Router::new()
            .route("/api/v1/pods", get(all_pods))
            .route("/api/v1/namespaces/{namespace}/pods", get(pods_of))
            .route("/api/v1/namespaces/{namespace}/pods/{pod}/proxy/{*path}", get(proxy))
            .route("/apis/fleetscope.io/v1alpha1/agentfleets", get(fleets))
            .route("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}", get(lease))
            .with_state(Arc::clone(&shared));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (send, port) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
                send.send(listener.local_addr().expect("an address").port()).expect("the test waits");
                tokio::select! {
                    served = axum::serve(listener, app) => served.expect("to serve"),
                    _ = stopped => {}
                }
            });
        });
        let port = port.recv().expect("the server starts");
        let number = SERVERS.fetch_add(1, Ordering::Relaxed);
        let kubeconfig = std::env::temp_dir().join(format!("fleetscope-cli-test-{}-{number}", std::process::id()));
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
            "users": [{"name": "test", "user": {}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "team-a"}}],
        });
        fs::write(&kubeconfig, config.to_string()).expect("to write a kubeconfig");
        Self { kubeconfig, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// The program with arguments, not started yet.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetscope"));
        command.args(line.split_whitespace()).arg("--kubeconfig").arg(&self.kubeconfig);
        command.env_remove("FLEETSCOPE_SYSTEM_NAMESPACE").env_remove("CLICOLOR_FORCE");
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, line: &str) -> Output {
        self.command(line).output().expect("the program starts")
    }

    /// Most requests that waited for an answer of a pod at the same time.
    pub(crate) fn most_waiting(&self) -> usize {
        self.shared.most_waiting.load(Ordering::SeqCst)
    }

    /// Paths and queries that pods were asked for.
    pub(crate) fn queries(&self) -> Vec<String> {
        self.shared.queries.lock().expect("no panic under the lock").clone()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        drop(fs::remove_file(&self.kubeconfig));
    }
}

/// A node agent's or operator's pod that runs.
pub(crate) fn pod(component: &str, namespace: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("{component}-{node}"), "namespace": namespace,
            "labels": {"app.kubernetes.io/name": "fleetscope", "app.kubernetes.io/component": component},
        },
        "spec": {"nodeName": node, "containers": [{"name": component, "image": "fleetscope/x:0.1.0",
            "ports": [{"name": "metrics", "containerPort": 12345}]}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

fn status(code: StatusCode, reason: &str, message: &str) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16()});
    (code, [("content-type", "application/json")], body.to_string()).into_response()
}

fn list(kind: &str, items: &[Value]) -> Response {
    let body = json!({"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items});
    ([("content-type", "application/json")], body.to_string()).into_response()
}

fn selected(world: &World, namespace: Option<&str>, query: Option<&str>) -> Response {
    let pods: Vec<Value> = world
        .pods
        .iter()
        .filter(|pod| {
            let component = pod["metadata"]["labels"]["app.kubernetes.io/component"].as_str().unwrap_or_default();
            query.is_some_and(|query| query.contains(component))
                && namespace.is_none_or(|namespace| pod["metadata"]["namespace"] == namespace)
        })
        .cloned()
        .collect();
    list("PodList", &pods)
}

async fn all_pods(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    if shared.world.forbid_all {
        return status(
            StatusCode::FORBIDDEN,
            "Forbidden",
            "pods is forbidden: User \"u\" cannot list resource \"pods\"",
        );
    }
    selected(&shared.world, None, query.as_deref())
}

async fn pods_of(
    State(shared): State<Arc<Shared>>,
    Path(namespace): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    if shared.world.forbid_namespaces {
        return status(
            StatusCode::FORBIDDEN,
            "Forbidden",
            "pods is forbidden: User \"u\" cannot list resource \"pods\"",
        );
    }
    selected(&shared.world, Some(&namespace), query.as_deref())
}

async fn fleets(State(shared): State<Arc<Shared>>) -> Response {
    list("AgentFleetList", &shared.world.fleets)
}

async fn lease() -> Response {
    status(StatusCode::FORBIDDEN, "Forbidden", "leases.coordination.k8s.io is forbidden")
}

async fn proxy(
    State(shared): State<Arc<Shared>>,
    Path((_, pod, path)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    shared.queries.lock().expect("no panic under the lock").push(format!("{pod}/{path}{query}"));
    if shared.world.forbid_proxy {
        return status(
            StatusCode::FORBIDDEN,
            "Forbidden",
            "pods is forbidden: User \"u\" cannot get resource \"pods/proxy\"",
        );
    }
    let Some((name, "12345")) = pod.split_once(':') else {
        return status(StatusCode::BAD_REQUEST, "BadRequest", "the port is that of the pod's container");
    };
    match shared.world.answers.get(name) {
        Some(Answer::Text(text)) => text.clone().into_response(),
        Some(Answer::InTurn(texts)) => {
            let queries = shared.queries.lock().expect("no panic under the lock");
            let turn = queries.iter().filter(|query| query.starts_with(&format!("{pod}/"))).count();
            texts[turn.min(texts.len()) - 1].clone().into_response()
        }
        Some(Answer::Paths(paths)) => match paths.get(path.as_str()) {
            Some(text) => text.clone().into_response(),
            None => (StatusCode::NOT_FOUND, "there is nothing here\n").into_response(),
        },
        Some(Answer::Hangs) => std::future::pending().await,
        Some(Answer::TogetherWith(others, text)) => {
            let waiting = shared.waiting.fetch_add(1, Ordering::SeqCst) + 1;
            shared.most_waiting.fetch_max(waiting, Ordering::SeqCst);
            if waiting >= *others {
                shared.open.send_replace(true);
            }
            // Once that many have met, nobody waits any more: the last ones are fewer.
            let mut open = shared.open.subscribe();
            drop(open.wait_for(|open| *open).await.expect("the sender lives"));
            shared.waiting.fetch_sub(1, Ordering::SeqCst);
            text.clone().into_response()
        }
        Some(Answer::Refused) | None => {
            let message = "error trying to reach service: dial tcp 10.0.0.1:12345: connect: connection refused";
            status(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
        }
    }
}
