//! What measuring a task costs, beside other tools that do the same: a markdown table on standard output.
//!
//! 1. Nanoseconds per event in the kernel (the kernel's own statistics of eBPF programs), of groups that are recorded and of groups
//!    that are not.
//! 2. The node agent, bpftrace and forkstat, one after another, each while `RATE` processes a second start and end: processor time, memory, what
//!    they saw. Nothing here asserts a time: the figures are the machine's.
#![expect(clippy::print_stdout, reason = "the table is what it is for")]
#![expect(clippy::unwrap_used, reason = "all of it is test code")]

#[path = "../kernel/group.rs"]
#[expect(dead_code, reason = "the kernel suite uses more of it")]
mod group;
mod statistics;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fleetscope_ebpf::verdict;
use fleetscope_node_agent::probes::{Options, Probes};

use group::Group;
use statistics::Statistics;

/// A tool at work.
struct Tool {
    name: &'static str,
    child: Child,
    /// Where it prints.
    output: Option<std::path::PathBuf>,
}

/// What a tool cost until now.
#[derive(Clone, Copy, Default)]
struct Cost {
    /// Processor time of its process, in seconds.
    cpu: f64,
    /// Nanoseconds of its eBPF programs.
    kernel: u64,
}

fn main() {
    let arguments: Vec<u32> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let rate = arguments.first().copied().unwrap_or(1000);
    let seconds = arguments.get(1).copied().unwrap_or(10);
    let _statistics = Statistics::on();
    println!("Kernel {}, {} processors.\n", statistics::kernel(), std::thread::available_parallelism().unwrap());
    per_event();
    println!();
    beside_others(rate, seconds);
}

