//! HTTP: `/metrics`, `/healthz` (does the elector still turn?), `/readyz` (are the caches whole?).

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use fleetscope_core::expose::{content_type, negotiate};
use tokio::net::TcpListener;

use crate::context::Context;
use crate::leader::Elector;

/// Why it does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is not free, or not ours.
    #[error("failed to listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The listening socket broke.
    #[error("failed to serve: {source}")]
    Serve {
        /// How.
        source: std::io::Error,
    },
}

/// What the answers are made of.
#[derive(Clone)]
pub struct Health {
    /// Metrics and caches.
    pub ctx: Arc<Context>,
    /// The elector.
    pub elector: Arc<Elector>,
}

/// Opens the port.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|source| ServerError::Listen { address, source })
}

/// Answers until `stop`, and then what was asked before it.
pub async fn serve(
    listener: TcpListener,
    health: Health,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServerError> {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(health);
    axum::serve(listener, routes).with_graceful_shutdown(stop).await.map_err(|source| ServerError::Serve { source })
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
