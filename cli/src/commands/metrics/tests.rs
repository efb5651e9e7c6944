//! Tests of `metrics`: expositions of several nodes merged, and raw ones filtered.

use super::*;
use crate::exit::Problem;

const NODE_A: &str = "\
# HELP fleetscope_task_duration_seconds Wall time.
# TYPE fleetscope_task_duration_seconds histogram
fleetscope_task_duration_seconds_bucket{namespace=\"team-a\",fleet=\"coders\",task=\"merge\",le=\"1\"} 90
fleetscope_task_duration_seconds_bucket{namespace=\"team-a\",fleet=\"coders\",task=\"merge\",le=\"5\"} 100
fleetscope_task_duration_seconds_bucket{namespace=\"team-a\",fleet=\"coders\",task=\"merge\",le=\"+Inf\"} 100
fleetscope_task_duration_seconds_sum{namespace=\"team-a\",fleet=\"coders\",task=\"merge\"} 50
fleetscope_task_duration_seconds_count{namespace=\"team-a\",fleet=\"coders\",task=\"merge\"} 100
fleetscope_task_duration_seconds_bucket{namespace=\"team-b\",fleet=\"coders\",task=\"merge\",le=\"1\"} 7
fleetscope_task_duration_seconds_bucket{namespace=\"team-b\",fleet=\"coders\",task=\"merge\",le=\"5\"} 7
fleetscope_task_duration_seconds_bucket{namespace=\"team-b\",fleet=\"coders\",task=\"merge\",le=\"+Inf\"} 7
fleetscope_task_duration_seconds_sum{namespace=\"team-b\",fleet=\"coders\",task=\"merge\"} 1
fleetscope_task_duration_seconds_count{namespace=\"team-b\",fleet=\"coders\",task=\"merge\"} 7
# HELP fleetscope_agent_memory_bytes Memory.
# TYPE fleetscope_agent_memory_bytes gauge
fleetscope_agent_memory_bytes{namespace=\"team-a\",fleet=\"coders\"} 1048576
# HELP fleetscope_build_info Version.
# TYPE fleetscope_build_info gauge
fleetscope_build_info{component=\"node-agent\",version=\"0.1.0\"} 1
";

fn merged(nodes: &[&str], patterns: &[&str], scope: &Scope) -> (String, Vec<Problem>) {
    let patterns: Vec<Pattern> = patterns.iter().map(|p| p.parse().unwrap()).collect();
    let selection = Selection { patterns: &patterns, scope, own: false };
    let mut open = BTreeMap::new();
    for (i, text) in nodes.iter().enumerate() {
        selection.merge(&format!("node-{i}"), text, &mut open).unwrap();
    }
    let mut coverage = Coverage::default();
    let items = open.into_iter().map(|(name, open)| open.close(name, &mut coverage)).collect();
    let metrics = Metrics { items, nodes: Coverage::default() };
    (anstream::adapter::strip_str(&metrics.draw(false)).to_string(), coverage.problems)
}

fn team_a() -> Scope {
    Scope { namespace: Some("team-a".to_owned()), fleet: None }
}

#[test]
fn families_of_two_nodes_add_up_within_the_namespace() {
    let node_b = NODE_A.replace("1048576", "3145728");
    let table = "\
METRIC                            TYPE       NODES  SERIES  TOTAL   MEAN   P99
fleetscope_agent_memory_bytes     gauge          2       2   4MiB      -     -
fleetscope_task_duration_seconds  histogram      2       2    200  500ms  4.6s
";
    assert_eq!(merged(&[NODE_A, &node_b], &[], &team_a()), (table.to_owned(), vec![]));
}

#[test]
fn all_namespaces_show_the_node_agents_own_metrics_too() {
    let table = "\
METRIC                            TYPE       NODES  SERIES  TOTAL   MEAN   P99
fleetscope_agent_memory_bytes     gauge          1       1   1MiB      -     -
fleetscope_build_info             info           1       1      1      -     -
fleetscope_task_duration_seconds  histogram      1       2    107  477ms  4.57s
";
    let (drawn, _) = merged(&[NODE_A], &[], &Scope::default());
    assert_eq!(drawn.replace(' ', ""), table.replace(' ', ""));
}

#[test]
fn a_part_of_a_histogram_stands_for_all_of_it() {
    let table = "\
METRIC                            TYPE       NODES  SERIES  TOTAL   MEAN   P99
fleetscope_task_duration_seconds  histogram      1       1    100  500ms  4.6s
";
    for pattern in ["fleetscope_task_duration_seconds_bucket", "*duration*", "{task=\"merge\"}"] {
        assert_eq!(merged(&[NODE_A], &[pattern], &team_a()), (table.to_owned(), vec![]), "{pattern}");
    }
}

#[test]
fn nodes_with_other_buckets_are_told_and_no_quantile_is_guessed() {
    let node_b = NODE_A.replace("le=\"5\"", "le=\"4\"");
    let (table, problems) = merged(&[NODE_A, &node_b], &["*duration*"], &team_a());
    assert_eq!(
        table,
        "\
METRIC                            TYPE       NODES  SERIES  TOTAL  MEAN  P99
fleetscope_task_duration_seconds  histogram      2       2    200     -    -
"
    );
    assert_eq!(
        problems[0].problem,
        "metric fleetscope_task_duration_seconds: failed to add histograms: their buckets differ"
    );
}

#[test]
fn a_line_that_cannot_be_read_adds_nothing_of_its_node() {
    let scope = team_a();
    let selection = Selection { patterns: &[], scope: &scope, own: false };
    let mut open = BTreeMap::new();
    let broken = format!("{NODE_A}broken{{\n");
    assert!(selection.merge("a", &broken, &mut open).is_err());
    assert!(open.is_empty());
}
