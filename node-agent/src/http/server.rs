//! Accepts connections and serves HTTP/1.1 on them, with bounds on everything that a client decides.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

/// Most connections at once: a handful of Prometheus servers, the operator, the kubelet and a few terminals. More wait
/// in the listener's queue.
const CONNECTIONS_MAX: usize = 64;
/// Time for a request's headers to arrive, from the connection or the end of the request before. Longer than the longest usual
/// scrape interval of one minute, so that Prometheus keeps its connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// Bytes of a request's line and headers; more is answered with 431.
const HEADER_BYTES: usize = 16 << 10;
/// Most headers of a request.
const HEADERS_MAX: usize = 64;
/// Age at which a connection is closed after the request that it is serving.
const LIFETIME: Duration = Duration::from_mins(10);
/// Time that a request in flight gets when its connection is to be closed.
const GRACE: Duration = Duration::from_secs(15);
/// Pause after a failed accept: out of descriptors, mostly, and the next try would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` on `listener` until `stop` holds true, then answers what is in flight and returns.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let slot = tokio::select! {
            Ok(slot) = Arc::clone(&slots).acquire_owned() => slot,
            () = stopped(&mut stop) => break,
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "Failed to accept connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = stopped(&mut stop) => break,
        };
        while connections.try_join_next().is_some() {}
        connections.spawn(serve_one(stream, router.clone(), stop.clone(), slot));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve_one(stream: TcpStream, router: Router, mut stop: watch::Receiver<bool>, _slot: OwnedSemaphorePermit) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = sleep(LIFETIME) => None,
        () = stopped(&mut stop) => None,
    };
    let ended = if let Some(ended) = ended {
        Ok(ended)
    } else {
        connection.as_mut().graceful_shutdown();
        timeout(GRACE, connection).await
    };
    if let Ok(Err(error)) = ended {
        debug!(%error, "Connection ended");
    }
}

/// Ends when the server is to stop, or nobody could tell it to any more.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Notify;

    use super::*;

    async fn start(router: Router) -> (std::net::SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let (stop, stopping) = watch::channel(false);
        (address, stop, tokio::spawn(serve(listener, router, stopping)))
    }

    #[tokio::test]
    async fn a_request_in_flight_is_answered_after_stop() {
        let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (arrived_in, go_in) = (Arc::clone(&arrived), Arc::clone(&go));
        let router = Router::new().route(
            "/",
            get(move || async move {
                arrived_in.notify_one();
                go_in.notified().await;
                "done"
            }),
        );
        let (address, stop, server) = start(router).await;
        let mut client = TcpStream::connect(address).await.expect("connect");
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("request");
        arrived.notified().await;
        stop.send(true).expect("server runs");
        go.notify_one();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("answer, then the end");
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("done"), "{answer}");
        server.await.expect("no panic");
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }

    #[tokio::test]
    async fn headers_beyond_the_bound_are_refused() {
        let (address, _stop, _server) = start(Router::new().route("/", get(|| async { "ok" }))).await;
        let mut client = TcpStream::connect(address).await.expect("connect");
        let big = "x".repeat(2 * HEADER_BYTES);
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nBig: {big}\r\n\r\n");
        // The server may close before it read everything.
        let _ = client.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}
