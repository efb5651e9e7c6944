//! What the registry holds after given observations, as whole snapshots.

mod layout;
mod overflow;
mod properties;
mod start;

use std::sync::Arc;

use super::{Filter, Identity, Limits, Registry, Selection, Snapshot, Value};
use crate::metrics::{
    AGENT_CPU, AGENT_INFO, AGENT_MEMORY, AGENTS, EVENTS, IDENTITY_LABELS, RUNQUEUE_LATENCY, SERIES, TASK_DURATION,
    TASKS, TASKS_RUNNING,
};

/// The container `main` of a pod of the workload `w`.
fn identity(namespace: &str, fleet: &str, pod: &str) -> Arc<Identity> {
    let [namespace, fleet, pod, container, workload] = [namespace, fleet, pod, "main", "w"].map(Arc::from);
    Arc::new(Identity { namespace, fleet, pod, container, workload })
}

/// One line per series: name, identity, own labels, value; without the registry's own two metrics unless they are asked for.
fn rows_of(snapshot: &Snapshot, own: bool) -> Vec<String> {
    let families = snapshot.families().iter().filter(|family| own || !family.metric.name.starts_with(SERIES.name));
    let rows = families.flat_map(|family| {
        family.series().map(|series| {
            let identity = series.identity.as_ref().map(|identity| identity.values().join("/")).unwrap_or_default();
            let value = match &series.value {
                Value::Number(number) => number.to_string(),
                Value::Histogram { counts, sum, .. } => format!("{counts:?} {sum}"),
            };
            format!("{} {identity} {} {value}", family.metric.name, series.labels.join("/"))
        })
    });
    rows.collect()
}

fn rows(registry: &Registry) -> Vec<String> {
    rows_of(&registry.snapshot(&Filter::default()), false)
}

/// What was refused: metric, reason, count, without zeros.
fn refused(registry: &Registry) -> Vec<String> {
    let filter = Filter { name_prefix: Some("fleetscope_series_dropped_total".into()), ..Filter::default() };
    let rows = rows_of(&registry.snapshot(&filter), true).into_iter().filter(|row| !row.ends_with(" 0"));
    rows.map(|row| row.trim_start_matches("fleetscope_series_dropped_total  fleetscope_").to_owned()).collect()
}

#[test]
fn observations_of_every_kind_are_held_under_identity_and_labels() {
    let mut registry = Registry::new(Limits::default());
    let (one, two) = (identity("ns", "f", "p1"), identity("ns", "f", "p2"));
    registry.add(&TASKS, Some(&two), &["0", "g", "success", "git"], 1.0);
    registry.add(&TASKS, Some(&one), &["1", "g", "failed", "git"], 1.0);
    registry.add(&TASKS, Some(&identity("ns", "f", "p1")), &["1", "g", "failed", "git"], 2.0);
    registry.set(&AGENT_CPU, Some(&one), &[], 2.5);
    registry.set(&AGENT_CPU, Some(&one), &[], 0.5);
    registry.set(&AGENT_MEMORY, Some(&one), &[], -1.0);
    registry.add(&TASKS_RUNNING, Some(&one), &["g", "git"], 2.0);
    registry.add(&TASKS_RUNNING, Some(&one), &["g", "git"], -1.0);
    registry.set(&AGENT_INFO, Some(&one), &["img", "node"], 7.0);
    registry.observe(&RUNQUEUE_LATENCY, Some(&one), &[], 0.000_004);
    registry.observe(&RUNQUEUE_LATENCY, Some(&one), &[], 0.000_005);
    registry.observe(&RUNQUEUE_LATENCY, Some(&one), &[], 100.0);
    registry.set_histogram(&RUNQUEUE_LATENCY, Some(&two), &[], &[1; 13], 9.0);
    registry.add(&EVENTS, None, &["exec"], 3.0);
    assert_eq!(
        rows(&registry),
        [
            "fleetscope_tasks_total ns/f/p1/main/w 1/g/failed/git 3",
            "fleetscope_tasks_total ns/f/p2/main/w 0/g/success/git 1",
            "fleetscope_tasks_running ns/f/p1/main/w g/git 1",
            "fleetscope_runqueue_latency_seconds ns/f/p1/main/w  [0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] 100.000009",
            "fleetscope_runqueue_latency_seconds ns/f/p2/main/w  [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1] 9",
            "fleetscope_agent_info ns/f/p1/main/w img/node 1",
            "fleetscope_agent_cpu_seconds_total ns/f/p1/main/w  0.5",
            "fleetscope_agent_memory_bytes ns/f/p1/main/w  -1",
            "fleetscope_events_total  exec 3",
        ]
    );
    assert_eq!(registry.get(&TASKS, Some(&one), &["1", "g", "failed", "git"]), Some(Value::Number(3.0)));
    assert_eq!(registry.get(&TASKS, Some(&one), &["2", "g", "failed", "git"]), None);
}

