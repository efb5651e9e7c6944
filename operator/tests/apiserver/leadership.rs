//! Two operators: one writes; the other takes over when that one stops, dies, or sleeps. Which of them wrote is known from the audit log,
//! where each has a name of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fleetscope_core::resources::ChildKind::ConfigMap;
use fleetscope_tests::faults::{Asked, Fault};
use fleetscope_tests::release;
use http::Method;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::server::{CANDIDATES, eventually};
use crate::world::World;

const SECOND: Duration = Duration::from_secs(1);
/// A lease lasts 15 s after its last renewal, and is looked at every 2 s.
const TAKE_OVER: Duration = Duration::from_secs(20);

/// Changes two fleets all the time, until it is aborted.
fn edits(world: &World) -> tokio::task::JoinHandle<()> {
    let fleets = world.fleets();
    tokio::spawn(async move {
        for number in 0_u64.. {
            for name in ["a", "b"] {
                let change = json!({ "spec": { "scrape": { "interval": format!("{}s", 10 + number % 40) } } });
                fleets.patch(name, &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
            }
        }
    })
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn check_08_a_lease_whose_release_fails_is_released_again() {
    let world = World::start().await;
    let stops = Arc::new(AtomicBool::new(false));
    let (stopping, mut failed) = (Arc::clone(&stops), Vec::new());
    // A leader looks at its lease only to release it: the first look fails, and the first write after that.
    let plan = move |asked: &Asked| {
        let lease = stopping.load(Ordering::Acquire) && asked.path.contains("/leases/");
        let looked = failed.contains(&Method::GET);
        let fails = lease && !failed.contains(&asked.method) && (looked || asked.method == Method::GET);
        fails.then(|| failed.push(asked.method.clone()))?;
        Some(Fault::Internal)
    };
    let proxy = world.proxy(Box::new(plan)).await;
    let first = world.operator_behind(&proxy, "first", &[]);
    first.leads(&world, TAKE_OVER).await;
    let second = world.operator_with(&world.server.kubeconfig(CANDIDATES[1]), "second", &[]);
    stops.store(true, Ordering::Release);
    first.signal("TERM");
    let took = second.leads(&world, TAKE_OVER).await;
    assert!(took < SECOND * 7, "not after {took:?}");
    assert_eq!(proxy.counts().faults.get("500"), Some(&2), "{}", first.logged());
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn check_08_a_lease_that_may_not_be_released_any_more_is_left_at_once() {
    let world = World::start().await;
    let mut operator = world.operator("one", &[]);
    operator.leads(&world, TAKE_OVER).await;
    // As `helm uninstall` does before the pod ends.
    let (removed, said) = world.server.kubectl(&["-n", release::NAMESPACE, "delete", "rolebindings", "--all"]);
    assert!(removed, "{said}");
    let refused = async || world.server.forbidden().iter().any(|uri| uri.contains("/leases/")).then_some(());
    eventually(TAKE_OVER, "a renewal to be refused", refused).await;
    operator.signal("TERM");
    let ended = async || (!operator.runs()).then_some(());
    eventually(SECOND * 15, "the operator to end", ended).await;
    assert!(operator.process.0.wait().unwrap().success(), "{}", operator.logged());
    assert_eq!(operator.logged().matches("Lease not released").count(), 1, "{}", operator.logged());
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn check_08_another_takes_over_from_a_leader_that_stops_dies_or_sleeps() {
    let world = World::start().await;
    let operator =
        |number: usize, name| world.operator_with(&world.server.kubeconfig(CANDIDATES[number - 1]), name, &[]);
    let mut first = operator(1, "first");
    first.leads(&world, TAKE_OVER).await;
    let renewals = async || {
        let requests = world.server.requests().into_iter().filter(|request| request.resource == "leases");
        let verbs: Vec<String> = requests.map(|request| request.verb).collect();
        (verbs.len() > 4).then_some(verbs)
    };
    let (verbs, _) = eventually(TAKE_OVER, "some renewals", renewals).await;
    assert_eq!(verbs[..5], ["get", "create", "update", "update", "update"], "a renewal is one request");
    let second = operator(2, "second");
    world.fleet("a", json!({})).await;
    world.child(ConfigMap, "a").await;

    first.signal("TERM");
    let took = second.leads(&world, TAKE_OVER).await;
    assert!(took < SECOND * 5, "a lease that was released is taken at once, not after {took:?}");
    let ended = async || (!first.runs()).then_some(());
    eventually(SECOND * 15, "the first to end", ended).await;
    assert!(first.process.0.wait().unwrap().success());

    let third = operator(3, "third");
    second.signal("KILL");
    third.leads(&world, TAKE_OVER).await;
    world.fleet("b", json!({})).await;
    world.child(ConfigMap, "b").await;

    let fourth = operator(4, "fourth");
    let mut third = third;
    // So that it is stopped amid its writes.
    let busy = edits(&world);
    let log = world.server.writes().len();
    let at_work = async || (world.server.writes().len() > log + 100).then_some(());
    eventually(SECOND * 30, "the third to write a hundred times", at_work).await;
    third.signal("STOP");
    fourth.leads(&world, TAKE_OVER).await;
    world.fleet("c", json!({})).await;
    world.child(ConfigMap, "c").await;
    third.signal("CONT");
    let ended = async || (!third.runs()).then_some(());
    eventually(SECOND * 15, "the one that slept to end", ended).await;
    assert!(!third.process.0.wait().unwrap().success(), "losing the lease is a failure");
    busy.abort();
    world.quiet().await;

    // One after another, by the time at which the API server had their writes: none comes back.
    let mut order: Vec<String> = world.server.written().into_iter().map(|request| request.user).collect();
    order.dedup();
    assert_eq!(order, [CANDIDATES[0], CANDIDATES[2], CANDIDATES[3]]);
}
