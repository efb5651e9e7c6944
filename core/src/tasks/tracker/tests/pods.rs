//! Pods as the watch tells them, also where one stands in the way of another.

use std::time::{Duration, SystemTime};

use super::*;
use crate::metrics::{AGENT_FAILURES, AGENT_INFO, AGENT_RESTARTS, AGENT_STARTS, AGENT_STOPS, AGENTS};
use crate::pods::{Ended, LeftOut};

/// The pods are synced at 1,000 s since the epoch.
fn ready_at_1000() -> Tracker {
    let mut tracker = Tracker::new(TrackerLimits::default());
    tracker.registry_mut().set_clock(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
    tracker.upsert_fleet(fleet("git"), 1);
    tracker.fleets_synced();
    tracker
}

#[test]
fn no_pod_takes_over_what_runs_in_another() {
    let mut tracker = ready();
    tracker.upsert_fleet(FleetView { namespace: "evil".to_owned(), ..fleet("thief") }, 1);
    exec(&mut tracker, 10, (7, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    let (cgroup_uid, namespace) = ("uid-1".to_owned(), "evil".to_owned());
    tracker.upsert_pod(PodView { cgroup_uid, namespace, ..pod(9, &[("main", 100)]) }, 2 * SECOND);
    exec(&mut tracker, 10, (8, SECOND), "/bin/git", b"git\0merge\0", 3 * SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), one("agent-1 main|git merge", 2.0));
    tracker.remove_pod("uid-9", 4 * SECOND);
    tracker.tick(400 * SECOND);
    exec(&mut tracker, 10, (9, SECOND), "/bin/git", b"git\0merge\0", 400 * SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), one("agent-1 main|git merge", 3.0));
}

#[test]
fn a_static_pods_hash_is_its_first_claimants_until_that_is_gone() {
    let mut tracker = ready();
    let claimant = |n: u64, name: &str| PodView {
        uid: format!("uid-{n}"),
        cgroup_uid: "abcd".to_owned(),
        name: name.to_owned(),
        ..pod(n, &[("main", 300)])
    };
    made(&mut tracker, 30, 2, Some(&format!("/kubepods/podabcd/{}", id(300))), SECOND);
    let run = |tracker: &mut Tracker, tgid: u32| {
        exec(tracker, 30, (tgid, SECOND), "/bin/git", b"git\0merge\0", SECOND);
        exit(tracker, 30, (tgid, SECOND), "git", 0, 2 * SECOND);
        shown(tracker, &TASKS)
    };
    tracker.upsert_pod(claimant(31, "etcd"), SECOND);
    tracker.upsert_pod(claimant(32, "thief"), SECOND);
    assert_eq!(run(&mut tracker, 7), one("etcd main|0 git success merge", 1.0));
    // The kubelet made its mirror anew, and the old one's end is told later.
    tracker.upsert_pod(claimant(33, "etcd"), 2 * SECOND);
    tracker.remove_pod("uid-31", 2 * SECOND);
    assert_eq!(run(&mut tracker, 8), one("etcd main|0 git success merge", 2.0));
    tracker.remove_pod("uid-33", 3 * SECOND);
    tracker.upsert_pod(claimant(34, "kept"), 3 * SECOND);
    let both = ["etcd main|0 git success merge", "kept main|0 git success merge"].map(str::to_owned);
    assert_eq!(run(&mut tracker, 9), both.into_iter().zip([2.0, 1.0]).collect::<Vec<_>>());
}

#[test]
fn a_pod_that_returns_under_its_name_shows_its_new_image_only() {
    let mut tracker = ready();
    assert_eq!(shown(&tracker, &AGENT_INFO), one("agent-1 main|agent:1 node-1", 1.0));
    let mut next = PodView { uid: "uid-1b".to_owned(), cgroup_uid: "uid-1b".to_owned(), ..pod(1, &[("main", 110)]) };
    next.containers[0].image = "agent:2".to_owned();
    tracker.remove_pod("uid-1", 2 * SECOND);
    tracker.upsert_pod(next.clone(), 3 * SECOND);
    assert_eq!(shown(&tracker, &AGENT_INFO), one("agent-1 main|agent:2 node-1", 1.0));
    // Whatever makes the tracker look at all pods again, the one that is gone included.
    tracker.upsert_fleet(FleetView { created: 0, ..fleet("git") }, 4 * SECOND);
    assert_eq!(shown(&tracker, &AGENT_INFO), one("agent-1 main|agent:2 node-1", 1.0));
    next.containers[0].image = "agent:3".to_owned();
    tracker.upsert_pod(next, 5 * SECOND);
    assert_eq!(shown(&tracker, &AGENT_INFO), one("agent-1 main|agent:3 node-1", 1.0));
    tracker.tick(400 * SECOND);
    assert_eq!(shown(&tracker, &AGENT_INFO), one("agent-1 main|agent:3 node-1", 1.0));
}

#[test]
fn a_pod_that_left_its_fleet_and_came_back_shows_its_image_of_now() {
    let mut tracker = ready();
    tracker.upsert_pod(PodView { labels: BTreeMap::new(), ..pod(1, &[("main", 100)]) }, 2 * SECOND);
    let mut back = pod(1, &[("main", 100)]);
    back.containers[0].image = "agent:2".to_owned();
    tracker.upsert_pod(back, 3 * SECOND);
    assert_eq!(shown(&tracker, &AGENT_INFO), one("agent-1 main|agent:2 node-1", 1.0));
}

#[test]
fn what_happened_to_a_pod_before_it_was_first_seen_counts_if_the_pod_is_newer_than_the_first_list() {
    let mut tracker = ready_at_1000();
    let crashed = |n: u64, created: i64| {
        let mut view = PodView { created, ..pod(n, &[("main", 100 * n)]) };
        view.containers[0].restarts = 1;
        view.containers[0].last = Some(Ended { exit_code: 3, ran: true, ..Ended::default() });
        view
    };
    // There before the node agent: its history was counted in the agent's earlier life, or by nobody.
    tracker.upsert_pod(crashed(1, 2_000), 1);
    tracker.pods_synced();
    // Of a namespace that could not be read until now.
    tracker.upsert_pod(crashed(2, 999), 2);
    assert_eq!((shown(&tracker, &AGENT_STARTS), shown(&tracker, &AGENT_RESTARTS)), (vec![], vec![]));
    // Born and crashed while the pods were listed anew.
    for _ in 0..2 {
        tracker.upsert_pod(crashed(3, 1_000), 3);
    }
    assert_eq!(shown(&tracker, &AGENT_STARTS), one("agent-3 main|success", 2.0));
    assert_eq!(shown(&tracker, &AGENT_STOPS), one("agent-3 main|failure", 1.0));
    assert_eq!(shown(&tracker, &AGENT_RESTARTS), one("agent-3 main|", 1.0));
    assert_eq!(shown(&tracker, &AGENT_FAILURES), one("agent-3 main|exit_code", 1.0));
}

/// A pod whose containers have all ended.
fn over(n: u64, created: i64) -> PodView {
    let mut view = PodView { created, phase: "Failed".to_owned(), ..pod(n, &[("main", 100 * n)]) };
    view.containers[0].state = ContainerState::Terminated(Ended { exit_code: 1, ran: true, ..Ended::default() });
    view
}

#[test]
fn pods_that_are_over_make_room_for_those_that_run_and_count_once() {
    let mut tracker = ready_at_1000();
    tracker.limits.pods = 3;
    tracker.pods_synced();
    for n in 1..=5 {
        tracker.upsert_pod(over(n, 1_000), 1);
    }
    assert_eq!(
        shown(&tracker, &EVENTS_LOST),
        one("pods_full", 2.0),
        "those that are over take no room from each other"
    );
    for n in 6..=8 {
        tracker.upsert_pod(PodView { created: 1_000, ..pod(n, &[("main", 100 * n)]) }, 2);
    }
    assert_eq!(shown(&tracker, &AGENTS), one(" |running", 3.0));
    assert_eq!(shown(&tracker, &EVENTS_LOST), one("pods_full", 2.0));
    tracker.upsert_pod(pod(9, &[("main", 900)]), 3);
    assert_eq!(shown(&tracker, &EVENTS_LOST), one("pods_full", 3.0));
    // A list tells again of one that had to go.
    tracker.remove_pod("uid-6", 3);
    let stops = |tracker: &Tracker| shown(tracker, &AGENT_STOPS).iter().map(|(_, count)| count).sum::<f64>();
    let before = stops(&tracker);
    tracker.upsert_pod(over(1, 1_000), 4);
    assert_eq!(tracker.agents().len(), 3, "it is back");
    assert_eq!(stops(&tracker).to_string(), before.to_string());
}

#[test]
fn a_pod_with_too_many_labels_counts_once_as_not_told() {
    let mut tracker = ready();
    let view = PodView { left_out: Some(LeftOut::Labels), labels: BTreeMap::new(), ..pod(2, &[("main", 200)]) };
    for _ in 0..2 {
        tracker.upsert_pod(view.clone(), 2);
    }
    assert_eq!(shown(&tracker, &EVENTS_LOST), one("labels_full", 1.0));
}