#[test]
fn the_registry_counts_its_own_series_and_refusals() {
    let mut registry = Registry::new(Limits::default());
    let one = identity("ns", "f", "p1");
    registry.add(&TASKS, Some(&one), &["0", "g", "success", "git"], 1.0);
    registry.add(&TASKS, Some(&one), &["1", "g", "success", "git"], 1.0);
    registry.add(&EVENTS, None, &["exec"], f64::NAN);
    let filter = Filter { scope: Selection::SelfOnly, ..Filter::default() };
    assert_eq!(
        rows_of(&registry.snapshot(&filter), true),
        [
            "fleetscope_series  fleetscope_tasks_total 2",
            "fleetscope_series_dropped_total  fleetscope_events_total/value 1",
            "fleetscope_series_dropped_total  fleetscope_tasks_total/cap 0",
        ]
    );
}

#[test]
fn what_cannot_be_counted_is_refused_and_counted() {
    let mut registry = Registry::new(Limits::default());
    let one = identity("ns", "f", "p1");
    let task = ["0", "g", "success", "git"];
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
        registry.add(&TASKS, Some(&one), &task, number);
        registry.set(&AGENT_CPU, Some(&one), &[], number);
        registry.observe(&TASK_DURATION, Some(&one), &task[1..], number);
        registry.set_histogram(&RUNQUEUE_LATENCY, Some(&one), &[], &[1; 13], number);
    }
    registry.set(&AGENT_MEMORY, Some(&one), &[], f64::NAN);
    registry.add(&TASKS, Some(&one), &task[1..], 1.0);
    registry.observe(&TASKS, Some(&one), &task, 1.0);
    registry.add(&TASK_DURATION, Some(&one), &task[1..], 1.0);
    registry.add(&AGENT_INFO, Some(&one), &["img", "node"], 1.0);
    registry.set_histogram(&RUNQUEUE_LATENCY, Some(&one), &[], &[1; 12], 1.0);
    registry.add(&EVENTS, Some(&one), &["exec"], 1.0);
    registry.set(&SERIES, None, &["x"], 1.0);
    assert_eq!(rows(&registry), Vec::<String>::new());
    assert_eq!(
        refused(&registry),
        [
            "agent_cpu_seconds_total/value 4",
            "agent_info/labels 1",
            "agent_memory_bytes/value 1",
            "events_total/labels 1",
            "runqueue_latency_seconds/labels 1",
            "runqueue_latency_seconds/value 4",
            "series/labels 1",
            "task_duration_seconds/labels 1",
            "task_duration_seconds/value 4",
            "tasks_total/labels 2",
            "tasks_total/value 4",
        ]
    );
}

#[test]
fn a_sum_that_would_not_be_finite_is_refused() {
    let mut registry = Registry::new(Limits::default());
    registry.add(&EVENTS, None, &["exec"], f64::MAX);
    registry.add(&EVENTS, None, &["exec"], f64::MAX);
    assert_eq!(registry.get(&EVENTS, None, &["exec"]), Some(Value::Number(f64::MAX)));
    assert_eq!(refused(&registry), ["events_total/value 1"]);
}

#[test]
fn a_fleets_metric_without_identity_belongs_to_nobody() {
    let mut registry = Registry::new(Limits::default());
    registry.set(&AGENTS, None, &["running"], 2.0);
    assert_eq!(rows(&registry), ["fleetscope_agents _OTHER/_OTHER/_OTHER/_OTHER/_OTHER running 2"]);
    assert_eq!(IDENTITY_LABELS.len(), Identity::default().values().len());
}

