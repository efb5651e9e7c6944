//! The verbs, one per file: each asks once and returns an [`Answer`]; printing, repeating and exit codes are here.

pub(crate) mod agents;
pub(crate) mod grpc;
pub(crate) mod lint;
pub(crate) mod metrics;
pub(crate) mod render;
pub(crate) mod slow;
pub(crate) mod status;
pub(crate) mod tasks;

use std::cell::RefCell;

use clap::CommandFactory as _;
use tokio::time::MissedTickBehavior;

use crate::args::{Cli, Command, Format, OutputArgs, ScopeArgs};
use crate::cluster::{Cluster, ClusterError};
use crate::exit::{Outcome, Problem};
use crate::nodes::{Coverage, DiscoverError, NODE_AGENT_LABELS, NodeAgent};
use crate::output::{self, OutputError, View};

/// What a verb found out.
pub(crate) struct Answer {
    /// For standard output.
    pub(crate) text: String,
    /// For standard error.
    pub(crate) problems: Vec<Problem>,
    /// How it went.
    pub(crate) outcome: Outcome,
}

/// Why a verb has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The API server.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The node agents.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    /// Printing.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// There is nobody to ask.
    #[error("failed to find node agents: no pod has the labels {NODE_AGENT_LABELS}")]
    NoNodeAgents,
    /// The fleet of `--fleet`.
    #[error("failed to find fleet {name} {place}")]
    NoFleet {
        /// Its name.
        name: String,
        /// Where it was looked for.
        place: String,
    },
}

// === impl Answer ===

impl Answer {
    /// An answer in the form that was asked for, partial when node agents are missing from it.
    pub(crate) fn view(view: &impl View, args: &OutputArgs, coverage: Coverage) -> Result<Self, Failure> {
        let nobody = coverage.answered == 0 && matches!(args.output, Format::Table | Format::Wide);
        // That nothing is there cannot be said when nobody could be asked.
        let text = if nobody { String::new() } else { output::format(view, args.output, args.watch)? };
        Ok(Self::partial(text, coverage))
    }

    /// An answer as text, partial when node agents are missing from it.
    pub(crate) fn partial(text: String, coverage: Coverage) -> Self {
        let outcome = match &coverage {
            Coverage { answered: 0, asked: 1.., .. } => Outcome::Error,
            Coverage { problems, .. } if problems.is_empty() => Outcome::Done,
            _ => Outcome::Partial,
        };
        Self { text, problems: coverage.problems, outcome }
    }
}

// === impl Failure ===

impl Failure {
    /// What to do about it.
    pub(crate) fn remedy(&self) -> Option<String> {
        match self {
            Self::Cluster(error) => Some(error.remedy()),
            Self::Discover(error) => Some(error.remedy()),
            Self::Output(_) => None,
            Self::NoNodeAgents => Some(
                "install the chart: helm upgrade --install fleetscope charts/fleetscope -n fleetscope-system --create-namespace; \
                 if it is installed, name its namespace with --system-namespace"
                    .to_owned(),
            ),
            Self::NoFleet { .. } => Some("`fleetscope status -A` lists all fleets that you may see".to_owned()),
        }
    }
}

/// An error when there is no node agent to ask.
fn some(agents: &[NodeAgent]) -> Result<(), Failure> {
    if agents.is_empty() { Err(Failure::NoNodeAgents) } else { Ok(()) }
}

/// Does what the command line says.
pub(crate) async fn run(cli: Cli) -> Result<Outcome, Failure> {
    let Cli { scope, command } = cli;
    match command {
        Command::Status(args) => repeat(&scope, &args.output, async |cluster| status::run(cluster, &args).await).await,
        Command::Agents(args) => repeat(&scope, &args.output, async |cluster| agents::run(cluster, &args).await).await,
        Command::Tasks(args) => repeat(&scope, &args.output, async |cluster| tasks::run(cluster, &args).await).await,
        Command::Grpc(args) => {
            // What the round before counted, for rates.
            let last = RefCell::default();
            repeat(&scope, &args.output, async |cluster| grpc::run(cluster, &args, &last).await).await
        }
        Command::Slow(args) => repeat(&scope, &args.output, async |cluster| slow::run(cluster, &args).await).await,
        Command::Metrics(args) => {
            repeat(&scope, &args.output, async |cluster| metrics::run(cluster, &args).await).await
        }
        Command::Render(args) => say(render::run(&args, &scope)),
        Command::Lint(args) => say(lint::run(&args, &scope)),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "fleetscope", &mut script);
            output::print(&String::from_utf8_lossy(&script), false)?;
            Ok(Outcome::Done)
        }
        Command::Version => {
            output::print(concat!("fleetscope ", env!("CARGO_PKG_VERSION"), "\n"), false)?;
            Ok(Outcome::Done)
        }
    }
}

/// Prints an answer.
fn say(answer: Answer) -> Result<Outcome, Failure> {
    let Answer { text, problems, outcome } = answer;
    output::print(&text, false)?;
    output::complain(&problems, outcome);
    Ok(outcome)
}

/// Asks once, or again and again; an error ends it only in the first round, as later ones may pass.
async fn repeat(
    scope: &ScopeArgs,
    args: &OutputArgs,
    ask: impl AsyncFn(&Cluster) -> Result<Answer, Failure>,
) -> Result<Outcome, Failure> {
    let cluster = Cluster::connect(scope).await?;
    let mut rounds = tokio::time::interval(args.interval);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let redraw = args.watch && matches!(args.output, Format::Table | Format::Wide);
    let mut first = true;
    loop {
        rounds.tick().await;
        match ask(&cluster).await {
            Ok(Answer { text, problems, outcome }) => {
                let separator = match args.output {
                    Format::Yaml if !first => "---\n",
                    Format::Table | Format::Wide if !first && !output::to_terminal() => "\n",
                    _ => "",
                };
                output::print(&format!("{separator}{text}"), redraw)?;
                output::complain(&problems, outcome);
                if !args.watch {
                    return Ok(outcome);
                }
            }
            Err(failure) if first || matches!(failure, Failure::Output(_)) => return Err(failure),
            Err(failure) => {
                let remedy = failure.remedy();
                output::fail(&failure.into(), remedy.as_deref());
            }
        }
        first = false;
    }
}
