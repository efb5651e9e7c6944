//! Fleets, their pods, the node agents' pods, and the policies of their namespaces.

use std::time::Duration;

use fleetscope_core::api::AgentFleet;
use fleetscope_core::resources::NODE_AGENT_LABELS;
use fleetscope_tests::cluster::{Cluster, kubectl};
use fleetscope_tests::release::NAMESPACE;
use fleetscope_tests::wait::until;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::objects::{CHILDREN, each, everywhere, ours};
use crate::site::Site;

/// Fleets per namespace.
const PER_NAMESPACE: usize = 50;
/// How long it may take until what the bench made is there.
const LIMIT: Duration = Duration::from_mins(15);

/// A fleet.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Fleet {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// The policies that each namespace gets one of: those of these kinds that are installed.
pub(crate) async fn policies(cluster: &Cluster) -> Vec<&'static str> {
    let mut there = Vec::new();
    for kind in ["AlertPolicy", "ScrapePolicy"] {
        if everywhere(cluster, ("fleetscope.io", "v1alpha1", kind))
            .list_metadata(&ListParams::default().limit(1))
            .await
            .is_ok()
        {
            there.push(kind);
        }
    }
    there
}

/// The policy of a namespace. That for scraping is about the pods of each fleet, and about an agent of each on a machine outside of the cluster.
fn policy(kind: &str, fleets: &[Fleet]) -> Value {
    let outside = |fleet: &Fleet| json!({ "targets": ["192.0.2.1:9464"], "fleet": fleet.name });
    let outside: Vec<Value> = fleets.iter().map(outside).collect();
    let spec =
        if kind == "ScrapePolicy" { json!({ "pods": { "port": "metrics" }, "static": outside }) } else { json!({}) };
    json!({ "apiVersion": "fleetscope.io/v1alpha1", "kind": kind, "metadata": { "name": "all" }, "spec": spec })
}

/// Makes so many fleets, and a pod for each on the nodes that are there; they and the number of pods. Waits until all pods run.
pub(crate) async fn create(cluster: &Cluster, count: usize, policies: &[&'static str]) -> (Vec<Fleet>, usize) {
    let nodes = cluster.nodes().await.unwrap();
    assert!(!nodes.is_empty(), "there are fake nodes: make bench-operator");
    let fleets: Vec<Fleet> = (0..count)
        .map(|i| Fleet { namespace: format!("fleets-{}", i / PER_NAMESPACE), name: format!("fleet-{i}") })
        .collect();
    let client = cluster.client.clone();
    let (namespaces, policies) = (count.div_ceil(PER_NAMESPACE), policies.to_vec());
    let (made, all) = (cluster.clone(), fleets.clone());
    each(0..namespaces, move |number| {
        let own = all.chunks(PER_NAMESPACE).nth(number).expect("a namespace has fleets").to_vec();
        namespace(made.clone(), format!("fleets-{number}"), policies.clone(), own)
    })
    .await;
    // Pods are refused before their service account is there.
    for number in 0..namespaces {
        let accounts = Api::<ServiceAccount>::namespaced(client.clone(), &format!("fleets-{number}"));
        let there = async || Ok(accounts.get_opt("default").await?.is_some());
        until(LIMIT, "the namespace has its service account", there).await.unwrap();
    }
    each(nodes.clone(), {
        let client = client.clone();
        move |node| {
            let labels = NODE_AGENT_LABELS.iter().map(|(key, value)| ((*key).to_owned(), json!(value)));
            let pod = pod(&format!("node-agent-{node}"), &Value::Object(labels.collect()), &node);
            create_pod(client.clone(), NAMESPACE.to_owned(), pod)
        }
    })
    .await;
    each(fleets.clone().into_iter().enumerate(), move |(number, fleet)| {
        let (client, node) = (client.clone(), nodes[number % nodes.len()].clone());
        async move {
            let api = Api::<AgentFleet>::namespaced(client.clone(), &fleet.namespace);
            let object = json!({
                "apiVersion": "fleetscope.io/v1alpha1", "kind": "AgentFleet", "metadata": { "name": fleet.name },
                "spec": { "selector": { "matchLabels": { "app": fleet.name } } },
            });
            api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
            create_pod(client, fleet.namespace, pod(&fleet.name, &json!({ "app": fleet.name }), &node)).await;
        }
    })
    .await;
    running(cluster).await;
    (fleets, count)
}

async fn namespace(cluster: Cluster, name: String, policies: Vec<&'static str>, fleets: Vec<Fleet>) {
    let client = cluster.client.clone();
    let object = json!({ "metadata": { "name": name } });
    let object: Namespace = serde_json::from_value(object).unwrap();
    Api::<Namespace>::all(client).create(&PostParams::default(), &object).await.unwrap();
    for kind in policies {
        let api = cluster.dynamic(("fleetscope.io", "v1alpha1", kind), &name);
        let object: DynamicObject = serde_json::from_value(policy(kind, &fleets)).unwrap();
        api.create(&PostParams::default(), &object).await.unwrap();
    }
}

fn pod(name: &str, labels: &Value, node: &str) -> Pod {
    let pod = json!({
        "metadata": { "name": name, "labels": labels },
        "spec": { "nodeName": node, "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
            "containers": [{ "name": "agent", "image": "localhost/none" }] },
    });
    serde_json::from_value(pod).unwrap()
}

async fn create_pod(client: kube::Client, namespace: String, pod: Pod) {
    Api::<Pod>::namespaced(client, &namespace).create(&PostParams::default(), &pod).await.unwrap();
}

async fn running(cluster: &Cluster) {
    let pods = Api::<Pod>::all(cluster.client.clone());
    let params = ListParams::default().fields("status.phase!=Running").limit(1);
    until(LIMIT, "all pods run", async || Ok(pods.list_metadata(&params).await?.items.is_empty())).await.unwrap();
}

/// As if no operator had ever run: no children, no status.
pub(crate) async fn reset(site: &Site) {
    let all: Vec<(String, usize)> = site
        .namespaces()
        .into_iter()
        .flat_map(|namespace| (0..CHILDREN.len()).map(move |kind| (namespace.to_owned(), kind)))
        .collect();
    let cluster = site.cluster.clone();
    each(all, move |(namespace, kind)| {
        let api = cluster.dynamic(CHILDREN[kind], &namespace);
        async move {
            match api.delete_collection(&DeleteParams::default(), &ours()).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await;
    let client = site.cluster.client.clone();
    each(site.fleets.clone(), move |fleet| {
        let api = Api::<AgentFleet>::namespaced(client.clone(), &fleet.namespace);
        async move {
            let none = Patch::Merge(json!({ "status": null }));
            api.patch_status(&fleet.name, &PatchParams::default(), &none).await.unwrap();
        }
    })
    .await;
    site.followed.ready(0, LIMIT).await;
    kubectl(&["-n", NAMESPACE, "delete", "lease", "--all"]).unwrap();
}
