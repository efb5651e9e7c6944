//! What is a task: exec and exit of processes, and what is none.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use fleetscope_core::records::Argv;

use crate::group::Group;
use crate::session::Session;

/// Nanoseconds of `CLOCK_BOOTTIME`.
fn boot_time() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_process_is_one_exec_and_one_exit_with_its_names_and_times() {
    let (mut session, group) = (Session::new(), Group::new());
    session.track(&group);
    let before = boot_time();
    let mut child = group.process(&["exec", "/bin/sh", "-c", "exit 3"]).spawn().unwrap();
    let tgid = child.id();
    let status = child.wait().unwrap();
    let after = boot_time();
    let seen = session.take();
    // kernel-process itself is exec'd outside, moves in, and replaces itself: one exec is seen, of the program that it became.
    let [exec] = seen.execs()[..] else { panic!("{}", seen.story()) };
    let [exit] = seen.exits()[..] else { panic!("{}", seen.story()) };
    assert_eq!((exec.path, exec.argv), (Some(&b"/bin/sh"[..]), Argv::Whole(b"/bin/sh\0-c\0exit 3\0")));
    assert_eq!((exec.cgroup, exit.cgroup), (group.id(), group.id()));
    assert_eq!((exec.process.comm(), exit.process.comm()), (&b"sh"[..], &b"sh"[..]));
    assert_eq!((exec.process.tgid, exit.process.tgid), (tgid, tgid));
    assert_eq!((exec.process.parent, exit.process.parent), (std::process::id(), std::process::id()));
    assert_eq!(
        (exec.process.start, exit.status, exit.oom),
        (exit.process.start, status.into_raw().cast_unsigned(), false)
    );
    assert!(!exec.parent_tracked, "this test's process is in no tracked group");
    let times = [before, exec.process.start, exec.time, exit.time, after];
    assert!(times.is_sorted(), "{times:?}");
    let counters = session.counters();
    assert_eq!((counters.execs, counters.exits), (1, 1));
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn children_know_that_their_parent_is_tracked() {
    let (mut session, group) = (Session::new(), Group::new());
    session.track(&group);
    let mut child = group.process(&["spawn", "2", "1", "/bin/true"]).spawn().unwrap();
    let parent = child.id();
    child.wait().unwrap();
    let seen = session.take();
    let parents: Vec<_> = seen.execs().iter().map(|exec| (exec.parent_tracked, exec.process.parent)).collect();
    assert_eq!(parents, [(true, parent), (true, parent)], "{}", seen.story());
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_parent_in_an_ignored_group_is_tracked_as_well() {
    let (mut session, group) = (Session::new(), Group::new());
    let inner = group.child("inner");
    session.verdict(&group, fleetscope_ebpf::verdict::IGNORE);
    session.track(&inner);
    let inner_folder = inner.folder().to_str().unwrap();
    // The parent stays in the ignored group; its child moves into the recorded one and execs there.
    let me = env!("CARGO_BIN_EXE_kernel-process");
    group.run(&["spawn", "1", "1", me, inner_folder, "exec", "/bin/true"]);
    let seen = session.take();
    let tracked: Vec<_> = seen.execs().iter().map(|exec| (exec.cgroup, exec.parent_tracked)).collect();
    assert_eq!(tracked, [(inner.id(), true)], "{}", seen.story());
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn threads_are_no_tasks() {
    let (mut session, group) = (Session::new(), Group::new());
    session.track(&group);
    group.run(&["exec", "/proc/self/exe", "-", "threads", "50"]);
    let counters = session.counters();
    assert_eq!((counters.execs, counters.exits), (1, 1), "{}", session.take().story());
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn forks_that_do_not_exec_are_no_tasks() {
    let (mut session, group) = (Session::new(), Group::new());
    session.track(&group);
    group.run(&["exec", "/proc/self/exe", "-", "fork", "100", "5"]);
    let seen = session.take();
    assert_eq!((seen.execs().len(), seen.statuses()), (1, BTreeMap::from([(0, 1)])), "{}", seen.story());
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn an_exec_in_place_is_the_same_process() {
    let (mut session, group) = (Session::new(), Group::new());
    session.track(&group);
    group.run(&["exec", "/bin/sh", "-c", "exec /bin/sh -c 'exec /bin/true'"]);
    let seen = session.take();
    let execs = seen.execs();
    let [exit] = seen.exits()[..] else { panic!("{}", seen.story()) };
    assert_eq!(
        execs.iter().map(|exec| exec.path.unwrap()).collect::<Vec<_>>(),
        [&b"/bin/sh"[..], b"/bin/sh", b"/bin/true"]
    );
    assert!(
        execs.iter().all(|exec| (exec.process.tgid, exec.process.start) == (exit.process.tgid, exit.process.start))
    );
    // From the second on the parent is still this test, and the process itself counts from its fork.
    assert!(execs.iter().is_sorted_by_key(|exec| exec.time));
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn an_exec_by_another_thread_is_the_same_process() {
    let (mut session, group) = (Session::new(), Group::new());
    session.track(&group);
    group.run(&["exec", "/proc/self/exe", "-", "thread-exec", "/bin/sh", "-c", "exit 4"]);
    let seen = session.take();
    let [first, second] = seen.execs()[..] else { panic!("{}", seen.story()) };
    let [exit] = seen.exits()[..] else { panic!("{}", seen.story()) };
    assert_eq!((first.process.tgid, first.process.start), (second.process.tgid, second.process.start));
    assert_eq!((exit.process.tgid, exit.process.start, exit.status), (first.process.tgid, first.process.start, 4 << 8));
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn an_untracked_group_gives_nothing() {
    let (mut session, group, ignored) = (Session::new(), Group::new(), Group::new());
    session.verdict(&ignored, fleetscope_ebpf::verdict::IGNORE);
    group.run(&["spawn", "20", "1", "/bin/true"]);
    ignored.run(&["spawn", "20", "1", "/bin/true"]);
    let seen = session.take();
    assert_eq!(seen.records().count(), 0, "{}", seen.story());
    assert_eq!(session.counters(), fleetscope_ebpf::Counters::default());
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_process_that_was_there_before_the_programs_is_seen_when_it_exits() {
    let group = Group::new();
    let mut child = group.process(&["exec", "/proc/self/exe", "-", "hold", "6"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut session = Session::new();
    session.track(&group);
    drop(child.stdin.take());
    child.wait().unwrap();
    let seen = session.take();
    assert_eq!(seen.statuses(), BTreeMap::from([(6 << 8, 1)]), "{}", seen.story());
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn durations_are_those_that_the_parent_measures() {
    let (mut session, group) = (Session::new(), Group::new());
    session.track(&group);
    // What the parent sees and the process does not live through (its spawn call, the waking after the exit) is about 1 ms.
    let truth: u64 = group.run(&["timed", "20", "sleep", "200"]).trim().parse().unwrap();
    let seen = session.take();
    let exits = seen.exits();
    let measured: u64 = exits.iter().filter(|exit| exit.status == 0).map(|exit| exit.time - exit.process.start).sum();
    // kernel-process of the group itself is among the exits, but was exec'd outside and has no exec record.
    let execs: BTreeMap<_, _> = seen.execs().iter().map(|exec| (exec.process.tgid, exec.process.start)).collect();
    let own: u64 = exits
        .iter()
        .filter(|exit| !execs.contains_key(&exit.process.tgid))
        .map(|exit| exit.time - exit.process.start)
        .sum();
    let measured = measured - own;
    assert_eq!(execs.len(), 20);
    let off = measured.abs_diff(truth);
    println!("truth {truth} ns, measured {measured} ns, off {} per mille", 1000 * off / truth);
    assert!(off * 100 <= truth, "truth {truth} ns, measured {measured} ns");
}
