//! When series say that they started.

use std::time::{Duration, SystemTime};

use super::identity;
use crate::metrics::{AGENT_CPU, AGENT_STARTS, EVENTS, RUNQUEUE_LATENCY, SERIES, TASK_DURATION, TASKS, TASKS_RUNNING};
use crate::series::{Filter, Limits, Registry};

/// A minute and a half after the epoch.
fn clock() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(90_250)
}

/// Metric, own labels and start of each series, without the registry's own.
fn starts(registry: &Registry) -> Vec<(&'static str, String, Option<u64>)> {
    let snapshot = registry.snapshot(&Filter::default());
    let families = snapshot.families().iter().filter(|family| !family.metric.name.starts_with(SERIES.name));
    let rows = families.flat_map(|family| {
        family.series().map(|one| (family.metric.name, one.labels.join("/"), one.start.map(std::num::NonZeroU64::get)))
    });
    rows.collect()
}

#[test]
fn what_was_seen_to_happen_started_a_second_before_and_what_is_read_has_no_start() {
    let mut registry = Registry::new(Limits::default());
    let id = identity("ns", "f", "p");
    registry.add(&AGENT_STARTS, Some(&id), &["success"], 0.0);
    registry.set_clock(clock);
    for _ in 0..2 {
        registry.add(&TASKS, Some(&id), &["0", "g", "success", "git"], 1.0);
        registry.observe(&TASK_DURATION, Some(&id), &["g", "success", "git"], 1.0);
        registry.add(&TASKS_RUNNING, Some(&id), &["g", "git"], 1.0);
        registry.set(&AGENT_CPU, Some(&id), &[], 3_600.0);
        registry.set_histogram(&RUNQUEUE_LATENCY, Some(&id), &[], &[1; 13], 9.0);
        registry.set(&EVENTS, None, &["exec"], 1_000.0);
        registry.add(&AGENT_STARTS, Some(&id), &["success"], 1.0);
    }
    let expected = [
        (TASK_DURATION.name, "g/success/git", Some(89_250)),
        (TASKS.name, "0/g/success/git", Some(89_250)),
        (TASKS_RUNNING.name, "g/git", None),
        (RUNQUEUE_LATENCY.name, "", None),
        (AGENT_STARTS.name, "success", None),
        (AGENT_CPU.name, "", None),
        (EVENTS.name, "exec", None),
    ];
    assert_eq!(starts(&registry), expected.map(|(name, labels, start)| (name, labels.to_owned(), start)));
}

#[test]
fn what_is_folded_keeps_to_that() {
    let mut registry = Registry::new(Limits { per_metric_and_fleet: 1, total: 100 });
    registry.set_clock(clock);
    for pod in ["p1", "p2"] {
        registry.add(&TASKS, Some(&identity("ns", "f", pod)), &["0", "g", "success", "git"], 1.0);
        registry.set(&AGENT_CPU, Some(&identity("ns", "f", pod)), &[], 3_600.0);
    }
    let expected = [
        (TASKS.name, "_OTHER/_OTHER/_OTHER/_OTHER", Some(89_250)),
        (TASKS.name, "0/g/success/git", Some(89_250)),
        (AGENT_CPU.name, "", None),
        (AGENT_CPU.name, "", None),
    ];
    assert_eq!(starts(&registry), expected.map(|(name, labels, start)| (name, labels.to_owned(), start)));
}

#[test]
fn a_series_keeps_its_start_until_it_begins_again() {
    let mut registry = Registry::new(Limits::default());
    let (id, labels) = (identity("ns", "f", "p"), ["0", "g", "success", "git"]);
    let row = |start| [(TASKS.name, labels.join("/"), Some(start))];
    registry.set_clock(clock);
    registry.add(&TASKS, Some(&id), &labels, 1.0);
    registry.set_clock(|| clock() + Duration::from_mins(1));
    registry.add(&TASKS, Some(&id), &labels, 1.0);
    assert_eq!(starts(&registry), row(89_250));
    assert!(registry.remove(&TASKS, Some(&id), &labels));
    registry.add(&TASKS, Some(&id), &labels, 1.0);
    assert_eq!(starts(&registry), row(149_250));
}

#[test]
fn a_clock_before_the_epoch_or_just_at_it_gives_no_start() {
    for time in [|| SystemTime::UNIX_EPOCH, || SystemTime::UNIX_EPOCH + Duration::from_secs(1)] {
        let mut registry = Registry::new(Limits::default());
        registry.set_clock(time);
        registry.add(&EVENTS, None, &["exec"], 1.0);
        assert_eq!(starts(&registry), [(EVENTS.name, "exec".to_owned(), None)]);
    }
}
