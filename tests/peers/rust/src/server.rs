//! The server. Its clock is a layer around the service: from a request whose headers were read to the trailers that go out.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_stream::Stream;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status, Streaming};
use tower::{Service, service_fn};

use crate::account::Account;
use crate::service::{Directive, MAX_MESSAGE, MAX_METADATA, Raw, SERVICE, milliseconds};

/// How long calls may go on after the end was asked for.
const GRACE: Duration = Duration::from_secs(5);

static SERVED: AtomicUsize = AtomicUsize::new(0);

type Responses = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// `lines` ends when the server is to end.
pub async fn serve(listen: &str, mut lines: UnboundedReceiver<String>) -> anyhow::Result<()> {
    let account = Arc::new(Account::new("server"));
    let (stop, stopped) = oneshot::channel::<()>();
    let router = Server::builder()
        .max_concurrent_streams(None)
        .http2_max_header_list_size(MAX_METADATA)
        .add_service(Peer { account: account.clone() });
    let end = async { stopped.await.unwrap_or_default() };
    let server = if let Some(path) = listen.strip_prefix("unix:") {
        let listener = tokio::net::UnixListener::bind(path)?;
        println!("listening {listen}");
        tokio::spawn(router.serve_with_incoming_shutdown(UnixListenerStream::new(listener), end))
    } else {
        let listener = tokio::net::TcpListener::bind(listen).await?;
        println!("listening {}", listener.local_addr()?);
        // As tonic does with a listener of its own: else a response waits 40 ms for the client's delayed acknowledgement.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        tokio::spawn(router.serve_with_incoming_shutdown(incoming, end))
    };
    while let Some(line) = lines.recv().await {
        if line == "account" {
            account.print();
        }
    }
    drop(stop);
    if let Ok(ended) = timeout(GRACE, server).await {
        ended??;
    }
    account.print();
    Ok(())
}

// === Peer: the service ===

#[derive(Clone)]
struct Peer {
    account: Arc<Account>,
}

impl NamedService for Peer {
    const NAME: &'static str = SERVICE;
}

impl Service<http::Request<Body>> for Peer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let clock = Clock::start(self.account.clone(), &request);
        Box::pin(async move {
            let method = clock.method.clone();
            let name = method.rsplit('/').next().unwrap_or_default().to_owned();
            // Of tonic's four ways to answer the one that can send headers and then an error; on the wire they are the same.
            let answer =
                service_fn(move |request: Request<Streaming<Bytes>>| answer(name.clone(), request.into_inner()));
            let mut grpc = Grpc::new(Raw).max_decoding_message_size(MAX_MESSAGE);
            Ok(clock.watch(grpc.streaming(answer, request).await))
        })
    }
}

async fn answer(name: String, mut requests: Streaming<Bytes>) -> Result<Response<Responses>, Status> {
    let first = requests.message().await?.ok_or_else(|| Status::invalid_argument("a call without a message"))?;
    let directive = Directive::parse(&first)?;
    let bidi = match name.as_str() {
        "Bidi" => true,
        "Unary" | "Unary2" | "Unary3" | "Unary4" | "Unary5" | "ClientStream" | "ServerStream" => false,
        _ => return Err(Status::unimplemented(name)),
    };
    while !bidi && requests.message().await?.is_some() {}
    sleep(milliseconds(directive.delay_ms)).await;
    let fill = directive.fill(SERVED.fetch_add(1, Ordering::Relaxed));
    if directive.fails_at_once()
        && let Err(mut status) = directive.outcome()
    {
        if let Some(fill) = fill {
            status.metadata_mut().insert("x-fill", fill);
        }
        return Err(status);
    }
    let mut response = Response::new(Box::pin(responses(name, directive, requests)) as Responses);
    if let Some(fill) = fill {
        response.metadata_mut().insert("x-fill", fill);
    }
    Ok(response)
}

fn responses(
    name: String,
    directive: Directive,
    mut requests: Streaming<Bytes>,
) -> impl Stream<Item = Result<Bytes, Status>> {
    async_stream::try_stream! {
        let streams = match name.as_str() {
            "Bidi" => {
                yield directive.body();
                while requests.message().await?.is_some() {
                    yield directive.body();
                }
                true
            }
            "ServerStream" => {
                for _ in 0..directive.messages {
                    yield directive.body();
                }
                true
            }
            _ => false,
        };
        sleep(milliseconds(directive.end_delay_ms)).await;
        directive.outcome()?;
        if !streams {
            yield directive.body();
        }
    }
}

// === Clock: one call, from its headers to its end ===

struct Clock {
    account: Arc<Account>,
    method: String,
    start: Instant,
    timeout: Option<Duration>,
    open: bool,
}

impl Clock {
    fn start(account: Arc<Account>, request: &http::Request<Body>) -> Self {
        let timeout = request.headers().get("grpc-timeout").and_then(|value| grpc_timeout(value.to_str().ok()?));
        let method = request.uri().path().trim_start_matches('/').to_owned();
        Self { account, method, start: Instant::now(), timeout, open: true }
    }

    fn end(&mut self, code: Code) {
        if std::mem::take(&mut self.open) {
            self.account.add(&self.method, code, self.start.elapsed());
        }
    }

    /// Ends with these headers or trailers, if they have a status.
    fn look_at(&mut self, headers: &http::HeaderMap) {
        if let Some(status) = headers.get("grpc-status") {
            self.end(Code::from_bytes(status.as_bytes()));
        }
    }

    fn watch(mut self, response: http::Response<Body>) -> http::Response<Body> {
        self.look_at(response.headers());
        response.map(|body| Body::new(Watched { body, clock: self }))
    }
}

impl Drop for Clock {
    /// Without a status: the client, or its deadline, ended it.
    fn drop(&mut self) {
        let late = self.timeout.is_some_and(|timeout| self.start.elapsed() >= timeout);
        self.end(if late { Code::DeadlineExceeded } else { Code::Cancelled });
    }
}

/// The header `grpc-timeout`: up to eight digits and a unit.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

struct Watched {
    body: Body,
    clock: Clock,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(http_body::Body::poll_frame(Pin::new(&mut self.body), context));
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            self.clock.look_at(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        http_body::Body::is_end_stream(&self.body)
    }
}
