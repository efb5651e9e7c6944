//! The client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::uri::PathAndQuery;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use crate::account::{Account, NAMES};
use crate::service::{Directive, MAX_MESSAGE, MAX_METADATA, Raw, SERVICE, milliseconds};
use crate::{ClientArgs, lines};

const CONNECT_LIMIT: Duration = Duration::from_secs(30);

pub async fn run(args: ClientArgs) -> anyhow::Result<()> {
    let address =
        if args.target.starts_with("unix:") { args.target.clone() } else { format!("http://{}", args.target) };
    let endpoint =
        Endpoint::from_shared(address)?.http2_max_header_list_size(MAX_METADATA).connect_timeout(CONNECT_LIMIT);
    let mut connections = Vec::new();
    for _ in 0..args.connections {
        connections.push(endpoint.connect().await.with_context(|| format!("connecting to {}", args.target))?);
    }
    println!("connected {}", connections.len());
    let (account, args) = (Arc::new(Account::new("client")), Arc::new(args));
    if args.hold {
        let mut lines = lines();
        while let Some(line) = lines.recv().await {
            if line == "go" {
                round(&connections, &account, &args).await?;
            }
        }
    } else {
        round(&connections, &account, &args).await?;
    }
    Ok(())
}

/// Makes all calls, of each kind after the other, and prints the account.
async fn round(connections: &[Channel], account: &Arc<Account>, args: &Arc<ClientArgs>) -> anyhow::Result<()> {
    for kind in args.kind.split(',') {
        if !["unary", "client", "server", "bidi"].contains(&kind) {
            bail!("unknown kind {kind:?}");
        }
        let taken = Arc::new(AtomicUsize::new(0));
        let workers = (0..args.concurrency).map(|worker| {
            let connection = connections[worker % connections.len()].clone();
            let (taken, account, args, kind) = (taken.clone(), account.clone(), args.clone(), kind.to_owned());
            tokio::spawn(async move {
                loop {
                    let i = taken.fetch_add(1, Ordering::Relaxed);
                    if i >= args.calls {
                        break;
                    }
                    call(&connection, &account, &args, &kind, i).await;
                }
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await?;
        }
    }
    account.print();
    Ok(())
}

/// One call, its deadline and its cancellation.
async fn call(connection: &Channel, account: &Account, args: &ClientArgs, kind: &str, i: usize) {
    let directive = directive(args, i);
    let method = match (kind, i % args.methods + 1) {
        ("unary", 1) => "Unary".to_owned(),
        ("unary", n) => format!("Unary{n}"),
        ("client", _) => "ClientStream".to_owned(),
        ("server", _) => "ServerStream".to_owned(),
        _ => "Bidi".to_owned(),
    };
    let path = format!("{SERVICE}/{method}");
    let mut grpc = Grpc::new(connection.clone()).max_decoding_message_size(MAX_MESSAGE);
    let deadline = (args.deadline_ms > 0).then(|| milliseconds(args.deadline_ms));
    let cancel = (args.cancel_after_ms > 0).then(|| milliseconds(args.cancel_after_ms));
    let mut code = Code::Unavailable;
    let mut start = Instant::now();
    if grpc.ready().await.is_ok() {
        start = Instant::now();
        let made = make(&mut grpc, kind, &path, directive, deadline, i);
        // What is dropped before it has ended is reset.
        let bounded = async { timeout(deadline.unwrap_or(Duration::MAX), made).await };
        code = tokio::select! {
            ended = bounded => match ended {
                Ok(Ok(())) => Code::Ok,
                // tonic itself calls a deadline of its own CANCELLED.
                Ok(Err(status)) if status.code() == Code::Cancelled && deadline.is_some_and(|deadline| start.elapsed() >= deadline) => Code::DeadlineExceeded,
                Ok(Err(status)) => status.code(),
                Err(_) => Code::DeadlineExceeded,
            },
            () = sleep(cancel.unwrap_or_default()), if cancel.is_some() => Code::Cancelled,
        };
    }
    account.add(&path, code, start.elapsed());
}

async fn make(
    grpc: &mut Grpc<Channel>,
    kind: &str,
    path: &str,
    directive: Directive,
    deadline: Option<Duration>,
    i: usize,
) -> Result<(), Status> {
    let path = PathAndQuery::try_from(format!("/{path}")).expect("a path of letters");
    let (requests, messages) = mpsc::unbounded_channel();
    let send = |message: Bytes| requests.send(message).unwrap_or_default(); // a call that has ended takes no more
    send(directive.message());
    match kind {
        "unary" => {
            grpc.unary(request(directive.message(), directive, deadline, i), path, Raw).await?;
        }
        "server" => {
            let responses = grpc
                .server_streaming(request(directive.message(), directive, deadline, i), path, Raw)
                .await?
                .into_inner();
            drain(responses).await?;
        }
        "client" => {
            for _ in 1..directive.messages {
                send(directive.body());
            }
            drop(requests);
            grpc.client_streaming(request(UnboundedReceiverStream::new(messages), directive, deadline, i), path, Raw)
                .await?;
        }
        _ => {
            let messages = request(UnboundedReceiverStream::new(messages), directive, deadline, i);
            let mut responses = grpc.streaming(messages, path, Raw).await?.into_inner();
            for _ in 1..directive.messages {
                if responses.message().await?.is_none() {
                    break;
                }
                send(directive.body());
            }
            responses.message().await?;
            drop(requests);
            drain(responses).await?;
        }
    }
    Ok(())
}

fn request<T>(message: T, directive: Directive, deadline: Option<Duration>, i: usize) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(deadline) = deadline {
        request.set_timeout(deadline);
    }
    if let Some(fill) = directive.fill(i) {
        request.metadata_mut().insert("x-fill", fill);
    }
    request
}

async fn drain(mut responses: Streaming<Bytes>) -> Result<(), Status> {
    while responses.message().await?.is_some() {}
    Ok(())
}

/// Of the i-th call. A mix goes through all codes, in turns with and without headers before the trailers.
fn directive(args: &ClientArgs, i: usize) -> Directive {
    let mix = args.status == "mix";
    let named =
        NAMES.iter().position(|name| *name == args.status).or_else(|| args.status.parse().ok()).unwrap_or_default();
    let status = if mix { i % NAMES.len() } else { named };
    Directive {
        status: i32::try_from(status).unwrap_or_default(),
        trailers_only: args.trailers_only || (mix && i / NAMES.len() % 2 == 1),
        delay_ms: args.delay_ms,
        end_delay_ms: args.end_delay_ms,
        messages: args.messages,
        bytes: args.bytes,
        metadata_bytes: args.metadata_bytes,
    }
}
