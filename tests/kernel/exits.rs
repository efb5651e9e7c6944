//! How processes end.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use fleetscope_node_agent::probes::Options;

use crate::group::{self, Group};
use crate::session::Session;

/// Wait status of a process that a signal ended.
const KILLED: u32 = 9;

/// Runs a verb as a process that exec'd in the group; returns the status that its parent saw, and all that were recorded.
fn ends(options: &Options, verb: &[&str]) -> (u32, Vec<(u32, bool)>) {
    let (mut session, group) = (Session::with(options), Group::new());
    session.track(&group);
    let verb: Vec<&str> = [&["exec", "/proc/self/exe", "-"], verb].concat();
    let status = group.process(&verb).status().unwrap().into_raw().cast_unsigned();
    let seen = session.take();
    (status, seen.exits().iter().map(|exit| (exit.status, exit.oom)).collect())
}

/// Without run-queue latency; `old` takes the way of kernels that do not pass `group_dead`.
fn options(old: bool) -> Options {
    Options { runqueue: false, group_dead: !old, ..Options::default() }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn every_exit_code_is_what_the_parent_sees() {
    for code in [0, 1, 2, 42, 126, 127, 255] {
        let code_text = code.to_string();
        assert_eq!(ends(&options(false), &["exit", &code_text]), (code << 8, vec![(code << 8, false)]));
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn every_deadly_signal_is_what_the_parent_sees() {
    for signal in [1, 2, 6, 9, 11, 13, 14, 15, 24] {
        let (status, seen) = ends(&options(false), &["signal", &signal.to_string()]);
        assert_eq!((status & 0x7f, seen), (signal, vec![(status, false)]));
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_dumped_core_sets_its_flag() {
    let folder = std::env::temp_dir().join(format!("fleetscope-core-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (status, seen) = ends(&options(false), &["core", folder.to_str().unwrap(), "11"]);
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(seen, [(status, false)]);
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    assert_eq!(status, if pattern.trim().is_empty() { 11 } else { 0x8b }, "core_pattern is {pattern}");
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn the_leading_thread_may_exit_first() {
    for old in [false, true] {
        assert_eq!(ends(&options(old), &["leader", "7"]), (7 << 8, vec![(7 << 8, false)]), "old kernel's way: {old}");
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn threads_that_end_at_once_are_one_exit_on_kernels_without_group_dead_too() {
    for old in [false, true] {
        let (mut session, group) = (Session::with(&options(old)), Group::new());
        session.track(&group);
        group.run(&["exec", "/proc/self/exe", "-", "spawn", "300", "4", "race", "8"]);
        let seen = session.take();
        assert_eq!((seen.execs().len(), seen.statuses()), (301, BTreeMap::from([(0, 301)])), "old kernel's way: {old}");
    }
}

/// A memory limit for the processes of one test: of the cgroup2 group itself where it has the controller, else of a v1 group of the same name.
struct MemoryLimit {
    /// Where processes go, if not to the cgroup2 group.
    v1: Option<PathBuf>,
}

impl MemoryLimit {
    const BYTES: &str = "16777216";

    fn new(group: &Group) -> Option<Self> {
        // In the root's children the controller has to be handed down first; it is taken from the v1 hierarchy if that has it.
        let _ = fs::write(group::root().join("cgroup.subtree_control"), "+memory");
        if fs::write(group.folder().join("memory.max"), Self::BYTES).is_ok() {
            let _ = fs::write(group.folder().join("memory.swap.max"), "0");
            return Some(Self { v1: None });
        }
        let v1 = Path::new("/sys/fs/cgroup/memory").join(group.folder().file_name().unwrap());
        fs::create_dir(&v1).ok()?;
        fs::write(v1.join("memory.limit_in_bytes"), Self::BYTES).ok()?;
        Some(Self { v1: Some(v1) })
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        if let Some(v1) = &self.v1 {
            group::remove(v1);
        }
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_process_that_the_oom_killer_chose_is_marked_and_one_that_was_killed_by_hand_is_not() {
    let (mut session, group) = (Session::new(), Group::new());
    let Some(limit) = MemoryLimit::new(&group) else {
        fleetscope_tests::skip::skip("oom", "no hierarchy has the memory controller");
        return;
    };
    session.track(&group);
    let me = env!("CARGO_BIN_EXE_kernel-process");
    let eater = if let Some(v1) = &limit.v1 {
        group.process(&["exec", me, v1.to_str().unwrap(), "eat"]).status().unwrap()
    } else {
        group.process(&["exec", me, "-", "eat"]).status().unwrap()
    };
    assert_eq!(eater.signal(), Some(9));
    let victim = session.take().exits().iter().map(|exit| (exit.status, exit.oom)).collect::<Vec<_>>();
    assert_eq!(victim, [(KILLED, true)]);
    group.process(&["exec", me, "-", "signal", "9"]).status().unwrap();
    let by_hand = session.take().exits().iter().map(|exit| (exit.status, exit.oom)).collect::<Vec<_>>();
    assert_eq!(by_hand, [(KILLED, false)]);
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_killed_cgroup_gives_one_exit_per_process() {
    let (mut session, group) = (Session::new(), Group::new());
    session.track(&group);
    let sleepers: Vec<_> = (0..20).map(|_| group.process(&["exec", "/bin/sleep", "60"]).spawn().unwrap()).collect();
    // Each is known to have exec'd before it is killed: a process that has not is no task.
    let mut execs = 0;
    while execs < 20 {
        execs += session.take().execs().len();
    }
    fs::write(group.folder().join("cgroup.kill"), "1").unwrap();
    for mut sleeper in sleepers {
        sleeper.wait().unwrap();
    }
    assert_eq!(session.take().statuses(), BTreeMap::from([(KILLED, 20)]));
    assert!(Command::new("/bin/true").status().unwrap().success());
}
