//! What happens beyond the limits.

use std::collections::BTreeMap;

use super::{identity, refused, rows};
use crate::metrics::{AGENT_CPU, AGENT_INFO, AGENT_MEMORY, EVENTS, RUNQUEUE_LATENCY, TASKS, TASKS_RUNNING};
use crate::series::{Limits, Registry, Value};

/// One series of each rung beyond eight own ones.
const EIGHT: Limits = Limits { per_metric_and_fleet: 8, total: 1000 };

fn full_of_tasks() -> Registry {
    let mut registry = Registry::new(EIGHT);
    for task in 0..8 {
        registry.add(&TASKS, Some(&identity("ns", "f", "p1")), &["0", "g", "success", &format!("t{task}")], 1.0);
    }
    registry
}

#[test]
fn beyond_the_cap_names_give_way_first_then_containers_then_all_labels() {
    let mut registry = full_of_tasks();
    let own = rows(&registry);
    let one = identity("ns", "f", "p1");
    registry.add(&TASKS, Some(&one), &["0", "g", "success", "t0"], 1.0);
    registry.add(&TASKS, Some(&one), &["0", "g", "success", "t8"], 1.0);
    registry.add(&TASKS, Some(&one), &["0", "h", "success", "t9"], 1.0);
    registry.add(&TASKS, Some(&one), &["1", "g", "failed", "t8"], 1.0);
    registry.add(&TASKS, Some(&identity("ns", "f", "p2")), &["1", "g", "failed", "t0"], 1.0);
    registry.add(&TASKS, Some(&identity("ns", "f", "p2")), &["2", "g", "failed", "t0"], 1.0);
    registry.add(&TASKS, Some(&identity("ns", "g", "p1")), &["0", "g", "success", "t0"], 1.0);
    let mut expected = vec!["fleetscope_tasks_total ns/f/_OTHER/_OTHER/_OTHER 1/_OTHER/failed/_OTHER 2".to_owned()];
    expected.push("fleetscope_tasks_total ns/f/_OTHER/_OTHER/_OTHER _OTHER/_OTHER/_OTHER/_OTHER 1".to_owned());
    expected.push("fleetscope_tasks_total ns/f/p1/main/w 0/_OTHER/success/_OTHER 2".to_owned());
    expected.push(own[0].replace(" 1", " 2"));
    expected.extend_from_slice(&own[1..]);
    expected.push("fleetscope_tasks_total ns/g/p1/main/w 0/g/success/t0 1".to_owned());
    assert_eq!(rows(&registry), expected);
    assert_eq!(refused(&registry), ["tasks_total/cap 5"]);
}

#[test]
fn ten_thousand_names_keep_exits_and_results_exact() {
    let mut registry = Registry::new(Limits { per_metric_and_fleet: 100, total: 1000 });
    let exits = [("0", "success"), ("1", "conflict"), ("sigkill", "failed")];
    for task in 0..10_000 {
        let (exit, result) = exits[task % 3];
        registry.add(&TASKS, Some(&identity("ns", "f", "p1")), &[exit, "g", result, &format!("t{task}")], 1.0);
    }
    let mut sums = BTreeMap::new();
    for row in rows(&registry) {
        let mut words = row.rsplit(' ');
        let count: u32 = words.next().unwrap().parse().unwrap();
        let labels: Vec<&str> = words.next().unwrap().split('/').collect();
        *sums.entry(format!("{} {}", labels[0], labels[2])).or_default() += count;
    }
    let expected = [("0 success", 3334), ("1 conflict", 3333), ("sigkill failed", 3333)];
    assert_eq!(sums, BTreeMap::from(expected.map(|(key, count)| (key.to_owned(), count))));
    assert_eq!(rows(&registry).len(), 103);
    assert_eq!(refused(&registry), ["tasks_total/cap 9900"]);
}

