//! Tests of `grpc`: rows of several nodes added up, rates between looks, and whole tables.

use fleetscope_core::metrics::RPC_BOUNDS;
use fleetscope_core::rpc::rows::{Durations, FinishedCalls};
use serde_json::json;

use super::*;
use crate::histogram::HistogramError;
use crate::nodes::Coverage;
use crate::output::View as _;

/// `count` durations in one bucket.
fn durations(count: u64, bucket: usize, sum: f64) -> Durations {
    let mut counts = vec![0; RPC_BOUNDS.len() + 1];
    counts[bucket] = count;
    Durations { count, counts, sum }
}

/// A row with `finished` as (status, error, count, bucket of the durations, sum of the durations).
fn row(pod: &str, role: &str, method: &str, finished: &[(&str, &str, u64, usize, f64)]) -> CallRow {
    CallRow {
        namespace: "team-a".to_owned(),
        fleet: "coders".to_owned(),
        pod: pod.to_owned(),
        container: "agent".to_owned(),
        workload: "coder".to_owned(),
        role: role.to_owned(),
        method: method.to_owned(),
        in_flight: 0,
        bounds: RPC_BOUNDS.to_vec(),
        finished: finished
            .iter()
            .map(|(status, error_type, count, bucket, sum)| FinishedCalls {
                status: (*status).to_owned(),
                error_type: (*error_type).to_owned(),
                durations: durations(*count, *bucket, *sum),
            })
            .collect(),
        first_response: Durations::default(),
    }
}

