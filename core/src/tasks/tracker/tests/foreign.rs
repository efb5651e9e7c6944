//! Pods of namespaces that are not looked at: their containers are there, and no pod of theirs is ever told.

use super::*;

fn tracker() -> Tracker {
    ready_with(TrackerLimits { rpc: true, some_namespaces: true, ..TrackerLimits::default() })
}

#[test]
fn a_container_whose_pod_is_not_told_is_ignored_and_nothing_counts_as_lost() {
    let mut tracker = tracker();
    made(&mut tracker, 20, 2, Some(&path(2, 200)), SECOND);
    exec(&mut tracker, 20, (7, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    exit(&mut tracker, 20, (7, SECOND), "git", 0, 2 * SECOND);
    exec(&mut tracker, 20, (8, SECOND), "/bin/git", b"git\0merge\0", 3 * SECOND);
    tracker.take_verdicts();
    tracker.tick(40 * SECOND);
    exit(&mut tracker, 20, (8, SECOND), "git", 0, 41 * SECOND);
    tracker.tick(60 * SECOND);
    assert_eq!((shown(&tracker, &TASKS), shown(&tracker, &TASKS_RUNNING)), (vec![], vec![]));
    assert_eq!(shown(&tracker, &EVENTS_LOST), []);
    assert_eq!(tracker.take_verdicts(), [(20, 0)], "the kernel looks away");
    assert!(matches!(tracker.enter_calls(20, true), CallOwner::Hidden));
    // Those that are told are observed as ever.
    exec(&mut tracker, 10, (9, SECOND), "/bin/git", b"git\0merge\0", 61 * SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), one("agent-1 main|git merge", 1.0));
}

#[test]
fn calls_of_a_pod_that_is_not_told_are_hidden_after_the_wait() {
    let mut tracker = tracker();
    made(&mut tracker, 20, 2, Some(&path(2, 200)), SECOND);
    assert!(matches!(tracker.enter_calls(20, false), CallOwner::Waiting));
    assert!(matches!(tracker.enter_calls(20, true), CallOwner::Hidden));
    assert_eq!(shown(&tracker, &EVENTS_LOST), []);
}

#[test]
fn one_that_is_told_after_all_is_looked_at_again() {
    let mut tracker = tracker();
    made(&mut tracker, 20, 2, Some(&path(2, 200)), SECOND);
    exec(&mut tracker, 20, (7, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    tracker.tick(40 * SECOND);
    tracker.take_verdicts();
    assert!(!tracker.scan_wanted());
    tracker.upsert_pod(pod(2, &[("main", 200)]), 41 * SECOND);
    assert!(tracker.scan_wanted(), "what runs in it was not remembered");
    assert_eq!(tracker.take_verdicts().last().map(|(id, verdict)| (*id, *verdict != 0)), Some((20, true)));
    exec(&mut tracker, 20, (8, 42 * SECOND), "/bin/git", b"git\0merge\0", 42 * SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), one("agent-2 main|git merge", 1.0));
    assert_eq!(shown(&tracker, &EVENTS_LOST), []);
}

#[test]
fn records_of_pods_that_are_not_told_leave_half_of_the_places_to_those_that_are() {
    let mut tracker = ready_with(TrackerLimits { some_namespaces: true, pending: 8, ..TrackerLimits::default() });
    made(&mut tracker, 20, 2, Some(&path(2, 200)), SECOND);
    made(&mut tracker, 12, 5, Some(&path(1, 102)), SECOND);
    for tgid in 0..8 {
        exec(&mut tracker, 20, (tgid, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    }
    for tgid in 10..14 {
        exec(&mut tracker, 12, (tgid, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    }
    assert_eq!(shown(&tracker, &EVENTS_LOST), one("pending_full", 4.0));
    tracker.upsert_pod(pod(1, &[("main", 100), ("side", 102)]), 2 * SECOND);
    let own: Vec<(String, f64)> =
        shown(&tracker, &TASKS_RUNNING).into_iter().filter(|(key, _)| key.starts_with("agent-1 side")).collect();
    assert_eq!(own, one("agent-1 side|git merge", 4.0));
}
