//! What happens when a table is full.

use super::*;

#[test]
fn every_table_is_bounded_and_says_so() {
    let limits = TrackerLimits {
        cgroups: 4,
        containers: 3,
        processes: 2,
        pending: 2,
        ended: 2,
        done: 2,
        pods: 1,
        ..TrackerLimits::default()
    };
    let mut tracker = Tracker::new(limits);
    tracker.upsert_fleet(fleet("git"), 1);
    tracker.pods_synced();
    tracker.fleets_synced();
    tracker.upsert_pod(pod(1, &[("main", 100)]), 1);
    tracker.upsert_pod(pod(9, &[("main", 900)]), 1);
    for n in 0..10 {
        made(&mut tracker, 10 + n, 5, Some(&path(1, 100 + n)), SECOND);
    }
    for tgid in 0..10 {
        exec(&mut tracker, 10, (tgid, SECOND), "/bin/git", b"git\0merge\0", SECOND);
        exec(&mut tracker, 11, (100 + tgid, SECOND), "/bin/git", b"git\0merge\0", SECOND);
        exit(&mut tracker, 10, (200 + tgid, SECOND), "git", 0, SECOND);
    }
    let lost: BTreeMap<String, f64> = shown(&tracker, &EVENTS_LOST).into_iter().collect();
    let reasons: Vec<&str> = lost.keys().map(String::as_str).collect();
    assert_eq!(reasons, ["cgroups_full", "exits_full", "pending_full", "pods_full", "processes_full"]);
    assert!(tracker.processes.sizes()[0] <= 6, "{:?}", tracker.processes.sizes());
}

#[test]
fn many_executables_share_other_beyond_the_cap() {
    let mut tracker = ready();
    let mut capped = fleet("git");
    capped.tasks.max_unmatched = 2;
    tracker.upsert_fleet(capped, 1);
    for tgid in 0..10_000_u32 {
        exec(&mut tracker, 10, (tgid, SECOND), &format!("/bin/x{tgid}"), b"x\0", SECOND);
        exit(&mut tracker, 10, (tgid, SECOND), "x", 0, SECOND);
    }
    let totals = ["_OTHER", "x0", "x1"].map(|task| format!("agent-1 main|0 other success {task}"));
    let counts = [9_998.0, 1.0, 1.0];
    assert_eq!(shown(&tracker, &TASKS), totals.into_iter().zip(counts).collect::<Vec<_>>());
}
