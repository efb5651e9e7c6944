//! `helm uninstall` leaves nothing.

use fleetscope_tests::cluster::kubectl;
use fleetscope_tests::release;

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
    assert_eq!(everywhere(kinds), "");
    let fleets = fleetscope_tests::command::run_with("kubectl", &["get", "agentfleets", "-A"], "").unwrap();
    assert!(
        fleets.stderr.contains("the server doesn't have a resource type"),
        "with crds.keep=false the definitions go: {fleets:?}"
    );
}
