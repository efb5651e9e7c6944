//! `fleetscope-operator`: see `--help`.

use std::io::Write as _;

use anyhow::Context as _;
use clap::Parser as _;
use fleetscope_core::api::{crd_file, crd_yaml, crds};
use fleetscope_operator::args::{Cli, Command, CrdsArgs, RunArgs};
use fleetscope_operator::{logging, run};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Run(args) => start(*args),
        Command::Crds(args) => print_crds(args),
    }
}

// As many as it has use for: the default is one per processor, each with a heap of its own.
#[tokio::main(worker_threads = 2)]
async fn start(args: RunArgs) -> anyhow::Result<()> {
    logging::start(&args.log_level, args.log_format).context("failed to read --log-level")?;
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    run::run(args, stop).await.inspect_err(|error| tracing::error!(%error, "Operator failed"))?;
    Ok(())
}

fn print_crds(CrdsArgs { out_dir }: CrdsArgs) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    for crd in crds() {
        let yaml = crd_yaml(&crd).context("failed to write a definition as YAML")?;
        match &out_dir {
            Some(folder) => {
                let path = folder.join(crd_file(&crd));
                std::fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
                std::fs::write(&path, yaml).with_context(|| format!("failed to write {}", path.display()))?;
            }
            None => write!(stdout, "---\n{yaml}")?,
        }
    }
    Ok(())
}
