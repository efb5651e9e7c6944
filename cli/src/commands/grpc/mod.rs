//! `fleetscope grpc`: the fleets' gRPC calls over all nodes: how many, how many failed, how long they took.

mod draw;
mod look;
pub(super) mod totals;

use std::cell::RefCell;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use fleetscope_core::rpc::rows::CallRow;

use super::{Answer, Failure};
use crate::args::{Format, OutputArgs, duration};
use crate::cluster::Cluster;
use crate::nodes::{self, NodeAgent, NodeError};
use draw::Grpc;
use look::Look;
use totals::{By, Merge};

/// Where the node agents serve calls.
const PATH: &str = "/api/v1/grpc";

/// Options of `grpc`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  fleetscope grpc                                calls of the fleets of the current namespace
  fleetscope grpc -A --sort errors               methods that fail most, first
  fleetscope grpc --fleet coders -o wide         per pod, with statuses
  fleetscope grpc --fleet coders --watch --interval 1s
  fleetscope grpc --over 10s                     rates over ten seconds
  fleetscope grpc -A -o json | jq '.items[] | select(.errorRatio > 0.01) | .method'

A row is a method as its servers see it (ROLE server) or as its callers do (client); a call
between two observed pods is in one row of each, so the totals are per role.
RATE is calls that finished per second between two looks at the node agents; its heading says
how far apart they were: --over without --watch; with --watch the time since the last round,
so that the first round has none. All else counts since each node agent started, for the pods
whose series it still holds.
ERRORS are calls that failed as seen from the row's end: for a client all that are not OK, for
a server those that are its own fault (UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL,
UNAVAILABLE, DATA_LOSS); a NOT_FOUND is the caller's. -o wide has all statuses.
P50, P90 and P99 are estimated from the histogram as Prometheus' histogram_quantile does; >5m00s
is beyond its last bucket. FIRST-P50 is the time to the first response; the table has it when
it tells something, that is for streams, which last longer.
Encrypted connections cannot be read: `fleetscope metrics --self --match 'fleetscope_rpc_*'`
counts them, and whatever else could not be known.")]
pub(crate) struct GrpcArgs {
    /// Order of the rows: by name, or the largest first.
    #[arg(long, value_name = "COLUMN", default_value = "name")]
    pub(crate) sort: Sort,

    /// One row per pod and container, as -o wide has it; for JSON and YAML.
    #[arg(long)]
    pub(crate) by_pod: bool,

    /// Time between the two looks that rates need: 100ms to 10m.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration, conflicts_with = "watch")]
    pub(crate) over: Duration,

    /// How the answer is printed.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Order of the rows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Sort {
    /// Namespace, fleet, method, role.
    Name,
    /// Finished calls.
    Calls,
    /// Calls per second.
    Rate,
    /// Calls that failed.
    Errors,
    /// Calls in flight.
    InFlight,
    /// Mean duration.
    Mean,
    /// Estimated 99th percentile of the duration.
    P99,
    /// Sum of the durations.
    Time,
}

/// Calls of one node agent, or why they are missing.
type Rows = Result<Vec<CallRow>, NodeError>;

/// Asks the node agents: once for a round of --watch, whose rates are those since the round before, else twice.
pub(crate) async fn run(cluster: &Cluster, args: &GrpcArgs, last: &RefCell<Option<Look>>) -> Result<Answer, Failure> {
    let agents = nodes::discover(cluster).await?;
    super::some(&agents)?;
    let (before, at, answers) = if args.output.watch {
        (last.take(), Instant::now(), ask(cluster, &agents).await)
    } else {
        let (before, failed) = first_look(cluster, &agents).await;
        if failed.iter().any(Option::is_none) {
            tokio::time::sleep(args.over).await;
        }
        (Some(before), Instant::now(), ask_again(cluster, &agents, failed).await)
    };
    let by = if args.by_pod || args.output.output == Format::Wide { By::Pod } else { By::Method };
    let mut merge = Merge::new(by);
    let mut seen = Look::new(at);
    let added = agents.iter().zip(answers).map(|(agent, rows)| {
        let rows = rows?;
        seen.note(&agent.node, &rows);
        let wanted = rows.into_iter().filter(|row| cluster.scope.wants(&row.namespace, &row.fleet));
        Ok(merge.add(&agent.node, wanted, before.as_ref())?)
    });
    let (_, coverage) = nodes::split(&agents, added.collect());
    let apart = before.map(|before| seen.since(&before));
    last.replace(Some(seen));
    Answer::view(&Grpc::new(merge, args.sort, apart, coverage.clone()), &args.output, coverage)
}

/// Asks all node agents for their rows. In the order of `agents`.
pub(super) async fn ask(cluster: &Cluster, agents: &[NodeAgent]) -> Vec<Rows> {
    nodes::ask_json(cluster, agents, &cluster.scope.path(PATH)).await
}

/// What is counted now, and why of some nothing is known.
async fn first_look(cluster: &Cluster, agents: &[NodeAgent]) -> (Look, Vec<Option<NodeError>>) {
    let mut look = Look::new(Instant::now());
    let answers = ask(cluster, agents).await;
    let failed = agents.iter().zip(answers).map(|(agent, rows)| match rows {
        Ok(rows) => {
            look.note(&agent.node, &rows);
            None
        }
        Err(error) => Some(error),
    });
    let failed = failed.collect();
    (look, failed)
}

/// Asks those again that have not failed: the others would only make the user wait twice.
async fn ask_again(cluster: &Cluster, agents: &[NodeAgent], failed: Vec<Option<NodeError>>) -> Vec<Rows> {
    let good = agents.iter().zip(&failed).filter(|(_, failed)| failed.is_none()).map(|(agent, _)| agent.clone());
    let mut answers = ask(cluster, &good.collect::<Vec<_>>()).await.into_iter();
    let of_one = |failed| match failed {
        Some(error) => Err(error),
        None => answers.next().expect("each that was asked has an answer"),
    };
    failed.into_iter().map(of_one).collect()
}

#[cfg(test)]
mod tests;
