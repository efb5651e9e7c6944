//! The proxy itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use http::{Request, Response, StatusCode, header};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::{Client, Config};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use super::answer::Answer;
use super::{Asked, Fault, Plan};

/// Headers that belong to one connection, or that the other side has its own of.
const NOT_PASSED: [header::HeaderName; 5] =
    [header::HOST, header::AUTHORIZATION, header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH];

/// A proxy. It ends when this is dropped, and with it all of its connections.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    client: Client,
    plan: Mutex<Plan>,
    counts: Mutex<Counts>,
}

/// What passed.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Requests.
    pub requests: u64,
    /// Faults, by [`Fault::as_str`].
    pub faults: BTreeMap<&'static str, u64>,
}

/// Why a connection is closed.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("a fault that was asked for")]
    Fault,
    #[error("failed to read the request: {0}")]
    Read(#[from] hyper::Error),
    #[error("failed to write the request: {0}")]
    Request(#[from] http::Error),
    #[error("failed to reach the API server: {0}")]
    Upstream(#[from] kube::Error),
}

// === impl Proxy ===

impl Proxy {
    /// Starts one before the API server of `config`, as the user of `config`.
    pub async fn start(mut config: Config, plan: Plan) -> Result<Self> {
        // What the API server answers is passed on as it is.
        config.default_retry = false;
        let client = Client::try_from(config).context("failed to make a client for the proxy")?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("failed to listen")?;
        let address = listener.local_addr().context("failed to listen")?;
        let shared = Arc::new(Shared { client, plan: Mutex::new(plan), counts: Mutex::default() });
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, serving })
    }

    /// A kubeconfig, as JSON, of a client behind the proxy.
    pub fn kubeconfig(&self) -> String {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{ "name": "proxy", "cluster": { "server": format!("http://{}", self.address) } }],
            "users": [{ "name": "proxy", "user": {} }],
            "contexts": [{ "name": "proxy", "context": { "cluster": "proxy", "user": "proxy" } }],
        })
        .to_string()
    }

    /// What passed until now.
    pub fn counts(&self) -> Counts {
        self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this future, and then all connections are closed.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                    // One that the client closed, or a fault, ends with an error: that is what it is for.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

// === impl Shared ===

impl Shared {
    fn draw(&self, asked: &Asked) -> Option<Fault> {
        let fault = (self.plan.lock().unwrap_or_else(PoisonError::into_inner))(asked);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.requests += 1;
        if let Some(fault) = &fault {
            *counts.faults.entry(fault.as_str()).or_default() += 1;
        }
        fault
    }

    async fn pass(&self, head: http::request::Parts, body: Vec<u8>) -> Result<Response<kube::client::Body>, Closed> {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder().method(head.method).uri(path);
        for (name, value) in head.headers.iter().filter(|(name, _)| !NOT_PASSED.contains(name)) {
            request = request.header(name, value);
        }
        Ok(self.client.send(request.body(body.into())?).await?)
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Answer>, Closed> {
    let (head, body) = request.into_parts();
    let body = collect(body).await?;
    let asked = Asked {
        method: head.method.clone(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
    };
    let fault = shared.draw(&asked);
    match fault {
        Some(Fault::TooManyRequests) => Ok(Answer::failure(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests")),
        Some(Fault::Internal) => Ok(Answer::failure(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")),
        Some(Fault::Conflict) => Ok(Answer::failure(StatusCode::CONFLICT, "Conflict")),
        Some(Fault::Closed) => Err(Closed::Fault),
        Some(Fault::Silent) => std::future::pending().await,
        Some(Fault::DoneInternal) => {
            shared.pass(head, body).await?;
            Ok(Answer::failure(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"))
        }
        Some(Fault::DoneClosed) => {
            shared.pass(head, body).await?;
            Err(Closed::Fault)
        }
        Some(Fault::Expired(after)) => Ok(passed(shared.pass(head, body).await?, |body| Answer::expiring(body, after))),
        Some(Fault::Held(hold)) => Ok(passed(shared.pass(head, body).await?, |body| Answer::held(body, sleep(hold)))),
        Some(Fault::Barred(gate)) => {
            Ok(passed(shared.pass(head, body).await?, |body| Answer::held(body, gate.opened())))
        }
        None => Ok(passed(shared.pass(head, body).await?, Answer::Passed)),
    }
}

fn passed(response: Response<kube::client::Body>, body: impl FnOnce(kube::client::Body) -> Answer) -> Response<Answer> {
    let mut response = response.map(body);
    for name in NOT_PASSED {
        response.headers_mut().remove(name);
    }
    response
}

async fn collect(mut body: Incoming) -> Result<Vec<u8>, hyper::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kube::config::{KubeConfigOptions, Kubeconfig};

    use super::*;

    /// A client behind a proxy where every request has this fault, and no API server.
    async fn client(fault: Fault) -> (Proxy, Client) {
        let nowhere = Config::new("http://127.0.0.1:1".parse().unwrap());
        let proxy = Proxy::start(nowhere, Box::new(move |_| Some(fault.clone()))).await.unwrap();
        let kubeconfig = Kubeconfig::from_yaml(&proxy.kubeconfig()).unwrap();
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        config.default_retry = false;
        let client = Client::try_from(config).unwrap();
        (proxy, client)
    }

    async fn ask(client: &Client) -> Result<String, kube::Error> {
        client.request_text(Request::get("/version").body(Vec::new()).unwrap()).await
    }

    #[tokio::test]
    async fn a_status_is_what_the_api_server_would_say() {
        let faults = [(Fault::TooManyRequests, 429), (Fault::Internal, 500), (Fault::Conflict, 409)];
        for (fault, code) in faults {
            let (proxy, client) = client(fault.clone()).await;
            let Err(kube::Error::Api(status)) = ask(&client).await else { panic!("{fault:?} is no status") };
            assert_eq!(status.code, code);
            assert_eq!(proxy.counts().faults, BTreeMap::from([(fault.as_str(), 1)]));
        }
    }

    #[tokio::test]
    async fn a_closed_connection_is_no_answer_and_silence_lasts() {
        let (_proxy, closed) = client(Fault::Closed).await;
        assert!(!matches!(ask(&closed).await, Ok(_) | Err(kube::Error::Api(_))));
        let (_proxy, silent) = client(Fault::Silent).await;
        let waited = tokio::time::timeout(Duration::from_millis(200), ask(&silent)).await;
        assert!(waited.is_err(), "{waited:?}");
    }
}
