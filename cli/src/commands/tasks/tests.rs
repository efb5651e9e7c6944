//! Tests of `tasks`: rows of several nodes added up, and whole tables.

use fleetscope_core::metrics::TASK_BOUNDS;
use fleetscope_core::tasks::rows::{DurationRow, FinishedRow};
use serde_json::json;

use super::*;
use crate::histogram::HistogramError;
use crate::nodes::Coverage;
use crate::output::View as _;

/// A row with `finished` as (result, exit, count, bucket of the durations, sum of the durations).
fn row(pod: &str, task: &str, running: u64, finished: &[(&str, &str, u64, usize, f64)]) -> TaskRow {
    TaskRow {
        namespace: "team-a".to_owned(),
        fleet: "coders".to_owned(),
        pod: pod.to_owned(),
        container: "agent".to_owned(),
        workload: "coder".to_owned(),
        task: task.to_owned(),
        group: "git".to_owned(),
        running,
        finished: finished
            .iter()
            .map(|(result, exit, count, ..)| FinishedRow {
                result: (*result).to_owned(),
                exit: (*exit).to_owned(),
                count: *count,
            })
            .collect(),
        durations: finished
            .iter()
            .map(|(result, _, count, bucket, sum)| {
                let mut counts = vec![0; TASK_BOUNDS.len() + 1];
                counts[*bucket] = *count;
                DurationRow { result: (*result).to_owned(), counts, sum: *sum }
            })
            .collect(),
    }
}

fn two_nodes(by: By) -> Merge {
    let mut merge = Merge::new(by);
    let a = [
        row("coder-1", "merge", 1, &[("success", "0", 90, 3, 27.0), ("conflict", "1", 10, 4, 8.0)]),
        row("coder-1", "clone", 0, &[("success", "0", 5, 5, 15.0)]),
    ];
    let b = [row("coder-2", "merge", 2, &[("success", "0", 100, 3, 30.0), ("failed", "sigkill", 2, 14, 20_000.0)])];
    merge.add("node-a", a.into_iter()).unwrap();
    merge.add("node-b", b.into_iter()).unwrap();
    merge
}

fn drawn(merge: Merge, sort: Sort, wide: bool) -> String {
    anstream::adapter::strip_str(&Tasks::new(merge, sort, Coverage::default()).draw(wide)).to_string()
}

#[test]
fn rows_of_two_nodes_add_up_to_one_row_per_task_and_a_total() {
    assert_eq!(
        drawn(two_nodes(By::Task), Sort::Name, false),
        "\
NAMESPACE  FLEET   GROUP  TASK   RUNNING  FINISHED  SUCCESS  FAILED  CONFLICT  SUCCESS%   MEAN    P50    P99
team-a     coders  git    clone        0         5        5       0         0      100%     3s     3s  4.96s
team-a     coders  git    merge        3       202      190       2        10     94.1%  1m39s  313ms  999ms
TOTAL                                  3       207      195       2        10     94.2%  1m37s  318ms  4.94s
"
    );
}

#[test]
fn wide_has_a_row_per_pod_with_exit_codes() {
    assert_eq!(
        drawn(two_nodes(By::Pod), Sort::Finished, true),
        "\
NAMESPACE  FLEET   GROUP  TASK   POD      CONTAINER  RUNNING  FINISHED  SUCCESS  FAILED  CONFLICT  SUCCESS%   MEAN    P50     P99  EXITS
team-a     coders  git    merge  coder-2  agent            2       102      100       2         0     98.0%  3m16s  304ms  >2h00m  0=100 sigkill=2
team-a     coders  git    merge  coder-1  agent            1       100       90       0        10     90.0%  350ms  322ms   950ms  0=90 1=10
team-a     coders  git    clone  coder-1  agent            0         5        5       0         0      100%     3s     3s   4.96s  0=5
TOTAL                                                      3       207      195       2        10     94.2%  1m37s  318ms   4.94s  0=195 1=10 sigkill=2
"
    );
}

