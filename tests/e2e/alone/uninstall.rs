//! `helm uninstall` leaves nothing of what the chart made, and nothing that was made for fleets. What stays is the lease of the leader
//! election, which the operator makes itself; it goes with the namespace. With nodeAgent.persist the probes for calls stay on the nodes, too, unless they
//! are removed before.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aya::programs::loaded_programs;
use fleetscope_tests::cluster::{Cluster, kubectl};
use fleetscope_tests::wait::until;
use fleetscope_tests::{command, node_agents, release, skip};
use serde_json::json;

use crate::beside::capabilities::processes;
use crate::scene::{Scene, rules};

/// Where the chart has pins, as each node sees it.
const PINS: &str = "/sys/fs/bpf/fleetscope";

/// A node of the test cluster, as this machine sees it.
struct Node {
    number: usize,
    /// [`PINS`] in the node's mount namespace.
    pins: PathBuf,
}

/// The nodes; none where they are not on this machine.
fn nodes() -> Vec<Node> {
    let state = std::env::var("FLEETSCOPE_STATE").unwrap_or_default();
    let holder = |number: usize| fs::read_to_string(Path::new(&state).join(format!("pid/node-{number}"))).ok();
    let pins = |holder: &str| PathBuf::from(format!("/proc/{}/root{PINS}", holder.trim()));
    (1..).map_while(|number| Some(Node { number, pins: pins(&holder(number)?) })).collect()
}

/// Programs that the node agents hold, by their number.
async fn programs() -> BTreeSet<u32> {
    let cluster = Cluster::connect().await.unwrap();
    let mut programs = BTreeSet::new();
    for agent in node_agents::all(&cluster).await.unwrap() {
        for process in processes(&agent.uid) {
            for entry in fs::read_dir(format!("/proc/{}/fdinfo", process.pid)).unwrap().flatten() {
                let text = fs::read_to_string(entry.path()).unwrap_or_default();
                let number = text.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse::<u32>().ok());
                programs.extend(number);
            }
        }
    }
    programs
}

/// Names of those that are still loaded.
fn loaded(programs: &BTreeSet<u32>) -> Vec<String> {
    let left = loaded_programs().filter_map(Result::ok).filter(|program| programs.contains(&program.id()));
    left.map(|program| program.name_as_str().unwrap_or_default().to_owned()).collect()
}

async fn wait_for_end(programs: &BTreeSet<u32>) {
    until(Duration::from_mins(1), "no program of the release is loaded", async || {
        let left = loaded(programs);
        anyhow::ensure!(left.is_empty(), "{left:?}");
        Ok(true)
    })
    .await
    .unwrap();
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn check_11_uninstalled_release_leaves_nothing_of_the_chart_and_its_fleets() {
    let scene = Scene::open("uninstall").await;
    scene.fleet(rules()).await;
    let everywhere = |kinds: &str| {
        kubectl(&["get", kinds, "-A", "-l", "app.kubernetes.io/part-of=fleetscope", "-o", "name", "--ignore-not-found"])
            .unwrap()
    };
    let kinds = "deployments,daemonsets,pods,services,serviceaccounts,configmaps,roles,rolebindings,clusterroles,clusterrolebindings,\
        customresourcedefinitions,podmonitors,networkpolicies,poddisruptionbudgets";
    assert!(everywhere(kinds).contains("daemonset.apps/fleetscope-node-agent"), "the release is there");
    release::uninstall().unwrap();
    // Helm waits for the DaemonSet to be gone, not for its pods.
    let gone = async || {
        let left = everywhere(kinds);
        anyhow::ensure!(left.is_empty(), "{left}");
        Ok(true)
    };
    until(Duration::from_mins(1), "nothing of the release is left", gone).await.unwrap();
    // With crds.keep=false the definitions go, and with them every fleet.
    assert_eq!(kubectl(&["get", "crd", "agentfleets.fleetscope.io", "-o", "name", "--ignore-not-found"]).unwrap(), "");
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn after_unpin_an_uninstall_leaves_no_program_in_the_kernel() {
    let nodes = nodes();
    if nodes.is_empty() {
        skip::skip(
            "alone::uninstall::after_unpin_an_uninstall_leaves_no_program_in_the_kernel",
            "the nodes are elsewhere",
        );
        return;
    }
    release::ensure_with(&json!({"nodeAgent": {"persist": true}})).await.unwrap();
    let programs = programs().await;
    assert!(nodes.iter().all(|node| node.pins.exists()), "there are pins");
    // What NOTES.txt says.
    release::ensure_with(&json!({"nodeAgent": {"persist": true, "unpin": true}})).await.unwrap();
    until(Duration::from_mins(1), "no node has pins", async || Ok(nodes.iter().all(|node| !node.pins.exists())))
        .await
        .unwrap();
    wait_for_end(&programs).await;
    let programs = self::programs().await;
    release::uninstall().unwrap();
    wait_for_end(&programs).await;
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn what_an_uninstall_leaves_of_persist_is_removed_by_one_command_on_each_node() {
    let nodes = nodes();
    if nodes.is_empty() {
        let name = "alone::uninstall::what_an_uninstall_leaves_of_persist_is_removed_by_one_command_on_each_node";
        skip::skip(name, "the nodes are elsewhere");
        return;
    }
    release::ensure_with(&json!({"nodeAgent": {"persist": true}})).await.unwrap();
    let programs = programs().await;
    release::uninstall().unwrap();
    let stay = ["hook_mkdir", "hook_recv", "hook_send", "hook_state", "http2_recv", "http2_send", "http2_state"];
    let mut expected: Vec<&str> = stay.iter().flat_map(|name| vec![*name; nodes.len()]).collect();
    expected.sort_unstable();
    until(Duration::from_mins(1), "all programs but those of the pins are gone", async || {
        let mut left = loaded(&programs);
        left.sort_unstable();
        anyhow::ensure!(left == expected, "{left:?}");
        Ok(true)
    })
    .await
    .unwrap();
    for node in &nodes {
        // What NOTES.txt says.
        command::run("tests/cluster/node.sh", &[&node.number.to_string(), "rm", "-r", PINS]).unwrap();
        assert!(!node.pins.exists());
    }
    wait_for_end(&programs).await;
}
