//! Calls of gRPC between pods: counted exactly on both ends, with the durations that the server's own clock says.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetscope_tests::exposition::{self, Sample};
use fleetscope_tests::peers::{self, Account, BOUNDS, Role};
use fleetscope_tests::wait::{eventually, until};
use fleetscope_tests::{prometheus, workload};
use serde_json::json;

use crate::scene::{FLEET, Scene, lost};

/// Calls of each kind that each client makes, and their kinds.
const CALLS: u64 = 340;
const KINDS: u64 = 4;
/// Calls that pods served.
pub(crate) const SERVER: &str = "rpc_server_call_duration_seconds";
/// Calls that pods made.
pub(crate) const CLIENT: &str = "rpc_client_call_duration_seconds";

/// What the pods of a scene say that they did, the clients together.
struct Truth {
    server: Account,
    clients: BTreeMap<(String, String), u64>,
}

/// A server in one pod and clients in two more, on other nodes where there are some.
async fn conversation(scene: &Scene, image: &str) -> Truth {
    let nodes = scene.cluster.nodes().await.unwrap();
    let node = |number: usize| Some(&*nodes[number % nodes.len()]);
    let settle = (2 * KINDS * CALLS).to_string();
    peer(scene, image, "server", &["server", "--listen", "0.0.0.0:50051", "--settle", &settle], node(0)).await;
    let limit = Duration::from_mins(1);
    let (address, _) = eventually(limit, "the server has an address", async || {
        let pods = scene.cluster.pods(scene.namespace(), "").await?;
        let running = |pod: &k8s_openapi::api::core::v1::Pod| {
            let status = pod.status.clone()?;
            (status.phase.as_deref() == Some("Running")).then_some(status.pod_ip).flatten()
        };
        Ok(pods.iter().find_map(running))
    })
    .await
    .unwrap();
    let target = format!("{address}:50051");
    let calls = CALLS.to_string();
    for number in 0..2 {
        let arguments = [
            ["client", "--target", &target, "--settle", "--kind"],
            ["unary,client,server,bidi", "--calls", &calls, "--concurrency", "8"],
            ["--connections", "2", "--status", "mix", "--messages"],
            ["3", "--bytes", "200", "--delay-ms", "7"],
        ]
        .concat();
        peer(scene, image, &format!("client-{number}"), &arguments, node(number + 1)).await;
    }
    let logs = workload::logs(&scene.cluster, scene.namespace(), 3, Duration::from_mins(3)).await.unwrap();
    let mut truth = Truth { server: Account::new(), clients: BTreeMap::new() };
    for log in logs {
        for (key, calls) in peers::parse(log.lines()).unwrap() {
            if key.0 == Role::Server {
                truth.server.insert(key, calls);
            } else {
                *truth.clients.entry((key.1, key.2)).or_default() += calls.count;
            }
        }
    }
    truth
}

async fn peer(scene: &Scene, image: &str, name: &str, arguments: &[&str], node: Option<&str>) {
    let mut spec = workload::pod_spec(image, arguments);
    if let Some(node) = node {
        spec["nodeName"] = node.into();
    }
    workload::start(&scene.cluster, scene.namespace(), name, spec).await.unwrap();
}

/// The peer's image; none where the peer is not built, which is then said.
pub(crate) fn image(test: &str) -> Option<String> {
    match peers::image(peers::Language::Go) {
        Ok(image) => Some(image),
        Err(reason) => {
            fleetscope_tests::skip::skip(test, &format!("{reason:#}"));
            None
        }
    }
}

/// Counts of a histogram by method and status.
pub(crate) fn counts(samples: &[Sample], metric: &str) -> BTreeMap<(String, String), u64> {
    let by = exposition::sum_by(samples, &format!("{metric}_count"), &["rpc_method", "rpc_status_code"]);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are whole and small")]
    let whole = |count: f64| count as u64;
    by.into_iter().map(|(labels, count)| ((labels[0].clone(), labels[1].clone()), whole(count))).collect()
}

