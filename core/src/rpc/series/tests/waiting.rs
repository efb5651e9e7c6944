//! Calls of groups that are not known yet.

use super::*;

#[test]
fn calls_wait_until_it_is_known_whose_they_are() {
    let mut rig = Rig::new(GrpcSpec { max_methods: 1, ..GrpcSpec::default() });
    rig.whole(101, 1, "p.S/M").start(101, 3, "p.S/N").start(101, 5, "p.S/M");
    assert!(rig.tasks.scan_wanted());
    assert_eq!(rig.rows(), Vec::<String>::new());
    rig.group(1, "").pass(10);
    assert_eq!(rig.rows(), Vec::<String>::new());
    rig.pod(1).pass(1);
    let other = "pod-1 main server _OTHER: 1, , first 0";
    assert_eq!(rig.rows(), [other, "pod-1 main server p.S/M: 1, OK 1, first 1"]);
    rig.finish(101, 5, "p.S/M").finish(101, 3, "p.S/N");
    let other = "pod-1 main server _OTHER: 0, OK 1, first 1";
    assert_eq!(rig.rows(), [other, "pod-1 main server p.S/M: 0, OK 2, first 2"]);
    assert_eq!(rig.lost(), []);
}

#[test]
fn calls_whose_pod_does_not_become_known_are_nobodys_until_it_does() {
    let mut rig = Rig::new(GrpcSpec::default());
    rig.group(1, "").whole(101, 1, "p.S/M").start(101, 3, "p.S/M");
    rig.pass(29);
    assert_eq!(rig.rows(), Vec::<String>::new());
    rig.pass(1);
    assert_eq!(rig.rows(), ["_OTHER _OTHER server p.S/M: 1, OK 1, first 1"]);
    assert_eq!(rig.lost(), [("identity_timeout".to_owned(), 1.0)]);
    rig.pod(1).finish(101, 3, "p.S/M");
    let nobodys = "_OTHER _OTHER server p.S/M: 0, OK 1, first 1";
    assert_eq!(rig.rows(), [nobodys, "pod-1 main server p.S/M: 0, OK 1, first 1"]);
}

#[test]
fn calls_of_a_container_that_its_pod_does_not_list_are_the_pods() {
    let mut rig = Rig::new(GrpcSpec::default());
    let mut view = pod(1);
    view.containers[0].id = None;
    rig.tasks.upsert_pod(view, rig.now);
    rig.group(1, "").whole(101, 1, "p.S/M").pass(30);
    assert_eq!(rig.rows(), ["pod-1 _OTHER server p.S/M: 0, OK 1, first 1"]);
    rig.whole(101, 3, "p.S/M");
    assert_eq!(rig.lost(), [("container_unknown".to_owned(), 2.0)]);
}

#[test]
fn calls_of_a_group_that_nobody_finds_are_nobodys() {
    let mut rig = Rig::new(GrpcSpec::default());
    rig.whole(101, 1, "p.S/M").pass(30);
    assert_eq!(rig.rows(), ["_OTHER _OTHER server p.S/M: 0, OK 1, first 1"]);
    assert_eq!(rig.lost(), [("cgroup_unknown".to_owned(), 1.0)]);
}

#[test]
fn what_finds_no_room_to_wait_is_counted_at_once() {
    let mut rig = Rig::with(GrpcSpec::default(), SeriesLimits { pending: 3, ..SeriesLimits::default() });
    rig.group(1, "").whole(101, 1, "p.S/M").whole(101, 3, "p.S/M");
    // The last of the two pairs of observations: one of it found room.
    assert_eq!(rig.rows(), ["_OTHER _OTHER server p.S/M: 0, OK 1, first 0"]);
    rig.pod(1).pass(1);
    let nobodys = "_OTHER _OTHER server p.S/M: 0, OK 1, first 0";
    assert_eq!(rig.rows(), [nobodys, "pod-1 main server p.S/M: 0, OK 1, first 2"]);
    assert_eq!(rig.lost(), [("pending_full".to_owned(), 1.0)]);
}

#[test]
fn calls_outside_of_fleets_are_in_no_series() {
    let mut rig = Rig::new(GrpcSpec::default());
    rig.tasks.upsert_pod(PodView { namespace: "other".to_owned(), ..pod(1) }, rig.now);
    rig.group(1, "").whole(101, 1, "p.S/M").start(101, 3, "p.S/M").pass(40);
    assert_eq!((rig.rows(), rig.lost()), (Vec::new(), Vec::new()));
}
