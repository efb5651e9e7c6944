//! A request that is not answered is given up, so that one object's silence does not take a place among the reconciles for ever.
//!
//! The limit is the time between the end of a leader's right to write and the moment when another may lead: what this process began
//! to write while it led is over before somebody else writes. It is for one object's requests. A list may take as
//! long as it is, and a watch ends by itself (the API server is asked to end it after 290 s).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Future;
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::{BoxError, Layer, Service};

use crate::leader::{LEASE, RENEW_DEADLINE};

/// How long an answer is waited for, tries again after 429 included.
pub const ANSWER: Duration = LEASE.saturating_sub(RENEW_DEADLINE);

/// There was no answer in time.
#[derive(Debug, thiserror::Error)]
#[error("failed to get an answer within {} s", ANSWER.as_secs())]
pub struct NoAnswer;

/// Limits the requests of a client.
#[derive(Clone, Copy, Debug)]
struct Deadline;

/// A service whose requests are limited.
#[derive(Clone, Debug)]
struct Limited<S>(S);

/// The client of the environment: of the pod, or of `KUBECONFIG`.
pub async fn client() -> Result<Client, kube::Error> {
    let config = Config::infer().await.map_err(kube::Error::InferConfig)?;
    Ok(ClientBuilder::try_from(config)?.with_layer(&Deadline).build())
}

/// Whether a request is for many objects: it has a watch's or a list's parameters.
fn many(query: Option<&str>) -> bool {
    query.unwrap_or_default().split('&').any(|pair| pair.starts_with("watch=") || pair.starts_with("limit="))
}

// === impl Deadline ===

impl<S> Layer<S> for Deadline {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited(inner)
    }
}

// === impl Limited ===

impl<S> Service<http::Request<Body>> for Limited<S>
where
    S: Service<http::Request<Body>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let many = many(request.uri().query());
        let answer = self.0.call(request);
        Box::pin(async move {
            if many {
                return answer.await.map_err(Into::into);
            }
            tokio::time::timeout(ANSWER, answer).await.map_err(|_| NoAnswer)?.map_err(Into::into)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service that never answers.
    struct Silent;

    impl Service<http::Request<Body>> for Silent {
        type Response = ();
        type Error = BoxError;
        type Future = std::future::Pending<Result<(), BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: http::Request<Body>) -> Self::Future {
            std::future::pending()
        }
    }

    async fn ask(path: &str) -> String {
        let request = http::Request::get(path).body(Body::empty()).unwrap();
        // Longer than the limit: the clock of these tests jumps to the next thing that is due.
        match tokio::time::timeout(ANSWER * 100, Deadline.layer(Silent).call(request)).await {
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
}