#[test]
fn json_has_all_figures_and_no_rounding() {
    let tasks = serde_json::to_value(Tasks::new(two_nodes(By::Task), Sort::Name, Coverage::default())).unwrap();
    assert_eq!(
        tasks["items"][0],
        json!({
            "namespace": "team-a", "fleet": "coders", "group": "git", "task": "clone",
            "running": 0, "finished": 5, "results": {"success": 5}, "exits": {"0": 5}, "successRatio": 1.0,
            "durationSeconds": {"count": 5.0, "sum": 15.0, "mean": 3.0, "p50": 3.0, "p99": 4.96},
            "nodes": ["node-a"],
        })
    );
    assert_eq!(tasks["total"]["finished"], 207);
    assert_eq!(tasks["total"]["results"], json!({"success": 195, "failed": 2, "conflict": 10}));
    assert_eq!(tasks["total"]["durationSeconds"]["sum"], 20_080.0);
}

#[test]
fn more_results_than_columns_share_one() {
    let names = ["a", "b", "c", "d", "e", "f", "failed", "success"];
    let finished: Vec<_> = names.iter().map(|name| (*name, "0", 1, 0, 0.0)).collect();
    let mut merge = Merge::new(By::Task);
    merge.add("n", [row("p", "t", 0, &finished)].into_iter()).unwrap();
    let table = drawn(merge, Sort::Name, false);
    assert_eq!(
        table.lines().next(),
        Some(
            "NAMESPACE  FLEET   GROUP  TASK  RUNNING  FINISHED  SUCCESS  FAILED  A  B  C  D  OTHERS  SUCCESS%  MEAN  P50    P99"
        )
    );
    assert_eq!(
        table.lines().nth(1),
        Some(
            "team-a     coders  git    t           0         8        1       1  1  1  1  1       2     12.5%    0s  5ms  9.9ms"
        )
    );
}

#[test]
fn a_row_with_other_buckets_is_refused_with_all_of_its_node() {
    let mut merge = Merge::new(By::Task);
    let mut bad = row("p", "bad", 0, &[("success", "0", 1, 0, 1.0)]);
    bad.durations[0].counts.pop();
    let added = merge.add("n", [row("p", "good", 0, &[]), bad].into_iter());
    assert_eq!((added, merge.rows.len()), (Err(HistogramError::Shape), 0));
}

#[test]
fn counts_saturate_instead_of_wrapping() {
    let mut merge = Merge::new(By::Task);
    let huge = row("p", "t", u64::MAX, &[("success", "0", u64::MAX, 0, 1.0)]);
    merge.add("n", [huge.clone(), huge].into_iter()).unwrap();
    let total = merge.total();
    assert_eq!((total.running, total.finished(), total.succeeded()), (u64::MAX, u64::MAX, u64::MAX));
}

#[test]
fn hostile_names_stay_in_their_cells_and_titles() {
    let mut merge = Merge::new(By::Task);
    let hostile = row("p", "x\u{1b}[2J\n日本", 0, &[("bad\u{202e}", "0", 1, 0, 0.005)]);
    merge.add("n", [hostile].into_iter()).unwrap();
    assert_eq!(
        drawn(merge, Sort::Name, false),
        "\
NAMESPACE  FLEET   GROUP  TASK            RUNNING  FINISHED  BAD\\u{202e}  SUCCESS%  MEAN  P50    P99
team-a     coders  git    x\\x1b[2J\\n日本        0         1            1        0%   5ms  5ms  9.9ms
TOTAL                                           0         1            1        0%   5ms  5ms  9.9ms
"
    );
}

#[test]
fn nothing_is_said_in_a_sentence() {
    let none = Tasks::new(Merge::new(By::Task), Sort::Name, Coverage::default());
    assert!(none.draw(true).starts_with("No tasks here yet; "));
}