/// The first table: nanoseconds per run of each program.
fn per_event() {
    const COUNT: &str = "5000";
    let measure = |tracked: Option<u32>| {
        let mut probes = Probes::load(&Options {
            runqueue: tracked.is_none_or(|bits| bits & verdict::RUNQUEUE != 0),
            ..Options::default()
        });
        let group = Group::new();
        let mut ring = probes.maps().unwrap().records().unwrap();
        if let Some(bits) = tracked {
            probes.maps().unwrap().set_verdicts([(group.id(), bits)]).unwrap();
        }
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    ring.drain(|_| {});
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
            group.run(&["exec", env!("CARGO_BIN_EXE_kernel-process"), "-", "spawn", COUNT, "1", "/bin/true"]);
            for i in 0..500 {
                group.child(&format!("g{i}")).remove();
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        probes.program_stats()
    };
    let recorded = measure(Some(verdict::TASKS | verdict::RUNQUEUE));
    let other = measure(None);
    println!(
        "| program | recorded group, ns per run | any other group, ns per run | runs | instructions verified |\n|---|---|---|---|---|"
    );
    for (own, other) in recorded.iter().zip(&other) {
        let each =
            |stats: &fleetscope_node_agent::probes::stats::ProgramStats| stats.run_time_ns / stats.run_cnt.max(1);
        println!("| {} | {} | {} | {} | {} |", own.program, each(own), each(other), own.run_cnt, own.verified_insns);
    }
    println!(
        "\nRuns of other groups' processes on the machine are in both columns; `task_exit` also runs for threads."
    );
}

/// The second table.
fn beside_others(rate: u32, seconds: u32) {
    println!(
        "| tool | processes | events seen | CPU of the tool | its programs in the kernel | ns per event | memory (peak) |"
    );
    println!("|---|---|---|---|---|---|---|");
    for start in [node_agent, node_agent_with_runqueue, bpftrace, forkstat] {
        let group = Group::new();
        let Some(mut tool) = start() else { continue };
        let seen_before = tool.seen();
        let before = tool.cost();
        let begin = Instant::now();
        let printed = group.run(&["rate", &rate.to_string(), &seconds.to_string(), "/bin/true"]);
        let processes: u64 = printed.trim().parse().unwrap();
        let wall = begin.elapsed().as_secs_f64();
        // Tools print and count with a delay of their own. One that loses events is measured as it is after the limit.
        tool.wait_until("all events seen", |tool| tool.seen().saturating_sub(seen_before) >= 2 * processes);
        let after = tool.cost();
        let (cpu, kernel) = (after.cpu - before.cpu, after.kernel - before.kernel);
        let memory = ["VmRSS:", "VmHWM:"].map(|line| tool.memory(line));
        let seen = tool.seen().saturating_sub(seen_before);
        println!(
            "| {} | {processes} in {wall:.1} s | {seen} | {cpu:.2} s ({:.1} %) | {:.1} ms | {} | {:.1} MiB ({:.1}) |",
            tool.name,
            100.0 * cpu / wall,
            float(kernel) / 1e6,
            kernel / seen.max(1),
            float(memory[0]) / 1024.0,
            float(memory[1]) / 1024.0,
        );
        tool.child.kill().unwrap();
        tool.child.wait().unwrap();
    }
    println!(
        "\nEvents are all of the machine's executions and exits. With run-queue latency the programs also run at each \
         context switch. forkstat has no programs: it reads the kernel's process connector, whose cost in the kernel is \
         not in the table."
    );
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn float(value: u64) -> f64 {
    value as f64
}

// === the tools ===

fn node_agent() -> Option<Tool> {
    agent("node agent", "false")
}

fn node_agent_with_runqueue() -> Option<Tool> {
    agent("node agent, run-queue latency too", "true")
}

fn agent(name: &'static str, runqueue: &str) -> Option<Tool> {
    let binary = std::env::var_os("FLEETSCOPE_NODE_AGENT")?;
    let child = Command::new(binary)
        .args(["--standalone", "--listen", "127.0.0.1:19980", "--runqueue", runqueue])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut tool = Tool { name, child, output: None };
    tool.wait_until("the node agent is ready", |_| get("/readyz").is_some_and(|answer| answer.contains("200 OK")));
    Some(tool)
}

fn bpftrace() -> Option<Tool> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/tasks.bt");
    let mut tool = printing("bpftrace", Command::new("bpftrace").arg(script))?;
    let output = tool.output.clone().unwrap();
    let prints = move |_: &Tool| {
        Command::new("/bin/true").status().unwrap();
        fs::read_to_string(&output).is_ok_and(|text| text.contains("exec "))
    };
    tool.wait_until("bpftrace prints", prints).then_some(tool)
}

fn forkstat() -> Option<Tool> {
    let mut tool = printing("forkstat", Command::new("forkstat").args(["-l", "-e", "exec,exit"]))?;
    let output = tool.output.clone().unwrap();
    let prints = move |_: &Tool| {
        Command::new("/bin/true").status().unwrap();
        fs::read_to_string(&output).is_ok_and(|text| text.contains("exec"))
    };
    tool.wait_until("forkstat prints", prints).then_some(tool)
}

fn printing(name: &'static str, command: &mut Command) -> Option<Tool> {
    let output = std::env::temp_dir().join(format!("fleetscope-bench-{name}-{}", std::process::id()));
    let child = command.stdout(File::create(&output).unwrap()).stderr(Stdio::null()).spawn();
    match child {
        Ok(child) => Some(Tool { name, child, output: Some(output) }),
        Err(error) => {
            println!("| {name} | not run: {error} | | | | | |");
            None
        }
    }
}

fn get(path: &str) -> Option<String> {
    let mut stream = TcpStream::connect("127.0.0.1:19980").ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

impl Tool {
    fn wait_until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if holds(self) {
                return true;
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                println!("| {} | not run: it ended with {status} | | | | | |", self.name);
                return false;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        println!("| {} | {what}: not within 20 s | | | | | |", self.name);
        false
    }

    fn cost(&self) -> Cost {
        let process = format!("/proc/{}", self.child.id());
        let stat = fs::read_to_string(format!("{process}/stat")).unwrap();
        // Behind the command name, which may have spaces: state is field 0, utime and stime 11 and 12, in hundredths.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        let programs = fs::read_dir(format!("{process}/fdinfo")).unwrap().flatten();
        let kernel = programs
            .filter_map(|entry| fs::read_to_string(entry.path()).ok())
            .filter_map(|text| {
                text.lines().find_map(|line| line.strip_prefix("run_time_ns:")?.trim().parse::<u64>().ok())
            })
            .sum();
        Cost { cpu: float(ticks) / 100.0, kernel }
    }

    /// A line of its status, in KiB.
    fn memory(&self, line: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let value = status.lines().find_map(|found| found.strip_prefix(line)).unwrap();
        value.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Lines that it printed, or the node agent's own count.
    fn seen(&self) -> u64 {
        if let Some(output) = &self.output {
            let text = fs::read(output).unwrap();
            return text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() as u64;
        }
        let answer = get("/metrics?scope=self").unwrap_or_default();
        let values = answer.lines().filter_map(|line| line.strip_prefix("fleetscope_events_total{"));
        let tasks = values.filter(|line| line.contains("\"exec\"") || line.contains("\"exit\""));
        tasks.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(output) = &self.output {
            let _ = fs::remove_file(output);
        }
    }
}
