//! HTTP: `/metrics`, `/healthz` (does the elector still turn?), `/readyz` (are the caches whole?).

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use fleetscope_core::expose::{content_type, negotiate};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::context::Context;
use crate::leader::Elector;

/// What the answers are made of.
#[derive(Clone)]
pub struct Health {
    /// Metrics and caches.
    pub ctx: Arc<Context>,
    /// The elector.
    pub elector: Arc<Elector>,
}

/// Answers until `stop`, and then what was asked before it.
pub async fn serve(listener: TcpListener, health: Health, stop: watch::Receiver<bool>) {
    let ctx = Arc::clone(&health.ctx);
    let told = Arc::new(move |why| ctx.metrics.cut_off(why));
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(health);
    fleetscope_serve::serve(listener, routes, told, stop).await;
}

async fn metrics(State(health): State<Health>, headers: HeaderMap) -> impl IntoResponse {
    let format = negotiate(headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()));
    ([(header::CONTENT_TYPE, content_type(format))], health.ctx.metrics.encode(format))
}

async fn healthz(State(health): State<Health>) -> (StatusCode, &'static str) {
    if health.elector.alive() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "the leader election stands still\n")
    }
}

async fn readyz(State(health): State<Health>) -> (StatusCode, &'static str) {
    if !health.elector.alive() {
        (StatusCode::SERVICE_UNAVAILABLE, "the leader election stands still\n")
    } else if health.ctx.synced() {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the caches are not filled yet: fleets, policies, namespaces, pods, or what was made of them\n",
        )
    }
}
