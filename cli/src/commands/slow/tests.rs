//! Tests of `slow`: tasks and calls ranked in one list, and whole tables.

use clap::Parser as _;
use fleetscope_core::metrics::{RPC_BOUNDS, TASK_BOUNDS};
use fleetscope_core::rpc::rows::{CallRow, Durations, FinishedCalls};
use fleetscope_core::tasks::rows::{DurationRow, FinishedRow};
use serde_json::json;

use super::*;
use crate::exit::Problem;
use crate::output::View as _;

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    args: SlowArgs,
}

fn args(line: &str) -> SlowArgs {
    Line::parse_from(["slow"].into_iter().chain(line.split_whitespace())).args
}

fn counts(bounds: &[f64], bucket: usize, count: u64) -> Vec<u64> {
    let mut counts = vec![0; bounds.len() + 1];
    counts[bucket] = count;
    counts
}

fn task(name: &str, count: u64, bucket: usize, sum: f64) -> Thing {
    let row = TaskRow {
        namespace: "team-a".to_owned(),
        fleet: "coders".to_owned(),
        pod: "coder-1".to_owned(),
        container: "agent".to_owned(),
        task: name.to_owned(),
        group: "git".to_owned(),
        finished: vec![FinishedRow { result: "success".to_owned(), exit: "0".to_owned(), count }],
        durations: vec![DurationRow { result: "success".to_owned(), counts: counts(&TASK_BOUNDS, bucket, count), sum }],
        ..TaskRow::default()
    };
    let mut merge = tasks::Merge::new(tasks::By::Pod);
    merge.add("node-a", [row].into_iter()).unwrap();
    Thing::from(merge.rows.pop_first().unwrap())
}

fn call(role: &str, method: &str, count: u64, bucket: usize, sum: f64) -> Thing {
    let durations = Durations { count, counts: counts(&RPC_BOUNDS, bucket, count), sum };
    let row = CallRow {
        namespace: "team-a".to_owned(),
        fleet: "coders".to_owned(),
        pod: "coder-1".to_owned(),
        container: "agent".to_owned(),
        role: role.to_owned(),
        method: method.to_owned(),
        bounds: RPC_BOUNDS.to_vec(),
        finished: vec![FinishedCalls { status: "OK".to_owned(), durations, ..FinishedCalls::default() }],
        ..CallRow::default()
    };
    let mut merge = calls::Merge::new(calls::By::Pod);
    merge.add("node-b", [row].into_iter(), None).unwrap();
    Thing::from(merge.rows.pop_first().unwrap())
}

fn things() -> Vec<Thing> {
    vec![
        task("merge", 200, 3, 60.0),
        task("train", 2, 14, 20_000.0),
        task("build", 9, 13, 60_000.0),
        call("server", "plan.v1.Planner/Watch", 2, 20, 700.0),
        call("client", "plan.v1.Planner/Plan", 1_000, 8, 90.0),
        call("client", "plan.v1.Planner/Never", 0, 0, 0.0),
    ]
}

fn drawn(line: &str, wide: bool) -> String {
    let slow = Slow::new(things(), &args(line), Coverage::default());
    anstream::adapter::strip_str(&slow.draw(wide)).to_string()
}

#[test]
fn tasks_and_calls_are_ranked_in_one_list() {
    assert_eq!(
        drawn("", false),
        "\
NAMESPACE  FLEET   KIND  GROUP/ROLE  NAME                   COUNT     P50     P99      MAX
team-a     coders  task  git         train                      2  >2h00m  >2h00m   >2h00m
team-a     coders  task  git         build                      9   1h15m   1h59m  <=2h00m
team-a     coders  grpc  server      plan.v1.Planner/Watch      2  >5m00s  >5m00s   >5m00s
team-a     coders  task  git         merge                    200   300ms   496ms  <=500ms
team-a     coders  grpc  client      plan.v1.Planner/Plan    1000  87.5ms  99.8ms  <=100ms
"
    );
}

