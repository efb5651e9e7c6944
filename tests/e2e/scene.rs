//! What most tests begin with: the chart is installed, there is a namespace, a fleet, and pods that work.

use std::path::Path;
use std::time::Duration;

use fleetscope_core::api::AgentFleet;
use fleetscope_tests::cluster::Cluster;
use fleetscope_tests::exposition::{self, Sample};
use fleetscope_tests::namespace::TestNamespace;
use fleetscope_tests::wait::until;
use fleetscope_tests::workload::{self, Truth};
use fleetscope_tests::{node_agents, release};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// Name of the fleet of every test.
pub(crate) const FLEET: &str = "crew";
/// How long a new fleet may take to be known by the node agents.
const KNOWN: Duration = Duration::from_secs(5);

/// A namespace in a cluster with the chart.
pub(crate) struct Scene {
    /// The cluster.
    pub(crate) cluster: Cluster,
    namespace: TestNamespace,
}

// === impl Scene ===

impl Scene {
    /// Installs the chart if needed, and makes a namespace named after what the test is about.
    pub(crate) async fn open(about: &str) -> Self {
        release::ensure().await.unwrap();
        Self::open_as_installed(about).await
    }

    /// As [`Self::open`], with the chart as it is.
    pub(crate) async fn open_as_installed(about: &str) -> Self {
        let cluster = Cluster::connect().await.unwrap();
        let namespace = TestNamespace::create(&cluster, about).await.unwrap();
        Self { cluster, namespace }
    }

    /// The namespace's name.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace.name
    }

    /// Fleets of the namespace.
    pub(crate) fn fleets(&self) -> Api<AgentFleet> {
        Api::namespaced(self.cluster.client.clone(), self.namespace())
    }

    /// Makes a fleet of all pods with the workload's label, and waits until every node agent knows it.
    pub(crate) async fn fleet(&self, tasks: Value) {
        self.create_fleet(FLEET, tasks).await;
        self.known().await;
    }

    /// Makes a fleet of all pods with the workload's label.
    pub(crate) async fn create_fleet(&self, name: &str, tasks: Value) -> AgentFleet {
        let fleet = json!({
            "apiVersion": "fleetscope.io/v1alpha1", "kind": "AgentFleet",
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": {workload::LABEL.0: workload::LABEL.1}},
                "scrape": {"interval": "5s", "scrapeTimeout": "5s"},
                "tasks": tasks,
            },
        });
        self.fleets().create(&PostParams::default(), &serde_json::from_value(fleet).unwrap()).await.unwrap()
    }

    /// Changes the fleet's spec by a merge patch.
    pub(crate) async fn patch_fleet(&self, spec: Value) {
        self.fleets().patch(FLEET, &PatchParams::default(), &Patch::Merge(json!({"spec": spec}))).await.unwrap();
    }

    /// Waits until every node agent serves the fleet's numbers of agents, which it does as soon as it knows the fleet.
    async fn known(&self) {
        until(KNOWN, "every node agent knows the fleet", async || {
            for agent in node_agents::all(&self.cluster).await? {
                let samples = agent.scrape(&self.cluster, self.namespace(), FLEET).await?;
                if exposition::matching(&samples, "fleetscope_agents", &[]).next().is_none() {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
        .unwrap();
    }

    /// Starts a pod of the fleet that runs the workload with these arguments, on a node if one is named.
    pub(crate) async fn pod(&self, name: &str, arguments: &[&str], node: Option<&str>) {
        let mut spec = workload::pod_spec(&image(), arguments);
        if let Some(node) = node {
            spec["nodeName"] = node.into();
        }
        workload::start(&self.cluster, self.namespace(), name, spec).await.unwrap();
    }

    /// What `pods` pods of the fleet say that they did, as soon as all are done.
    pub(crate) async fn truth(&self, pods: usize, limit: Duration) -> Truth {
        workload::truth(&self.cluster, self.namespace(), pods, limit).await.unwrap()
    }

    /// Waits until the node agents have counted so many tasks: the last records are on their way when the pods say that they are done.
    pub(crate) async fn counted(&self, tasks: u64) -> Vec<Sample> {
        self.scraped(Duration::from_secs(10), &format!("{tasks} tasks are counted"), |samples| {
            exposition::sum(samples, "fleetscope_tasks_total", &[]).to_string() == tasks.to_string()
        })
        .await
    }

    /// The fleet's series of all nodes.
    pub(crate) async fn scrape(&self) -> Vec<Sample> {
        node_agents::scrape(&self.cluster, self.namespace(), FLEET).await.unwrap()
    }

    /// Waits until a condition on the fleet's series of all nodes holds; returns the series.
    pub(crate) async fn scraped(&self, limit: Duration, what: &str, holds: impl Fn(&[Sample]) -> bool) -> Vec<Sample> {
        let mut last = Vec::new();
        let waited = until(limit, what, async || {
            last = node_agents::scrape(&self.cluster, self.namespace(), FLEET).await?;
            Ok(holds(&last))
        })
        .await;
        if let Err(error) = waited {
            let tasks: Vec<&Sample> =
                last.iter().filter(|sample| sample.name.starts_with("fleetscope_tasks")).collect();
            panic!("{error:#}; last seen: {tasks:#?}");
        }
        last
    }
}

/// Rules for the workload: its processes `end` are tasks, whatever else it runs is not.
pub(crate) fn rules() -> Value {
    json!({"rules": [
        {"name": "end", "group": "load", "match": {"executable": "workload", "arguments": ["end"]},
         "resultByExitCode": {"0": "success", "1": "conflict", "sigkill": "killed", "*": "failed"}},
        {"ignore": true, "match": {"executable": "workload"}},
    ]})
}

/// The workload's image.
pub(crate) fn image() -> String {
    fleetscope_tests::image::of("workload", Path::new(env!("CARGO_BIN_EXE_workload"))).unwrap()
}

/// Sums of losses of all node agents: what may never grow in these tests.
pub(crate) async fn lost(cluster: &Cluster) -> f64 {
    let samples = node_agents::scrape(cluster, "", "").await.unwrap();
    exposition::sum(&samples, "fleetscope_events_lost_total", &[])
}
