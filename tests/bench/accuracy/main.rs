//! What the node agent measures of real gRPC servers and clients, beside what these have counted and timed themselves: markdown tables.
//!
//! The agent is the one that is shipped, with `--standalone` and the cgroups of this run as its agents, once for each way to see calls. Servers and
//! clients are the programs of `tests/peers`.
//!
//! - `pairs`: each language against each other one, all kinds of calls
//! - `extra`: deadlines, cancellations, many streams, load, and what is no gRPC or cannot be read
//! - `midlife`: connections that are older than the agent
//!
//! Counts must be equal, else the program fails. Times are the machine's: they stand in the tables, and what is out of bounds below them.
//! Words on the command line pick: `sockets`, `syscalls`, `pairs`, `extra`, `midlife`, and languages.
#![expect(clippy::print_stdout, reason = "the tables are what it is for")]

mod agent;
mod durations;
mod extra;
#[path = "../../kernel/group.rs"]
#[expect(dead_code, reason = "the kernel suite uses more of it")]
mod group;
mod load;
mod midlife;
mod pairs;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fleetscope_tests::peers::Language;

use agent::Agent;
use group::Group;

/// A group that all of a run is below; the agent observes nothing else.
pub(crate) struct Place(Group);

/// A group of one program, as the agent names it.
pub(crate) struct Own {
    group: Group,
    pub(crate) name: String,
}

/// A group that is stopped.
pub(crate) struct Stopped(PathBuf);

/// What came out.
#[derive(Default)]
pub(crate) struct Summary {
    compared: usize,
    /// What must not be.
    differences: Vec<String>,
    /// What the machine may be to blame for.
    notes: Vec<String>,
    calls: u64,
    /// Of servers, and of clients.
    buckets_apart: [usize; 2],
    stream_ms: f64,
}

// === impl Place ===

impl Place {
    fn group(&self, what: &str) -> Own {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{what}-{}.service", COUNT.fetch_add(1, Ordering::Relaxed));
        Own { group: self.0.child(&name), name }
    }
}

// === impl Own ===

impl Own {
    pub(crate) fn folder(&self) -> &Path {
        self.group.folder()
    }

    /// Stops all that is in it until the value is dropped. Its sockets take what is sent to them meanwhile.
    pub(crate) fn stopped(&self) -> Result<Stopped> {
        let this = Stopped(self.folder().join("cgroup.freeze"));
        std::fs::write(&this.0, "1").context("failed to stop a group")?;
        let start = Instant::now();
        while !std::fs::read_to_string(self.folder().join("cgroup.events"))?.contains("frozen 1") {
            ensure!(start.elapsed() < Duration::from_secs(20), "a group does not stop");
            std::thread::yield_now();
        }
        Ok(this)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // Fails where it never was stopped.
        let _ = std::fs::write(&self.0, "0");
    }
}

// === impl Summary ===

impl Summary {
    /// One comparison of counts, and how they differ if they do.
    pub(crate) fn compared(&mut self, difference: Option<String>) {
        self.compared += 1;
        self.differences.extend(difference);
    }

    /// Prints it, and starts anew.
    fn print(&mut self, mode: &str, what: &str, start: Instant) -> bool {
        let Self { compared, differences, notes, calls, buckets_apart, stream_ms } = std::mem::take(self);
        println!();
        for line in &notes {
            println!("- {line}");
        }
        for line in &differences {
            println!("- **DIFFERS** {line}");
        }
        if !notes.is_empty() || !differences.is_empty() {
            println!();
        }
        let times = if what == "pairs" {
            format!(
                "; quantiles at most {} (servers) and {} (clients) buckets apart, means of streams at most {stream_ms:.2} ms off",
                buckets_apart[0], buckets_apart[1]
            )
        } else {
            String::new()
        };
        println!(
            "{mode}, {what}: {calls} calls, {compared} comparisons of counts, {} differ{times}; {:.0} s.\n",
            differences.len(),
            start.elapsed().as_secs_f64()
        );
        differences.is_empty()
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("\nnot finished: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let picked = |of: &[&'static str]| {
        let named: Vec<&'static str> = of.iter().copied().filter(|word| words.iter().any(|w| w == word)).collect();
        if named.is_empty() { of.to_vec() } else { named }
    };
    let names = picked(&Language::ALL.map(Language::name));
    let mut languages = Vec::new();
    for language in Language::ALL.into_iter().filter(|language| names.contains(&language.name())) {
        match language.program() {
            Ok(_) => languages.push(language),
            Err(reason) => println!("skipped: {reason}\n"),
        }
    }
    ensure!(!languages.is_empty(), "no gRPC peer is built: tests/peers/build.sh");
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    println!("Kernel {}, {} processors.\n", release.trim(), std::thread::available_parallelism()?);
    let (mut summary, mut good) = (Summary::default(), true);
    for mode in picked(&["sockets", "syscalls"]) {
        for what in picked(&["pairs", "extra", "midlife"]) {
            println!("### `--grpc {mode}`, {what}\n");
            let start = Instant::now();
            let place = Place(Group::new());
            let agent = || Agent::start(mode, &place.0.path());
            match what {
                "pairs" => pairs::table(&agent()?, &place, &languages, &mut summary)?,
                "extra" => extra::table(&agent()?, &place, &languages, &mut summary)?,
                _ => midlife::table(&agent, &place, &languages, &mut summary)?,
            }
            good &= summary.print(mode, what, start);
        }
    }
    Ok(good)
}
