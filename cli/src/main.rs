//! `fleetscope`: what fleets of agents do, in the terminal. Also `kubectl fleetscope`, under the name `kubectl-fleetscope`.
//!
//! ```text
//! args -> cluster (kubeconfig) -> nodes (node agents, through the API server's pod proxy) -> commands/<verb> -> output
//! args -> objects (files) -> commands/render, commands/lint (the operator's own builders) ---------------------> output
//! ```
//!
//! # Layout
//! - [`args`], [`exit`]: the command line; exit codes and problems
//! - [`cluster`], [`nodes`]: the API server; the node agents behind it
//! - [`commands`]: one verb per file
//! - [`objects`]: fleets and policies from files, checked, with their lines
//! - [`exposition`], [`histogram`], [`pattern`]: Prometheus' text format, quantiles, `--match`
//! - [`output`]: tables, JSON, YAML; text from elsewhere made harmless

mod args;
mod cluster;
mod commands;
mod exit;
mod exposition;
mod histogram;
mod nodes;
mod objects;
mod output;
mod pattern;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use args::Cli;
use commands::Failure;
use exit::Outcome;

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| args::explained(error).exit());
    if cli.scope.no_color {
        anstream::ColorChoice::Never.write_global();
    }
    // One thread is enough to wait for answers, and starts faster than many.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build().context("failed to start") {
        Ok(runtime) => runtime,
        Err(error) => {
            output::fail(&error, None);
            return Outcome::Error.into();
        }
    };
    let ended = runtime.block_on(commands::run(cli));
    // A name that is still being looked up must not hold the end up.
    runtime.shutdown_background();
    match ended {
        Ok(outcome) => outcome.into(),
        // The reader has seen enough, as with `| head`.
        Err(Failure::Output(error)) if error.is_broken_pipe() => Outcome::Done.into(),
        Err(failure) => {
            let remedy = failure.remedy();
            output::fail(&failure.into(), remedy.as_deref());
            Outcome::Error.into()
        }
    }
}
