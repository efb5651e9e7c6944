//! The node agent as it is shipped, and what it serves.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use fleetscope_tests::exposition::{self, Sample};
use fleetscope_tests::peers::Role;

use crate::durations::{Measured, measured};

/// How long the agent may take to be ready, and to tell of calls that are over.
const LIMIT: Duration = Duration::from_secs(20);
/// Between two looks.
const PERIOD: Duration = Duration::from_millis(50);

/// A running agent; it ends with this value.
pub(crate) struct Agent {
    process: Child,
    address: SocketAddr,
}

/// What it served at one moment.
pub(crate) struct Scrape(pub(crate) Vec<Sample>);

// === impl Agent ===

impl Agent {
    /// Starts one that observes the groups below a path, and waits until it is ready.
    pub(crate) fn start(mode: &str, below: &str) -> Result<Self> {
        let program =
            std::env::var_os("FLEETSCOPE_NODE_AGENT").context("FLEETSCOPE_NODE_AGENT names the node agent")?;
        let mut process = Command::new(program)
            .args(["--standalone", "--listen", "127.0.0.1:0", "--log-format", "json", "--runqueue", "false"])
            .args(["--pod-root", below, "--grpc", mode])
            .stderr(Stdio::piped())
            .spawn()
            .context("failed to start the node agent")?;
        let mut log = BufReader::new(process.stderr.take().context("it is piped")?);
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            ensure!(log.read_line(&mut line)? > 0, "the agent ended:\n{said}");
            said.push_str(&line);
            let entry: serde_json::Value = serde_json::from_str(&line)?;
            if entry["message"] == "Serving" {
                break entry["address"].as_str().context("it says where")?.parse()?;
            }
        };
        // The pipe is read to its end, so that the agent never waits for it.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let this = Self { process, address };
        let start = Instant::now();
        loop {
            let (status, body) = this.get("/readyz")?;
            if status == 200 {
                return Ok(this);
            }
            ensure!(start.elapsed() < LIMIT, "not ready within {LIMIT:?}: {body}");
            std::thread::sleep(PERIOD);
        }
    }

    /// What it has measured until now.
    pub(crate) fn scrape(&self) -> Result<Scrape> {
        let (status, body) = self.get("/metrics")?;
        ensure!(status == 200, "a scrape was answered with {status}: {body}");
        Ok(Scrape(exposition::parse(&body)?))
    }

    /// The first scrape that holds, or the last one when none did within the limit: what is compared then shows what is missing.
    pub(crate) fn scrape_when(&self, holds: impl Fn(&Scrape) -> bool) -> Result<Scrape> {
        let start = Instant::now();
        loop {
            let scrape = self.scrape()?;
            if holds(&scrape) || start.elapsed() > LIMIT {
                return Ok(scrape);
            }
            std::thread::sleep(PERIOD);
        }
    }

    fn get(&self, path: &str) -> Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.address)?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let Some((head, body)) = answer.split_once("\r\n\r\n") else { bail!("no answer: {answer:?}") };
        let status = head.split(' ').nth(1).context("an answer has a status")?.parse()?;
        Ok((status, body.to_owned()))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// === impl Scrape ===

impl Scrape {
    /// Finished calls of a group, by method and status.
    pub(crate) fn calls(&self, pod: &str, role: Role) -> Measured {
        measured(&self.0, pod, role)
    }

    /// Those that have finished since an earlier scrape: how many, and no durations.
    pub(crate) fn grown(&self, earlier: &Self, pod: &str, role: Role) -> Measured {
        let (mut all, before) = (self.calls(pod, role), earlier.calls(pod, role));
        for (key, durations) in &mut all {
            durations.count -= before.get(key).map_or(0, |before| before.count);
        }
        all.retain(|_, durations| durations.count > 0);
        all
    }

    /// How many calls of a group have finished.
    pub(crate) fn finished(&self, pod: &str, role: Role) -> u64 {
        self.calls(pod, role).values().map(|durations| durations.count).sum()
    }

    /// How many calls of a group are going on.
    pub(crate) fn in_flight(&self, pod: &str) -> u64 {
        whole(exposition::sum(&self.0, "fleetscope_rpc_calls_in_flight", &[("pod", pod)]))
    }

    /// What the agent says that it could not know or see: counters by metric and reason that are not 0.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let names =
            ["fleetscope_rpc_calls_lost_total", "fleetscope_rpc_unnamed_calls_total", "fleetscope_events_lost_total"];
        let alone =
            ["fleetscope_rpc_gaps_total", "fleetscope_rpc_faults_total", "fleetscope_rpc_unknown_status_calls_total"];
        let counted = self.0.iter().filter(|sample| names.contains(&&*sample.name) || alone.contains(&&*sample.name));
        let line = |sample: &Sample| {
            let reason = sample.labels.get("reason").map_or(String::new(), |reason| format!("{{{reason}}}"));
            format!("{}{reason}: {}", sample.name, sample.value)
        };
        counted.filter(|sample| sample.value > 0.0).map(line).collect()
    }

    /// A counter of the agent's own.
    pub(crate) fn own(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        whole(exposition::sum(&self.0, name, labels))
    }
}

/// A count as a whole number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are whole and below 2^53")]
pub(crate) fn whole(value: f64) -> u64 {
    value as u64
}
