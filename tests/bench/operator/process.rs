//! An operator at work, and what the kernel and it itself say of it.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fleetscope_tests::exposition;
use fleetscope_tests::faults::{Asked, Counts, Fault, Proxy, Watches, seeded};
use fleetscope_tests::release::NAMESPACE;
use fleetscope_tests::wait::until;
use rustix::process::{Pid, Signal, kill_process};

use crate::figures::float;
use crate::site::Account;

/// How long an operator may take to be ready, or to end.
const LIMIT: Duration = Duration::from_mins(5);

/// The faults are the same ones in each run.
const SEED: u64 = 20_261_126;
const PERCENT: u64 = 5;

/// How an operator reaches the API server.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Way {
    Straight,
    /// Through a proxy at which requests fail, watches as others.
    Faulty,
    /// Through one at which every watch ends with 410 Gone after 10 to 50 s, besides.
    Expiring,
}

// === impl Way ===

impl Way {
    /// What it is called.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Straight => "without faults".to_owned(),
            Self::Faulty => format!("{PERCENT} % of the requests fail"),
            Self::Expiring => format!("{PERCENT} % fail, and all watches expire"),
        }
    }

    /// What stands behind the name of what was measured.
    pub(crate) fn suffix(self) -> String {
        if self == Self::Straight { String::new() } else { format!("; {}", self.name()) }
    }

    /// What becomes of watches at its proxy; none without one.
    const fn watches(self) -> Option<Watches> {
        match self {
            Self::Straight => None,
            Self::Faulty => Some(Watches::AsOthers),
            Self::Expiring => Some(Watches::AllExpire),
        }
    }
}

/// An operator. It ends when this is dropped.
pub(crate) struct Operator {
    child: Child,
    proxy: Option<Proxy>,
    /// Paths of writes that were answered 429 there, with a second to wait.
    throttled: Arc<Mutex<HashSet<String>>>,
    address: String,
    /// As the audit log has it.
    pub(crate) user: String,
    /// When it was started.
    pub(crate) started: Instant,
}

// === impl Operator ===

impl Operator {
    /// Starts one as an account.
    pub(crate) async fn start(account: &Account, way: Way) -> Self {
        let mut kubeconfig = account.kubeconfig.clone();
        let (mut proxy, throttled) = (None, Arc::<Mutex<HashSet<String>>>::default());
        if let Some(watches) = way.watches() {
            let (mut plan, answered) = (seeded(SEED, PERCENT, watches), Arc::clone(&throttled));
            let plan = move |asked: &Asked| {
                let fault = plan(asked);
                if asked.is_write() && fault == Some(Fault::TooManyRequests) {
                    answered.lock().unwrap().insert(asked.path.clone());
                }
                fault
            };
            let started = Proxy::start(account.config().await, Box::new(plan)).await.unwrap();
            kubeconfig = account.kubeconfig.with_extension("proxy");
            std::fs::write(&kubeconfig, started.kubeconfig()).unwrap();
            proxy = Some(started);
        }
        let binary = std::env::var("FLEETSCOPE_OPERATOR").expect("FLEETSCOPE_OPERATOR names an operator");
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let log = std::fs::File::create(account.kubeconfig.with_extension("log")).unwrap();
        let mut command = Command::new(binary);
        command
            .args(["run", "--monitor-label=release=kps", "--listen", &address])
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAME", &account.name)
            .env("POD_NAMESPACE", NAMESPACE)
            .stdout(Stdio::null())
            .stderr(log);
        let started = Instant::now();
        Self { child: command.spawn().unwrap(), proxy, address, throttled, user: account.user(), started }
    }

    /// Waits until its caches are filled.
    pub(crate) async fn ready(&self) {
        let ready = async || Ok(self.get("/readyz").is_some_and(|answer| answer.contains("200 OK")));
        until(LIMIT, "the operator is ready", ready).await.unwrap();
    }

    /// Waits until it has worked on so many fleets, or on some of them as often.
    pub(crate) async fn reconciled(&self, count: usize) {
        let labels = [("controller", "agentfleet"), ("outcome", "ok")];
        let name = "fleetscope_operator_reconcile_total";
        let enough = async || {
            let Some(answer) = self.get("/metrics") else { return Ok(false) };
            let samples = exposition::parse(answer.split_once("\r\n\r\n").map_or("", |(_, body)| body))?;
            Ok(exposition::sum(&samples, name, &labels) >= float(count as u64))
        };
        until(LIMIT, "the operator has looked at all fleets", enough).await.unwrap();
    }

    /// A line of its status in MiB, such as `VmRSS:`.
    pub(crate) fn memory(&self, line: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let value = status.lines().find_map(|found| found.strip_prefix(line)).unwrap();
        float(value.split_whitespace().next().unwrap().parse().unwrap()) / 1024.0
    }

    /// Processor time since its start, in seconds.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        float(ticks) / float(rustix::param::clock_ticks_per_second())
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits until it has ended by itself; whether it says that it succeeded.
    pub(crate) async fn ended(&mut self) -> bool {
        let child = &mut self.child;
        let mut success = false;
        let over = async || {
            let status = child.try_wait()?;
            success = status.is_some_and(|status| status.success());
            Ok(status.is_some())
        };
        until(LIMIT, "the operator ends", over).await.unwrap();
        success
    }

    /// Stops it as Kubernetes does.
    pub(crate) async fn end(mut self) {
        self.signal(Signal::TERM);
        assert!(self.ended().await, "it stops in order");
    }

    /// The requests that it made, and which of them failed; none without faults.
    pub(crate) fn faults(&self) -> Counts {
        self.proxy.as_ref().map(Proxy::counts).unwrap_or_default()
    }

    /// Paths of writes that were answered 429, with a second to wait, since this was asked last; none without faults.
    pub(crate) fn throttled(&self) -> Option<HashSet<String>> {
        self.proxy.as_ref().map(|_| std::mem::take(&mut *self.throttled.lock().unwrap()))
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        // 1.0: the body comes in one piece.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
