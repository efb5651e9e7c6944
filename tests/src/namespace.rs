//! A namespace for one test.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ObjectMeta, PostParams};

use crate::cluster::Cluster;
use crate::command;

/// A namespace that is removed, with all that is in it, when this value goes. If the test fails, what was in it is printed before.
pub struct TestNamespace {
    /// Its name.
    pub name: String,
}

// === impl TestNamespace ===

impl TestNamespace {
    /// Makes one, named after what the test is about.
    pub async fn create(cluster: &Cluster, about: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Two runs against one cluster, and a run after one whose namespaces still end, must not meet.
        let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() % 100_000_000;
        let name = format!("e2e-{about}-{run}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        Api::<Namespace>::all(cluster.client.clone()).create(&PostParams::default(), &namespace).await?;
        Ok(Self { name })
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            print_state(&self.name);
        }
        // The next test does not wait for it; the suite's end does, as the cluster goes down.
        let _ = command::run("kubectl", &["delete", "namespace", &self.name, "--wait=false"]);
    }
}

/// Prints what helps to understand a failure: the namespace's objects and events, and what Fleetscope logged.
#[expect(clippy::print_stderr, reason = "it is for whoever reads the failed test")]
fn print_state(namespace: &str) {
    let looks: [&[&str]; 5] = [
        &["-n", namespace, "get", "pods,jobs,fleets,configmaps", "-o", "wide"],
        &["-n", namespace, "get", "fleets", "-o", "jsonpath={.items[*].status}"],
        &["-n", namespace, "get", "events", "--sort-by=.lastTimestamp"],
        &["-n", crate::release::NAMESPACE, "get", "pods", "-o", "wide"],
        &["-n", crate::release::NAMESPACE, "logs", "--tail=12", "--prefix", "-l", "app.kubernetes.io/name=fleetscope"],
    ];
    for look in looks {
        let text = match command::run_with("kubectl", look, "") {
            Ok(ran) => ran.stdout + &ran.stderr,
            Err(error) => format!("{error:#}"),
        };
        eprintln!("--- kubectl {}\n{text}", look.join(" "));
    }
}
