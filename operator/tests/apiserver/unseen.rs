//! Kinds that are installed and cannot be seen: their lists are refused or fail, or another version of them is served. They count as installed, what
//! is in place stays, the status says what to do, and nobody else is held up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fleetscope_core::resources::ChildKind::{self, ConfigMap, PodMonitor, PrometheusRule, ServiceMonitor};
use fleetscope_operator::owner::OwnerKind::{self, AgentFleet, AlertPolicy, ScrapePolicy};
use fleetscope_tests::faults::{Asked, Fault};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::operator::Operator;
use crate::server::eventually;
use crate::world::{LIMIT, NAMESPACE, World};

/// The version that is served in place of the one that we speak.
const OTHER: &str = "v9";

/// An object of the cluster's own, by its plural name.
fn everywhere(world: &World, group: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural);
    Api::all_with(world.client.clone(), &resource)
}

/// Whether the operator's role lets it see the objects of these kinds.
async fn allow(world: &World, plurals: &[&str], allowed: bool) {
    let api = everywhere(world, "rbac.authorization.k8s.io", "ClusterRole", "clusterroles");
    let mut rules = api.get("fleetscope-operator").await.unwrap().data["rules"].clone();
    for rule in rules.as_array_mut().unwrap() {
        let resources = rule["resources"].as_array_mut().unwrap();
        if resources.contains(&json!("servicemonitors")) {
            resources.retain(|resource| !plurals.iter().any(|plural| resource == plural));
            resources.extend(plurals.iter().filter(|_| allowed).map(|plural| json!(plural)));
        }
    }
    let patch = Patch::Merge(json!({ "rules": rules }));
    api.patch("fleetscope-operator", &PatchParams::default(), &patch).await.unwrap();
}

/// Serves our version of a kind beside another one, or the other one alone.
async fn serve(world: &World, definition: &str, ours: bool) {
    let definitions =
        everywhere(world, "apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions");
    let mut own = definitions.get(definition).await.unwrap().data["spec"]["versions"][0].clone();
    let mut other = own.clone();
    own["served"] = json!(ours);
    (other["name"], other["storage"], other["served"]) = (json!(OTHER), json!(false), json!(true));
    let patch = Patch::Merge(json!({ "spec": { "versions": [own, other] } }));
    definitions.patch(definition, &PatchParams::default(), &patch).await.unwrap();
    let (plural, group) = definition.split_once('.').unwrap();
    let gvk = GroupVersionKind::gvk(group, own["name"].as_str().unwrap(), "");
    let objects =
        Api::<DynamicObject>::all_with(world.client.clone(), &ApiResource::from_gvk_with_plural(&gvk, plural));
    let turned = async || (objects.list(&ListParams::default()).await.is_ok() == ours).then_some(());
    eventually(LIMIT, &format!("{definition} to be served so"), turned).await;
}

/// Objects of a kind of prometheus-operator, by the version that is served in its place.
fn by_other_version(world: &World, kind: ChildKind) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk(kind.group(), OTHER, kind.as_str());
    Api::namespaced_with(world.client.clone(), NAMESPACE, &ApiResource::from_gvk_with_plural(&gvk, kind.plural()))
}

/// What `Programmed` says.
fn told(object: &DynamicObject) -> String {
    let conditions = object.data["status"]["conditions"].as_array().unwrap();
    let programmed = conditions.iter().find(|condition| condition["type"] == "Programmed").unwrap();
    programmed["message"].as_str().unwrap().to_owned()
}

async fn absent(world: &World, kind: ChildKind, name: &str) {
    assert_eq!(world.children(kind).get_opt(name).await.unwrap(), None, "{} {name}", kind.as_str());
}

