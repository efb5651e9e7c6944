//! `fleetscope tasks`: the fleets' tasks over all nodes: how many, how they ended, how long they took.

mod draw;
pub(super) mod totals;

use clap::{Args, ValueEnum};
use fleetscope_core::tasks::rows::TaskRow;

use super::{Answer, Failure};
use crate::args::{Format, OutputArgs};
use crate::cluster::Cluster;
use crate::nodes;
use draw::Tasks;
use totals::{By, Merge};

/// Options of `tasks`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  fleetscope tasks                               tasks of the fleets of the current namespace
  fleetscope tasks -A --sort failed              those that fail most, first
  fleetscope tasks --fleet coders -o wide        per pod, with exit codes
  fleetscope tasks --fleet coders --watch --interval 1s
  fleetscope tasks -A -o json | jq '.total.finished'

Figures count since each node agent started, for the pods whose series it still holds.
The mean is exact; p50 and p99 are estimated from the histogram as Prometheus'
histogram_quantile does; >2h00m is beyond its last bucket.")]
pub(crate) struct TasksArgs {
    /// Order of the rows: by name, or the largest first.
    #[arg(long, value_name = "COLUMN", default_value = "name")]
    pub(crate) sort: Sort,

    /// One row per pod and container, as -o wide has it; for JSON and YAML.
    #[arg(long)]
    pub(crate) by_pod: bool,

    /// How the answer is printed.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Order of the rows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Sort {
    /// Namespace, fleet, group, task.
    Name,
    /// Tasks that run now.
    Running,
    /// Finished tasks.
    Finished,
    /// Finished tasks with another result than success.
    Failed,
    /// Mean duration.
    Mean,
    /// Estimated 99th percentile of the duration.
    P99,
    /// Sum of the durations.
    Time,
}

/// Asks the node agents once.
pub(crate) async fn run(cluster: &Cluster, args: &TasksArgs) -> Result<Answer, Failure> {
    let agents = nodes::discover(cluster).await?;
    super::some(&agents)?;
    let answers = nodes::ask_json::<Vec<TaskRow>>(cluster, &agents, &cluster.scope.path("/api/v1/tasks")).await;
    let by = if args.by_pod || args.output.output == Format::Wide { By::Pod } else { By::Task };
    let mut merge = Merge::new(by);
    let added = agents.iter().zip(answers).map(|(agent, rows)| {
        Ok(merge.add(&agent.node, rows?.into_iter().filter(|row| cluster.scope.wants(&row.namespace, &row.fleet)))?)
    });
    let (_, coverage) = nodes::split(&agents, added.collect());
    let tasks = Tasks::new(merge, args.sort, coverage.clone());
    Answer::view(&tasks, &args.output, coverage)
}

#[cfg(test)]
mod tests;
