//! Why a container failed, by its pod's status and by the kernel.

use super::*;
use crate::metrics::AGENT_FAILURES;
use crate::pods::Ended;

/// A pod whose container was ended by SIGKILL, as runtimes report it that missed the OOM killer's event.
fn killed() -> PodView {
    let mut pod = pod(1, &[("main", 100)]);
    pod.containers[0].state =
        ContainerState::Terminated(Ended { exit_code: 137, reason: "Error".to_owned(), ran: true, ..Ended::default() });
    pod
}

fn exit_by_oom(tracker: &mut Tracker, (tgid, start): (u32, u64), oom: bool, time: u64) {
    let process = who(tgid, start, "agent");
    tracker.handle(Record::Exit(Exit { time, cgroup: 10, process, status: 9, oom }), time);
}

#[test]
fn the_kernel_tells_of_an_oom_kill_that_the_runtime_missed() {
    let mut tracker = ready();
    exec(&mut tracker, 10, (7, SECOND), "/bin/agent", b"agent\0", SECOND);
    exit_by_oom(&mut tracker, (7, SECOND), true, 2 * SECOND);
    tracker.upsert_pod(killed(), 3 * SECOND);
    assert_eq!(shown(&tracker, &AGENT_FAILURES), one("agent-1 main|oom", 1.0));
}

#[test]
fn a_child_that_was_killed_for_memory_is_not_why_its_container_was_killed_later() {
    let mut tracker = ready();
    exec(&mut tracker, 10, (7, SECOND), "/bin/agent", b"agent\0", SECOND);
    exec(&mut tracker, 10, (8, SECOND), "/bin/agent", b"agent\0", SECOND);
    exit_by_oom(&mut tracker, (8, SECOND), true, 2 * SECOND);
    exit_by_oom(&mut tracker, (7, SECOND), false, 3 * SECOND);
    tracker.upsert_pod(killed(), 4 * SECOND);
    assert_eq!(shown(&tracker, &AGENT_FAILURES), one("agent-1 main|signal", 1.0));
}

#[test]
fn the_last_end_counts_whatever_was_seen_of_the_process_and_in_whatever_order() {
    let mut tracker = ready();
    exec(&mut tracker, 10, (8, SECOND), "/bin/agent", b"agent\0", SECOND);
    // The container's first process was there before anybody looked; the record of the child's end comes late.
    exit_by_oom(&mut tracker, (7, 1), false, 3 * SECOND);
    exit_by_oom(&mut tracker, (8, SECOND), true, 2 * SECOND);
    tracker.upsert_pod(killed(), 4 * SECOND);
    assert_eq!(shown(&tracker, &AGENT_FAILURES), one("agent-1 main|signal", 1.0));
}
