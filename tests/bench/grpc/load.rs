//! nghttp2's h2load as a client: so many requests, at a rate or as fast as it gets, and how long each took.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use crate::figures::{float, percentile};
use crate::group::Group;
use crate::scene::command;

/// What a client does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) name: &'static str,
    /// Requests a second, of all connections together; as fast as it gets without.
    pub(crate) rate: Option<u32>,
    pub(crate) connections: u32,
    /// Requests that a connection has open at most.
    pub(crate) streams: u32,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    /// Requests a second.
    pub(crate) rate: f64,
    /// Microseconds.
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// A file of this process's own.
pub(crate) struct File(PathBuf);

/// A gRPC message for the peers' server, with its prefix (tests/peers/README.md): an empty response, status 0.
const LINE: &[u8] =
    b"\0\0\0\0\x57status=0 trailers_only=0 delay_ms=0 end_delay_ms=0 messages=1 bytes=0 metadata_bytes=0\n";

// === impl Load ===

impl Load {
    pub(crate) const THOUSAND: Self = Self { name: "1,000/s", rate: Some(1_000), connections: 10, streams: 10 };
    pub(crate) const TEN_THOUSAND: Self = Self { name: "10,000/s", rate: Some(10_000), connections: 20, streams: 20 };
    pub(crate) const HUNDRED_THOUSAND: Self =
        Self { name: "100,000/s", rate: Some(100_000), connections: 50, streams: 40 };
    pub(crate) const SATURATION: Self = Self { name: "saturation", rate: None, connections: 16, streams: 16 };

    /// Makes so many requests from a group.
    pub(crate) fn run(&self, group: &Group, target: &str, requests: u64) -> Outcome {
        let (body, log) = (File::body(), File::new("log"));
        let mut h2load = command(group, "h2load");
        h2load.args(arguments(self.connections, requests, &body)).args(["-m", &self.streams.to_string()]);
        h2load.arg("--log-file").arg(&log.0);
        if let Some(rate) = self.rate {
            h2load.args(["--rps", &(rate / self.connections).to_string()]);
        }
        let output = h2load.arg(url(target)).stdout(Stdio::piped()).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        let line = |start: &str| printed.lines().find_map(|line| line.strip_prefix(start));
        let (Some(finished), Some(of)) = (line("finished in "), line("requests: ")) else {
            panic!("h2load ended with {}: {printed}", output.status)
        };
        assert!(of.contains(&format!(" {requests} succeeded")), "not every request succeeded: {of}");
        let rate = finished.split(' ').nth(1).and_then(|rate| rate.parse().ok()).unwrap();
        let log = fs::read_to_string(&log.0).unwrap();
        let mut took: Vec<u64> = log.lines().filter_map(|line| line.split('\t').nth(2)?.parse().ok()).collect();
        took.sort_unstable();
        let mean = float(took.iter().sum()) / float(took.len() as u64);
        Outcome { requests, rate, mean, p50: float(percentile(&took, 50)), p99: float(percentile(&took, 99)) }
    }
}

// === impl File ===

impl File {
    pub(crate) fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("fleetscope-bench-grpc-{}-{name}", std::process::id())))
    }

    /// A file with a request's body.
    pub(crate) fn body() -> Self {
        let file = Self::new("body");
        fs::write(&file.0, LINE).unwrap();
        file
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What every h2load is told.
pub(crate) fn arguments(connections: u32, requests: u64, body: &File) -> Vec<String> {
    let mut all = vec!["-c".to_owned(), connections.to_string(), "-n".to_owned(), requests.to_string()];
    all.extend(["-d".to_owned(), body.0.display().to_string()]);
    all.extend(["-H", "content-type: application/grpc", "-H", "te: trailers"].map(str::to_owned));
    all
}

pub(crate) fn url(target: &str) -> String {
    format!("http://{target}/fleetscope.peers.v1.Peer/Unary")
}