#[test]
fn top_and_min_calls_say_what_they_leave_out() {
    assert_eq!(
        drawn("--top 1 --min-calls 3", true),
        "\
NAMESPACE  FLEET   KIND  GROUP/ROLE  NAME   POD      CONTAINER  COUNT    P50    P99      MAX    P90   MEAN    TIME
team-a     coders  task  git         build  coder-1  agent          9  1h15m  1h59m  <=2h00m  1h51m  1h51m  16h40m

1 of 3 shown; --top 3 shows all. 2 that finished less than 3 times left out.
"
    );
    assert_eq!(
        drawn("--min-calls 100000", false),
        "Nothing finished 100000 times or more; 5 things finished less often.\n"
    );
}

#[test]
fn json_has_all_figures_and_no_rounding() {
    let things = vec![call("client", "p.S/M", 4, 13, 8.0), task("merge", 200, 3, 60.0), task("train", 2, 14, 20_000.0)];
    let slow = Slow::new(things, &args("--top 2"), Coverage::default());
    assert_eq!(
        serde_json::to_value(slow).unwrap(),
        json!({
            "items": [
                {
                    "kind": "task", "namespace": "team-a", "fleet": "coders", "group": "git", "name": "train",
                    "pod": "coder-1", "container": "agent", "nodes": ["node-a"],
                    "durationSeconds": {"count": 2, "sum": 20_000.0, "mean": 10_000.0, "p50": 7_200.0, "p90": 7_200.0,
                        "p99": 7_200.0, "maxAbove": 7_200.0, "maxUpTo": null},
                },
                {
                    "kind": "grpc", "namespace": "team-a", "fleet": "coders", "role": "client", "name": "p.S/M",
                    "pod": "coder-1", "container": "agent", "nodes": ["node-b"],
                    "durationSeconds": {"count": 4, "sum": 8.0, "mean": 2.0, "p50": 1.75, "p90": 2.35,
                        "p99": 2.485, "maxAbove": 1.0, "maxUpTo": 2.5},
                },
            ],
            "beyondTop": 1, "belowMinCalls": 0, "nodes": {"asked": 0, "answered": 0, "problems": []},
        })
    );
}

#[test]
fn durations_without_quantiles_come_last() {
    let coarse = Durations { count: 1, counts: vec![0, 1], sum: 9.0 };
    let mut row = CallRow { method: "p.S/M".to_owned(), role: "server".to_owned(), ..CallRow::default() };
    row.bounds = vec![1.0];
    row.finished = vec![FinishedCalls { durations: coarse, ..FinishedCalls::default() }];
    let mut other = row.clone();
    other.bounds = vec![2.0];
    let mut merge = calls::Merge::new(calls::By::Method);
    merge.add("n", [row, other].into_iter(), None).unwrap();
    let differ = Thing::from(merge.rows.pop_first().unwrap());
    let slow = Slow::new(vec![differ, task("merge", 1, 0, 0.001)], &args(""), Coverage::default());
    let table = anstream::adapter::strip_str(&slow.draw(false)).to_string();
    assert_eq!(table.lines().last(), Some("-          -       grpc  server      p.S/M      2    -      -       -"));
}

#[test]
fn a_node_that_fails_twice_is_told_once_and_one_that_knows_half_has_answered() {
    let problem = |text: &str| Problem::new(text, "do");
    let tasks = Coverage { asked: 3, answered: 2, problems: vec![problem("a")] };
    let calls = Coverage { asked: 3, answered: 1, problems: vec![problem("a"), problem("b")] };
    assert_eq!(both(tasks, calls), Coverage { asked: 3, answered: 2, problems: vec![problem("a"), problem("b")] });
}

#[test]
fn nothing_is_said_in_a_sentence() {
    let none = Slow::new(Vec::new(), &args(""), Coverage::default()).draw(true);
    assert!(none.starts_with("Nothing has finished here yet; "), "{none}");
}
