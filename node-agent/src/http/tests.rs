//! Scrapes by clients that do not read, with an engine that has many series and nothing else.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fleetscope_core::metrics::AGENT_INFO;
use fleetscope_core::series::{Identity, Limits, Registry};
use fleetscope_serve::{Bounds, listen, serve_within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::App;
use super::admission::Admission;
use crate::engine::handle::{Degraded, DegradedCounts, Handle, Question};
use crate::readiness::Readiness;
use crate::sampling::Sampling;

/// Time for what is to happen at once.
const SOON: Duration = Duration::from_secs(20);
/// How long a scrape waits for room.
const QUEUE: Duration = Duration::from_millis(50);
/// How long a client may take to read.
const READ: Duration = Duration::from_secs(3);
/// Series that are served, of at least 200 bytes each.
const SERIES: usize = 5_000;
/// Room for two bodies, and not for three.
const ROOM: usize = 3 << 20;

/// What the engine was told of requests that were not answered as asked, in all.
type Told = Arc<Mutex<DegradedCounts>>;

fn engine() -> (Handle, Told) {
    let told = Told::default();
    let told_in = Arc::clone(&told);
    let (handle, mut questions) = Handle::new();
    let mut registry = Registry::new(Limits { per_metric_and_fleet: SERIES, total: SERIES });
    for number in 0..SERIES {
        let pod = format!("{number}-{}", "x".repeat(150));
        registry.set(&AGENT_INFO, Some(&Arc::new(Identity { pod: pod.into(), ..Identity::default() })), &["", ""], 1.0);
    }
    tokio::spawn(async move {
        while let Some(question) = questions.recv().await {
            match question {
                Question::Snapshot(filter, answer) => drop(answer.send(registry.snapshot(&filter))),
                Question::Degraded(counts) => {
                    let mut told = told_in.lock().expect("no panic");
                    told.iter_mut().zip(counts).for_each(|(told, count)| *told += count);
                }
                _ => {}
            }
        }
    });
    (handle, told)
}

async fn scrape(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4 << 10).expect("a small window");
    let mut client = socket.connect(address).await.expect("connect");
    client.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.expect("request");
    client
}

/// The first of an answer, with all of its headers.
async fn head(client: &mut TcpStream) -> String {
    let mut head = vec![0; 512];
    let read = timeout(SOON, client.read(&mut head)).await.expect("an answer in time").expect("an answer");
    String::from_utf8_lossy(&head[..read]).into_owned()
}

#[tokio::test]
async fn who_does_not_read_takes_bounded_room_for_a_bounded_time() {
    let (engine, told) = engine();
    let untold = engine.clone();
    let app =
        App::within(Admission::new(1, ROOM, QUEUE), engine, Sampling::new(None), Arc::new(Readiness::new(false)), ());
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("loopback");
    let address = listener.local_addr().expect("bound");
    let (_stop, stopping) = watch::channel(false);
    let bounds = Bounds { answer: READ, ..Bounds::default() };
    let cut = app.told();
    tokio::spawn(serve_within(bounds, listener, app.router(), cut, stopping));

    let mut unread = Vec::new();
    for _ in 0..2 {
        let mut client = scrape(address).await;
        let answer = head(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        unread.push(client);
    }
    let refused = head(&mut scrape(address).await).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 5\r\n"), "{refused}");

    let until = Instant::now() + SOON;
    let mut client = loop {
        let mut client = scrape(address).await;
        if head(&mut client).await.starts_with("HTTP/1.1 200") {
            break client;
        }
        assert!(Instant::now() < until, "no room again");
    };
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.expect("all of it for who reads");
    assert!(rest.len() > ROOM / 3, "a body of {} bytes", rest.len());
    let (told, rest) = (*told.lock().expect("no panic"), untold.take_degraded());
    let counted = |why| told[why as usize] + rest[why as usize];
    assert!(counted(Degraded::Busy) > 0 && counted(Degraded::Unread) > 0, "{told:?} {rest:?}");
}