#[test]
fn folded_gauges_add_up_to_the_sum_of_their_last_values() {
    let mut registry = Registry::new(EIGHT);
    let one = identity("ns", "f", "p1");
    for task in 0..10 {
        registry.set(&TASKS_RUNNING, Some(&one), &["g", &format!("t{task}")], 1.0);
    }
    registry.set(&TASKS_RUNNING, Some(&one), &["g", "t8"], 5.0);
    registry.add(&TASKS_RUNNING, Some(&one), &["g", "t9"], 2.0);
    let folded = |registry: &Registry| registry.get(&TASKS_RUNNING, Some(&one), &["_OTHER", "_OTHER"]);
    assert_eq!(folded(&registry), Some(Value::Number(8.0)));
    // A series that has the very name that others are folded into keeps its own value apart.
    registry.set(&TASKS_RUNNING, Some(&one), &["_OTHER", "_OTHER"], 100.0);
    registry.set(&TASKS_RUNNING, Some(&one), &["_OTHER", "_OTHER"], 1.0);
    assert_eq!(folded(&registry), Some(Value::Number(9.0)));
    assert!(registry.remove(&TASKS_RUNNING, Some(&one), &["_OTHER", "_OTHER"]));
    assert!(registry.remove(&TASKS_RUNNING, Some(&one), &["g", "t8"]));
    assert_eq!(folded(&registry), Some(Value::Number(3.0)));
    assert_eq!(rows(&registry).len(), 9);
}

#[test]
fn a_folded_gauge_stays_folded_when_there_is_room_again() {
    let mut registry = Registry::new(EIGHT);
    let one = identity("ns", "f", "p1");
    for task in 0..9 {
        registry.add(&TASKS_RUNNING, Some(&one), &["g", &format!("t{task}")], 1.0);
    }
    for task in 0..8 {
        assert!(registry.remove(&TASKS_RUNNING, Some(&one), &["g", &format!("t{task}")]));
    }
    registry.add(&TASKS_RUNNING, Some(&one), &["g", "t8"], -1.0);
    registry.add(&TASKS_RUNNING, Some(&one), &["g", "t9"], 1.0);
    assert_eq!(
        rows(&registry),
        ["fleetscope_tasks_running ns/f/p1/main/w _OTHER/_OTHER 0", "fleetscope_tasks_running ns/f/p1/main/w g/t9 1"]
    );
}

#[test]
fn folded_absolute_counters_and_histograms_add_their_growth_and_survive_a_restart() {
    let mut registry = Registry::new(EIGHT);
    for pod in 0..8 {
        let id = identity("ns", "f", &format!("p{pod}"));
        registry.set(&AGENT_CPU, Some(&id), &[], 1.0);
        registry.set_histogram(&RUNQUEUE_LATENCY, Some(&id), &[], &[0; 13], 0.0);
    }
    let late = identity("ns", "f", "late");
    let mut counts = [0; 13];
    for (seconds, count) in [(10.0, 4), (12.0, 6), (3.0, 1)] {
        counts[2] = count;
        registry.set(&AGENT_CPU, Some(&late), &[], seconds);
        registry.set_histogram(&RUNQUEUE_LATENCY, Some(&late), &[], &counts, seconds);
    }
    counts[2] = 7;
    assert_eq!(
        rows(&registry)[0],
        format!("fleetscope_runqueue_latency_seconds ns/f/_OTHER/_OTHER/_OTHER  {counts:?} 15")
    );
    assert_eq!(rows(&registry)[9], "fleetscope_agent_cpu_seconds_total ns/f/_OTHER/_OTHER/_OTHER  15");
    assert_eq!(refused(&registry), ["agent_cpu_seconds_total/cap 3", "runqueue_latency_seconds/cap 3"]);
}

#[test]
fn a_folded_info_is_still_one() {
    let mut registry = Registry::new(EIGHT);
    let one = identity("ns", "f", "p1");
    for image in 0..12 {
        registry.set(&AGENT_INFO, Some(&one), &[&format!("i{image:02}"), "node"], 1.0);
    }
    assert_eq!(rows(&registry).len(), 9);
    assert_eq!(rows(&registry)[0], "fleetscope_agent_info ns/f/p1/main/w _OTHER/node 1");
}

