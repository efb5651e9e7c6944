//! Accepts connections and serves HTTP/1.1 on them, with bounds on everything that a client decides.
//!
//! A new connection is accepted at once, however many there are: the kubelet's probes must never wait for others. When there are too
//! many, the one that has waited longest for a request is closed for it, which costs a scraper a new connection and nothing else.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::connection::{Activity, Stream};
use crate::{Cut, Told};

/// Most connections at once. A Prometheus keeps one for each monitor, which is for each fleet, so that this holds those of 250 fleets and
/// two Prometheus; with more, scrapes begin with a new connection. Each takes some 20 KiB while it is idle, and a descriptor, of
/// which processes often have 1024.
const CONNECTIONS_MAX: usize = 512;
/// Time for a request's headers to arrive, from the connection or the end of the request before. Longer than the longest usual
/// scrape interval of one minute, so that Prometheus keeps its connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// Bytes of a request's line and headers; more is answered with 431.
const HEADER_BYTES: usize = 16 << 10;
/// Most headers of a request.
const HEADERS_MAX: usize = 64;
/// Time for a client to take an answer, from its first byte on. Longer than Prometheus' default time limit of a whole scrape.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Age at which a connection is closed after the request that it is serving.
const LIFETIME: Duration = Duration::from_mins(10);
/// Time that a request in flight gets when its connection is to be closed.
const GRACE: Duration = Duration::from_secs(15);
/// Pause after a failed accept: out of descriptors, mostly, and the next try would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What clients can take of the server.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most connections at once; 512 by default.
    pub connections: usize,
    /// Time for a client to take an answer, from its first byte on; 15 s by default.
    pub answer: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: CONNECTIONS_MAX, answer: ANSWER_TIMEOUT }
    }
}

/// Serves `router` on `listener` until `stop` holds true, then answers what is in flight and returns.
pub async fn serve(listener: TcpListener, router: Router, told: Told, stop: watch::Receiver<bool>) {
    serve_within(Bounds::default(), listener, router, told, stop).await;
}

/// As [`serve`], with bounds of one's own.
pub async fn serve_within(
    bounds: Bounds,
    listener: TcpListener,
    router: Router,
    told: Told,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = Connections::default();
    loop {
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
        connections.make_room(bounds.connections).await;
        let activity = Activity::new(Arc::clone(&told));
        let stream = Stream::new(stream, Arc::clone(&activity), bounds.answer);
        let task = connections.tasks.spawn(serve_one(stream, router.clone(), Arc::clone(&activity), stop.clone()));
        connections.open.push((activity, task));
    }
    drop(listener);
    while connections.tasks.join_next().await.is_some() {}
}

/// The connections that there are.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    open: Vec<(Arc<Activity>, AbortHandle)>,
}

// === impl Connections ===

impl Connections {
    /// Closes connections until there are less than `most`: those first that wait for a request, the longest waiting of them first, then
    /// those whose request has taken longest.
    async fn make_room(&mut self, most: usize) {
        while self.tasks.try_join_next().is_some() {}
        self.open.retain(|(_, task)| !task.is_finished());
        while self.tasks.len() >= most {
            let ranks = self.open.iter().map(|(activity, _)| activity.rank()).enumerate();
            if let Some((at, (busy, _))) = ranks.min_by_key(|(_, rank)| *rank) {
                let (activity, task) = self.open.swap_remove(at);
                activity.cut(if busy { Cut::Evicted } else { Cut::EvictedIdle });
                task.abort();
            }
            self.tasks.join_next().await;
        }
    }
}

