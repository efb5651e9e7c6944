//! Records whose container did not become known in time: they count under `_OTHER`, each with a reason.

use super::*;

#[test]
fn records_of_unknown_pods_count_under_other_with_a_reason() {
    let mut tracker = ready();
    made(&mut tracker, 20, 2, Some(&path(2, 200)), SECOND);
    exec(&mut tracker, 20, (7, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    tracker.tick(30 * SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), []);
    tracker.tick(31 * SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), one("_OTHER _OTHER|other git", 1.0));
    assert_eq!(shown(&tracker, &EVENTS_LOST), one("identity_timeout", 1.0));
    // The pod comes after all: what runs keeps its identity, what begins has the right one.
    tracker.upsert_pod(pod(2, &[("main", 200)]), 32 * SECOND);
    exit(&mut tracker, 20, (7, SECOND), "git", 0, 33 * SECOND);
    exec(&mut tracker, 20, (8, SECOND), "/bin/git", b"git\0merge\0", 33 * SECOND);
    assert_eq!(shown(&tracker, &TASKS), one("_OTHER _OTHER|0 other success git", 1.0));
    assert_eq!(shown(&tracker, &TASKS_RUNNING), one("agent-2 main|git merge", 1.0));
}

fn lost(tracker: &Tracker, reason: &str) -> f64 {
    shown(tracker, &EVENTS_LOST).into_iter().find(|(own, _)| own == reason).map_or(0.0, |(_, count)| count)
}

#[test]
fn every_task_of_nobody_has_a_counted_reason_also_after_the_wait() {
    let mut tracker = ready();
    made(&mut tracker, 20, 2, Some(&path(2, 200)), SECOND);
    exec(&mut tracker, 20, (7, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    exit(&mut tracker, 20, (7, SECOND), "git", 0, 2 * SECOND);
    exec(&mut tracker, 20, (8, SECOND), "/bin/git", b"git\0merge\0", 2 * SECOND);
    tracker.tick(31 * SECOND);
    assert_eq!((lost(&tracker, "identity_timeout").to_string(), shown(&tracker, &TASKS).len()), ("2".to_owned(), 1));
    exit(&mut tracker, 20, (8, SECOND), "git", 0, 32 * SECOND);
    for tgid in 10..15 {
        exec(&mut tracker, 20, (tgid, 32 * SECOND), "/bin/git", b"git\0merge\0", 32 * SECOND);
        exit(&mut tracker, 20, (tgid, 32 * SECOND), "git", 0, 33 * SECOND);
    }
    let (cgroup, comm) = (20, b"git".to_vec());
    tracker.seed(&SeededProcess { cgroup, tgid: 20, start: SECOND, comm, cmdline: Vec::new() }, 33 * SECOND);
    exit(&mut tracker, 20, (20, SECOND), "git", 0, 34 * SECOND);
    // One whose exec was lost.
    tracker.records_lost(1, 0, 0);
    exit(&mut tracker, 20, (21, 33 * SECOND), "git", 0, 34 * SECOND);
    tracker.tick(40 * SECOND);
    assert_eq!(shown(&tracker, &TASKS), one("_OTHER _OTHER|0 other success git", 9.0));
    assert_eq!(lost(&tracker, "identity_timeout").to_string(), "9");
}

#[test]
fn what_counts_under_nobody_is_among_the_agents_own_series() {
    let mut tracker = ready();
    made(&mut tracker, 20, 2, Some(&path(2, 200)), SECOND);
    exec(&mut tracker, 20, (7, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    exec(&mut tracker, 10, (8, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    tracker.tick(31 * SECOND);
    let filter = Filter { scope: Selection::SelfOnly, names: &[TASKS_RUNNING.name], ..Filter::default() };
    let rows = tracker.tasks(&filter);
    assert_eq!(rows.iter().map(|row| (&*row.fleet, row.running)).collect::<Vec<_>>(), [("_OTHER", 1)]);
}
