//! The node agent works with the capabilities BPF and PERFMON, and has no other.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fleetscope_tests::cluster::Cluster;
use fleetscope_tests::node_agents::{self, NodeAgent};
use fleetscope_tests::wait::eventually;
use fleetscope_tests::{command, release, skip};
use rustix::process::{Pid, Signal, kill_process};

/// Bits 38 (`CAP_PERFMON`) and 39 (`CAP_BPF`), include/uapi/linux/capability.h.
const BPF_AND_PERFMON: &str = "000000c000000000";

/// A process of a pod, as this machine sees it: nodes of the test cluster share its kernel.
pub(crate) struct Process {
    pub(crate) pid: i32,
    command: String,
    status: String,
}

/// Processes of a pod, found by the pod's uid in their cgroup.
pub(crate) fn processes(pod_uid: &str) -> Vec<Process> {
    let uids = [pod_uid.to_owned(), pod_uid.replace('-', "_")];
    let read = |pid: i32, file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| {
        let cgroup = read(pid, "cgroup")?;
        let command = read(pid, "cmdline")?.replace('\0', " ");
        let status = read(pid, "status")?;
        uids.iter().any(|uid| cgroup.contains(uid)).then_some(Process { pid, command, status })
    })
    .filter(|process| process.command.contains("node-agent"))
    .collect()
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t")).unwrap_or_default()
}

/// A second node agent in the container, as its runtime starts it, which keeps what it was given.
struct Second {
    kubectl: Child,
    pid: Option<i32>,
}

impl Second {
    fn start(agent: &NodeAgent, program: &str) -> Self {
        let arguments = ["exec", "-n", release::NAMESPACE, &agent.pod, "--", program];
        let options = ["--standalone", "--keep-capabilities", "--runqueue=false", "--listen=127.0.0.1:0"];
        let kubectl = Command::new("kubectl")
            .args(arguments)
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { kubectl, pid: None }
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        // kubectl's end does not end what it started.
        if let Some(pid) = self.pid.and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.kubectl.kill();
        let _ = self.kubectl.wait();
    }
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn effective_capabilities_of_the_container_are_bpf_and_perfmon_and_it_works_so() {
    release::ensure().await.unwrap();
    let cluster = Cluster::connect().await.unwrap();
    let agent = node_agents::all(&cluster).await.unwrap().remove(0);
    let Some(first) = processes(&agent.uid).pop() else {
        let name =
            "e2e::beside::capabilities::effective_capabilities_of_the_container_are_bpf_and_perfmon_and_it_works_so";
        skip::skip(name, "the nodes' processes are not visible from this machine");
        return;
    };
    // It works: all required probes are attached, or it would not be ready.
    assert!(agent.get(&cluster, "/readyz").await.is_ok());
    assert_eq!(field(&first.status, "CapBnd"), BPF_AND_PERFMON);
    assert_eq!(field(&first.status, "CapAmb"), "0000000000000000");
    assert_eq!(field(&first.status, "NoNewPrivs"), "1");
    assert_eq!(field(&first.status, "Seccomp"), "2");

    let program = first.command.split(' ').next().unwrap().to_owned();
    let mut second = Second::start(&agent, &program);
    let what = "the second node agent in the container runs";
    let (process, _) = eventually(Duration::from_secs(20), what, async || {
        Ok(processes(&agent.uid)
            .into_iter()
            .find(|process| process.pid != first.pid && process.command.contains("--standalone")))
    })
    .await
    .unwrap();
    second.pid = Some(process.pid);
    assert_eq!(field(&process.status, "CapEff"), BPF_AND_PERFMON);
    assert_eq!(field(&process.status, "CapPrm"), BPF_AND_PERFMON);
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn check_attaches_every_probe_in_the_container() {
    release::ensure().await.unwrap();
    let cluster = Cluster::connect().await.unwrap();
    for agent in node_agents::all(&cluster).await.unwrap() {
        let program = program(&agent);
        let arguments = ["exec", "-n", release::NAMESPACE, &agent.pod, "--", &program, "--check"];
        let ran = command::run_with("kubectl", &arguments, "").unwrap();
        assert_eq!(ran.code, 0, "{ran:?}");
        for probe in ["task_exec", "task_exit", "cgroup_mkdir"] {
            assert!(ran.stdout.contains(probe), "{probe} is not in the table: {}", ran.stdout);
        }
    }
}

/// Path of the program in the image: its entry point.
fn program(agent: &NodeAgent) -> String {
    processes(&agent.uid)
        .first()
        .and_then(|process| process.command.split(' ').next())
        .unwrap_or("/fleetscope-node-agent")
        .to_owned()
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn helm_test_passes() {
    release::ensure().await.unwrap();
    let output = command::run("helm", &["test", release::NAME, "-n", release::NAMESPACE, "--timeout=60s"]).unwrap();
    assert!(output.contains("Succeeded"), "{output}");
}
