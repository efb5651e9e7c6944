//! The objects that are made of custom resources, as JSON, with the fields that we own and no others.
//!
//! In: a custom resource, what it selects, where Fleetscope is installed and which kinds there are. Out: the objects, or what is
//! wrong with it. The operator applies them, `fleetscope render` prints them.
//!
//! A fleet's own object ([`scrape_object`]: a PodMonitor, a ServiceMonitor, or a ConfigMap) selects the *node agents* and asks them
//! for this fleet's series alone. What the agents expose themselves is scraped by the objects of [`scrape_policy`].

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Map, Value, json};

use crate::api::AgentFleet;
use crate::api::agent_fleet::ScrapeOutput;

mod fault;
pub mod fleet;
mod kinds;
pub mod names;
mod pod_monitor;
mod scrape_config_map;
pub mod scrape_policy;
mod service_monitor;

pub use fault::Fault;
pub use kinds::{ChildKind, Installed};

/// Field manager of everything that the operator applies, and the value of `app.kubernetes.io/managed-by`.
pub const MANAGER: &str = "fleetscope-operator";
/// The label that marks what is ours.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The label that names the fleet, hashed when the name is longer than a label value.
pub const FLEET_LABEL: &str = "fleetscope.io/fleet";
/// Labels of the node agents' pods and of their Service.
pub const NODE_AGENT_LABELS: [(&str, &str); 2] =
    [("app.kubernetes.io/name", "fleetscope"), ("app.kubernetes.io/component", "node-agent")];
/// Name of the node agents' port.
pub const PORT: &str = "metrics";
/// The label of a fleet's targets that are node agents, and its value. By it the catalogue tells their `up` from that of what a
/// ScrapePolicy scrapes for the same fleet. No series of theirs has it.
pub const TARGET_LABEL: (&str, &str) = ("fleetscope_target", "node-agent");
/// Key of the ConfigMap.
pub const SCRAPE_CONFIGS: &str = "scrape_configs.yaml";

/// Where and how Fleetscope is installed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Site {
    /// Namespace of the node agents.
    pub namespace: String,
    /// Labels on every monitor, by which a Prometheus selects.
    pub monitor_labels: BTreeMap<String, String>,
    /// Whether dashboards are in ConfigMaps, for Grafana's sidecar, also where the kind GrafanaDashboard is installed.
    pub sidecar: bool,
    /// Labels of the instances of Grafana that a GrafanaDashboard is for; none, for all of them.
    pub grafana_labels: BTreeMap<String, String>,
}

/// An object as it is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Its kind.
    pub kind: ChildKind,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The whole object, owner references included.
    pub body: Value,
}

// === impl ChildKind ===

impl ChildKind {
    /// Kinds that carry a fleet's scrape configuration, in the order of preference.
    pub const OF_FLEETS: [Self; 3] = [Self::PodMonitor, Self::ServiceMonitor, Self::ConfigMap];

    /// The kind that a fleet gets, if any, by what is installed. An explicit kind is given whether installed or not.
    pub fn wanted(fleet: &AgentFleet, mut installed: impl FnMut(Self) -> bool) -> Option<Self> {
        if fleet.spec.suspend {
            return None;
        }
        match fleet.spec.scrape.output {
            ScrapeOutput::Auto => Self::OF_FLEETS.into_iter().find(|kind| kind.crd().is_none() || installed(*kind)),
            ScrapeOutput::PodMonitor => Some(Self::PodMonitor),
            ScrapeOutput::ServiceMonitor => Some(Self::ServiceMonitor),
            ScrapeOutput::ConfigMap => Some(Self::ConfigMap),
            ScrapeOutput::None => None,
        }
    }
}

/// The object of this kind for a fleet: a PodMonitor, a ServiceMonitor, or for any other kind the ConfigMap. A fleet with a uid
/// owns it; one from a file has none.
pub fn scrape_object(kind: ChildKind, fleet: &AgentFleet, site: &Site) -> Value {
    let (kind, fields) = match kind {
        ChildKind::PodMonitor => (kind, pod_monitor::fields(fleet, site)),
        ChildKind::ServiceMonitor => (kind, service_monitor::fields(fleet, site)),
        _ => (ChildKind::ConfigMap, scrape_config_map::fields(fleet, site)),
    };
    let mut object =
        json!({ "apiVersion": kind.api_version(), "kind": kind.as_str(), "metadata": metadata(fleet, site) });
    for (name, value) in fields {
        object[name] = value;
    }
    object
}

