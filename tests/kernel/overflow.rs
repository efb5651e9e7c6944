//! Full maps: what the ring buffer refuses waits in `REFUSED`, and what that refuses is counted.

use std::collections::BTreeMap;

use fleetscope_ebpf::Counters;
use fleetscope_node_agent::probes::Options;

use crate::group::Group;
use crate::session::Session;

/// Smallest ring buffer: one page, of which these records fill the first few.
fn tiny(refused_max: u32) -> Options {
    Options { runqueue: false, ring_bytes: 4096, refused_max, ..Options::default() }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn what_a_full_ring_refuses_waits_and_the_totals_stay_exact() {
    let (mut session, group) = (Session::with(&tiny(16_384)), Group::new());
    session.track(&group);
    group.run(&["exec", "/proc/self/exe", "-", "spawn", "500", "1", "/bin/false"]);
    let counters = session.counters();
    let seen = session.take();
    assert_eq!((seen.execs().len(), seen.statuses()), (501, BTreeMap::from([(0, 1), (256, 500)])));
    let deferred = usize::try_from(counters.exec_deferred + counters.exit_deferred).unwrap();
    assert!(deferred > 900, "the ring was full: {counters:?}");
    assert_eq!(seen.refused(), deferred);
    let expected = Counters {
        execs: 501,
        exits: 501,
        exec_deferred: counters.exec_deferred,
        exit_deferred: counters.exit_deferred,
        ..Counters::default()
    };
    assert_eq!(counters, expected);
    let execs: BTreeMap<_, _> = seen.execs().iter().map(|exec| (exec.process.tgid, exec.process.start)).collect();
    for exit in seen.exits() {
        assert_eq!(execs.get(&exit.process.tgid), Some(&exit.process.start), "an exit belongs to its exec either way");
    }
    for exec in seen.execs() {
        let name = exec.path.map_or(exec.process.comm(), |path| path.rsplit(|byte| *byte == b'/').next().unwrap());
        assert!([&b"false"[..], b"exe"].contains(&name), "the command name stands in for the path: {}", seen.story());
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn what_the_map_refuses_too_is_counted_exactly() {
    let (mut session, group) = (Session::with(&tiny(64)), Group::new());
    session.track(&group);
    group.run(&["exec", "/proc/self/exe", "-", "spawn", "500", "1", "/bin/false"]);
    let counters = session.counters();
    let seen = session.take();
    assert_eq!((counters.execs, counters.exits), (501, 501));
    assert_eq!(seen.refused(), 64);
    assert_eq!(counters.exec_deferred + counters.exit_deferred, 64);
    assert!(counters.exec_lost > 400 && counters.exit_lost > 400, "{counters:?}");
    assert_eq!(seen.execs().len() as u64 + counters.exec_lost, 501);
    assert_eq!(seen.exits().len() as u64 + counters.exit_lost, 501);
    // Drained, it takes records again.
    group.run(&["exec", "/bin/true"]);
    assert_eq!(session.take().execs().len(), 1);
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn groups_that_a_full_ring_refuses_wait_too() {
    let (mut session, group) = (Session::with(&tiny(16_384)), Group::new());
    session.track(&group);
    for i in 0..200 {
        group.child(&format!("group-{i}")).remove();
    }
    let counters = session.counters();
    let seen = session.take();
    assert_eq!(seen.records().count(), 400, "each was made and removed");
    assert_eq!(seen.refused() as u64, counters.cgroup_deferred);
    assert!(counters.cgroup_deferred > 300 && counters.cgroup_lost == 0, "{counters:?}");
    assert!(seen.story().matches("gone").count() == 200, "{}", seen.story());
}
