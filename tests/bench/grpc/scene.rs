//! Who takes part, each in a cgroup of its own, so that the kernel's account of the group is its processor time to the microsecond.
//!
//! The node agent observes the group `fleet` and what is below it, and nothing else of the machine: its figures are of the calls that are made
//! here.

use std::fs;
use std::process::{Command, Stdio};

use fleetscope_tests::peers::{Account, Language, Role, Server};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::figures::float;
use crate::group::Group;

/// See the module.
pub(crate) struct Scene {
    /// What the node agent observes.
    pub(crate) fleet: Group,
    /// The server's.
    pub(crate) server: Group,
    /// A client's that is observed too.
    pub(crate) observed: Group,
    /// A client's that is not, as if it were on another node.
    pub(crate) client: Group,
    /// The node agent's.
    pub(crate) agent: Group,
}

/// A server, and what people call its library.
pub(crate) struct Serving {
    pub(crate) name: &'static str,
    pub(crate) server: Server,
}

// === impl Scene ===

impl Scene {
    pub(crate) fn new() -> Self {
        let fleet = Group::new();
        let (server, observed) = (fleet.child("server"), fleet.child("client"));
        Self { fleet, server, observed, client: Group::new(), agent: Group::new() }
    }

    /// The servers that are built here; of the others the reason is printed.
    pub(crate) fn servers(&self) -> Vec<Serving> {
        let start = |(language, name): (Language, _)| match Server::start(language, Some(self.server.folder()), &[]) {
            Ok(server) => Some(Serving { name, server }),
            Err(error) => {
                println!("Not run: {name}: {error:#}.\n");
                None
            }
        };
        [(Language::Go, "grpc-go"), (Language::Rust, "tonic")].into_iter().filter_map(start).collect()
    }
}

// === impl Serving ===

impl Serving {
    /// Calls that have ended.
    pub(crate) fn made(&mut self) -> u64 {
        count(&self.server.account().unwrap())
    }
}

fn count(account: &Account) -> u64 {
    account.iter().filter(|((role, _, _), _)| *role == Role::Server).map(|(_, calls)| calls.count).sum()
}

/// Seconds of processor time that a group has had, those of its descendants included.
pub(crate) fn cpu(group: &Group) -> f64 {
    let stat = fs::read_to_string(group.folder().join("cpu.stat")).unwrap();
    let usage = stat.lines().find_map(|line| line.strip_prefix("usage_usec ")).unwrap();
    float(usage.parse().unwrap()) / 1e6
}

/// A processor for what is measured, and the others for what is not; the same for both where there is only one.
pub(crate) fn processors() -> (CpuSet, CpuSet) {
    let all = sched_getaffinity(None).unwrap();
    let last = (0..CpuSet::MAX_CPU).rev().find(|processor| all.is_set(*processor)).unwrap();
    let (mut own, mut others) = (CpuSet::new(), all);
    own.set(last);
    if all.count() > 1 {
        others.unset(last);
    }
    (own, others)
}

/// What is started meanwhile has these processors alone, as it takes over what holds for this thread.
pub(crate) fn on<T>(processors: &CpuSet, start: impl FnOnce() -> T) -> T {
    let before = sched_getaffinity(None).unwrap();
    sched_setaffinity(None, processors).unwrap();
    let started = start();
    sched_setaffinity(None, &before).unwrap();
    started
}

/// A command whose process joins the group before it becomes the program. It says nothing unless it is asked to.
pub(crate) fn command(group: &Group, program: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"echo $$ >"$0/cgroup.procs" && exec "$@""#]).arg(group.folder()).arg(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