/// In which bucket of the server's own histogram a method's quantile lies.
fn bucket_of(server: &Account, method: &str, quantile: f64) -> usize {
    let mut sum = [0_u64; BOUNDS.len() + 1];
    for ((_, name, _), calls) in server {
        if name == method {
            sum.iter_mut().zip(calls.buckets).for_each(|(sum, count)| *sum += count);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "hundreds of calls")]
    let rank = quantile * sum.iter().sum::<u64>() as f64;
    let mut seen = 0.0;
    let reached = |count: &u64| {
        #[expect(clippy::cast_precision_loss, reason = "hundreds of calls")]
        let count = *count as f64;
        seen += count;
        seen >= rank
    };
    sum.iter().position(reached).unwrap()
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn calls_between_pods_have_the_counts_and_quantiles_of_the_peers_own_accounts() {
    let Some(image) = image("alone::grpc::calls_between_pods_have_the_counts_and_quantiles_of_the_peers_own_accounts")
    else {
        return;
    };
    let scene = Scene::open("grpc").await;
    scene.fleet(json!({"unmatched": "Ignore"})).await;
    let lost_before = lost(&scene.cluster).await;
    let truth = conversation(&scene, &image).await;
    let server = peers::counts(&truth.server);
    assert_eq!(server.values().sum::<u64>(), 2 * KINDS * CALLS);
    assert_eq!(server.len(), 4 * 17, "four methods, each with every status: {server:?}");
    assert_eq!(server, truth.clients, "both ends say the same");

    let samples = scene
        .scraped(Duration::from_secs(20), "both ends of every call are counted", |samples| {
            counts(samples, SERVER) == server && counts(samples, CLIENT) == server
        })
        .await;
    assert_eq!(exposition::sum(&samples, "fleetscope_rpc_calls_in_flight", &[]).to_string(), "0");
    let pods = exposition::sum_by(&samples, &format!("{SERVER}_count"), &["pod"]);
    assert_eq!(pods.into_keys().collect::<Vec<_>>(), [["server"]]);
    let pods = exposition::sum_by(&samples, &format!("{CLIENT}_count"), &["pod"]);
    assert_eq!(pods.into_keys().collect::<Vec<_>>(), [["client-0"], ["client-1"]]);
    assert_eq!(lost(&scene.cluster).await.to_string(), lost_before.to_string());

    // The same from Prometheus, as a user asks for it.
    let of = format!("{{namespace={:?}, fleet={FLEET:?}}}", scene.namespace());
    let total = format!("sum({SERVER}_count{of})");
    until(Duration::from_mins(1), "Prometheus has all calls", async || {
        let found = prometheus::query(&scene.cluster, &total).await?;
        Ok(found.first().is_some_and(|sample| sample.value.to_string() == (2 * KINDS * CALLS).to_string()))
    })
    .await
    .unwrap();
    for quantile in [0.5, 0.99] {
        let query = format!("histogram_quantile({quantile}, sum by (le, rpc_method) ({SERVER}_bucket{of}))");
        let found = prometheus::query(&scene.cluster, &query).await.unwrap();
        assert_eq!(found.len(), 4, "{query}: {found:?}");
        for sample in found {
            let method = &sample.labels["rpc_method"];
            let own = bucket_of(&truth.server, method, quantile);
            let measured = BOUNDS.iter().position(|bound| sample.value <= *bound).unwrap_or(BOUNDS.len());
            println!("{method} p{quantile}: {} s, in bucket {measured}; the server's own in {own}", sample.value);
            assert!(measured.abs_diff(own) <= 1, "{method} p{quantile}: bucket {measured}, the server's own {own}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn a_fleet_may_leave_methods_out_cap_them_or_switch_calls_off() {
    let Some(image) = image("alone::grpc::a_fleet_may_leave_methods_out_cap_them_or_switch_calls_off") else { return };
    let scene = Scene::open("grpc-spec").await;
    scene.fleet(json!({"unmatched": "Ignore"})).await;
    scene.patch_fleet(json!({"grpc": {"excludeMethods": ["*/Bidi"], "maxMethods": 2}})).await;
    let truth = conversation(&scene, &image).await;
    let of = |method: &str| {
        let of_method = truth.clients.iter().filter(|((name, _), _)| name.ends_with(method));
        of_method.map(|(_, count)| count).sum::<u64>()
    };
    let wanted = 2 * KINDS * CALLS - of("/Bidi");
    let samples = scene
        .scraped(Duration::from_secs(20), "all calls but those of Bidi are counted", |samples| {
            counts(samples, SERVER).values().sum::<u64>() == wanted
        })
        .await;
    let methods = exposition::sum_by(&samples, &format!("{SERVER}_count"), &["rpc_method"]);
    assert_eq!(methods.len(), 3, "two by name and _OTHER: {methods:?}");
    assert!(methods.contains_key(&vec!["_OTHER".to_owned()]), "{methods:?}");

    scene.patch_fleet(json!({"grpc": {"enabled": false}})).await;
    scene
        .scraped(Duration::from_secs(20), "a fleet without calls has no series of them", |samples| {
            samples.iter().all(|sample| !sample.name.starts_with("rpc_"))
        })
        .await;
}