#[test]
fn a_gauge_whose_last_value_cannot_be_remembered_is_refused() {
    let mut registry = Registry::new(Limits { per_metric_and_fleet: 2, total: 100 });
    for pod in 0..5 {
        registry.set(&AGENT_MEMORY, Some(&identity("ns", "f", &format!("p{pod}"))), &[], 1.0);
    }
    assert_eq!(
        rows(&registry),
        [
            "fleetscope_agent_memory_bytes ns/f/_OTHER/_OTHER/_OTHER  2",
            "fleetscope_agent_memory_bytes ns/f/p0/main/w  1",
            "fleetscope_agent_memory_bytes ns/f/p1/main/w  1",
        ]
    );
    assert_eq!(refused(&registry), ["agent_memory_bytes/cap 3", "agent_memory_bytes/full 1"]);
}

#[test]
fn with_no_room_at_all_every_metric_has_one_series() {
    let mut registry = Registry::new(Limits { per_metric_and_fleet: 0, total: 0 });
    for fleet in 0..100 {
        let id = identity("ns", &format!("f{fleet}"), "p1");
        registry.add(&TASKS, Some(&id), &["0", "g", "success", "git"], 1.0);
        registry.add(&AGENT_CPU, Some(&id), &[], 2.0);
        registry.add(&EVENTS, None, &["exec"], 1.0);
    }
    assert_eq!(
        rows(&registry),
        [
            "fleetscope_tasks_total _OTHER/_OTHER/_OTHER/_OTHER/_OTHER _OTHER/_OTHER/_OTHER/_OTHER 100",
            "fleetscope_agent_cpu_seconds_total _OTHER/_OTHER/_OTHER/_OTHER/_OTHER  200",
            "fleetscope_events_total  _OTHER 100",
        ]
    );
}

#[test]
fn the_total_limit_folds_fleets_one_by_one() {
    let mut registry = Registry::new(Limits { per_metric_and_fleet: 100, total: 8 });
    for fleet in 0..14 {
        for task in ["a", "b"] {
            let id = identity("ns", &format!("f{fleet:02}"), "p1");
            registry.add(&TASKS, Some(&id), &["0", "g", "success", task], 1.0);
        }
    }
    let other = |fleet: &str, tail: &str| format!("fleetscope_tasks_total {fleet} {tail}");
    let mut expected = vec![other("_OTHER/_OTHER/_OTHER/_OTHER/_OTHER", "_OTHER/_OTHER/_OTHER/_OTHER 14")];
    for fleet in 0..4 {
        for task in ["a", "b"] {
            expected.push(other(&format!("ns/f{fleet:02}/p1/main/w"), &format!("0/g/success/{task} 1")));
        }
    }
    expected.push(other("ns/f04/p1/main/w", "0/_OTHER/success/_OTHER 2"));
    expected.push(other("ns/f05/_OTHER/_OTHER/_OTHER", "0/_OTHER/success/_OTHER 2"));
    expected.push(other("ns/f06/_OTHER/_OTHER/_OTHER", "_OTHER/_OTHER/_OTHER/_OTHER 2"));
    assert_eq!(rows(&registry), expected);
    assert_eq!(refused(&registry), ["tasks_total/total 20"]);
}

#[test]
fn a_fleets_folded_series_go_with_its_last_pod() {
    let mut registry = full_of_tasks();
    let (one, two) = (identity("ns", "f", "p1"), identity("ns", "f", "p2"));
    registry.add(&TASKS, Some(&two), &["0", "g", "success", "t0"], 1.0);
    registry.add(&TASKS, Some(&two), &["1", "g", "success", "t0"], 1.0);
    registry.set(&AGENT_MEMORY, Some(&two), &[], 1.0);
    registry.retire(&one, 1);
    assert_eq!(registry.sweep(1), 8);
    assert_eq!(rows(&registry).len(), 3);
    registry.retire(&two, 2);
    assert_eq!(registry.sweep(2), 3);
    assert_eq!(rows(&registry), Vec::<String>::new());
}