/// A server on one node and its client on another, and a stream of which one is open.
fn nodes() -> [(&'static str, Vec<CallRow>); 2] {
    let plan = ("OK", "", 90, 7, 6.0);
    let stream = CallRow {
        in_flight: 1,
        first_response: durations(3, 1, 0.002),
        ..row("planner-1", "server", "plan.v1.Planner/Watch", &[("OK", "", 2, 18, 80.0)])
    };
    [
        (
            "node-a",
            vec![
                CallRow {
                    first_response: durations(100, 7, 6.5),
                    ..row("planner-1", "server", "plan.v1.Planner/Plan", &[plan, ("NOT_FOUND", "", 10, 2, 0.02)])
                },
                stream,
            ],
        ),
        (
            "node-b",
            vec![
                row(
                    "coder-1",
                    "client",
                    "plan.v1.Planner/Plan",
                    &[
                        plan,
                        ("NOT_FOUND", "NOT_FOUND", 10, 2, 0.02),
                        ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", 2, 20, 700.0),
                    ],
                ),
                row("coder-2", "client", "plan.v1.Planner/Plan", &[("OK", "", 8, 7, 0.6)]),
            ],
        ),
    ]
}

fn merged(by: By, before: Option<&Look>) -> Merge {
    let mut merge = Merge::new(by);
    for (node, rows) in nodes() {
        merge.add(node, rows.into_iter(), before).unwrap();
    }
    merge
}

/// A look at nodes with these rows.
fn looked(nodes: &[(&str, Vec<CallRow>)]) -> Look {
    let mut look = Look::new(Instant::now());
    for (node, rows) in nodes {
        look.note(node, rows);
    }
    look
}

fn drawn(merge: Merge, sort: Sort, apart: Option<Duration>, wide: bool) -> String {
    anstream::adapter::strip_str(&Grpc::new(merge, sort, apart, Coverage::default()).draw(wide)).to_string()
}

#[test]
fn rows_of_two_nodes_add_up_to_one_row_per_method_and_role_and_a_total_per_role() {
    let mut earlier = nodes();
    earlier[0].1[0].finished[0].durations = durations(40, 7, 3.0);
    earlier[1].1[0].finished[1].durations = durations(9, 2, 0.018);
    let before = looked(&earlier);
    assert_eq!(
        drawn(merged(By::Method, Some(&before)), Sort::Name, Some(Duration::from_millis(2_003)), false),
        "\
NAMESPACE  FLEET   METHOD                 ROLE    CALLS  RATE(2s)  ERRORS  ERROR%     P50     P90     P99  FIRST-P50  IN-FLIGHT
team-a     coders  plan.v1.Planner/Plan   client    110     0.5/s      12   10.9%  61.5ms  72.7ms  >5m00s          -          0
team-a     coders  plan.v1.Planner/Plan   server    100      25/s       0      0%  61.1ms  72.2ms  74.7ms     62.5ms          0
team-a     coders  plan.v1.Planner/Watch  server      2       0/s       0      0%     45s     57s   59.7s      750us          1
TOTAL                                     client    110     0.5/s      12   10.9%  61.5ms  72.7ms  >5m00s          -          0
TOTAL                                     server    102      25/s       0      0%  61.4ms  72.7ms   44.7s     62.1ms          1
"
    );
}

#[test]
fn wide_has_a_row_per_pod_with_statuses_and_without_a_look_before_no_rate() {
    assert_eq!(
        drawn(merged(By::Pod, None), Sort::Errors, None, true),
        "\
NAMESPACE  FLEET   METHOD                 ROLE    POD        CONTAINER  CALLS  RATE  ERRORS  ERROR%     P50     P90     P99  FIRST-P50  IN-FLIGHT  STATUSES
team-a     coders  plan.v1.Planner/Plan   client  coder-1    agent        102     -      12   11.8%  61.4ms  72.7ms  >5m00s          -          0  OK=90 NOT_FOUND=10 DEADLINE_EXCEEDED=2
team-a     coders  plan.v1.Planner/Plan   client  coder-2    agent          8     -       0      0%  62.5ms  72.5ms  74.8ms          -          0  OK=8
team-a     coders  plan.v1.Planner/Plan   server  planner-1  agent        100     -       0      0%  61.1ms  72.2ms  74.7ms     62.5ms          0  OK=90 NOT_FOUND=10
team-a     coders  plan.v1.Planner/Watch  server  planner-1  agent          2     -       0      0%     45s     57s   59.7s      750us          1  OK=2
TOTAL                                     client                          110     -      12   10.9%  61.5ms  72.7ms  >5m00s          -          0  OK=98 NOT_FOUND=10 DEADLINE_EXCEEDED=2
TOTAL                                     server                          102     -       0      0%  61.4ms  72.7ms   44.7s     62.1ms          1  OK=92 NOT_FOUND=10
"
    );
}

#[test]
fn json_has_all_figures_and_no_rounding() {
    let before = looked(&nodes());
    let grpc =
        Grpc::new(merged(By::Method, Some(&before)), Sort::Calls, Some(Duration::from_secs(2)), Coverage::default());
    let grpc = serde_json::to_value(grpc).unwrap();
    assert_eq!(
        grpc["items"][2],
        json!({
            "namespace": "team-a", "fleet": "coders", "method": "plan.v1.Planner/Watch", "role": "server",
            "inFlight": 1, "finished": 2, "callsPerSecond": 0.0, "errors": 0, "errorRatio": 0.0, "statuses": {"OK": 2},
            "durationSeconds": {"count": 2, "sum": 80.0, "mean": 40.0, "p50": 45.0, "p90": 57.0, "p99": 59.7},
            "firstResponseSeconds":
                {"count": 3, "sum": 0.002, "mean": 0.002 / 3.0, "p50": 0.00075, "p90": 0.000_950_000_000_000_000_1, "p99": 0.000_995},
            "nodes": ["node-a"],
        })
    );
    assert_eq!(grpc["rateSeconds"], 2.0);
    assert_eq!(
        (&grpc["totals"]["client"]["finished"], &grpc["totals"]["server"]["finished"]),
        (&json!(110), &json!(102))
    );
    assert_eq!(grpc["totals"]["client"]["errors"], 12);
}

#[test]
fn a_rate_counts_what_is_new_and_is_unknown_where_nobody_looked() {
    let calls = |count| row("p", "server", "p.S/M", &[("OK", "", count, 0, 0.0)]);
    let look = looked(&[("a", vec![calls(100)]), ("b", vec![])]);
    let increase = |node: &str, count| look.increase(node, &calls(count));
    assert_eq!(increase("a", 100), look::Increase::By(0));
    assert_eq!(increase("a", 107), look::Increase::By(7));
    // Its node agent has started anew.
    assert_eq!(increase("a", 3), look::Increase::By(3));
    // It has come since.
    assert_eq!(increase("b", 5), look::Increase::By(5));
    // This node did not answer then.
    assert_eq!(increase("c", 5), look::Increase::Unknown);
    let mut merge = Merge::new(By::Method);
    for node in ["a", "c"] {
        merge.add(node, [calls(107)].into_iter(), Some(&look)).unwrap();
    }
    assert_eq!(merge.totals()["server"].increase, look::Increase::Unknown);
}

#[test]
fn what_cannot_be_known_is_explained_below_the_table() {
    let mut merge = Merge::new(By::Method);
    let row = row("p", "server", "_OTHER", &[("OK", "", 3, 0, 0.001), ("_OTHER", "_OTHER", 1, 0, 0.000_2)]);
    merge.add("n", [row].into_iter(), None).unwrap();
    assert_eq!(
        drawn(merge, Sort::Name, None, false),
        "\
NAMESPACE  FLEET   METHOD  ROLE    CALLS  RATE  ERRORS  ERROR%    P50    P90    P99  IN-FLIGHT
team-a     coders  _OTHER  server      4     -       1   25.0%  250us  450us  495us          0
TOTAL                      server      4     -       1   25.0%  250us  450us  495us          0

_OTHER as a method: calls whose method cannot be known, such as on connections that are older than the node agent, and methods beyond a cap (spec.grpc.maxMethods).
  Counted by reason: `fleetscope metrics --self --raw --match fleetscope_rpc_unnamed_calls_total --match fleetscope_series_dropped_total`

_OTHER as a status: calls whose status cannot be known; they count as errors.
  Counted: `fleetscope metrics --self --raw --match fleetscope_rpc_unknown_status_calls_total`
"
    );
}

#[test]
fn durations_of_different_buckets_have_counts_and_no_quantiles() {
    let mut merge = Merge::new(By::Method);
    let coarse = Durations { count: 3, counts: vec![1, 2], sum: 4.0 };
    let finished = FinishedCalls { status: "OK".to_owned(), durations: coarse, ..FinishedCalls::default() };
    let coarse = CallRow { bounds: vec![1.0], finished: vec![finished], ..row("q", "server", "p.S/M", &[]) };
    merge.add("n", [row("p", "server", "p.S/M", &[("OK", "", 1, 0, 0.000_5)]), coarse].into_iter(), None).unwrap();
    let table = drawn(merge, Sort::P99, None, false);
    assert_eq!(
        table,
        "\
NAMESPACE  FLEET   METHOD  ROLE    CALLS  RATE  ERRORS  ERROR%  P50  P90  P99  IN-FLIGHT
team-a     coders  p.S/M   server      4     -       0      0%    -    -    -          0
TOTAL                      server      4     -       0      0%    -    -    -          0

No P50, P90 and P99 where durations of different buckets come together: ask for one --fleet, or wait until its pods were replaced.
"
    );
}

#[test]
fn a_row_with_inconsistent_buckets_is_refused_with_all_of_its_node() {
    let good = || row("p", "server", "p.S/M", &[("OK", "", 1, 0, 0.0)]);
    let mut short = good();
    short.finished[0].durations.counts.pop();
    let mut other_count = good();
    other_count.finished[0].durations.count = 2;
    let mut too_many = good();
    too_many.finished[0].durations.counts = vec![u64::MAX; RPC_BOUNDS.len() + 1];
    let mut first = good();
    first.first_response = Durations { count: 1, counts: vec![1], sum: 0.0 };
    for bad in [short, other_count, too_many, first] {
        let mut merge = Merge::new(By::Method);
        let added = merge.add("n", [good(), bad].into_iter(), None);
        assert_eq!((added, merge.rows.len()), (Err(HistogramError::Shape), 0));
    }
}

#[test]
fn counts_saturate_instead_of_wrapping() {
    let mut merge = Merge::new(By::Method);
    let huge = || CallRow { in_flight: u64::MAX, ..row("p", "server", "p.S/M", &[("X", "X", u64::MAX, 0, 1.0)]) };
    let before = looked(&[("n", vec![])]);
    merge.add("n", [huge(), huge()].into_iter(), Some(&before)).unwrap();
    let total = &merge.totals()["server"];
    assert_eq!((total.in_flight, total.finished(), total.errors), (u64::MAX, u64::MAX, u64::MAX));
    assert_eq!(total.increase, look::Increase::By(u64::MAX));
}

#[test]
fn hostile_and_long_names_stay_in_their_cells() {
    let mut merge = Merge::new(By::Method);
    let long = format!("{}.Service/Method", "package".repeat(30));
    let rows = [row("p", "server", "x\u{1b}[2J\n日本", &[]), row("p", "a\u{202e}b", &long, &[])];
    merge.add("n", rows.into_iter(), None).unwrap();
    assert_eq!(
        drawn(merge, Sort::Name, None, false),
        "\
NAMESPACE  FLEET   METHOD                                                            ROLE        CALLS  RATE  ERRORS  ERROR%  P50  P90  P99  IN-FLIGHT
team-a     coders  …ackagepackagepackagepackagepackagepackagepackage.Service/Method  a\\u{202e}b      0     -       0       -    -    -    -          0
team-a     coders  x\\x1b[2J\\n日本                                                    server          0     -       0       -    -    -    -          0
TOTAL                                                                                a\\u{202e}b      0     -       0       -    -    -    -          0
TOTAL                                                                                server          0     -       0       -    -    -    -          0
"
    );
}

#[test]
fn the_largest_come_first_when_asked_for() {
    let order = |sort| -> Vec<String> {
        let mut merge = Merge::new(By::Method);
        let before = looked(&[("n", vec![row("p", "server", "b", &[("OK", "", 5, 3, 0.0)])])]);
        let rows = [
            row("p", "server", "a", &[("OK", "", 1, 9, 0.2)]),
            row("p", "server", "b", &[("OK", "", 7, 3, 0.028)]),
            CallRow { in_flight: 1, ..row("p", "server", "c", &[("INTERNAL", "INTERNAL", 4, 1, 0.003)]) },
        ];
        merge.add("n", rows.into_iter(), Some(&before)).unwrap();
        let grpc = Grpc::new(merge, sort, Some(Duration::from_secs(1)), Coverage::default());
        let items = serde_json::to_value(grpc).unwrap()["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["method"].as_str().unwrap().to_owned()).collect()
    };
    for (sort, wanted) in [
        (Sort::Name, "abc"),
        (Sort::Calls, "bca"),
        (Sort::Rate, "cba"),
        (Sort::Errors, "cab"),
        (Sort::InFlight, "cab"),
        (Sort::Mean, "abc"),
        (Sort::P99, "abc"),
        (Sort::Time, "abc"),
    ] {
        assert_eq!(order(sort).concat(), wanted, "{sort:?}");
    }
}

#[test]
fn nothing_is_said_in_a_sentence_with_what_to_check() {
    let none = Grpc::new(Merge::new(By::Method), Sort::Name, None, Coverage::default()).draw(true);
    assert!(none.starts_with("No gRPC calls here yet; "), "{none}");
    assert!(none.contains("spec.grpc") && none.contains("`fleetscope status -o wide`"), "{none}");
}
