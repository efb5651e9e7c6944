//! Objects that this operator cannot read, as after a way back from a later release: what was made of them and for them stays, and they say so.

use fleetscope_core::resources::ChildKind::{PodMonitor, PrometheusRule};
use fleetscope_core::resources::names;
use fleetscope_operator::owner::OwnerKind::{self, AgentFleet, AlertPolicy, ScrapePolicy};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::precedence::shares;
use crate::server::eventually;
use crate::world::{LIMIT, NAMESPACE, World};

/// A word that a later release may have.
const LATER: &str = "Later";
const UNREADABLE: &str = "Accepted=False InvalidSpec";

/// Lets the API server store a word in a field of the spec that this operator does not know.
async fn widen(world: &World, kind: OwnerKind, field: &str) {
    let gvk = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let resource = ApiResource::from_gvk_with_plural(&gvk, "customresourcedefinitions");
    let definitions = Api::<DynamicObject>::all_with(world.client.clone(), &resource);
    let mut versions = definitions.get(kind.crd()).await.unwrap().data["spec"]["versions"].clone();
    let words = format!("/0/schema/openAPIV3Schema/properties/spec/properties/{field}/enum");
    versions.pointer_mut(&words).unwrap().as_array_mut().unwrap().push(json!(LATER));
    let patch = Patch::Merge(json!({ "spec": { "versions": versions } }));
    definitions.patch(kind.crd(), &PatchParams::default(), &patch).await.unwrap();
}

/// Changes an object as soon as the API server knows the word.
async fn change(world: &World, kind: OwnerKind, name: &str, spec: Value) {
    let (api, patch) = (world.owners(kind), Patch::Merge(json!({ "spec": spec })));
    let changed = async || api.patch(name, &PatchParams::default(), &patch).await.ok();
    eventually(LIMIT, &format!("{} {name} to be stored", kind.as_str()), changed).await;
}

fn condition(object: &DynamicObject, kind: &str) -> Value {
    let conditions = object.data["status"]["conditions"].as_array().unwrap();
    conditions.iter().find(|condition| condition["type"] == kind).unwrap().clone()
}

/// Uid and version of what was made for the fleet by itself and by policies.
async fn made(world: &World) -> Vec<(Option<String>, Option<String>)> {
    let scraped = names::joined(&["s", "review", "pods"]);
    let mut made = Vec::new();
    for (kind, name) in [(PodMonitor, "review-scrape"), (PodMonitor, scraped.as_str()), (PrometheusRule, "p-alerts")] {
        let object = world.children(kind).get(name).await.unwrap();
        made.push((object.uid(), object.resource_version()));
    }
    made
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn what_cannot_be_read_keeps_what_was_made_until_it_is_deleted() {
    let world = World::start().await;
    world.install_children();
    let operator = world.operator("one", &[]);
    world.fleet("review", json!({})).await;
    label(&world, "team", "a").await;
    let team = json!({ "matchLabels": { "team": "a" } });
    world.make(ScrapePolicy, "s", json!({ "pods": {}, "fleets": team })).await;
    world.make(AlertPolicy, "p", json!({ "fleets": team })).await;
    shares(&world, AlertPolicy, "p", 1, 0).await;
    // Of one second, the name decides.
    world.make(AlertPolicy, "q", json!({ "fleets": team })).await;
    shares(&world, AlertPolicy, "q", 0, 1).await;
    world.condition_of(ScrapePolicy, "s", "Ready=True Observed", LIMIT).await;
    world.condition("review", "Ready=True NoPodsSelected").await;
    world.quiet().await;
    let before = made(&world).await;

    widen(&world, AgentFleet, "profile").await;
    change(&world, AgentFleet, "review", json!({ "profile": LATER })).await;
    let fleet = world.condition_of(AgentFleet, "review", UNREADABLE, LIMIT).await;
    assert_eq!(condition(&fleet, "Programmed")["reason"], "NotAccepted");
    assert_eq!(condition(&fleet, "NodesReady")["reason"], "NoNodes", "what else was said of it");
    assert_eq!(fleet.data["status"]["scrape"]["name"], "review-scrape");
    let accepted = condition(&fleet, "Accepted");
    assert!(accepted["message"].as_str().unwrap().contains(LATER), "{accepted}");
    let events = Api::<Event>::namespaced(world.client.clone(), NAMESPACE);
    let told = async || {
        let all = events.list(&ListParams::default()).await.unwrap();
        all.items.iter().any(|event| event.reason.as_deref() == Some("InvalidSpec")).then_some(())
    };
    eventually(LIMIT, "an Event about it", told).await;
    // Another version of it is no other fault.
    label(&world, "step", "1").await;
    world.quiet().await;
    assert_eq!(condition(&world.owners(AgentFleet).get("review").await.unwrap(), "Accepted"), accepted);
    assert_eq!(made(&world).await, before);

    // One that begins knows nothing from before.
    operator.signal("TERM");
    let operator = world.operator("two", &[]);
    leads(&world, "two").await;
    assert_eq!(condition(&world.owners(AgentFleet).get("review").await.unwrap(), "Accepted"), accepted);
    assert_eq!(made(&world).await, before);

    // The same of a policy: the younger one still leaves the fleet to its rules.
    widen(&world, AlertPolicy, "output").await;
    change(&world, AlertPolicy, "p", json!({ "output": LATER })).await;
    world.condition_of(AlertPolicy, "p", UNREADABLE, LIMIT).await;
    world.quiet().await;
    shares(&world, AlertPolicy, "q", 0, 1).await;
    operator.signal("TERM");
    let _operator = world.operator("three", &[]);
    leads(&world, "three").await;
    shares(&world, AlertPolicy, "q", 0, 1).await;
    assert_eq!(made(&world).await, before);

    change(&world, AlertPolicy, "p", json!({ "output": "Auto" })).await;
    world.condition_of(AlertPolicy, "p", "Ready=True Observed", LIMIT).await;
    world.fleets().delete("review", &DeleteParams::default()).await.unwrap();
    shares(&world, AlertPolicy, "p", 0, 0).await;
    assert_eq!(world.server.forbidden(), [""; 0]);
}

async fn label(world: &World, key: &str, value: &str) {
    let label = Patch::Merge(json!({ "metadata": { "labels": { key: value } } }));
    world.owners(AgentFleet).patch("review", &PatchParams::default(), &label).await.unwrap();
}

/// Waits until an operator has looked at all there is: a fleet that is made now, of no policy, has been acted upon, and nothing is written any more.
async fn leads(world: &World, name: &str) {
    let fleet = format!("made-for-{name}");
    world.fleet(&fleet, json!({ "output": "None" })).await;
    world.condition(&fleet, "Ready=True NoPodsSelected").await;
    world.fleets().delete(&fleet, &DeleteParams::default()).await.unwrap();
    world.quiet().await;
}
