//! The node agent's program: options, log, then `--check` or the agent itself.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use fleetscope_node_agent::args::Args;
use fleetscope_node_agent::{agent, logging};

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    logging::install(args.log_format, &args.log_level)?;
    if args.check {
        let (ready, text) = agent::check(args);
        stdout().write_all(text.as_bytes()).context("failed to write the table")?;
        return Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    agent::run(args)?;
    Ok(ExitCode::SUCCESS)
}
