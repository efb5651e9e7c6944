//! A gRPC server and client on tonic, whose own counters and clocks are the truth that Fleetscope's measurements are compared with.
//! What it says and understands is in `tests/peers/README.md`.

mod account;
mod client;
mod server;
mod service;

use std::io::BufRead as _;

use clap::{Args, Parser};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

#[derive(Parser)]
enum Command {
    Server(ServerArgs),
    Client(ClientArgs),
}

#[derive(Args)]
struct ServerArgs {
    /// Address, or unix:PATH.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
}

#[derive(Args)]
struct ClientArgs {
    /// Address, or unix:PATH.
    #[arg(long)]
    target: String,
    /// unary, client, server, bidi, or several with commas.
    #[arg(long, default_value = "unary")]
    kind: String,
    /// Name or number of the code to end with, or mix.
    #[arg(long, default_value = "OK")]
    status: String,
    /// Of each kind.
    #[arg(long, default_value_t = 1)]
    calls: usize,
    /// Calls at once.
    #[arg(long, default_value_t = 1)]
    concurrency: usize,
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Unary methods to use in turns, 1 to 5.
    #[arg(long, default_value_t = 1)]
    methods: usize,
    /// Before the response.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Between the last response and the end.
    #[arg(long, default_value_t = 0)]
    end_delay_ms: u64,
    /// Of a streaming side.
    #[arg(long, default_value_t = 1)]
    messages: usize,
    /// Size of each message.
    #[arg(long, default_value_t = 0)]
    bytes: usize,
    /// Of the request and of the response.
    #[arg(long, default_value_t = 0)]
    metadata_bytes: usize,
    /// Of each call.
    #[arg(long, default_value_t = 0)]
    deadline_ms: u64,
    /// Cancels each call after so long.
    #[arg(long, default_value_t = 0)]
    cancel_after_ms: u64,
    /// Errors come without headers before them.
    #[arg(long)]
    trailers_only: bool,
    /// A round for each line `go` on standard input.
    #[arg(long)]
    hold: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Server(args) => server::serve(&args.listen, lines()).await?,
        Command::Client(args) => client::run(args).await?,
    }
    // The thread that reads standard input is not waited for.
    std::process::exit(0)
}

/// The lines of standard input, up to its end or SIGTERM.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (read, mut from_stdin) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if read.send(line).is_err() {
                return;
            }
        }
    });
    let (pass, lines) = mpsc::unbounded_channel();
    let mut term = signal(SignalKind::terminate()).expect("a signal handler can be set");
    tokio::spawn(async move {
        loop {
            tokio::select! {
                line = from_stdin.recv() => match line {
                    Some(line) => pass.send(line).unwrap_or_default(),
                    None => return,
                },
                _ = term.recv() => return,
            }
        }
    });
    lines
}