/// Name of a fleet's object, of whichever kind.
pub fn scrape_name(fleet: &str) -> String {
    names::hashed(&format!("{fleet}-scrape"))
}

/// Prometheus' job of a fleet in a plain scrape configuration: `<namespace>/<fleet>`.
fn job(fleet: &AgentFleet) -> String {
    format!("{}/{}", namespace(fleet), fleet.name_any())
}

/// The query by which a node agent gives this fleet's series alone.
fn params(fleet: &AgentFleet) -> Value {
    json!({ "namespace": [namespace(fleet)], "fleet": [fleet.name_any()] })
}

/// A fleet from a file may leave its namespace to kubectl's default.
pub(crate) fn namespace(fleet: &AgentFleet) -> String {
    fleet.namespace().unwrap_or_else(|| "default".to_owned())
}

/// Parameters that PodMonitor and ServiceMonitor endpoints have in common.
fn endpoint(fleet: &AgentFleet) -> Value {
    json!({
        "port": PORT,
        "path": "/metrics",
        "params": params(fleet),
        "honorLabels": true,
        "interval": fleet.spec.scrape.interval,
        "scrapeTimeout": fleet.spec.scrape.scrape_timeout,
        // `up` and the scrape's other own series say whose they are; the node agents' series do themselves, and win.
        "relabelings": [
            { "action": "replace", "sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node" },
            { "action": "replace", "targetLabel": "namespace", "replacement": namespace(fleet) },
            { "action": "replace", "targetLabel": "fleet", "replacement": fleet.name_any() },
            { "action": "replace", "targetLabel": TARGET_LABEL.0, "replacement": TARGET_LABEL.1 },
        ],
        // These are the steps of what is exposed; what the scrape itself makes, such as `up`, does not pass them.
        "metricRelabelings": [{ "action": "labeldrop", "regex": TARGET_LABEL.0 }],
    })
}

/// `spec` of a monitor: `endpoints` is the name of the field for [`endpoint`].
fn monitor(fleet: &AgentFleet, site: &Site, endpoints: &str) -> Map<String, Value> {
    let mut spec = json!({
        "namespaceSelector": { "matchNames": [site.namespace] },
        "selector": { "matchLabels": BTreeMap::from(NODE_AGENT_LABELS) },
        endpoints: [endpoint(fleet)],
    });
    if fleet.spec.scrape.sample_limit > 0 {
        spec["sampleLimit"] = fleet.spec.scrape.sample_limit.into();
    }
    Map::from_iter([("spec".to_owned(), spec)])
}

fn metadata(fleet: &AgentFleet, site: &Site) -> Value {
    let mut labels = site.monitor_labels.clone();
    labels.extend(fleet.spec.scrape.labels.iter().map(|(key, value)| (key.clone(), value.0.clone())));
    labels.insert("app.kubernetes.io/name".to_owned(), "fleetscope".to_owned());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels.insert(FLEET_LABEL.to_owned(), names::hashed(&fleet.name_any()));
    let mut metadata = json!({
        "name": scrape_name(&fleet.name_any()),
        "namespace": namespace(fleet),
        "labels": labels,
    });
    if let Some(owner) = owner(fleet) {
        metadata["ownerReferences"] = json!([owner]);
    }
    metadata
}

/// A file of Prometheus as text. Each string is quoted: a fleet may be called `yes` or `1e3`, which YAML would read as something else.
fn yaml(file: &Value) -> String {
    let mut quoted = serde_saphyr::SerializerOptions::default();
    quoted.quote_all = true;
    serde_saphyr::to_string_with_options(file, quoted).expect("JSON of strings, numbers and lists is YAML")
}

/// The owner reference of a fleet's children, when it has a uid.
pub fn owner(fleet: &AgentFleet) -> Option<OwnerReference> {
    fleet.controller_owner_ref(&())
}

#[cfg(test)]
mod tests;
