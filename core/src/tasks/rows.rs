//! Rows of `/agents` and `/api/v1/tasks`: what the node agent answers as JSON and the CLI reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metrics::{self, Kind};
use crate::pods::AgentStatus;
use crate::series::{Snapshot, Value};

/// One agent of this node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentRow {
    /// Namespace of the pod and its fleet.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// The fleet that it belongs to.
    pub fleet: String,
    /// Its workload.
    pub workload: String,
    /// Its node.
    pub node: String,
    /// Its status.
    pub status: AgentStatus,
    /// Whether its tasks are recorded: false while the fleet is suspended.
    pub tracked: bool,
    /// When the pod was made, seconds since the epoch.
    pub created: i64,
    /// Restarts of all its containers.
    pub restarts: i64,
    /// Tasks that run now.
    pub running_tasks: u64,
    /// Its containers.
    pub containers: Vec<ContainerRow>,
}

/// One container of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerRow {
    /// Its name.
    pub name: String,
    /// Its image, as the spec names it.
    pub image: String,
    /// `waiting`, `running`, `terminated` or `unknown`.
    pub state: String,
    /// Why it is so, for example `CrashLoopBackOff`; empty if there is nothing to say.
    pub reason: String,
    /// Since when it runs, seconds since the epoch.
    pub started: Option<i64>,
    /// How often the kubelet restarted it.
    pub restarts: i32,
}

/// One task of one container: all its processes of one name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRow {
    /// Namespace.
    pub namespace: String,
    /// Fleet.
    pub fleet: String,
    /// Pod.
    pub pod: String,
    /// Container.
    pub container: String,
    /// Workload.
    pub workload: String,
    /// Task.
    pub task: String,
    /// Group.
    pub group: String,
    /// How many run now.
    pub running: u64,
    /// How many ended, by result and exit.
    pub finished: Vec<FinishedRow>,
    /// How long they took, by result.
    pub durations: Vec<DurationRow>,
}

/// Tasks that ended in one way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FinishedRow {
    /// Value of the label `result`.
    pub result: String,
    /// Value of the label `exit`.
    pub exit: String,
    /// How many.
    pub count: u64,
}

/// Durations of the tasks of one result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DurationRow {
    /// Value of the label `result`.
    pub result: String,
    /// Counts per bucket of [`metrics::TASK_BOUNDS`], not cumulative, one more than there are bounds.
    pub counts: Vec<u64>,
    /// Sum in seconds.
    pub sum: f64,
}

/// The rows of all tasks in a snapshot, ordered by identity, then group, then task: the same figures as `/metrics`, as they are the same series.
pub fn tasks(snapshot: &Snapshot) -> Vec<TaskRow> {
    let mut rows: BTreeMap<_, TaskRow> = BTreeMap::new();
    for family in snapshot.families() {
        let metric = family.metric;
        for series in family.series() {
            let label =
                |name: &str| metric.labels.iter().position(|own| *own == name).map_or("", |at| &*series.labels[at]);
            let is_task =
                [metrics::TASKS.name, metrics::TASKS_RUNNING.name, metrics::TASK_DURATION.name].contains(&metric.name);
            let Some(identity) = series.identity.as_ref().filter(|_| is_task) else { continue };
            let key = (std::sync::Arc::clone(identity), label("group").to_owned(), label("task").to_owned());
            let row = rows.entry(key).or_insert_with(|| TaskRow {
                namespace: identity.namespace.to_string(),
                fleet: identity.fleet.to_string(),
                pod: identity.pod.to_string(),
                container: identity.container.to_string(),
                workload: identity.workload.to_string(),
                task: label("task").to_owned(),
                group: label("group").to_owned(),
                ..TaskRow::default()
            });
            let result = label("result").to_owned();
            match (&series.value, metric.kind) {
                (Value::Number(number), Kind::Counter) => {
                    row.finished.push(FinishedRow { result, exit: label("exit").to_owned(), count: whole(*number) });
                }
                (Value::Number(number), _) => row.running = whole(*number),
                (Value::Histogram { counts, sum, .. }, _) => {
                    row.durations.push(DurationRow { result, counts: counts.to_vec(), sum: *sum });
                }
            }
        }
    }
    rows.into_values().collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of tasks: whole, not negative, far below 2^53"
)]
fn whole(number: f64) -> u64 {
    number as u64
}
