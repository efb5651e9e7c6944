//! HTTP: `/metrics`, `/healthz` (does the elector still turn?), `/readyz` (are the caches whole?).

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use fleetscope_core::expose::{content_type, negotiate};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};

use crate::context::Context;
use crate::leader::Elector;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;

/// Why it does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is not free, or not ours.
    #[error("failed to listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The listening socket broke.
    #[error("failed to serve: {source}")]
    Serve {
        /// How.
        source: io::Error,
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

/// Opens the port. `[::]` takes IPv4, too, and is `0.0.0.0` on a machine without IPv6.
pub fn listen(address: SocketAddr) -> Result<TcpListener, ServerError> {
    with_fallback(address, open).map_err(|source| ServerError::Listen { address, source })
}

fn with_fallback<L>(address: SocketAddr, open: impl Fn(SocketAddr) -> io::Result<L>) -> io::Result<L> {
    // The kernel was started with `ipv6.disable=1` or built without IPv6, or it has no IPv6 address.
    let no_ipv6 = |error: &io::Error| matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL));
    match open(address) {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && no_ipv6(&error) => {
            open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        opened => opened,
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    if address.is_ipv6() {
        // Whatever net.ipv6.bindv6only says.
        SockRef::from(&socket).set_only_v6(false)?;
    }
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
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

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn the_unspecified_address_of_ipv6_takes_both() {
        let listener = listen("[::]:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).await.unwrap();
        if address.is_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, address.port())).await.unwrap();
        }
    }

    #[test]
    fn without_ipv6_it_is_that_of_ipv4_and_no_other_error_or_address_is() {
        let without_ipv6 = |code| {
            move |address: SocketAddr| {
                if address.is_ipv6() { Err(io::Error::from_raw_os_error(code)) } else { Ok(address) }
            }
        };
        let any = "[::]:10981".parse().unwrap();
        for code in [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL] {
            assert_eq!(with_fallback(any, without_ipv6(code)).unwrap(), "0.0.0.0:10981".parse().unwrap());
        }
        assert!(with_fallback(any, without_ipv6(libc::EADDRINUSE)).is_err());
        assert!(with_fallback("[::1]:10981".parse().unwrap(), without_ipv6(libc::EADDRNOTAVAIL)).is_err());
    }
}
