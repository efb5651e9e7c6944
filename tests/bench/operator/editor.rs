//! Who edits fleets: alone, or with what an operator would write.

use std::collections::HashMap;
use std::sync::Arc;

use fleetscope_core::api::AgentFleet;
use fleetscope_core::resources::MANAGER;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::fleets::Fleet;
use crate::followed::LABEL;
use crate::objects::ours;
use crate::site::Site;

/// What a fleet's own objects are of that an edit of a label changes, in the order in which the operator writes them.
const KINDS: [&str; 2] = ["PodMonitor", "PrometheusRule"];

/// See the module.
#[derive(Clone)]
pub(crate) struct Editor {
    client: Client,
    children: Option<Arc<HashMap<Fleet, Vec<DynamicObject>>>>,
}

// === impl Editor ===

impl Editor {
    /// Sends edits.
    pub(crate) fn alone(site: &Site) -> Self {
        Self { client: site.cluster.client.clone(), children: None }
    }

    /// Sends edits, and writes the fleet's objects and its status as soon as each is answered, in the operator's stead: with nothing to find out, nobody to
    /// wait for, and as many at a time as come.
    pub(crate) async fn with_writes(site: &Site) -> Self {
        let mut children: HashMap<Fleet, Vec<DynamicObject>> = HashMap::new();
        for namespace in site.namespaces() {
            for kind in KINDS {
                let api = site.cluster.dynamic(("monitoring.coreos.com", "v1", kind), namespace);
                for object in api.list(&ours()).await.unwrap().items {
                    let owners = object.owner_references().iter();
                    let Some(owner) = owners.clone().find(|owner| owner.kind == "AgentFleet") else { continue };
                    let fleet = Fleet { namespace: namespace.to_owned(), name: owner.name.clone() };
                    children.entry(fleet).or_default().push(applied(object, kind));
                }
            }
        }
        Self { client: site.cluster.client.clone(), children: Some(Arc::new(children)) }
    }

    /// Sends an edit. A fleet that is edited by two at once has only the later one's.
    pub(crate) async fn edit(self, fleet: Fleet, value: String) {
        let api = Api::<AgentFleet>::namespaced(self.client.clone(), &fleet.namespace);
        let change = json!({ "spec": { "scrape": { "labels": { LABEL: value } } } });
        let edited = api.patch(&fleet.name, &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
        let Some(children) = &self.children else { return };
        let params = |manager: &str| PatchParams::apply(manager).force().validation_ignore();
        for child in &children[&fleet] {
            let kind = child.types.as_ref().expect("it has a kind").kind.clone();
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("monitoring.coreos.com", "v1", &kind));
            let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), &fleet.namespace, &resource);
            let mut child = child.clone();
            child.labels_mut().insert(LABEL.to_owned(), value.clone());
            api.patch(&child.name_any(), &params(MANAGER), &Patch::Apply(child)).await.unwrap();
        }
        let generation = edited.metadata.generation;
        let mut status = edited.status.expect("the operator wrote it");
        status.observed_generation = generation;
        status.conditions.iter_mut().for_each(|condition| condition.observed_generation = generation);
        let status: Value = json!({
            "apiVersion": "fleetscope.io/v1alpha1", "kind": "AgentFleet", "metadata": { "name": fleet.name }, "status": status,
        });
        let params = params(&format!("{MANAGER}-status"));
        api.patch_status(&fleet.name, &params, &Patch::Apply(status)).await.unwrap();
    }
}

/// An object as it was applied, as far as it matters here.
fn applied(mut object: DynamicObject, kind: &str) -> DynamicObject {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("monitoring.coreos.com", "v1", kind));
    let mut applied = DynamicObject::new(&object.name_any(), &resource);
    applied.metadata.labels = object.metadata.labels.take();
    applied.metadata.annotations = object.metadata.annotations.take();
    applied.metadata.owner_references = object.metadata.owner_references.take();
    applied.data = json!({ "spec": object.data["spec"].take() });
    applied
}
