//! `fleetscope slow`: what of the fleets takes longest, tasks and gRPC calls in one list.

mod draw;

use std::num::NonZeroUsize;

use clap::{Args, ValueEnum};
use fleetscope_core::tasks::rows::TaskRow;

use super::grpc::totals as calls;
use super::tasks::totals as tasks;
use super::{Answer, Failure, grpc};
use crate::args::{Format, OutputArgs};
use crate::cluster::Cluster;
use crate::nodes::{self, Coverage, NodeAgent, NodeError};
use draw::{Slow, Thing};

/// Options of `slow`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  fleetscope slow                                the 10 slowest of the current namespace
  fleetscope slow -A --top 3 --min-calls 100     of those that finished 100 times or more
  fleetscope slow --fleet coders --kind grpc -o wide    calls only, per pod
  fleetscope slow -A --top 1 -o json | jq -r '.items[0].name'

Ranked by P99, which is estimated from the histogram as Prometheus' histogram_quantile does;
>2h00m is beyond its last bucket. With few observations P99 is little more than the slowest
of them: --min-calls leaves those out. MAX is the bucket that the slowest one is in.
GROUP/ROLE is the group of a task; of a call the end that measured it: client or server.
Figures count since each node agent started, for the pods whose series it still holds.")]
pub(crate) struct SlowArgs {
    /// How many are shown.
    #[arg(long, value_name = "N", default_value = "10")]
    pub(crate) top: NonZeroUsize,

    /// Leaves out what finished less often.
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) min_calls: u64,

    /// What is ranked.
    #[arg(long, value_name = "KIND", default_value = "all")]
    pub(crate) kind: Kind,

    /// One row per pod and container, as -o wide has it; for JSON and YAML.
    #[arg(long)]
    pub(crate) by_pod: bool,

    /// How the answer is printed.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What is ranked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Kind {
    /// Tasks.
    Task,
    /// gRPC calls.
    Grpc,
    /// Both.
    All,
}

/// Asks the node agents once.
pub(crate) async fn run(cluster: &Cluster, args: &SlowArgs) -> Result<Answer, Failure> {
    let agents = nodes::discover(cluster).await?;
    super::some(&agents)?;
    let by_pod = args.by_pod || args.output.output == Format::Wide;
    let (things, coverage) = match args.kind {
        Kind::Task => of_tasks(cluster, &agents, by_pod).await,
        Kind::Grpc => of_calls(cluster, &agents, by_pod).await,
        Kind::All => {
            let (mut tasks, calls) =
                tokio::join!(of_tasks(cluster, &agents, by_pod), of_calls(cluster, &agents, by_pod));
            tasks.0.extend(calls.0);
            (tasks.0, both(tasks.1, calls.1))
        }
    };
    Answer::view(&Slow::new(things, args, coverage.clone()), &args.output, coverage)
}

async fn of_tasks(cluster: &Cluster, agents: &[NodeAgent], by_pod: bool) -> (Vec<Thing>, Coverage) {
    let answers: Vec<Result<Vec<TaskRow>, NodeError>> =
        nodes::ask_json(cluster, agents, &cluster.scope.path("/api/v1/tasks")).await;
    let mut merge = tasks::Merge::new(if by_pod { tasks::By::Pod } else { tasks::By::Task });
    let added = agents.iter().zip(answers).map(|(agent, rows)| {
        let wanted = rows?.into_iter().filter(|row| cluster.scope.wants(&row.namespace, &row.fleet));
        Ok(merge.add(&agent.node, wanted)?)
    });
    let (_, coverage) = nodes::split(agents, added.collect());
    (merge.rows.into_iter().map(Thing::from).collect(), coverage)
}

async fn of_calls(cluster: &Cluster, agents: &[NodeAgent], by_pod: bool) -> (Vec<Thing>, Coverage) {
    let answers = grpc::ask(cluster, agents).await;
    let mut merge = calls::Merge::new(if by_pod { calls::By::Pod } else { calls::By::Method });
    let added = agents.iter().zip(answers).map(|(agent, rows)| {
        let wanted = rows?.into_iter().filter(|row| cluster.scope.wants(&row.namespace, &row.fleet));
        Ok(merge.add(&agent.node, wanted, None)?)
    });
    let (_, coverage) = nodes::split(agents, added.collect());
    (merge.rows.into_iter().map(Thing::from).collect(), coverage)
}

/// Of the same node agents, who answered at least one of two questions. A problem with both is told once.
fn both(one: Coverage, other: Coverage) -> Coverage {
    let mut problems = one.problems;
    problems.extend(other.problems);
    let mut told = Vec::new();
    problems.retain(|problem| {
        let new = !told.contains(problem);
        told.push(problem.clone());
        new
    });
    Coverage { asked: one.asked, answered: one.answered.max(other.answered), problems }
}

#[cfg(test)]
mod tests;
