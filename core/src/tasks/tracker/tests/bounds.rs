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

/// Runs `/bin/NAME` once in a group, and gives the names of the tasks that are shown.
fn run(tracker: &mut Tracker, cgroup: u64, name: &str, time: u64) -> Vec<String> {
    let tgid = u32::try_from(tracker.processes.sizes()[0]).unwrap() + 1_000;
    exec(tracker, cgroup, (tgid, time), &format!("/bin/{name}"), b"x\0", time);
    exit(tracker, cgroup, (tgid, time), name, 0, time);
    let key = |(key, _): (String, f64)| key.rsplit(' ').next().unwrap().to_owned();
    let mut names: Vec<String> = shown(tracker, &TASKS).into_iter().map(key).collect();
    names.dedup();
    names
}

/// A tracker whose fleet takes two names from executables, with a second pod in group 20.
fn ready_with_two_names() -> Tracker {
    let mut tracker = ready();
    let mut capped = fleet("git");
    capped.tasks.max_unmatched = 2;
    tracker.upsert_fleet(capped, 1);
    tracker.upsert_pod(pod(2, &[("main", 200)]), 1);
    made(&mut tracker, 20, 2, Some(&path(2, 200)), 2);
    tracker
}

#[test]
fn a_name_is_given_back_when_the_last_series_of_it_is_gone() {
    let mut tracker = ready_with_two_names();
    assert_eq!(run(&mut tracker, 20, "a", SECOND), ["a"]);
    assert_eq!(run(&mut tracker, 10, "b", SECOND), ["b", "a"]);
    assert_eq!(run(&mut tracker, 10, "c", SECOND), ["_OTHER", "b", "a"]);
    tracker.remove_pod("uid-2", 2 * SECOND);
    tracker.tick(60 * SECOND);
    assert_eq!(
        run(&mut tracker, 10, "c", 60 * SECOND),
        ["_OTHER", "b", "a"],
        "series of deleted pods stay for a while"
    );
    tracker.handle(Record::CgroupGone(CgroupGone { time: 60 * SECOND, cgroup: 20, parent: 2 }), 60 * SECOND);
    tracker.tick(302 * SECOND);
    assert_eq!(run(&mut tracker, 10, "c", 302 * SECOND), ["_OTHER", "b", "c"]);
    assert_eq!(run(&mut tracker, 10, "d", 303 * SECOND), ["_OTHER", "b", "c"]);
    tracker.tick(400 * SECOND);
    assert_eq!(run(&mut tracker, 10, "d", 400 * SECOND), ["_OTHER", "b", "c"], "those that are shown keep their names");
}

#[test]
fn an_edit_of_the_rules_gives_unused_names_back_at_once() {
    let mut tracker = ready_with_two_names();
    run(&mut tracker, 20, "a", SECOND);
    run(&mut tracker, 10, "b", SECOND);
    // It leaves the fleet, and its series go in time.
    let mut other = pod(2, &[("main", 200)]);
    other.labels.clear();
    tracker.upsert_pod(other, 2 * SECOND);
    tracker.registry_mut().sweep(400 * SECOND);
    let mut edited = fleet("git");
    edited.tasks.max_unmatched = 2;
    edited.tasks.rules.clear();
    tracker.upsert_fleet(edited, 400 * SECOND);
    assert_eq!(run(&mut tracker, 10, "c", 400 * SECOND), ["b", "c"]);
    assert_eq!(run(&mut tracker, 10, "d", 400 * SECOND), ["_OTHER", "b", "c"]);
}
