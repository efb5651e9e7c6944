//! What the programs cost in the kernel.
//!
//! 1. Nanoseconds per run of each program (the kernel's own statistics of eBPF programs), by what the socket carries, for both ways to see it.
//! 2. What system calls that have nothing to do with sockets cost, without and with each way.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fleetscope_ebpf::http2::frame::kind;
use fleetscope_ebpf::verdict;
use fleetscope_node_agent::probes::stats::ProgramStats;
use fleetscope_node_agent::probes::{Options, Probes, Rpc};

use crate::bpffs::Bpffs;
use crate::figures::float;
use crate::group::Group;
use crate::http2::{Connection, Manner, PLAIN, frame, hex, request, response};
use crate::statistics::Statistics;

/// I/Os of each end and direction in a slice; slices of a pass; and passes over the table. The median of all slices counts: a mean would have in it what
/// else the machine, and the one below it, did meanwhile.
const TIMES: u32 = 1_000;
const SLICES: usize = 20;
const PASSES: usize = 3;
/// System calls of a go; goes of a figure; and how often each figure is taken, in turns. The least counts.
const CALLS: u32 = 100_000;
const GOES: usize = 8;
const ROUNDS: usize = 3;

const WAYS: [(&str, Rpc); 3] = [("none", Rpc::Off), ("sockets", Rpc::Sockets), ("syscalls", Rpc::Syscalls)];

/// A row of the first table: how I/Os are seen, whether by programs that stay when the node agent ends, and the programs that run for each I/O. The
/// kernel counts to a dispatcher (`hook_*`) what it calls.
struct Way {
    name: &'static str,
    rpc: Rpc,
    kept: bool,
    programs: &'static [&'static str],
}

const RUN: [Way; 3] = [
    Way { name: "sockets", rpc: Rpc::Sockets, kept: false, programs: &["http2_send", "http2_recv"] },
    Way { name: "sockets, kept", rpc: Rpc::Sockets, kept: true, programs: &["hook_send", "hook_recv"] },
    Way { name: "syscalls", rpc: Rpc::Syscalls, kept: false, programs: &["http2_syscall"] },
];

pub(crate) fn print() {
    let statistics = Statistics::on();
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
    family: &'static str,
    client: Vec<u8>,
    server: Vec<u8>,
}

