//! The operator as a process: its signals, and its own metrics.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use fleetscope_operator::owner::OwnerKind;
use fleetscope_tests::exposition::{Sample, parse, sum};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use serde_json::json;

use crate::server::{Process, eventually};
use crate::world::{LIMIT, World};

/// The operator as a process.
pub(crate) struct Operator {
    pub(crate) process: Process,
    pub(crate) name: String,
    /// Where it logs.
    pub(crate) log: PathBuf,
}

// === impl Operator ===

impl Operator {
    /// Sends a signal, as `kill` names it.
    pub(crate) fn signal(&self, signal: &str) {
        let sent =
            Command::new("kill").args([&format!("-{signal}"), &self.process.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.process.0.try_wait().unwrap().is_none()
    }

    /// What it has logged.
    pub(crate) fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it holds the lease, and says after how long.
    pub(crate) async fn leads(&self, world: &World, within: Duration) -> Duration {
        let leases = Api::<Lease>::namespaced(world.client.clone(), "fleetscope-system");
        let holds = async || {
            let lease = leases.get_opt("fleetscope-operator").await.unwrap()?;
            (lease.spec?.holder_identity? == self.name).then_some(())
        };
        eventually(within, &format!("{} to lead", self.name), holds).await.1
    }

    /// Waits until it has looked at objects of a kind so many times more, and found all as it should be or made it so.
    pub(crate) async fn looks(&self, kind: OwnerKind, times: u32) {
        let done = [("controller", kind.controller()), ("outcome", "ok")];
        let looks = || sum(&self.metrics(), "fleetscope_operator_reconcile_total", &done);
        let enough = looks() + f64::from(times);
        let looked = async || (looks() >= enough).then_some(());
        eventually(LIMIT, &format!("{times} more looks at objects of {}", kind.as_str()), looked).await;
    }

    /// Where it answers.
    fn connect(&self) -> TcpStream {
        let log = self.logged();
        let started = log.lines().find(|line| line.contains("Operator started")).unwrap();
        let (_, address) = started.split_once("127.0.0.1:").unwrap();
        let port: String = address.chars().take_while(char::is_ascii_digit).collect();
        TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap()
    }

    fn metrics(&self) -> Vec<Sample> {
        let mut stream = self.connect();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        parse(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn clients_that_say_nothing_keep_no_scraper_waiting() {
    let world = World::start().await;
    let operator = world.operator("one", &[]);
    world.fleet("a", json!({})).await;
    world.condition("a", "Accepted=True Valid").await;
    let silent: Vec<TcpStream> = (0..550)
        .map(|_| {
            let mut stream = operator.connect();
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHo").unwrap();
            stream
        })
        .collect();
    let metrics = operator.metrics();
    let cut = |reason| sum(&metrics, "fleetscope_http_degraded_total", &[("reason", reason)]);
    // There is room for 512, this scrape among them.
    assert!(cut("evicted_idle") >= 38.0, "{}", cut("evicted_idle"));
    assert_eq!((cut("evicted"), cut("unread"), silent.len()), (0.0, 0.0, 550));
}
