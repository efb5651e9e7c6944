//! Tasks: how many, how long, how they end; git merges, of which only one at a time should run.

use super::levels::Levels;
use super::panel::{Board, Kind, Panel, Row, Unit};
use super::query::{kernel, scrape, telemetry};
use super::variables::Variable;

/// From when on the slowest runs of a task are slow.
const SLOW: Levels = Levels::Above("FleetTaskTailSlow");

pub(super) fn board() -> Board {
    Board {
        uid: "fleetscope-tasks",
        title: "Tasks",
        description: "Tasks of the fleets: processes of agents as the kernel sees them, with their duration and the way they ended.",
        variables: &[
            Variable::DataSource,
            Variable::Namespace,
            Variable::Profile,
            Variable::Fleet,
            Variable::Task,
            Variable::WorkerProfile,
        ],
        rows: vec![
            Row::new("Now", now()),
            Row::new("Results", results()),
            Row::new("Durations", durations()),
            Row::new("Git merges", merges()),
            Row::new("Workers", workers()),
            Row::new("Timeline", timeline()),
        ],
    }
}

fn now() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::Gauge,
            "Active merges",
            Unit::Count,
            [
                "Merges that run at the same time, in the fleet that has the most.",
                "0 or 1.",
                "More than 1: two agents merge into one repository, or the lock does not hold.",
            ],
        )
        .covers(&["O38"])
        .levels(Levels::CountAbove("FleetConcurrentMerges"))
        .query(kernel(
            r#"max(sum by (namespace, fleet) (fleet:tasks_running:sum{$fleets,task="merge"})) or vector(0)"#,
            "merges",
        )),
        Panel::new(
            Kind::Stat,
            "Peak of merges in the last hour",
            Unit::Count,
            ["Most merges that ran at the same time in one fleet.", "1.", "More than 1, also if it is over now."],
        )
        .covers(&["O53"])
        .levels(Levels::CountAbove("FleetConcurrentMerges"))
        .query(kernel(r#"max(max_over_time(fleet:tasks_running:sum{$fleets,task="merge"}[1h])) or vector(0)"#, "peak")),
        Panel::new(
            Kind::Gauge,
            "Active tasks",
            Unit::Count,
            [
                "Tasks that run now, in the fleet that has the most.",
                "Below 10, or what the fleet is made for.",
                "More: a backlog. The same ones for long: a deadlock.",
            ],
        )
        .covers(&["O39"])
        .levels(Levels::Given { yellow: 8.0, red: 11.0 })
        .query(kernel(r#"max(sum by (namespace, fleet) (fleet:tasks_running:sum{$fleets,task=~"$task"}))"#, "tasks")),
        Panel::new(
            Kind::Stat,
            "Completion rate",
            Unit::PerSecond,
            ["Tasks that end with success per second.", "Steady.", "0 while tasks run."],
        )
        .covers(&["O54"])
        .query(kernel(r#"sum(fleet:tasks:rate5m{$fleets,task=~"$task",result="success"})"#, "completed")),
        Panel::new(
            Kind::Gauge,
            "Share of tasks that fail, worst fleet",
            Unit::Ratio,
            [
                "Failed tasks of all that ended, in the fleet where it is highest.",
                "Near 0.",
                "In the red: the alert fires.",
            ],
        )
        .covers(&["S40", "G52"])
        .levels(Levels::Above("FleetTaskFailureRatioHigh"))
        .query(kernel("max(fleet:task_failure:ratio_rate5m{$fleets})", "failed")),
        Panel::new(
            Kind::Gauge,
            "Share of conflicts, worst group",
            Unit::Ratio,
            [
                "Tasks whose result is conflict of all of their group that ended, where it is highest.",
                "Near 0.",
                "In the red: agents work on the same files.",
            ],
        )
        .covers(&["O52"])
        .levels(Levels::Above("FleetConflictRatioHigh"))
        .query(kernel("max(fleet:task_conflict:ratio_rate5m{$fleets})", "conflicts")),
    ]
}

fn results() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::Stacked,
            "Task states",
            Unit::Count,
            [
                "Tasks that wait (as agents tell), that run, and that ended in the last hour by result.",
                "Few wait, most end with success.",
                "Waiting ones that only grow: a deadlock of dependencies. A broad band of failed ones.",
            ],
        )
        .covers(&["O42"])
        .query(kernel(r#"sum(fleet:tasks_running:sum{$fleets,task=~"$task"})"#, "running"))
        .query(kernel(r#"sum by (result) (fleet:tasks:increase1h{$fleets,task=~"$task"})"#, "{{result}}"))
        .query(telemetry("sum(fleet:task_queue:sum{$fleets})", "queued")),
        Panel::new(
            Kind::TimeSeries,
            "Results per second",
            Unit::PerSecond,
            [
                "Tasks that end per second, by result.",
                "Success far above all else.",
                "Failed rises, or crosses success.",
            ],
        )
        .covers(&["S43"])
        .query(kernel(r#"sum by (result) (fleet:tasks:rate5m{$fleets,task=~"$task"})"#, "{{result}}")),
        Panel::new(
            Kind::TimeSeries,
            "Success by task",
            Unit::Ratio,
            [
                "Share of a task's ends that are a success.",
                "Near 100 %.",
                "One task that falls: its program, input or peer has changed.",
            ],
        )
        .query(kernel(r#"fleet:task_success:ratio_rate5m{$fleets,task=~"$task"}"#, "{{namespace}}/{{fleet}} {{task}}")),
        Panel::new(
            Kind::TimeSeries,
            "Ends in the last hour, by exit",
            Unit::Count,
            [
                "How processes ended: exit code, signal, out-of-memory kill.",
                "0, and the codes that rules give a meaning.",
                "oom, sigkill, 126, 127.",
            ],
        )
        .covers(&["S42"])
        .size(12, 8)
        .query(kernel(r#"sum by (exit) (fleet:tasks:increase1h{$fleets,task=~"$task"})"#, "exit {{exit}}")),
        Panel::new(
            Kind::TimeSeries,
            "Share of conflicts by group",
            Unit::Ratio,
            [
                "Conflicts of all ends of a group's tasks.",
                "Near 0.",
                "Above the threshold, or rising with the number of agents.",
            ],
        )
        .covers(&["O52"])
        .size(12, 8)
        .levels(Levels::Above("FleetConflictRatioHigh"))
        .query(kernel("fleet:task_conflict:ratio_rate5m{$fleets}", "{{namespace}}/{{fleet}} {{group}}")),
    ]
}

fn durations() -> Vec<Panel> {
    vec![
        Panel::new(Kind::Table, "Task performance", Unit::Seconds, [
            "Each task with its rate, its share of success and its durations; the mark judges the p99.",
            "Fast: below a fifth of the threshold.",
            "Slow: at or above the threshold of the alert for slow tasks.",
        ])
        .covers(&["S40", "S41"])
        .sorted_by("p99")
        .query(table(r#"sum by (namespace, fleet, task) (fleet:tasks:rate5m{$fleets,task=~"$task"})"#).column("per second", Unit::PerSecond))
        .query(table(r#"max by (namespace, fleet, task) (fleet:task_success:ratio_rate5m{$fleets,task=~"$task"})"#).column("success", Unit::Ratio))
        .query(table(r#"max by (namespace, fleet, task) (fleet:task_duration_seconds:p50_5m{$fleets,task=~"$task"})"#).column("p50", Unit::Seconds))
        .query(table(r#"max by (namespace, fleet, task) (fleet:task_duration_seconds:p95_5m{$fleets,task=~"$task"})"#).column("p95", Unit::Seconds))
        .query(table(r#"max by (namespace, fleet, task) (fleet:task_duration_seconds:p99_5m{$fleets,task=~"$task"})"#).judged("p99", Unit::Seconds, SLOW))
        .query(table(r#"max by (namespace, fleet, task) (fleet:task_duration_seconds:p99_5m{$fleets,task=~"$task"})"#).mark("mark", SLOW)),
        Panel::new(Kind::TimeSeries, "Duration by task, p95", Unit::Seconds, [
            "Duration that 95 % of a task's runs did not exceed. Usual for agents: a planner 5 to 30 s, a tester 10 to 60 s, a coder 30 to 120 s.",
            "At its usual height.",
            "Above the threshold; at a round number: a time limit.",
        ])
        .covers(&["O43"])
        .size(12, 8)
        .levels(Levels::Above("FleetTaskSlow"))
        .query(kernel(r#"fleet:task_duration_seconds:p95_5m{$fleets,task=~"$task"}"#, "{{namespace}}/{{fleet}} {{task}}")),
        Panel::new(Kind::Heatmap, "All durations", Unit::Seconds, [
            "Ends of tasks by duration; the points are exemplars, which lead to traces where there are some.",
            "One band.",
            "A second band far above: some runs wait for something.",
        ])
        .covers(&["G60"])
        .query(
            kernel(
                r#"sum by (le) (increase(fleetscope_task_duration_seconds_bucket{$fleets,task=~"$task"}[$__rate_interval]))"#,
                "{{le}}",
            )
            .exemplar(),
        ),
    ]
}

fn merges() -> Vec<Panel> {
    vec![
        Panel::new(Kind::TimeSeries, "Merge duration", Unit::Seconds, [
            "p50, p95, p99 and mean of git merge, each in the fleet where it is highest.",
            "p95 below 5 s.",
            "p95 above 10 s. Spikes: conflicts.",
        ])
        .covers(&["O40", "O51"])
        .levels(Levels::Given { yellow: 5.0, red: 10.0 })
        .query(kernel(r#"max(fleet:task_duration_seconds:p50_5m{$fleets,task="merge"})"#, "p50"))
        .query(kernel(r#"max(fleet:task_duration_seconds:p95_5m{$fleets,task="merge"})"#, "p95"))
        .query(kernel(r#"max(fleet:task_duration_seconds:p99_5m{$fleets,task="merge"})"#, "p99"))
        .query(kernel(r#"max(fleet:task_duration_seconds:mean5m{$fleets,task="merge"})"#, "mean")),
        Panel::new(Kind::TimeSeries, "Merge results", Unit::PerSecond, [
            "Merges that end per second, by result.",
            "Success above all else.",
            "Conflict near success, or any failed.",
        ])
        .covers(&["O41"])
        .query(kernel(r#"sum by (result) (fleet:tasks:rate5m{$fleets,task="merge"})"#, "{{result}}")),
        Panel::new(Kind::TimeSeries, "Merge lock wait, p95", Unit::Seconds, [
            "How long merges waited for their lock, as the agents' own metrics tell (git_lock_wait_duration_seconds).",
            "Below a second.",
            "Near the duration of a merge, or above: merges queue up.",
        ])
        .covers(&["O60"])
        .query(
            scrape(
                "histogram_quantile(0.95, sum by (le, namespace, fleet) (rate(git_lock_wait_duration_seconds_bucket{$fleets}[$__rate_interval])))",
                "{{namespace}}/{{fleet}}",
            )
            .exemplar(),
        ),
    ]
}

fn workers() -> Vec<Panel> {
    vec![
        Panel::new(Kind::Gauge, "Worker success", Unit::Ratio, [
            "Share of the tasks of the group `workers` that end with success, by worker profile, which is the task's name.",
            "Above 95 %.",
            "In the red: more fail than the alert allows.",
        ])
        .covers(&["O61"])
        .size(8, 8)
        .levels(Levels::Rest("FleetTaskFailureRatioHigh"))
        .query(kernel(
            r#"(sum by (task) (fleet:tasks:rate5m{$fleets,group="workers",task=~"$worker_profile",result="success"}) or 0 * sum by (task) (fleet:tasks:rate5m{$fleets,group="workers",task=~"$worker_profile"})) / (sum by (task) (fleet:tasks:rate5m{$fleets,group="workers",task=~"$worker_profile"}) > 0)"#,
            "{{task}}",
        )),
        Panel::new(Kind::TimeSeries, "Worker utilization", Unit::Count, [
            "Tasks of the group `workers` that run per running agent, by worker profile.",
            "All profiles together near 1 where an agent does one task at a time.",
            "0: idle agents. Far above 1: agents that start more than they finish.",
        ])
        .covers(&["O56"])
        .query(kernel(
            r#"sum by (task) (fleet:tasks_running:sum{$fleets,group="workers",task=~"$worker_profile"}) / on () group_left () (sum(fleet:agents:sum{$fleets,status="running"}) > 0)"#,
            "{{task}}",
        )),
        Panel::new(Kind::TimeSeries, "Retries per task", Unit::Count, [
            "How often a task was tried again on average, as the agents' own metrics tell (task_retry_count).",
            "Near 0.",
            "Rising: something fails and is tried again and again.",
        ])
        .covers(&["O55"])
        .query(scrape(
            "sum by (namespace, fleet) (rate(task_retry_count_sum{$fleets}[$__rate_interval])) / (sum by (namespace, fleet) (rate(task_retry_count_count{$fleets}[$__rate_interval])) > 0)",
            "{{namespace}}/{{fleet}}",
        )),
    ]
}

fn timeline() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::StateTimeline,
            "Tasks by agent",
            Unit::Count,
            [
                "When each agent had a task of a kind running.",
                "Bars that begin and end.",
                "A bar without an end: a task that hangs.",
            ],
        )
        .covers(&["G60", "O39"])
        .levels(Levels::Activity)
        .query(kernel(
            r#"max by (namespace, pod, task) (fleetscope_tasks_running{$fleets,task=~"$task"}) > 0"#,
            "{{pod}} {{task}}",
        )),
    ]
}

/// A column; rows are told by their labels.
const fn table(expr: &'static str) -> super::query::Target {
    kernel(expr, "")
}