async fn serve_one(stream: Stream, router: Router, activity: Arc<Activity>, mut stop: watch::Receiver<bool>) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request| {
        let answering = activity.answer();
        let answer = router.call(request);
        async move {
            let answer = answer.await;
            drop(answering);
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
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
    use std::net::SocketAddr;

    use axum::body::Bytes;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpSocket, TcpStream};
    use tokio::sync::{Notify, mpsc};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::listen;

    /// Time for what is to happen at once.
    const SOON: Duration = Duration::from_secs(10);

    struct Served {
        address: SocketAddr,
        stop: watch::Sender<bool>,
        server: JoinHandle<()>,
        cut: mpsc::UnboundedReceiver<Cut>,
    }

    fn start(bounds: Bounds, router: Router) -> Served {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("loopback");
        let address = listener.local_addr().expect("bound");
        let (stop, stopping) = watch::channel(false);
        let (told, cut) = mpsc::unbounded_channel();
        let told: Told = Arc::new(move |why| told.send(why).expect("the test waits"));
        let server = tokio::spawn(serve_within(bounds, listener, router, told, stopping));
        Served { address, stop, server, cut }
    }

    fn few(connections: usize) -> Bounds {
        Bounds { connections, ..Bounds::default() }
    }

    async fn ask(client: &mut TcpStream, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        client.write_all(request.as_bytes()).await.expect("request");
    }

    /// The first of an answer, which stands for all of a short one.
    async fn answered(client: &mut TcpStream) -> String {
        let mut answer = vec![0; 1_024];
        let read = timeout(SOON, client.read(&mut answer)).await.expect("an answer in time").expect("an answer");
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }

    async fn get_ok(client: &mut TcpStream, path: &str) {
        ask(client, path).await;
        let answer = answered(client).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    }

    async fn connect(served: &Served) -> TcpStream {
        TcpStream::connect(served.address).await.expect("connect")
    }

    /// Reads until the server ends the connection.
    async fn ended(client: &mut TcpStream) -> Vec<u8> {
        let mut rest = Vec::new();
        // It may be reset.
        let _ = timeout(SOON, client.read_to_end(&mut rest)).await.expect("an end in time");
        rest
    }

    /// What was cut off since the last look.
    fn cut(served: &mut Served) -> Vec<Cut> {
        std::iter::from_fn(|| served.cut.try_recv().ok()).collect()
    }

    #[tokio::test]
    async fn a_request_in_flight_is_answered_after_stop() {
        let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let served = start(Bounds::default(), waiting(&arrived, &go));
        let mut client = connect(&served).await;
        ask(&mut client, "/wait").await;
        arrived.notified().await;
        served.stop.send(true).expect("server runs");
        go.notify_one();
        let answer = String::from_utf8(ended(&mut client).await).expect("text");
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("done"), "{answer}");
        served.server.await.expect("no panic");
        assert!(TcpStream::connect(served.address).await.is_err(), "nobody listens any more");
    }

    /// Answers at `/` at once, and at `/wait` when it may.
    fn waiting(arrived: &Arc<Notify>, go: &Arc<Notify>) -> Router {
        let (arrived, go) = (Arc::clone(arrived), Arc::clone(go));
        let wait = || async move {
            arrived.notify_one();
            go.notified().await;
            "done"
        };
        Router::new().route("/wait", get(wait)).route("/", get(|| async { "ok" }))
    }

    #[tokio::test]
    async fn headers_beyond_the_bound_are_refused() {
        let served = start(Bounds::default(), Router::new().route("/", get(|| async { "ok" })));
        let mut client = connect(&served).await;
        let big = "x".repeat(2 * HEADER_BYTES);
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nBig: {big}\r\n\r\n");
        // The server may close before it read everything.
        let _ = client.write_all(request.as_bytes()).await;
        let answer = String::from_utf8_lossy(&ended(&mut client).await).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }

    #[tokio::test]
    async fn the_connection_that_waits_longest_makes_room_for_a_new_one() {
        let mut served = start(few(3), Router::new().route("/", get(|| async { "ok" })));
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = connect(&served).await;
            get_ok(&mut client, "/").await;
            clients.push(client);
        }
        get_ok(&mut clients[0], "/").await;
        get_ok(&mut connect(&served).await, "/").await;
        assert_eq!(ended(&mut clients[1]).await, b"");
        get_ok(&mut clients[0], "/").await;
        get_ok(&mut clients[2], "/").await;
        assert_eq!(cut(&mut served), [Cut::EvictedIdle]);
    }

    #[tokio::test]
    async fn connections_that_never_send_a_request_keep_nobody_waiting() {
        let mut served = start(few(8), Router::new().route("/", get(|| async { "ok" })));
        let mut silent = Vec::new();
        for _ in 0..100 {
            let mut client = connect(&served).await;
            client.write_all(b"GET / HTTP/1.1\r\nHo").await.expect("half a request");
            silent.push(client);
        }
        get_ok(&mut connect(&served).await, "/").await;
        assert_eq!(cut(&mut served), [Cut::EvictedIdle; 93]);
    }

    #[tokio::test]
    async fn a_request_in_progress_goes_on_unless_all_are_and_then_the_oldest_ends() {
        let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let mut served = start(few(2), waiting(&arrived, &go));
        let (mut idle, mut busy) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let mut client = connect(&served).await;
            get_ok(&mut client, "/").await;
            idle.push(client);
            let mut client = connect(&served).await;
            ask(&mut client, "/wait").await;
            arrived.notified().await;
            busy.push(client);
        }
        assert_eq!(cut(&mut served), [Cut::EvictedIdle; 2]);
        get_ok(&mut connect(&served).await, "/").await;
        assert_eq!(ended(&mut busy[0]).await, b"");
        assert_eq!(cut(&mut served), [Cut::Evicted]);
        go.notify_one();
        assert!(answered(&mut busy[1]).await.ends_with("done"));
    }

    #[tokio::test]
    async fn an_answer_that_is_not_read_is_held_for_a_limited_time() {
        /// Tells when it is dropped.
        struct Large(Vec<u8>, mpsc::UnboundedSender<()>);
        impl AsRef<[u8]> for Large {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        impl Drop for Large {
            fn drop(&mut self) {
                let _ = self.1.send(());
            }
        }
        let (told, mut dropped) = mpsc::unbounded_channel();
        let large = move || async move { Bytes::from_owner(Large(vec![b'x'; 4 << 20], told)) };
        let bounds = Bounds { answer: Duration::from_millis(300), ..Bounds::default() };
        let mut served = start(bounds, Router::new().route("/", get(large)));

        let mut reader = connect(&served).await;
        reader.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.expect("request");
        assert!(ended(&mut reader).await.len() > 4 << 20, "all of it for who reads");
        dropped.recv().await.expect("written");

        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4 << 10).expect("a small window");
        let mut client = socket.connect(served.address).await.expect("connect");
        ask(&mut client, "/").await;
        assert!(answered(&mut client).await.starts_with("HTTP/1.1 200"));
        assert!(dropped.try_recv().is_err(), "most of it is not written");
        timeout(SOON, dropped.recv()).await.expect("dropped in time").expect("dropped");
        assert!(ended(&mut client).await.len() < 4 << 20, "the rest is thrown away");
        assert_eq!(cut(&mut served), [Cut::Unread]);
    }
}
