//! The gRPC programs of [`crate::peers`] in pods, whose calls a test makes when it wants them, on connections that stay.
//!
//! Told what to do by `kubectl attach`; heard by the pod's log, which misses nothing that was said before somebody listened.

use std::io::Write as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};

use crate::cluster::Cluster;
use crate::peers::{self, Account};
use crate::wait::eventually;
use crate::workload;

/// How long a pod may take until its program says that it is ready, and a round of calls.
const LIMIT: Duration = Duration::from_mins(1);

/// A server or client in a pod of the fleet.
#[derive(Debug)]
pub struct PodPeer {
    name: String,
    pods: Api<Pod>,
    kubectl: Child,
    input: ChildStdin,
    /// Accounts that it was asked for.
    asked: usize,
}

// === impl PodPeer ===

impl PodPeer {
    /// Starts one on a node if one is named. A client's connections stand when this returns.
    pub async fn start(
        cluster: &Cluster,
        namespace: &str,
        name: &str,
        image: &str,
        arguments: &[&str],
        node: Option<&str>,
    ) -> Result<Self> {
        let mut spec = workload::pod_spec(image, arguments);
        spec["containers"][0]["stdin"] = true.into();
        if let Some(node) = node {
            spec["nodeName"] = node.into();
        }
        workload::start(cluster, namespace, name, spec).await?;
        let pods = Api::<Pod>::namespaced(cluster.client.clone(), namespace);
        let ready = |line: &str| line.starts_with("listening ") || line.starts_with("connected ");
        eventually(LIMIT, &format!("{name} is ready"), async || {
            let log = pods.logs(name, &LogParams::default()).await?;
            Ok(log.lines().any(ready).then_some(()))
        })
        .await?;
        let mut kubectl = Command::new("kubectl")
            .args(["attach", "--stdin", "--quiet", "-n", namespace, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("failed to start kubectl attach")?;
        let input = kubectl.stdin.take().context("standard input is piped")?;
        Ok(Self { name: name.to_owned(), pods, kubectl, input, asked: 0 })
    }

    /// The pod's address. Its program may have spoken before the kubelet says it.
    pub async fn address(&self) -> Result<String> {
        let (address, _) = eventually(LIMIT, &format!("{} has an address", self.name), async || {
            Ok(self.pods.get(&self.name).await?.status.and_then(|status| status.pod_ip))
        })
        .await?;
        Ok(address)
    }

    /// A client makes its calls, and says what it has done in all rounds.
    pub async fn round(&mut self) -> Result<Account> {
        self.begin()?;
        self.finish().await
    }

    /// A client begins to make its calls.
    pub fn begin(&mut self) -> Result<()> {
        self.ask("go")
    }

    /// A server says which calls have ended.
    pub async fn account(&mut self) -> Result<Account> {
        self.ask("account")?;
        self.finish().await
    }

    fn ask(&mut self, line: &str) -> Result<()> {
        writeln!(self.input, "{line}").with_context(|| format!("failed to tell {} to {line}", self.name))?;
        self.asked += 1;
        Ok(())
    }

    /// Waits for the last of the accounts that it was asked for: a client gives one when the calls that were begun have ended.
    pub async fn finish(&mut self) -> Result<Account> {
        let (log, _) = eventually(LIMIT, &format!("{} has done what it was told", self.name), async || {
            let log = self.pods.logs(&self.name, &LogParams::default()).await?;
            let said = log.lines().filter(|line| *line == "end").count();
            ensure!(said <= self.asked, "{} said more than it was asked for", self.name);
            Ok((said == self.asked).then_some(log))
        })
        .await?;
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.split(|line| *line == "end").rev().nth(1).unwrap_or_default();
        peers::parse(last)
    }
}

impl Drop for PodPeer {
    fn drop(&mut self) {
        // The pod goes with its namespace.
        let _ = self.kubectl.kill();
        let _ = self.kubectl.wait();
    }
}
