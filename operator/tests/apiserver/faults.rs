//! An API server in trouble: answers of 429, 500, 409, none at all, or lost; watches that end with 410 Gone or lag behind. Every fleet gets
//! Ready all the same, nothing is written twice, and a fleet that never succeeds is in nobody's way.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetscope_core::api::AgentFleet;
use fleetscope_core::resources::ChildKind::PodMonitor;
use fleetscope_tests::faults::{Asked, Fault, Gate, Watches, seeded};
use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::server::eventually;
use crate::world::{LIMIT, NAMESPACE, World};

/// Where several tries in a row may fail, with waits that double.
const PATIENT: Duration = Duration::from_mins(3);
/// What a fleet without pods comes to.
const READY: &str = "Ready=True NoPodsSelected";
/// How long watches of the monitors live that end with 410 Gone, one after the other, in milliseconds.
const LIVES: [u64; 5] = [0, 20, 100, 500, 2_000];

async fn fleets(world: &World, prefix: &str, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|number| format!("{prefix}-{number}")).collect();
    for name in &names {
        world.fleet(name, json!({})).await;
    }
    names
}

async fn ready(world: &World, names: &[String]) {
    for name in names {
        world.condition_within(PATIENT, name, READY).await;
    }
}

/// Gives a fleet's monitor a label by an edit of the fleet, and waits until it has it.
async fn labelled(world: &World, name: &str, value: &str) {
    world.patch(name, json!({ "spec": { "scrape": { "labels": { "step": value } } } })).await;
    let there = async || {
        let monitor = world.children(PodMonitor).get(&format!("{name}-scrape")).await.unwrap();
        (monitor.labels().get("step").map(String::as_str) == Some(value)).then_some(())
    };
    eventually(LIMIT, &format!("{name} to have step {value}"), there).await;
}

/// How often each monitor was written.
fn monitors(world: &World) -> BTreeMap<String, usize> {
    let written = world.server.written();
    let mut counts = BTreeMap::new();
    for write in written.iter().filter(|write| write.resource == "podmonitors" && matches!(write.code, 200 | 201)) {
        *counts.entry(write.name.clone()).or_default() += 1;
    }
    counts
}

fn each_once(names: &[String]) -> BTreeMap<String, usize> {
    names.iter().map(|name| (format!("{name}-scrape"), 1)).collect()
}

/// The conditions of each fleet, as they were one after another, without times.
#[derive(Clone, Default)]
struct History(Arc<Mutex<HashMap<String, Vec<Value>>>>);

// === impl History ===

impl History {
    /// Follows all fleets from now on.
    fn follow(world: &World) -> Self {
        let history = Self::default();
        let (kept, fleets) = (history.clone(), world.fleets());
        tokio::spawn(async move {
            let mut events = std::pin::pin!(watcher::watcher(fleets, watcher::Config::default()));
            while let Some(event) = events.next().await {
                if let Ok(Event::Apply(fleet) | Event::InitApply(fleet)) = event {
                    kept.note(&fleet);
                }
            }
        });
        history
    }

