//! Which groups the kernel shall look at for calls.

use fleetscope_ebpf::verdict::{IGNORE, RPC, RUNQUEUE, TASKS};

use super::*;
use crate::api::agent_fleet::GrpcSpec;

fn verdicts(tracker: &mut Tracker) -> Vec<(u64, u32)> {
    let mut verdicts = tracker.take_verdicts();
    verdicts.sort_unstable();
    verdicts
}

#[test]
fn groups_that_are_not_known_get_all_that_the_limits_allow() {
    for (runqueue, rpc, wanted) in [
        (false, false, TASKS),
        (true, false, TASKS | RUNQUEUE),
        (false, true, TASKS | RPC),
        (true, true, TASKS | RUNQUEUE | RPC),
    ] {
        let mut tracker = Tracker::new(TrackerLimits { runqueue, rpc, ..TrackerLimits::default() });
        assert_eq!(tracker.verdict_of_unknown(), wanted);
        tracker.scan_started(1);
        tracker.cgroup_found(1, 0, "/kubepods");
        assert_eq!(verdicts(&mut tracker), [(1, wanted)]);
    }
}

#[test]
fn the_groups_of_a_fleet_are_looked_at_for_calls_as_long_as_it_wants_that() {
    let mut tracker = ready_with(TrackerLimits { rpc: true, ..TrackerLimits::default() });
    let grpc = |enabled| GrpcSpec { enabled, ..GrpcSpec::default() };
    tracker.upsert_fleet(FleetView { grpc: grpc(false), ..fleet("git") }, 3);
    assert_eq!(verdicts(&mut tracker), [(5, TASKS), (10, TASKS)]);
    // A nested group inherits the verdict and keeps it.
    made(&mut tracker, 20, 10, Some(&format!("{}/nested", path(1, 100))), 4);
    assert_eq!(verdicts(&mut tracker), []);
    tracker.upsert_fleet(FleetView { grpc: grpc(true), ..fleet("git") }, 5);
    assert_eq!(verdicts(&mut tracker), [(5, TASKS | RPC), (10, TASKS | RPC), (20, TASKS | RPC)]);
    tracker.upsert_fleet(FleetView { suspend: true, ..fleet("git") }, 6);
    assert_eq!(verdicts(&mut tracker), [(5, IGNORE), (10, IGNORE), (11, IGNORE), (20, IGNORE)]);
}
