//! `helm uninstall` leaves nothing of what the chart made, and nothing that was made for fleets. What stays is the lease of the leader
//! election, which the operator makes itself; it goes with the namespace.

use std::time::Duration;

use fleetscope_tests::cluster::kubectl;
use fleetscope_tests::release;
use fleetscope_tests::wait::until;

use crate::scene::{Scene, rules};

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn uninstalled_release_leaves_nothing_of_the_chart_and_its_fleets() {
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
