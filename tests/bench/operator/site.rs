//! The cluster as the bench needs it: definitions, the chart's roles, one service account per operator, fleets with their pods.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use fleetscope_tests::cluster::{Cluster, apply, kubectl};
use fleetscope_tests::release::{self, NAMESPACE};
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::fleets::{self, Fleet};
use crate::followed::Followed;

/// Service accounts of operators, so that the audit log tells them apart. Each process takes the next one.
const ACCOUNTS: usize = 14;

/// See the module.
pub(crate) struct Site {
    pub(crate) cluster: Cluster,
    /// All fleets.
    pub(crate) fleets: Vec<Fleet>,
    /// Pods of the fleets.
    pub(crate) pods: usize,
    /// Kinds of `fleetscope.io` of which each namespace has one.
    pub(crate) policies: Vec<&'static str>,
    /// What is seen of fleets and children.
    pub(crate) followed: Followed,
    /// Logs and kubeconfigs; it stays where an operator failed.
    pub(crate) folder: PathBuf,
    taken: AtomicUsize,
}

/// Who an operator is.
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) kubeconfig: PathBuf,
}

// === impl Account ===

impl Account {
    /// As the audit log has it.
    pub(crate) fn user(&self) -> String {
        format!("system:serviceaccount:{NAMESPACE}:{}", self.name)
    }

    /// The configuration of its client.
    pub(crate) async fn config(&self) -> Config {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig).unwrap();
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
    }
}

// === impl Site ===

impl Site {
    /// Makes it, with so many fleets.
    pub(crate) async fn open(count: usize) -> Self {
        let cluster = Cluster::connect().await.unwrap();
        let folder = std::env::temp_dir().join(format!("fleetscope-bench-operator-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        kubectl(&["apply", "--server-side", "-f", "crds"]).unwrap();
        install_monitoring();
        kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"]).unwrap();
        apply(&json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } }).to_string())
            .unwrap();
        roles();
        for number in 0..ACCOUNTS {
            account(&name(number));
            write_kubeconfig(&folder.join(name(number)), &name(number));
        }
        let policies = fleets::policies(&cluster).await;
        let (fleets, pods) = fleets::create(&cluster, count, &policies).await;
        let followed = Followed::start(&cluster);
        Self { cluster, fleets, pods, policies, followed, folder, taken: AtomicUsize::new(0) }
    }

    /// One that no process had before.
    pub(crate) fn account(&self) -> Account {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        assert!(number < ACCOUNTS, "there are {ACCOUNTS} accounts");
        Account { name: name(number), kubeconfig: self.folder.join(name(number)) }
    }

    /// Namespaces of the fleets.
    pub(crate) fn namespaces(&self) -> BTreeSet<&str> {
        self.fleets.iter().map(|fleet| fleet.namespace.as_str()).collect()
    }
}

fn name(number: usize) -> String {
    format!("bench-operator-{number}")
}

/// prometheus-operator's definitions, not the program: nobody acts on its objects.
pub(crate) fn install_monitoring() {
    let cache = std::env::var("FLEETSCOPE_CACHE").expect("FLEETSCOPE_CACHE is set: make bench-operator");
    let crds = Path::new(&cache).join("bin/prometheus-operator-crds");
    kubectl(&["apply", "--server-side", "-f", &crds.to_string_lossy()]).unwrap();
}

/// What the chart allows the operator.
fn roles() {
    let of_operator = |object: &Value| {
        let role = matches!(object["kind"].as_str(), Some("ClusterRole" | "Role"));
        role && object["metadata"]["name"] == "fleetscope-operator"
    };
    let mut roles = release::objects(&json!({})).unwrap();
    roles.retain(of_operator);
    assert_eq!(roles.len(), 2, "a role for the cluster, and one for the release's namespace");
    apply(&json!({ "apiVersion": "v1", "kind": "List", "items": roles }).to_string()).unwrap();
}

fn account(name: &str) {
    let binding = |kind: &str, role: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": { "name": name, "namespace": NAMESPACE },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": "fleetscope-operator" },
            "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": NAMESPACE }],
        })
    };
    let mut wide = binding("ClusterRoleBinding", "ClusterRole");
    wide["metadata"].as_object_mut().unwrap().remove("namespace");
    let account =
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name, "namespace": NAMESPACE } });
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": [account, wide, binding("RoleBinding", "Role")] });
    apply(&list.to_string()).unwrap();
}

fn write_kubeconfig(path: &Path, name: &str) {
    let token = kubectl(&["-n", NAMESPACE, "create", "token", name, "--duration=24h"]).unwrap();
    let own = kubectl(&["config", "view", "--raw", "--minify", "-o", "json"]).unwrap();
    let own: Value = serde_json::from_str(&own).unwrap();
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "bench",
        "clusters": [{ "name": "bench", "cluster": own["clusters"][0]["cluster"] }],
        "users": [{ "name": "bench", "user": { "token": token.trim() } }],
        "contexts": [{ "name": "bench", "context": { "cluster": "bench", "user": "bench" } }],
    });
    std::fs::write(path, config.to_string()).unwrap();
}
