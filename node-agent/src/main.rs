//! The node agent's program: options, log, then `--check` or the agent itself.

use std::io::{Write as _, stderr, stdout};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use fleetscope_node_agent::args::Args;
use fleetscope_node_agent::{agent, logging};
use tracing::error;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = logging::install(args.log_format, &args.log_level) {
        // There is no log to say it in; if standard error is gone too, the exit code has to do.
        let _ = writeln!(stderr(), "{:#}", anyhow::Error::from(error));
        return ExitCode::FAILURE;
    }
    run(args).unwrap_or_else(|error| {
        error!(error = format!("{error:#}"), "The agent cannot run");
        ExitCode::FAILURE
    })
}

fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.unpin {
        let text = agent::unpin(&args).context("failed to remove the pins")?;
        stdout().write_all(text.as_bytes()).context("failed to write the answer")?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.check {
        let (ready, text) = agent::check(args);
        stdout().write_all(text.as_bytes()).context("failed to write the table")?;
        return Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    agent::run(args)?;
    Ok(ExitCode::SUCCESS)
}
