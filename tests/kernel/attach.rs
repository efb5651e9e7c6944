//! Loading and attaching: states, capabilities.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;

use fleetscope_ebpf::verdict;
use fleetscope_node_agent::probes::capabilities::{self, Dropped, Set};
use fleetscope_node_agent::probes::programs::{RPC, RUNQUEUE, SYSCALLS};
use fleetscope_node_agent::probes::report::{ProbeReport, State, table};
use fleetscope_node_agent::probes::{Options, Probes, Rpc};

use crate::group::Group;
use crate::session::Session;

/// Says to `loads_what_it_may` that it runs as a child of another test, which has taken capabilities away from it: a group's folder.
const CHILD: &str = "FLEETSCOPE_TEST_CAPABILITIES";

/// Programs of the object, and how many of them this kernel needs.
const PROGRAMS: usize = 15;
const ATTACHED: usize = 10;

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn every_program_attaches() {
    let probes = Probes::load(&Options::default());
    let table = table(probes.report());
    let runs = |row: &ProbeReport| row.state == State::Attached || row.mode == SYSCALLS;
    assert!(probes.report().iter().all(runs), "\n{table}");
    assert_eq!(probes.report().len(), PROGRAMS);
    for stats in probes.program_stats() {
        println!("{} verified {} instructions", stats.program, stats.verified_insns);
        assert_ne!(stats.verified_insns, 0, "the kernel knows {}", stats.program);
        assert_eq!(stats.recursion_misses, 0);
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn run_queue_latency_that_was_not_asked_for_is_off_and_the_rest_is_attached() {
    let probes = Probes::load(&Options { runqueue: false, ..Options::default() });
    for row in probes.report() {
        let expected = match (row.probe, row.mode) {
            (RUNQUEUE, _) => "off",
            (_, SYSCALLS) => "standby",
            _ => "attached",
        };
        assert_eq!(row.state.name(), expected, "{}: {}", row.program, row.state.reason());
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn calls_are_seen_in_the_way_that_this_kernel_has_and_the_report_says_why() {
    let states = |options: &Options| {
        let probes = Probes::load(options);
        let rows = probes.report().iter().filter(|row| row.probe == RPC);
        rows.map(|row| (row.program, row.state.name(), row.state.reason().to_owned())).collect::<Vec<_>>()
    };
    // This kernel's own description with another name for one of the tracepoints, as if it were older than 6.3.
    let mut btf = std::fs::read("/sys/kernel/btf/vmlinux").unwrap();
    let sign = b"\0btf_trace_sock_recv_length\0";
    let at = btf.windows(sign.len()).position(|window| window == sign).expect("this kernel has the tracepoint");
    btf[at + 1] = b'_';
    let path = std::env::temp_dir().join(format!("fleetscope-btf-rpc-{}", std::process::id()));
    std::fs::write(&path, btf).unwrap();
    let older = states(&Options { runqueue: false, btf: path.clone(), ..Options::default() });
    std::fs::remove_file(&path).unwrap();
    let missing = "this kernel has no tracepoint sock_recv_length";
    let loops = "this kernel has bpf_loop, which goes further";
    assert_eq!(
        older,
        [
            ("http2_state", "standby", missing.to_owned()),
            ("http2_send", "standby", missing.to_owned()),
            ("http2_recv", "standby", missing.to_owned()),
            ("http2_syscall_state", "attached", String::new()),
            ("http2_syscall_loop", "attached", String::new()),
            ("http2_syscall_walk", "standby", loops.to_owned()),
            ("http2_syscall_sniff", "attached", String::new()),
            ("http2_syscall", "attached", String::new()),
        ]
    );
    let off = states(&Options { runqueue: false, rpc: Rpc::Off, ..Options::default() });
    assert!(off.iter().all(|(_, state, reason)| *state == "off" && reason.is_empty()), "{off:?}");
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn run_queue_latency_is_off_where_task_storage_is_not_safe_to_allocate() {
    // This kernel's own description with the telling members under other names, as if it were older than 6.4.
    let mut btf = std::fs::read("/sys/kernel/btf/vmlinux").unwrap();
    for sign in ["\0selem_ma\0", "\0use_kmalloc_nolock\0"] {
        let found: Vec<usize> =
            (0..btf.len() - sign.len()).filter(|at| btf[*at..].starts_with(sign.as_bytes())).collect();
        for at in found {
            btf[at + 1] = b'_';
        }
    }
    let path = std::env::temp_dir().join(format!("fleetscope-btf-{}", std::process::id()));
    std::fs::write(&path, btf).unwrap();
    let probes = Probes::load(&Options { btf: path.clone(), ..Options::default() });
    std::fs::remove_file(&path).unwrap();
    for row in probes.report() {
        let expected = match (row.probe, row.mode) {
            (RUNQUEUE, _) => "unsupported",
            (_, SYSCALLS) => "standby",
            _ => "attached",
        };
        assert_eq!(row.state.name(), expected, "{}: {}", row.program, row.state.reason());
    }
    let row = probes.report().iter().find(|row| row.probe == RUNQUEUE).unwrap();
    assert!(row.state.remedy().starts_with("Use kernel 6.4 or later"), "{}", row.state.remedy());
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn what_cannot_load_says_why_and_what_to_do() {
    let reason = |probes: Probes| {
        assert_eq!(probes.report().len(), PROGRAMS, "each program has its row");
        let states: Vec<State> = probes.report().iter().map(|row| row.state.clone()).collect();
        assert!(states.iter().all(|state| *state == states[0]));
        (states[0].name(), states[0].reason().to_owned(), states[0].remedy().to_owned())
    };
    let none = reason(Probes::load_object(&Options::default(), &[]));
    assert_eq!((none.0, &*none.1), ("unsupported", "this binary was built without the eBPF object"));
    assert!(none.2.contains("make build"), "{}", none.2);
    let missing = reason(Probes::load(&Options { btf: PathBuf::from("/no/btf"), ..Options::default() }));
    assert_eq!((missing.0, missing.2.contains("CONFIG_DEBUG_INFO_BTF=y")), ("unsupported", true), "{missing:?}");
    let damaged = reason(Probes::load_object(&Options::default(), &[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]));
    assert_eq!((damaged.0, damaged.1.starts_with("failed to load the eBPF object: ")), ("failed", true), "{damaged:?}");
}

/// Runs `loads_what_it_may` as uid 0 with these capabilities at most, in the words of `setpriv`; returns what it printed.
fn with_capabilities(set: &str, group: &Group) -> String {
    let mut command = Command::new("setpriv");
    command.args(["--inh-caps=-all", &format!("--bounding-set=-all{set}"), "--"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", "--nocapture", "attach::loads_what_it_may"]).env(CHILD, group.folder());
    let output = command.output().expect("setpriv is there (util-linux)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Not a test by itself: the half of the next two that has lost capabilities.
#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn loads_what_it_may() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let mut probes = Probes::load(&Options::default());
    for row in probes.report() {
        println!("{} is {}: {}: {}", row.program, row.state.name(), row.state.reason(), row.state.remedy());
    }
    println!("effective {:#x}", capabilities::read().unwrap().effective.0);
    if let Some(maps) = probes.maps() {
        let id = std::fs::metadata(&folder).unwrap().ino();
        maps.set_verdicts([(id, verdict::TASKS)]).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_kernel-process"));
        assert!(process.arg(&folder).args(["exec", "/bin/true"]).status().unwrap().success());
        println!("records {}", maps.records().unwrap().drain(|_| {}));
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn bpf_and_perfmon_suffice() {
    let text = with_capabilities(",+cap_38,+cap_39", &Group::new());
    assert_eq!(text.matches(" is attached: ").count(), ATTACHED, "{text}");
    assert!(text.contains("effective 0xc000000000") && text.contains("records 2"), "{text}");
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_missing_capability_is_named_in_the_remedy() {
    // Without BPF there is not even a map; without PERFMON the programs that are to be loaded are refused.
    for (set, remedy, failed) in [
        (",+cap_39", "Add the capabilities PERFMON to", ATTACHED),
        (",+cap_38", "Add the capabilities BPF to", PROGRAMS),
        ("", "Add the capabilities BPF and PERFMON to", PROGRAMS),
    ] {
        let text = with_capabilities(set, &Group::new());
        let counts = (text.matches(" is failed: ").count(), text.matches(remedy).count());
        assert_eq!(counts, (failed, failed), "{set}: {text}");
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn without_any_capability_the_maps_and_the_ring_still_work() {
    // The small ring and map make records take every way there is.
    let options = Options { ring_bytes: 4096, ..Options::default() };
    let (mut session, group, other) = (Session::with(&options), Group::new(), Group::new());
    session.verdict(&group, verdict::TASKS | verdict::RUNQUEUE);
    group.run(&["exec", env!("CARGO_BIN_EXE_kernel-process"), "-", "spawn", "50", "1", "/bin/true"]);
    let id = group.id();
    let thread = std::thread::spawn(move || {
        let dropped = capabilities::drop_all(|| session.counters().execs == 51).unwrap();
        assert_eq!(capabilities::read().unwrap().effective, Set(0));
        let seen = session.take();
        assert_eq!((seen.execs().len(), seen.exits().len()), (51, 51));
        assert!(seen.refused() > 50, "both the ring and the map were read");
        assert_eq!(session.maps().verdict(id).unwrap(), Some(verdict::TASKS | verdict::RUNQUEUE));
        session.track(&other);
        session.maps().remove_verdict(id).unwrap();
        assert!(session.maps().runqueue().unwrap().iter().any(|(group, _)| *group == id));
        session.maps().remove_runqueue(id).unwrap();
        assert!(session.probes.program_stats().iter().all(|stats| stats.verified_insns > 0));
        (dropped, session, other)
    });
    let (dropped, mut session, other) = thread.join().unwrap();
    assert_eq!(dropped, Dropped::All);
    other.run(&["exec", "/bin/true"]);
    assert_eq!(session.take().execs().len(), 1, "the programs run on");
}
