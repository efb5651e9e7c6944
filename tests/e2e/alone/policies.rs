//! Each kind of ours as its users meet it: it becomes Ready, `kubectl explain` tells its fields, and its samples are taken by the
//! kinds of prometheus-operator.

use std::path::Path;

use fleetscope_tests::cluster::kubectl;
use fleetscope_tests::command;

use crate::scene::Scene;

/// Samples that need nothing but what is in the cluster: they name no Secret.
const SAMPLES: [(&str, &str); 5] = [
    ("minimal.yaml", "agentfleet/minimal"),
    ("scrape-policy-minimal.yaml", "scrapepolicy/own-metrics"),
    ("alert-policy-everything.yaml", "alertpolicy/everything"),
    ("cluster-alert-policy-everything.yaml", "clusteralertpolicy/everything"),
    ("model-price-list.yaml", "modelpricelist/list-prices"),
];

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn each_kind_becomes_ready_and_explains_itself() {
    let scene = Scene::open("kinds").await;
    for (file, object) in SAMPLES {
        let path = command::root().join("tests/samples").join(file);
        apply(&path, scene.namespace());
        let wait = ["wait", "--for=condition=Ready", "--timeout=30s", object, "-n", scene.namespace()];
        if let Err(error) = kubectl(&wait) {
            let shown = kubectl(&["get", object, "-n", scene.namespace(), "-o", "yaml"]).unwrap_or_default();
            panic!("{error:#}\n{shown}");
        }
    }
    for (path, says) in [
        ("agentfleet.spec.profile", "profile"),
        ("scrapepolicy.spec.limits.samples", "Default 50000"),
        ("alertpolicy.spec.slos.objective", "percent"),
        ("clusteralertpolicy.spec.enforced", "namespace"),
        ("modelpricelist.spec.models.perMillion.cacheRead", "cache"),
    ] {
        let text = kubectl(&["explain", path]).unwrap();
        assert!(text.contains(says), "{path}: {text}");
    }
    for (_, object) in SAMPLES {
        kubectl(&["delete", object, "-n", scene.namespace()]).unwrap();
    }
}

fn apply(path: &Path, namespace: &str) {
    kubectl(&["apply", "-n", namespace, "-f", &path.to_string_lossy()]).unwrap();
}