/// Ends an operator, and starts the next.
fn again(world: &World, before: &Operator, name: &str) -> Operator {
    before.signal("TERM");
    world.operator(name, &[])
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn a_kind_that_may_not_be_listed_gets_no_stand_in_and_what_was_made_stays() {
    let world = World::start().await;
    world.install_children();
    let operator = world.operator("one", &[]);
    world.fleet("review", json!({})).await;
    world.fleet("other", json!({ "output": "ServiceMonitor" })).await;
    let ready = "Programmed=True Applied";
    world.condition("review", ready).await;
    world.condition("other", ready).await;
    let (made, _) = world.child(PodMonitor, "review").await;

    allow(&world, &["podmonitors"], false).await;
    let _operator = again(&world, &operator, "two");
    let fleet = world.condition_of(AgentFleet, "review", "Programmed=False PartiallyApplied", LIMIT).await;
    let said = told(&fleet);
    assert!(said.contains("failed to apply PodMonitor review-scrape: its objects cannot be watched"), "{said}");
    assert!(said.contains("(403 Forbidden): give the operator's role the verbs list and watch"), "{said}");
    assert!(said.contains("in place: PodMonitor review-scrape"), "{said}");
    // Nobody else waits for it, or hears of it.
    world.fleet("late", json!({ "output": "ServiceMonitor" })).await;
    world.condition("late", ready).await;
    world.condition("other", ready).await;
    absent(&world, ServiceMonitor, "review-scrape").await;
    // What cannot be removed gets no successor: both would be scraped.
    world.patch("review", json!({ "spec": { "scrape": { "output": "ServiceMonitor" } } })).await;
    let deletes = async || {
        let fleet = world.owners(AgentFleet).get("review").await.unwrap();
        told(&fleet).contains("failed to delete PodMonitor review-scrape").then_some(())
    };
    eventually(LIMIT, "the status to say what is left", deletes).await;
    absent(&world, ServiceMonitor, "review-scrape").await;
    let kept = world.children(PodMonitor).get("review-scrape").await.unwrap();
    assert_eq!((kept.uid(), kept.resource_version()), (made.uid(), made.resource_version()));

    allow(&world, &["podmonitors"], true).await;
    world.condition_within(LIMIT * 2, "review", ready).await;
    world.child(ServiceMonitor, "review").await;
    world.no_child(PodMonitor, "review").await;
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn rules_are_in_no_file_that_nobody_loads_while_their_kind_cannot_be_listed() {
    let world = World::start().await;
    world.install_children();
    let failing = Arc::new(AtomicBool::new(true));
    let fails = Arc::clone(&failing);
    let plan = move |asked: &Asked| {
        (asked.path.ends_with("/prometheusrules") && fails.load(Ordering::Acquire)).then_some(Fault::Internal)
    };
    let proxy = world.proxy(Box::new(plan)).await;
    let _operator = world.operator_behind(&proxy, "one", &[]);
    world.fleet("review", json!({})).await;
    world.make(AlertPolicy, "p", json!({})).await;
    let policy = world.condition_of(AlertPolicy, "p", "Programmed=False ApplyFailed", LIMIT).await;
    let said = told(&policy);
    assert!(said.contains("failed to apply PrometheusRule p-alerts: its objects cannot be watched"), "{said}");
    assert!(said.contains("it is tried again"), "{said}");
    // Of a fleet it is one object of several.
    world.condition("review", "Programmed=False PartiallyApplied").await;
    world.child(PodMonitor, "review").await;
    absent(&world, ConfigMap, "p-alerts").await;

    failing.store(false, Ordering::Release);
    world.condition_of(AlertPolicy, "p", "Programmed=True Applied", LIMIT * 2).await;
    world.condition("review", "Programmed=True Applied").await;
    world.object(PrometheusRule, "p-alerts").await;
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn a_kind_of_another_version_is_named_with_what_to_do_and_heals() {
    let world = World::start().await;
    world.install_children();
    let operator = world.operator("one", &[]);
    world.fleet("review", json!({})).await;
    world.fleet("other", json!({ "output": "ServiceMonitor" })).await;
    let (ready, wanting) = ("Programmed=True Applied", "Programmed=False PartiallyApplied");
    world.condition("review", ready).await;
    world.condition("other", ready).await;
    let (made, _) = world.child(PodMonitor, "review").await;
    let definition = PodMonitor.crd().unwrap();
    let says = format!("its version v1 is not served: install a CustomResourceDefinition {definition} that serves it");

    serve(&world, definition, false).await;
    // It is seen while it runs, and by one that begins.
    for restart in [false, true] {
        let _next = restart.then(|| again(&world, &operator, "two"));
        let fleet = world.condition_of(AgentFleet, "review", wanting, LIMIT).await;
        assert!(told(&fleet).contains(&says), "{}", told(&fleet));
        let scrape = &fleet.data["status"]["scrape"];
        assert_eq!(*scrape, json!({ "kind": "PodMonitor", "name": "review-scrape" }), "what is in place");
        world.condition("other", ready).await;
        let late = if restart { "late-two" } else { "late-one" };
        world.fleet(late, json!({ "output": "ServiceMonitor" })).await;
        world.condition(late, ready).await;
        absent(&world, ServiceMonitor, "review-scrape").await;
        absent(&world, ConfigMap, "review-scrape").await;
        let kept = by_other_version(&world, PodMonitor).get("review-scrape").await.unwrap();
        assert_eq!((kept.uid(), kept.resource_version()), (made.uid(), made.resource_version()));
        if restart {
            serve(&world, definition, true).await;
            world.condition("review", ready).await;
            let healed = world.children(PodMonitor).get("review-scrape").await.unwrap();
            assert_eq!(healed.uid(), made.uid());
        }
    }
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn a_kind_of_ours_of_another_version_holds_up_no_other_and_heals() {
    let world = World::start().await;
    world.install_children();
    let operator = world.operator("one", &[]);
    world.fleet("review", json!({})).await;
    world.make(ScrapePolicy, "s", json!({ "pods": {} })).await;
    world.make(AlertPolicy, "p", json!({})).await;
    let ready = "Programmed=True Applied";
    world.condition_of(ScrapePolicy, "s", ready, LIMIT).await;
    world.condition_of(AlertPolicy, "p", ready, LIMIT).await;
    let made = |kind: ChildKind| {
        let api = world.children(kind);
        async move {
            let mut all: Vec<_> = api.list(&ListParams::default()).await.unwrap().items;
            all.sort_by_key(DynamicObject::name_any);
            all.into_iter().map(|object| (object.name_any(), object.uid())).collect::<Vec<_>>()
        }
    };
    let before = (made(PodMonitor).await, made(PrometheusRule).await);
    let kept = async || {
        for (kind, before) in [(PodMonitor, &before.0), (PrometheusRule, &before.1)] {
            let now = made(kind).await;
            assert!(before.iter().all(|object| now.contains(object)), "{before:?} {now:?}");
        }
    };

    serve(&world, ScrapePolicy.crd(), false).await;
    let two = again(&world, &operator, "two");
    world.fleet("late", json!({ "output": "None" })).await;
    world.condition("late", "Programmed=True NotRequested").await;
    world.change(AlertPolicy, "p", json!({ "evaluationInterval": "1m" })).await;
    world.observed(AlertPolicy, "p", 2).await;
    unserved(&two, ScrapePolicy).await;
    kept().await;
    serve(&world, ScrapePolicy.crd(), true).await;
    world.change(ScrapePolicy, "s", json!({ "objectLabels": { "step": "1" } })).await;
    world.observed(ScrapePolicy, "s", 2).await;

    serve(&world, AgentFleet.crd(), false).await;
    let three = again(&world, &two, "three");
    unserved(&three, AgentFleet).await;
    kept().await;
    serve(&world, AgentFleet.crd(), true).await;
    world.patch("review", json!({ "spec": { "scrape": { "labels": { "step": "1" } } } })).await;
    world.observed(AgentFleet, "review", 2).await;
    kept().await;
}

/// Waits until an operator has logged that a kind of ours is not served, and what to do: there is no object that could say it.
async fn unserved(operator: &Operator, kind: OwnerKind) {
    let says =
        format!("its version v1alpha1 is not served: install a CustomResourceDefinition {} that serves it", kind.crd());
    let logged = async || operator.logged().contains(&says).then_some(());
    eventually(LIMIT, &format!("the log to say {says}"), logged).await;
}