fn loads() -> Vec<Load> {
    let plain = vec![b'x'; 120];
    let load = |what, tracked, http2, client: &[u8], server: &[u8]| Load {
        what,
        tracked,
        http2,
        family: "inet",
        client: client.to_vec(),
        server: server.to_vec(),
    };
    vec![
        // Looked at for its kind alone: what the statistics cost themselves.
        Load { family: "datagram", ..load("no stream: the statistics themselves", true, false, &plain, &plain) },
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

/// What was taken of a row of the first table.
#[derive(Default)]
struct Taken {
    /// Nanoseconds per run of each program, by slice.
    runs: Vec<Vec<u64>>,
    /// Nanoseconds of all runs per I/O, by slice.
    all: Vec<u64>,
    count: u64,
    verified: u64,
}

impl Taken {
    fn slice(&mut self, programs: &[&str], before: &[ProgramStats], after: &[ProgramStats]) {
        self.runs.resize(programs.len(), Vec::new());
        let mut all = 0;
        for (program, runs) in programs.iter().zip(&mut self.runs) {
            let of = |all: &[ProgramStats]| {
                let stats = all.iter().find(|stats| stats.program == *program).unwrap();
                (stats.run_time_ns, stats.run_cnt)
            };
            let (time, count) = (of(after).0 - of(before).0, of(after).1 - of(before).1);
            runs.push(time / count.max(1));
            all += time;
            self.count += count;
        }
        self.all.push(all / IOS);
        self.verified = after.iter().filter(|stats| of_calls(&stats.program)).map(|stats| stats.verified_insns).sum();
    }
}

/// I/Os of a slice: both ends send, and receive what the other sent.
const IOS: u64 = 4 * TIMES as u64;

/// The first table.
fn per_run() {
    let mut called = 0;
    println!(
        "| socket | node agent | sent, ns per run | received, ns per run | runs per I/O | all runs, ns per I/O | instructions verified |\n\
         |---|---|---|---|---|---|---|"
    );
    let loads = loads();
    let mut taken: Vec<Taken> = (0..loads.len() * RUN.len()).map(|_| Taken::default()).collect();
    for _ in 0..PASSES {
        let rows = loads.iter().flat_map(|load| RUN.iter().map(move |way| (load, way)));
        for ((load, way), taken) in rows.zip(&mut taken) {
            called += measured(load, way, taken);
        }
    }
    let rows = loads.iter().flat_map(|load| RUN.iter().map(move |way| (load, way)));
    for ((load, way), mut taken) in rows.zip(taken) {
        let mut cells = String::new();
        for runs in &mut taken.runs {
            write!(cells, " {} |", median(runs)).unwrap();
        }
        if way.programs.len() == 1 {
            cells = cells.repeat(2);
        }
        let per_io = float(taken.count) / float(IOS * taken.all.len() as u64);
        println!(
            "| {} | {} |{cells} {per_io:.1} | {} | {} |",
            load.what,
            way.name,
            median(&mut taken.all),
            taken.verified
        );
    }
    println!(
        "\nEach figure is the median of {} slices of {IOS} I/Os, in {PASSES} passes over the table.",
        SLICES * PASSES
    );
    println!(
        "\nThe kernel's statistics read a clock twice per run: the first row is their own cost, and a part of all others. In mode syscalls both columns are \
         the same program, at the end of every system call of the machine, whosesoever: what an I/O costs is the column of all runs, where nothing else is \
         at work. The programs that it calls in its place (search for the preface, walk) are in its time: the kernel takes the time around the first one, \
         and counted {called} runs of the others. *sockets, kept* is with `--persist`: what is attached are dispatchers, which call the node agent's programs \
         and stay when it ends."
    );
}

/// Whether a program is there for calls.
fn of_calls(program: &str) -> bool {
    ["http2_", "hook_"].iter().any(|start| program.starts_with(start))
}

fn median(figures: &mut [u64]) -> u64 {
    figures.sort_unstable();
    figures[figures.len() / 2]
}

/// A pass of a row. How often programs ran that are called in place of their caller.
fn measured(load: &Load, way: &Way, taken: &mut Taken) -> u64 {
    let Way { rpc, kept, programs, .. } = *way;
    let bpffs = kept.then(Bpffs::new);
    let persist = bpffs.as_ref().map(Bpffs::folder);
    let mut probes = Probes::load(&Options { runqueue: false, rpc, persist, ..Options::default() });
    assert_eq!(probes.persists(), kept, "{:?}", probes.beginning());
    let group = Group::new();
    let mut ring = probes.maps().unwrap().frames().unwrap();
    if load.tracked {
        probes.maps().unwrap().set_verdicts([(group.id(), verdict::RPC)]).unwrap();
    }
    let mut connection = Connection::new(&group, Manner { family: load.family, ..PLAIN });
    if load.http2 {
        connection.open();
    } else {
        // Until it is known to be something else.
        repeat(&mut connection, 100, load);
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                ring.drain(|_| {});
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let mut before = probes.program_stats();
        for _ in 0..SLICES {
            repeat(&mut connection, TIMES, load);
            let after = probes.program_stats();
            taken.slice(programs, &before, &after);
            before = after;
        }
        stop.store(true, Ordering::Relaxed);
        // What is called in place of its caller has no runs of its own if the caller's time has it in it.
        let within = before.iter().filter(|stats| stats.program.starts_with("http2_syscall_"));
        within.filter(|stats| stats.program != "http2_syscall_state").map(|stats| stats.run_cnt).sum()
    })
}

/// Both ends send so many times, one after the other.
fn repeat(connection: &mut Connection, times: u32, load: &Load) {
    connection.order(&format!("repeat {times} client {}", hex(&load.client)));
    connection.order(&format!("repeat {times} server {}", hex(&load.server)));
}

/// The second table.
fn unrelated() {
    let mut least = [[u128::MAX; 2]; WAYS.len()];
    for _ in 0..ROUNDS {
        for ((_, rpc), least) in WAYS.into_iter().zip(&mut least) {
            let _probes = Probes::load(&Options { runqueue: false, rpc, ..Options::default() });
            let zero = std::fs::File::open("/dev/zero").unwrap();
            let getppid = each(|| {
                std::hint::black_box(rustix::process::getppid());
            });
            let read = each(|| {
                std::io::Read::read(&mut &zero, &mut [0; 16]).unwrap();
            });
            *least = [least[0].min(getppid), least[1].min(read)];
        }
    }
    println!("| node agent | getppid, ns | read of /dev/zero, ns |\n|---|---|---|");
    let [base, ..] = least;
    for ((mode, _), [getppid, read]) in WAYS.into_iter().zip(least) {
        let more = |own: u128, base: u128| {
            if mode == "none" { String::new() } else { format!(" **{:+}**", own.cast_signed() - base.cast_signed()) }
        };
        println!("| {mode} | {getppid}{} | {read}{} |", more(getppid, base[0]), more(read, base[1]));
    }
    println!("\nThe least of {} goes, and in bold what is more than without a node agent.", ROUNDS * GOES);
}

/// Nanoseconds of one call, in the best of a few goes: one that nothing has interrupted.
fn each(call: impl Fn()) -> u128 {
    let go = || {
        let start = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        start.elapsed().as_nanos() / u128::from(CALLS)
    };
    (0..GOES).map(|_| go()).min().unwrap()
}
