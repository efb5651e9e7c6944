//! What the agent answers over HTTP: figures for Prometheus, state for people, the kubelet and the `fleetscope` command.
//!
//! Series are taken from the engine as a snapshot; writing and compressing them happens here, off the engine, so that a
//! slow or large scrape never holds up the kernel's records.

use std::future::ready;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use fleetscope_serve::Told;
use serde::Serialize;

use crate::engine::handle::{Degraded, Handle};
use crate::readiness::Readiness;
use crate::sampling::Sampling;
use admission::Admission;
use answer::{Refused, json, json_body};

mod admission;
pub mod answer;
pub mod encoding;
pub mod metrics;
pub mod rows;
#[cfg(test)]
mod tests;

/// What the handlers share.
pub struct App<I> {
    /// The engine.
    pub engine: Handle,
    /// Figures of containers that are read on demand.
    pub sampling: Sampling,
    /// What must be true before the figures are right.
    pub readiness: Arc<Readiness>,
    /// Answer of /info; does not change while the agent runs.
    pub info: I,
    admission: Admission,
}

// === impl App ===

impl<I: Serialize + Send + Sync + 'static> App<I> {
    /// Puts the parts together.
    pub fn new(engine: Handle, sampling: Sampling, readiness: Arc<Readiness>, info: I) -> Arc<Self> {
        Self::within(Admission::default(), engine, sampling, readiness, info)
    }

    fn within(
        admission: Admission,
        engine: Handle,
        sampling: Sampling,
        readiness: Arc<Readiness>,
        info: I,
    ) -> Arc<Self> {
        Arc::new(Self { engine, sampling, readiness, info, admission })
    }

    /// All paths.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/metrics", get(metrics::answer))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(|State(app): State<Arc<Self>>| ready(app.readyz())))
            .route("/info", get(|State(app): State<Arc<Self>>| ready(json(StatusCode::OK, &app.info))))
            .route("/agents", get(Self::agents))
            .route("/api/v1/tasks", get(rows::tasks))
            .route("/api/v1/grpc", get(rows::calls))
            .fallback(|| async { Refused::Path })
            .method_not_allowed_fallback(|| async { Refused::Method })
            .with_state(self)
    }

    /// Counts what the server cuts off.
    pub fn told(&self) -> Told {
        let engine = self.engine.clone();
        Arc::new(move |why| engine.degraded(why.into()))
    }

    fn readyz(&self) -> Response {
        let report = self.readiness.report();
        json(if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &report)
    }

    async fn agents(State(app): State<Arc<Self>>) -> Result<Response, Refused> {
        let agents = app.engine.agents().await.map_err(|_| Refused::Stopping)?;
        let body = serde_json::to_vec(&agents).map_err(Refused::from)?;
        app.admission.hold(body).await.map(json_body).map_err(|refused| app.counted(refused))
    }

    /// Counts a request that is refused for want of room or time.
    fn counted(&self, refused: Refused) -> Refused {
        match refused {
            Refused::Busy => self.engine.degraded(Degraded::Busy),
            Refused::Slow => self.engine.degraded(Degraded::Slow),
            Refused::Parameters(_) | Refused::Path | Refused::Method | Refused::Json | Refused::Stopping => {}
        }
        refused
    }
}
