//! `webhook PORT`: what Alertmanager tells in the end-to-end suite. Every POST is kept, whatever its path, within the bounds of
//! [`Record`]; `GET /received` gives all of it back as JSON.

use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use fleetscope_tests::webhook::{BODY_MAX, Record};
use tokio::net::TcpListener;

type Shared = Arc<Mutex<Record>>;

#[tokio::main]
async fn main() -> Result<()> {
    let port: u16 = std::env::args().nth(1).context("usage: webhook PORT")?.parse().context("PORT is a number")?;
    // Both families where there are both.
    let listener = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind(("0.0.0.0", port)).await.context("failed to listen")?,
    };
    let router = Router::new()
        .route("/received", get(received))
        .fallback(post(keep))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(Shared::default());
    axum::serve(listener, router).await.context("failed to serve")
}

async fn keep(State(record): State<Shared>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let authorization = headers.get(AUTHORIZATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    record.lock().expect("nobody panics while holding it").keep(uri.path().to_owned(), authorization, &body);
    StatusCode::OK
}

async fn received(State(record): State<Shared>) -> impl IntoResponse {
    let json = serde_json::to_string(&*record.lock().expect("nobody panics while holding it"));
    json.map(|json| ([(CONTENT_TYPE, "application/json")], json))
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}