#[test]
fn a_filter_picks_scope_fleet_and_names() {
    let mut registry = Registry::new(Limits::default());
    for (namespace, fleet) in [("a", "f"), ("b", "f"), ("a", "g")] {
        registry.set(&AGENT_MEMORY, Some(&identity(namespace, fleet, "p")), &[], 1.0);
        registry.set(&AGENT_CPU, Some(&identity(namespace, fleet, "p")), &[], 1.0);
    }
    registry.add(&EVENTS, None, &["exec"], 1.0);
    let picked = |scope, prefix: Option<&str>| {
        rows_of(&registry.snapshot(&Filter { scope, name_prefix: prefix.map(Into::into), ..Filter::default() }), false)
    };
    assert_eq!(
        picked(Selection::Fleet { namespace: "a".into(), fleet: "f".into() }, None),
        ["fleetscope_agent_cpu_seconds_total a/f/p/main/w  1", "fleetscope_agent_memory_bytes a/f/p/main/w  1"]
    );
    assert_eq!(picked(Selection::SelfOnly, None), ["fleetscope_events_total  exec 1"]);
    assert_eq!(
        picked(Selection::All, Some("fleetscope_agent_m")),
        [
            "fleetscope_agent_memory_bytes a/f/p/main/w  1",
            "fleetscope_agent_memory_bytes a/g/p/main/w  1",
            "fleetscope_agent_memory_bytes b/f/p/main/w  1",
        ]
    );
    assert_eq!(picked(Selection::All, None).len(), 7);
    let by_name = |names| rows_of(&registry.snapshot(&Filter { names, ..Filter::default() }), false).len();
    assert_eq!([&["fleetscope_agent_memory_bytes"][..], &["fleetscope_agent_memory"]].map(by_name), [3, 0]);
    assert!(registry.snapshot(&Filter { name_prefix: Some("x".into()), ..Filter::default() }).is_empty());
}

#[test]
fn what_belongs_to_nobody_is_in_no_fleets_answer_so_it_is_in_the_processs_own() {
    let mut registry = Registry::new(Limits::default());
    registry.set(&AGENT_MEMORY, None, &[], 2.0);
    registry.set(&AGENT_MEMORY, Some(&identity("a", "f", "p")), &[], 1.0);
    registry.add(&EVENTS, None, &["exec"], 1.0);
    let filter = Filter { scope: Selection::SelfOnly, ..Filter::default() };
    let nobody = "fleetscope_agent_memory_bytes _OTHER/_OTHER/_OTHER/_OTHER/_OTHER  2";
    assert_eq!(rows_of(&registry.snapshot(&filter), false), [nobody, "fleetscope_events_total  exec 1"]);
}

#[test]
fn series_of_a_retired_identity_stay_until_their_time() {
    let mut registry = Registry::new(Limits::default());
    let (one, two) = (identity("ns", "f", "p1"), identity("ns", "f", "p2"));
    for id in [&one, &two] {
        registry.set(&AGENT_MEMORY, Some(id), &[], 1.0);
        registry.set(&AGENT_CPU, Some(id), &[], 1.0);
    }
    registry.retire(&one, 100);
    registry.retire(&two, 100);
    registry.retire(&identity("ns", "f", "unknown"), 100);
    registry.revive(&two);
    assert_eq!(registry.sweep(99), 0);
    assert_eq!(registry.sweep(100), 2);
    assert_eq!(registry.sweep(u64::MAX), 0);
    assert_eq!(
        rows(&registry),
        ["fleetscope_agent_cpu_seconds_total ns/f/p2/main/w  1", "fleetscope_agent_memory_bytes ns/f/p2/main/w  1"]
    );
}

#[test]
fn a_removed_series_is_gone_and_starts_again() {
    let mut registry = Registry::new(Limits::default());
    let one = identity("ns", "f", "p1");
    registry.add(&TASKS_RUNNING, Some(&one), &["g", "git"], 5.0);
    assert!(registry.remove(&TASKS_RUNNING, Some(&one), &["g", "git"]));
    assert!(!registry.remove(&TASKS_RUNNING, Some(&one), &["g", "git"]));
    assert_eq!(rows(&registry), Vec::<String>::new());
    registry.add(&TASKS_RUNNING, Some(&one), &["g", "git"], 1.0);
    assert_eq!(rows(&registry), ["fleetscope_tasks_running ns/f/p1/main/w g/git 1"]);
}
