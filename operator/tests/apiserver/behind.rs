//! A cache that is behind: what was edited between two watches is seen, and what others did meanwhile is not written over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetscope_core::resources::ChildKind::PodMonitor;
use fleetscope_tests::faults::{Asked, Fault, Proxy};
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::server::eventually;
use crate::world::{LIMIT, NAMESPACE, World};

/// More than a page of a list of fleets.
const MANY: usize = 251;

async fn faults(proxy: &Proxy, fault: &str, count: u64) {
    let enough = async || (proxy.counts().faults.get(fault) >= Some(&count)).then_some(());
    eventually(LIMIT, &format!("{count} times {fault}"), enough).await;
}

async fn edit(world: &World, fleet: &str, value: &str) {
    world.patch(fleet, json!({ "spec": { "scrape": { "labels": { "step": value } } } })).await;
}

/// Waits until a fleet's monitor has what the last edit said.
async fn shown(world: &World, fleet: &str, value: &str) {
    let there = async || {
        let monitor = world.children(PodMonitor).get_opt(&format!("{fleet}-scrape")).await.unwrap()?;
        (monitor.labels().get("step").map(String::as_str) == Some(value)).then_some(())
    };
    eventually(LIMIT, &format!("{fleet} to have step {value}"), there).await;
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn an_edit_between_two_watches_is_seen_when_its_page_is_read() {
    let world = World::start().await;
    world.install_monitors();
    for number in 0..MANY {
        world.fleet(&format!("crew-{number:03}"), json!({})).await;
    }
    let gap = Arc::new(AtomicBool::new(false));
    let in_gap = Arc::clone(&gap);
    let mut watches = 0;
    let plan = move |asked: &Asked| {
        if !asked.path.ends_with("/agentfleets") {
            return None;
        }
        if asked.is_watch() {
            watches += 1;
            return (watches == 1).then_some(Fault::Expired(Duration::from_secs(5)));
        }
        if asked.query.contains("NotOlderThan") {
            // The versions alone cannot be had.
            return Some(Fault::Internal);
        }
        match (watches > 0, asked.query.contains("continue=")) {
            // The list after the watch: nothing of it for as long as the gap lasts, and its second page never.
            (true, false) if in_gap.load(Ordering::Acquire) => Some(Fault::Internal),
            (true, true) => Some(Fault::Silent),
            _ => None,
        }
    };
    gap.store(true, Ordering::Release);
    let proxy = world.proxy(Box::new(plan)).await;
    let _operator = world.operator_behind(&proxy, "one", &[]);
    world.condition_within(Duration::from_mins(2), "crew-000", "Ready=True NoPodsSelected").await;
    faults(&proxy, "500", 1).await;
    edit(&world, "crew-000", "1").await;
    gap.store(false, Ordering::Release);
    shown(&world, "crew-000", "1").await;
    faults(&proxy, "no answer", 1).await;
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn of_edits_between_two_watches_those_objects_alone_are_asked_for() {
    let world = World::start().await;
    world.install_monitors();
    let names = ["one", "two", "three"];
    for name in names {
        world.fleet(name, json!({})).await;
    }
    let (gap, asked_for) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(Vec::new())));
    let (in_gap, log) = (Arc::clone(&gap), Arc::clone(&asked_for));
    let mut watches = 0;
    let plan = move |asked: &Asked| {
        if !asked.path.ends_with("/agentfleets") || asked.is_write() {
            return None;
        }
        if asked.is_watch() {
            watches += 1;
            return (watches == 1).then_some(Fault::Expired(Duration::from_secs(5)));
        }
        if watches == 0 {
            return None;
        }
        // kube's client asks again for longer than the gap lasts.
        let refused = in_gap.load(Ordering::Acquire).then_some(Fault::TooManyRequests);
        if refused.is_none() {
            log.lock().unwrap().push(format!("{}?{}", asked.path, asked.query));
        }
        refused
    };
    let proxy = world.proxy(Box::new(plan)).await;
    let _operator = world.operator_behind(&proxy, "one", &[]);
    for name in names {
        world.condition(name, "Ready=True NoPodsSelected").await;
    }
    faults(&proxy, "429", 1).await;
    edit(&world, "two", "1").await;
    gap.store(false, Ordering::Release);
    shown(&world, "two", "1").await;
    let asked = asked_for.lock().unwrap().clone();
    // A status that was written when the watch had ended is asked for as well.
    let (first, others) = asked.split_first().unwrap();
    assert!(first.contains("resourceVersionMatch=NotOlderThan") && !first.contains("limit="), "{asked:?}");
    let one = |name: &str| format!("/namespaces/{NAMESPACE}/agentfleets?&fieldSelector=metadata.name%3D{name}");
    assert!(others.iter().any(|path| path.ends_with(&one("two"))), "{asked:?}");
    assert!(others.iter().all(|path| names.iter().any(|name| path.ends_with(&one(name)))), "{asked:?}");
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn what_others_did_behind_the_cache_is_not_written_over() {
    let world = World::start().await;
    world.install_monitors();
    let names = ["deleted", "taken", "changed", "same"];
    for name in names {
        world.fleet(name, json!({})).await;
    }
    let mut watches = 0;
    let plan = move |asked: &Asked| {
        let monitors = asked.is_watch() && asked.path.ends_with("/podmonitors");
        watches += u32::from(monitors);
        monitors.then_some(match watches {
            1 => Fault::Expired(Duration::from_secs(5)),
            _ => Fault::Held(Duration::from_hours(1)),
        })
    };
    let proxy = world.proxy(Box::new(plan)).await;
    let _operator = world.operator_behind(&proxy, "one", &[]);
    for name in names {
        world.condition(name, "Ready=True NoPodsSelected").await;
    }
    faults(&proxy, "held back", 1).await;

    let api = world.children(PodMonitor);
    let deleted = api.get("deleted-scrape").await.unwrap().uid();
    world.delete(PodMonitor, "deleted").await;
    let owner = json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x", "controller": true }]);
    for (name, metadata) in [
        ("taken-scrape", json!({ "ownerReferences": owner })),
        ("changed-scrape", json!({ "labels": { "step": "theirs" } })),
    ] {
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        api.patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    for name in names {
        edit(&world, name, "1").await;
    }
    for name in ["deleted", "changed", "same"] {
        shown(&world, name, "1").await;
    }
    world.condition("taken", "Programmed=False NameConflict").await;
    let taken = api.get("taken-scrape").await.unwrap();
    assert_eq!((taken.owner_references()[0].kind.as_str(), taken.labels().get("step")), ("ConfigMap", None));
    assert_ne!(api.get("deleted-scrape").await.unwrap().uid(), deleted);

    // The one that nobody touched cost one request, without a look before.
    let requests = world.server.requests();
    let of_same: Vec<&str> =
        requests.iter().filter(|r| r.name == "same-scrape").map(|request| request.verb.as_str()).collect();
    assert_eq!(of_same, ["get", "patch", "patch"]);
}
