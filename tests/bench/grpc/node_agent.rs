//! The node agent that is shipped, alone on this machine, and what it says of itself.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::time::{Duration, Instant};

use fleetscope_tests::exposition::{self, Sample};

use crate::figures::float;
use crate::scene::{Scene, command};

/// How it starts, and what may take as long as it does.
const LIMIT: Duration = Duration::from_secs(20);
/// Memory stands still when it has been the same for so long.
const STILL: Duration = Duration::from_secs(1);

/// How it sees calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// There is none.
    Without,
    /// `--grpc sockets`
    Sockets,
    /// The same with the smallest ring buffer, which overflows.
    Small,
    /// `--grpc syscalls`
    Syscalls,
}

/// A node agent at work. It ends when this is dropped.
pub(crate) struct NodeAgent {
    child: Child,
    address: String,
}

// === impl Mode ===

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Without => "none",
            Self::Sockets => "sockets",
            Self::Small => "sockets, ring buffer of 64 KiB",
            Self::Syscalls => "syscalls",
        }
    }
}

// === impl NodeAgent ===

impl NodeAgent {
    /// Starts one that observes the scene's fleet, and waits until it is ready. Run-queue latency is off: it costs at each context switch, whatever
    /// the calls are.
    pub(crate) fn start(scene: &Scene, mode: Mode) -> Option<Self> {
        if mode == Mode::Without {
            return None;
        }
        let binary = std::env::var("FLEETSCOPE_NODE_AGENT").expect("FLEETSCOPE_NODE_AGENT names a node agent");
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let address = free.to_string();
        let mut command = command(&scene.agent, &binary);
        command.args(["--standalone", "--runqueue", "false", "--listen", &address]);
        command.args(["--pod-root", &scene.fleet.path(), "--grpc"]);
        match mode {
            Mode::Small => command.args(["sockets", "--grpc-ring-bytes", "65536"]),
            _ => command.arg(mode.name()),
        };
        let this = Self { child: command.spawn().unwrap(), address };
        let start = Instant::now();
        while !this.get("/readyz").is_some_and(|answer| answer.contains("200 OK")) {
            assert!(start.elapsed() < LIMIT, "the node agent is not ready after {LIMIT:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(this)
    }

    /// All that it serves.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        let answer = self.get("/metrics").unwrap();
        exposition::parse(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// A line of its status in MiB, such as `VmRSS:`.
    pub(crate) fn memory(&self, line: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let value = status.lines().find_map(|found| found.strip_prefix(line)).unwrap();
        float(value.split_whitespace().next().unwrap().parse().unwrap()) / 1024.0
    }

    /// Its resident memory in MiB when that stands still: what it gives back after its start is given back a little later.
    pub(crate) fn settled(&self) -> f64 {
        let (start, mut since, mut last) = (Instant::now(), Instant::now(), self.memory("VmRSS:"));
        while since.elapsed() < STILL {
            assert!(start.elapsed() < LIMIT, "the node agent's memory does not stand still within {LIMIT:?}");
            std::thread::sleep(STILL / 20);
            let now = self.memory("VmRSS:");
            if now.to_bits() != last.to_bits() {
                (since, last) = (Instant::now(), now);
            }
        }
        last
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        // 1.0: the body comes in one piece.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

impl Drop for NodeAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
