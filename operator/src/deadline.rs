//! What lies between a decision to write and the write: a request that is not answered is given up, so that one object's silence does not
//! take a place among the reconciles for ever; and one that has not left yet when this process leads no more is dropped.
//!
//! The limit is the time between the end of a leader's right to write and the moment when another may lead: what this process began
//! to write while it led is over before somebody else writes. It is for one object's requests. A list may take as
//! long as it is, and a watch ends by itself (the API server is asked to end it after 290 s).

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Future;
use http::{Method, Request, Response};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::{BoxError, Layer, Service};

use crate::clock;
use crate::leader::{Gate, LEASE, RENEW_DEADLINE};

/// How long an answer is waited for, tries again after 429 included.
pub const ANSWER: Duration = LEASE.saturating_sub(RENEW_DEADLINE);

/// There was no answer in time.
#[derive(Debug, thiserror::Error)]
#[error("failed to get an answer within {} s", ANSWER.as_secs())]
pub struct NoAnswer;

/// This process does not lead any more.
#[derive(Debug, thiserror::Error)]
#[error("failed to write: this process does not lead any more")]
pub struct NotLeading;

/// Limits the requests of a client.
#[derive(Clone, Debug)]
struct Deadline {
    gate: Option<Arc<Gate>>,
}

/// A service whose requests are limited.
#[derive(Clone, Debug)]
struct Limited<S> {
    inner: S,
    gate: Option<Arc<Gate>>,
}

/// The client of the environment: of the pod, or of `KUBECONFIG`. With a gate it writes only while that is open.
pub async fn client(gate: Option<Arc<Gate>>) -> Result<Client, kube::Error> {
    let config = Config::infer().await.map_err(kube::Error::InferConfig)?;
    Ok(ClientBuilder::try_from(config)?.with_layer(&Deadline { gate }).build())
}

/// Whether a request watches or lists, by its parameters.
fn lasts<B>(request: &Request<B>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() == Method::GET
        && query.split('&').any(|pair| pair.starts_with("watch=") || pair.starts_with("limit="))
}

// === impl Deadline ===

impl<S> Layer<S> for Deadline {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Limited { inner, gate: self.gate.clone() }
    }
}

// === impl Limited ===

impl<S, B> Service<Request<Body>> for Limited<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let lasts = lasts(&request);
        let gate = self.gate.clone().filter(|_| request.method() != Method::GET);
        let mut answer = Box::pin(self.inner.call(request));
        // Asked at each step, a connection that is made or a wait before it is tried again: a process that slept in between drops the request.
        let fenced = poll_fn(move |cx| {
            if gate.as_ref().is_some_and(|gate| !gate.open(clock::now())) {
                return Poll::Ready(Err(NotLeading.into()));
            }
            answer.as_mut().poll(cx).map_err(Into::into)
        });
        Box::pin(async move {
            if lasts {
                return fenced.await;
            }
            tokio::time::timeout(ANSWER, fenced).await.map_err(|_| NoAnswer)?
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// A service that never answers.
    #[derive(Clone)]
    struct Silent;

    impl Service<Request<Body>> for Silent {
        type Response = Response<()>;
        type Error = BoxError;
        type Future = std::future::Pending<Result<Response<()>, BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            std::future::pending()
        }
    }

    /// Sends a request as kube's client does: when the service is ready.
    async fn send<S: Service<Request<Body>>>(service: &mut S, request: Request<Body>) -> S::Future {
        assert!(poll_fn(|cx| service.poll_ready(cx)).await.is_ok());
        service.call(request)
    }

    async fn ask(path: &str) -> String {
        let request = Request::get(path).body(Body::empty()).unwrap();
        // Longer than the limit: the clock of these tests jumps to the next thing that is due.
        let answer = send(&mut Deadline { gate: None }.layer(Silent), request).await;
        match tokio::time::timeout(ANSWER * 100, answer).await {
            Ok(answer) => answer.unwrap_err().to_string(),
            Err(_) => "waits".to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_object_is_waited_for_as_long_as_nobody_else_can_lead() {
        assert_eq!(ask("/api/v1/namespaces/a/configmaps/b").await, "failed to get an answer within 5 s");
        assert_eq!(ask("/api/v1/namespaces/a/configmaps/b?fieldManager=x").await, "failed to get an answer within 5 s");
    }

    #[tokio::test(start_paused = true)]
    async fn lists_and_watches_take_as_long_as_they_take() {
        assert_eq!(ask("/api/v1/pods?limit=500").await, "waits");
        assert_eq!(ask("/api/v1/pods?allowWatchBookmarks=true&watch=true").await, "waits");
    }

    #[tokio::test]
    async fn a_write_that_waits_is_dropped_when_leadership_goes_and_a_read_is_not() {
        let gate = Arc::new(Gate::default());
        let mut service = Deadline { gate: Some(Arc::clone(&gate)) }.layer(Silent);
        let request = |method| Request::builder().method(method).uri("/api/v1/x").body(Body::empty()).unwrap();
        gate.renewed(clock::now());
        let mut write = send(&mut service, request(Method::PATCH)).await;
        let mut read = send(&mut service, request(Method::GET)).await;
        assert!((&mut write).now_or_never().is_none());
        assert!((&mut read).now_or_never().is_none());
        gate.close();
        let error = (&mut write).now_or_never().expect("it waits no more").unwrap_err();
        assert_eq!(error.to_string(), "failed to write: this process does not lead any more");
        assert!((&mut read).now_or_never().is_none());
        // One that comes later ends at once.
        let late = send(&mut service, request(Method::POST)).await;
        assert!(late.now_or_never().is_some_and(|answer| answer.is_err()));
    }
}
