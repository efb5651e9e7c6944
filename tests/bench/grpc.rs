//! What seeing gRPC calls costs in the kernel: markdown tables on standard output.
//!
//! 1. Nanoseconds per run of each program (the kernel's own statistics of eBPF programs), by what the socket carries, for both ways to see it.
//! 2. What system calls that have nothing to do with sockets cost, without and with each way.
//!
//! Nothing here asserts a time: the figures are the machine's.
#![expect(clippy::print_stdout, reason = "the table is what it is for")]
#![expect(clippy::unwrap_used, reason = "all of it is test code")]

#[path = "../kernel/bpffs.rs"]
#[expect(dead_code, reason = "the kernel suite uses more of it")]
mod bpffs;
#[path = "../kernel/group.rs"]
#[expect(dead_code, reason = "the kernel suite uses more of it")]
mod group;
#[path = "../kernel/http2.rs"]
#[expect(dead_code, reason = "the kernel suite uses more of it")]
mod http2;
mod statistics;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fleetscope_ebpf::http2::frame::kind;
use fleetscope_ebpf::verdict;
use fleetscope_node_agent::probes::stats::ProgramStats;
use fleetscope_node_agent::probes::{Options, Probes, Rpc};

use bpffs::Bpffs;
use group::Group;
use http2::{Connection, PLAIN, frame, request, response};
use statistics::Statistics;

/// The way by sockets with dispatchers that outlive the agent (`--persist`).
const KEPT: &str = "sockets, kept";
/// I/Os per figure.
const TIMES: u32 = 20_000;
/// System calls per figure, and how often each figure is taken; the least counts.
const CALLS: u32 = 1_000_000;
const ROUNDS: u32 = 5;

fn main() {
    let statistics = Statistics::on();
    println!("Kernel {}, {} processors.\n", statistics::kernel(), std::thread::available_parallelism().unwrap());
    per_run();
    drop(statistics);
    println!();
    unrelated();
}

/// What a socket carries, in each direction `TIMES` times.
struct Load {
    what: &'static str,
    tracked: bool,
    http2: bool,
    client: Vec<u8>,
    server: Vec<u8>,
}

fn loads() -> Vec<Load> {
    let plain = vec![b'x'; 120];
    let load = |what, tracked, http2, client: &[u8], server: &[u8]| Load {
        what,
        tracked,
        http2,
        client: client.to_vec(),
        server: server.to_vec(),
    };
    vec![
        load("any other group, gRPC", false, true, &request(1, "/a.B/C", 40), &response(1, 40, "0")),
        load("fleet, not HTTP/2", true, false, &plain, &plain),
        load("fleet, one call per write", true, true, &request(1, "/a.B/C", 40), &response(1, 40, "0")),
        load(
            "fleet, ten calls per write",
            true,
            true,
            &request(1, "/a.B/C", 40).repeat(10),
            &response(1, 40, "0").repeat(10),
        ),
        load(
            "fleet, messages alone",
            true,
            true,
            &frame(kind::DATA, 0, 1, &[7; 4000]),
            &frame(kind::DATA, 0, 1, &[7; 4000]),
        ),
    ]
}

/// The first table.
fn per_run() {
    println!(
        "| socket | mode | sent, ns per run | received, ns per run | runs | instructions verified |\n|---|---|---|---|---|---|"
    );
    for load in loads() {
        for (mode, rpc) in [("sockets", Rpc::Sockets), (KEPT, Rpc::Sockets), ("syscalls", Rpc::Syscalls)] {
            let (before, after) = measured(&load, mode, rpc);
            let mut cells = String::new();
            let mut runs = 0;
            for names in [["http2_send", "hook_send", "http2_syscall"], ["http2_recv", "hook_recv", "http2_syscall"]] {
                let delta = |all: &[ProgramStats]| {
                    let of = all.iter().filter(|stats| names.contains(&stats.program.as_str()));
                    of.fold((0, 0), |sum, stats| (sum.0 + stats.run_time_ns, sum.1 + stats.run_cnt))
                };
                let (time, count) = (delta(&after).0 - delta(&before).0, delta(&after).1 - delta(&before).1);
                runs = count;
                write!(cells, " {} |", time / count.max(1)).unwrap();
            }
            let verified: u64 =
                after.iter().filter(|stats| stats.program.starts_with("http2")).map(|stats| stats.verified_insns).sum();
            println!("| {} | {mode} |{cells} {runs} | {verified} |", load.what);
        }
    }
    println!(
        "\nIn mode syscalls both columns are the same program, at the end of every system call of the machine; the programs that it calls \
         are in its time."
    );
}

fn measured(load: &Load, mode: &str, rpc: Rpc) -> (Vec<ProgramStats>, Vec<ProgramStats>) {
    let bpffs = (mode == KEPT).then(Bpffs::new);
    let persist = bpffs.as_ref().map(Bpffs::folder);
    let mut probes = Probes::load(&Options { runqueue: false, rpc, persist, ..Options::default() });
    assert_eq!(probes.persists(), bpffs.is_some());
    let group = Group::new();
    let mut ring = probes.maps().unwrap().frames().unwrap();
    if load.tracked {
        probes.maps().unwrap().set_verdicts([(group.id(), verdict::RPC)]).unwrap();
    }
    let mut connection = Connection::new(&group, PLAIN);
    if load.http2 {
        connection.open();
    } else {
        // Until it is known to be something else.
        connection.repeat(100, "client", &load.client).repeat(100, "server", &load.server);
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                ring.drain(|_| {});
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let before = probes.program_stats();
        connection.repeat(TIMES, "client", &load.client).repeat(TIMES, "server", &load.server);
        let after = probes.program_stats();
        stop.store(true, Ordering::Relaxed);
        (before, after)
    })
}

/// The second table.
fn unrelated() {
    println!("| mode | getppid, ns | read of /dev/zero, ns |\n|---|---|---|");
    for (mode, rpc) in [("none", Rpc::Off), ("sockets", Rpc::Sockets), ("syscalls", Rpc::Syscalls)] {
        let _probes = Probes::load(&Options { runqueue: false, rpc, ..Options::default() });
        let getppid = least(|| {
            std::hint::black_box(rustix::process::getppid());
        });
        let zero = std::fs::File::open("/dev/zero").unwrap();
        let read = least(|| {
            std::io::Read::read(&mut &zero, &mut [0; 16]).unwrap();
        });
        println!("| {mode} | {getppid} | {read} |");
    }
}

/// Nanoseconds of one call, in the best of some rounds.
fn least(call: impl Fn()) -> u128 {
    let round = || {
        let start = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        start.elapsed().as_nanos() / u128::from(CALLS)
    };
    (0..ROUNDS).map(|_| round()).min().unwrap()
}