    fn note(&self, fleet: &AgentFleet) {
        let mut status = serde_json::to_value(&fleet.status).unwrap();
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            condition.as_object_mut().unwrap().remove("lastTransitionTime");
        }
        // The spec too: that a user edits it is a new version without a new status.
        let version = json!([fleet.metadata.generation, status]);
        self.0.lock().unwrap().entry(fleet.name_any()).or_default().push(version);
    }

    /// Fleets that have seen a version which was the one before once more.
    fn repeated(&self) -> BTreeSet<String> {
        let seen = self.0.lock().unwrap();
        assert!(!seen.is_empty(), "the watch of this test works");
        let again = |versions: &[Value]| versions.windows(2).any(|pair| pair[0] == pair[1]);
        seen.iter().filter(|(_, versions)| again(versions)).map(|(name, _)| name.clone()).collect()
    }
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn check_13_all_get_ready_and_nothing_is_written_twice_while_one_request_in_ten_fails() {
    let world = World::start().await;
    world.install_monitors();
    let history = History::follow(&world);
    let proxy = world.proxy(seeded(20_261_126, 10, Watches::AllExpire)).await;
    let mut operator = world.operator_behind(&proxy, "one", &[]);
    let names = fleets(&world, "crew", 40).await;
    ready(&world, &names).await;
    assert_eq!(monitors(&world), each_once(&names));
    assert_eq!(history.repeated(), BTreeSet::new());
    assert!(operator.runs(), "it never restarts");
    let counts = proxy.counts();
    for fault in ["409", "429", "500", "closed", "done, 500", "done, closed"] {
        assert!(counts.faults.contains_key(fault), "{fault} is among {counts:?}");
    }
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn a_write_whose_answer_is_lost_is_not_written_again() {
    let world = World::start().await;
    world.install_monitors();
    let history = History::follow(&world);
    let mut lost = BTreeMap::new();
    let first_of_each = move |asked: &Asked| {
        if !asked.is_write() || !(asked.path.contains("/podmonitors/") || asked.path.ends_with("/status")) {
            return None;
        }
        let (count, times) = (lost.len(), lost.entry(asked.path.clone()).or_insert(0));
        *times += 1;
        (*times == 1).then_some(if count % 2 == 0 { Fault::DoneInternal } else { Fault::DoneClosed })
    };
    let proxy = world.proxy(Box::new(first_of_each)).await;
    let _operator = world.operator_behind(&proxy, "one", &[]);
    let names = fleets(&world, "crew", 10).await;
    ready(&world, &names).await;
    world.quiet().await;
    assert_eq!(monitors(&world), each_once(&names));
    assert_eq!(history.repeated(), BTreeSet::new());
    let faults = proxy.counts().faults;
    assert_eq!(faults.values().sum::<u64>(), 20, "of each monitor and each status: {faults:?}");
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn a_status_whose_answer_is_lost_is_told_with_the_same_times_again() {
    let world = World::start().await;
    world.install_monitors();
    let names = fleets(&world, "crew", 1).await;
    let history = History::follow(&world);
    let (mut tries, behind) = (0, Duration::from_secs(20));
    // Tries in more than one second, for times are told in seconds, and nothing comes by the watch meanwhile.
    let lost = move |asked: &Asked| {
        if asked.is_watch() {
            return asked.path.ends_with("/agentfleets").then_some(Fault::Held(behind));
        }
        tries += usize::from(asked.is_write() && asked.path.ends_with("/status"));
        (asked.is_write() && asked.path.ends_with("/status") && tries <= 5).then_some(Fault::DoneInternal)
    };
    let proxy = world.proxy(Box::new(lost)).await;
    let _operator = world.operator_behind(&proxy, "one", &[]);
    ready(&world, &names).await;
    let all_lost = async || (proxy.counts().faults.get("done, 500") == Some(&5)).then_some(());
    eventually(PATIENT, "five answers to be lost", all_lost).await;
    world.quiet().await;
    assert_eq!(history.repeated(), BTreeSet::new());
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn a_status_that_the_watch_shows_during_the_next_try_is_told_with_the_same_times_again() {
    let world = World::start().await;
    world.install_monitors();
    fleets(&world, "crew", 1).await;
    let history = History::follow(&world);
    let (gate, mut written) = (Gate::shut(), 0);
    // Statuses are lost, and the watch of the fleets is mute, until the monitor is written once more. Then it speaks, while that write takes seconds.
    let plan = move |asked: &Asked| {
        if asked.is_watch() {
            return asked.path.ends_with("/agentfleets").then(|| Fault::Barred(gate.clone()));
        }
        let monitor = asked.is_write() && asked.path.contains("/podmonitors/");
        written += usize::from(monitor);
        if monitor && written == 2 {
            gate.open();
            return Some(Fault::Held(Duration::from_secs(3)));
        }
        (asked.is_write() && asked.path.ends_with("/status") && written < 2).then_some(Fault::DoneInternal)
    };
    let proxy = world.proxy(Box::new(plan)).await;
    let _operator = world.operator_behind(&proxy, "one", &[]);
    let lost = async || (proxy.counts().faults.get("done, 500") >= Some(&1)).then_some(());
    eventually(PATIENT, "the answer of a status to be lost", lost).await;
    world.delete(PodMonitor, "crew-0").await;
    let told = async || {
        let written = world.server.written();
        let mut written = written.iter().filter(|write| matches!(write.code, 200 | 201));
        written.by_ref().filter(|write| write.resource == "podmonitors" && write.verb == "patch").nth(1)?;
        written.find(|write| write.resource == "agentfleets/status").map(|_| ())
    };
    eventually(LIMIT, "the status to be told after the deleted monitor was made again", told).await;
    world.quiet().await;
    assert_eq!(history.repeated(), BTreeSet::new());
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn a_fleet_that_never_succeeds_is_in_nobodys_way() {
    const OTHERS: usize = 40;
    let world = World::start().await;
    world.install_monitors();
    let (order, broken) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(true)));
    let (noted, breaks) = (Arc::clone(&order), Arc::clone(&broken));
    let plan = move |asked: &Asked| {
        let (_, name) = asked.path.rsplit_once("/podmonitors/").filter(|_| asked.is_write())?;
        let stuck = name == "stuck-scrape";
        noted.lock().unwrap().push(stuck);
        (stuck && breaks.load(Ordering::Acquire)).then_some(Fault::Internal)
    };
    let proxy = world.proxy(Box::new(plan)).await;
    // One place for all: whoever stands in it holds up everybody.
    let _operator = world.operator_behind(&proxy, "one", &["--concurrency=1"]);
    let names = fleets(&world, "other", OTHERS).await;
    ready(&world, &names).await;
    world.fleet("stuck", json!({})).await;
    world.condition("stuck", "Programmed=False PartiallyApplied").await;
    world.quiet().await;
    order.lock().unwrap().clear();
    for name in &names {
        labelled(&world, name, "1").await;
    }
    // By order: between two tries of the stuck one others have their turns, more of them each time, as its waits grow. (They are edited, not made:
    // a fleet that is new in a namespace makes its neighbours look again, whether they wait or not.)
    let all = order.lock().unwrap().clone();
    let fleet = world.condition("stuck", "Ready=False NotProgrammed").await;
    let from = all.iter().position(|stuck| !stuck).expect("others were written");
    let tries = all[from..].iter().filter(|stuck| **stuck).count();
    assert!(tries < OTHERS / 2, "{tries} tries of one fleet while {OTHERS} others had theirs");
    let twice = names.iter().map(|name| (format!("{name}-scrape"), 2)).collect();
    assert_eq!(monitors(&world), twice);
    assert_eq!(fleet.status.unwrap().scrape, None);

    broken.store(false, Ordering::Release);
    world.condition_within(PATIENT, "stuck", READY).await;
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn a_status_that_is_not_answered_keeps_nobody_from_its_objects() {
    let world = World::start().await;
    world.install_monitors();
    let (gate, statuses) = (Gate::shut(), Arc::<Mutex<Vec<String>>>::default());
    let (barred, tried) = (gate.clone(), Arc::clone(&statuses));
    let plan = move |asked: &Asked| {
        let fleet = asked.path.strip_suffix("/status").filter(|_| asked.is_write())?;
        tried.lock().unwrap().push(fleet.rsplit('/').next().unwrap_or_default().to_owned());
        Some(Fault::Barred(barred.clone()))
    };
    let proxy = world.proxy(Box::new(plan)).await;
    // One place for work, and one for statuses.
    let _operator = world.operator_behind(&proxy, "one", &["--concurrency=1"]);
    let names = fleets(&world, "crew", 6).await;
    for name in &names {
        world.child(PodMonitor, name).await;
    }
    // One is waited for, and given up after 5 s. With a place in common each monitor but the first comes after another one.
    let tried = statuses.lock().unwrap().clone();
    assert!(tried.len() <= 2, "{tried:?} were tried to be told before the last monitor was there");
    // Nor do they keep an object from itself: what is not told yet, and does not hold any more, does not need to be.
    let waits = names.iter().find(|name| !tried.contains(name)).expect("some wait");
    labelled(&world, waits, "edited").await;
    let tried = statuses.lock().unwrap().clone();
    assert!(tried.len() <= 3, "{tried:?} were tried to be told before an edit of {waits} was there");
    gate.open();
    ready(&world, &names).await;
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn silence_takes_no_place_for_ever() {
    let world = World::start().await;
    world.install_monitors();
    let silent = Arc::new(AtomicBool::new(true));
    let is_silent = Arc::clone(&silent);
    let plan = move |asked: &Asked| {
        let mute = asked.path.contains("/podmonitors/mute-") && is_silent.load(Ordering::Acquire);
        mute.then_some(Fault::Silent)
    };
    let proxy = world.proxy(Box::new(plan)).await;
    let _operator = world.operator_behind(&proxy, "one", &["--concurrency=2"]);
    let mute = fleets(&world, "mute", 4).await;
    let begun = async || (proxy.counts().faults.get("no answer") >= Some(&2)).then_some(());
    eventually(LIMIT, "both places to be taken", begun).await;
    let names = fleets(&world, "other", 4).await;
    ready(&world, &names).await;
    assert_eq!(monitors(&world), each_once(&names));
    silent.store(false, Ordering::Release);
    ready(&world, &mute).await;
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn check_13_watches_that_end_with_gone_miss_nothing_and_repeat_nothing() {
    let world = World::start().await;
    world.install_monitors();
    let opened = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&opened);
    let gone = move |asked: &Asked| {
        let of_monitors = asked.is_watch() && asked.path.ends_with("/podmonitors");
        let life = if of_monitors { LIVES[counts.fetch_add(1, Ordering::AcqRel) % LIVES.len()] } else { 2_000 };
        asked.is_watch().then_some(Fault::Expired(Duration::from_millis(life)))
    };
    let proxy = world.proxy(Box::new(gone)).await;
    let mut operator = world.operator_behind(&proxy, "one", &[]);
    let names = fleets(&world, "crew", 5).await;
    ready(&world, &names).await;
    // Each is deleted when a watch begins, of which each has another life before it.
    for name in &names {
        let (api, before) = (world.children(PodMonitor), opened.load(Ordering::Acquire));
        let begun = async || (opened.load(Ordering::Acquire) > before).then_some(());
        eventually(LIMIT, "a watch of the monitors to begin", begun).await;
        let before = api.get(&format!("{name}-scrape")).await.unwrap().uid();
        world.delete(PodMonitor, name).await;
        let again = async || {
            let monitor = api.get_opt(&format!("{name}-scrape")).await.unwrap()?;
            (monitor.uid() != before).then_some(())
        };
        eventually(LIMIT, &format!("{name} to have a monitor again"), again).await;
    }
    world.quiet().await;
    let twice = names.iter().map(|name| (format!("{name}-scrape"), 2)).collect();
    assert_eq!(monitors(&world), twice);
    assert!(proxy.counts().faults["410 in a watch"] > 5);
    assert!(operator.runs(), "it never restarts");
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn check_13_a_watch_that_lags_makes_nothing_be_written_twice() {
    let world = World::start().await;
    world.install_monitors();
    let held = |asked: &Asked| {
        (asked.is_watch() && asked.path.ends_with("/podmonitors")).then_some(Fault::Held(Duration::from_secs(8)))
    };
    let proxy = world.proxy(Box::new(held)).await;
    // Looked at every second too, by what the watch has shown: nothing yet.
    let _operator = world.operator_behind(&proxy, "one", &["--resync=1s"]);
    let names = fleets(&world, "crew", 3).await;
    ready(&world, &names).await;
    for name in &names {
        labelled(&world, name, "1").await;
        labelled(&world, name, "2").await;
    }
    let (begun, writes) = (proxy.counts().requests, monitors(&world));
    // The watch speaks, and what it says is old news.
    let looked = async || (proxy.counts().requests >= begun + 2).then_some(());
    eventually(LIMIT, "some renewals of the lease", looked).await;
    let thrice: BTreeMap<String, usize> = names.iter().map(|name| (format!("{name}-scrape"), 3)).collect();
    assert_eq!(writes, thrice);
    world.quiet().await;
    assert_eq!(monitors(&world), thrice);
    world.delete(PodMonitor, &names[0]).await;
    let back = async || (monitors(&world).get(&format!("{}-scrape", names[0])) == Some(&4)).then_some(());
    eventually(LIMIT, "the deleted one to be made again", back).await;
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn check_08_a_leader_goes_on_after_conflicts_at_its_lease_and_an_outage_that_is_shorter_than_it() {
    let world = World::start().await;
    world.install_monitors();
    let outage = Arc::new(AtomicBool::new(false));
    let (is_out, mut renewals) = (Arc::clone(&outage), 0);
    let plan = move |asked: &Asked| {
        if is_out.load(Ordering::Acquire) {
            return Some(Fault::Internal);
        }
        if !(asked.is_write() && asked.path.contains("/leases/")) {
            return None;
        }
        renewals += 1;
        (renewals % 2 == 0).then_some(Fault::Conflict)
    };
    let proxy = world.proxy(Box::new(plan)).await;
    let mut operator = world.operator_behind(&proxy, "one", &[]);
    world.fleet("warm", json!({})).await;
    world.condition("warm", READY).await;
    let conflicts = async || (proxy.counts().faults.get("409") >= Some(&3)).then_some(());
    eventually(LIMIT, "three conflicts at the lease", conflicts).await;

    outage.store(true, Ordering::Release);
    let names = fleets(&world, "crew", 5).await;
    let refused = async || (proxy.counts().faults.get("500") >= Some(&5)).then_some(());
    eventually(LIMIT, "five requests to fail", refused).await;
    outage.store(false, Ordering::Release);
    ready(&world, &names).await;
    assert!(operator.runs(), "it never restarts");
    let leases = Api::<Lease>::namespaced(world.client.clone(), "fleetscope-system");
    let spec = leases.get("fleetscope-operator").await.unwrap().spec.unwrap();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("one"), Some(0)));
    assert!(monitors(&world).contains_key("warm-scrape"), "in {NAMESPACE}");
}
