//! The objects of a [`ScrapePolicy`]: how Prometheus scrapes what the agents expose themselves, and agents outside of the cluster.
//!
//! In: a policy, the fleets that it selects, where Fleetscope is installed and which kinds there are. Out: one object per fleet for its pods
//! and one for its static targets, never one per agent; or all that is wrong with the policy.
//!
//! # Layout
//! - `pod_monitor`, `service_monitor` (and `monitor`, what they share), `scrape_config`, `plain`: one form each
//! - `settings`, `auth`, `relabel`, `static_targets`: the parts that they are made of
//! - `check`: faults

mod auth;
mod check;
mod monitor;
mod plain;
mod pod_monitor;
mod relabel;
mod scrape_config;
mod service_monitor;
mod settings;
mod static_targets;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Map, Value, json};

pub use auth::{Reference, SECRETS, secrets};
pub use relabel::{METRICS_PATH, METRICS_PORT};

use super::{ChildKind, Desired, FLEET_LABEL, Fault, Installed, MANAGED_BY, MANAGER, SCRAPE_CONFIGS, Site, names};
use crate::api::scrape_policy::ScrapePolicyOutput;
use crate::api::{AgentFleet, ScrapePolicy, ScrapePolicySpec};
use crate::profiles;

/// The label that names the policy, hashed when the name is longer than a label value.
pub const POLICY_LABEL: &str = "fleetscope.io/policy";

/// A port, as a fleet's profile or a policy says it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Port {
    /// As the container (or the Service) declares it.
    Name(String),
    /// Declared or not.
    Number(i32),
}

/// A fleet that a policy selects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FleetRef {
    /// Its name; its namespace is the policy's.
    pub name: String,
    /// Its pods.
    pub selector: LabelSelector,
    /// Selectors of older fleets that take some of the same pods: those are theirs. Fleets that share no pod need not be named.
    pub elders: Vec<LabelSelector>,
    /// Where its profile says that metrics are.
    pub port: Option<Port>,
    /// The path that its profile says.
    pub path: Option<String>,
}

/// Which form pods and static targets are in; none where there are none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Outputs {
    pods: Option<Form>,
    static_targets: Option<Form>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    PodMonitor,
    ServiceMonitor,
    ScrapeConfig,
    ConfigMap,
}

// === impl FleetRef ===

impl FleetRef {
    /// Of a fleet, with what its profile says; `elders` are still to be named.
    pub fn of(fleet: &AgentFleet) -> Self {
        let scrape = profiles::get(fleet.spec.profile).scrape.as_ref();
        Self {
            name: fleet.name_any(),
            selector: fleet.spec.selector.clone(),
            elders: Vec::new(),
            port: scrape.map(|scrape| Port::Number(scrape.port.into())),
            path: scrape.map(|scrape| scrape.path.clone()),
        }
    }

    fn port(&self, policy: &ScrapePolicySpec) -> Port {
        let pods = policy.pods.as_ref();
        let number = pods.and_then(|pods| pods.port_number).map(Port::Number);
        let name = || pods.and_then(|pods| pods.port.clone()).map(Port::Name);
        number.or_else(name).or_else(|| self.port.clone()).unwrap_or_else(|| Port::Name("metrics".to_owned()))
    }

    fn path<'a>(&'a self, policy: &'a ScrapePolicySpec) -> &'a str {
        let own = policy.pods.as_ref().and_then(|pods| pods.path.as_deref());
        own.or(self.path.as_deref()).unwrap_or(static_targets::PATH)
    }
}

// === impl Outputs ===

impl Outputs {
    /// An explicit form is taken whether its kind is installed or not.
    fn of(spec: &ScrapePolicySpec, installed: Installed) -> Self {
        let auto = |kind, form| if installed.has(kind) { form } else { Form::ConfigMap };
        let (pods, static_targets) = match spec.output {
            ScrapePolicyOutput::Auto => {
                (auto(ChildKind::PodMonitor, Form::PodMonitor), auto(ChildKind::ScrapeConfig, Form::ScrapeConfig))
            }
            ScrapePolicyOutput::PodMonitor => (Form::PodMonitor, Form::ScrapeConfig),
            ScrapePolicyOutput::ServiceMonitor => (Form::ServiceMonitor, Form::ScrapeConfig),
            ScrapePolicyOutput::ScrapeConfig => (Form::ScrapeConfig, Form::ScrapeConfig),
            ScrapePolicyOutput::ConfigMap => (Form::ConfigMap, Form::ConfigMap),
        };
        Self {
            pods: spec.pods.is_some().then_some(pods),
            static_targets: (!spec.static_targets.is_empty()).then_some(static_targets),
        }
    }
}

/// The objects of a policy, in the order of the fleets. A policy with a uid owns them; one from a file has none. A suspended policy has
/// none.
pub fn desired(
    policy: &ScrapePolicy,
    fleets: &[FleetRef],
    site: &Site,
    installed: Installed,
) -> Result<Vec<Desired>, Vec<Fault>> {
    let spec = &policy.spec;
    let outputs = Outputs::of(spec, installed);
    let faults = check::faults(spec, outputs);
    if !faults.is_empty() {
        return Err(faults);
    }
    if spec.suspend {
        return Ok(Vec::new());
    }
    let maker = Maker { policy, namespace: policy.namespace().unwrap_or_else(|| "default".to_owned()), site };
    Ok(maker.all(fleets, outputs))
}

/// Static targets of a policy, for its status.
pub fn static_targets(policy: &ScrapePolicySpec) -> usize {
    static_targets::count(policy)
}

struct Maker<'a> {
    policy: &'a ScrapePolicy,
    namespace: String,
    site: &'a Site,
}

// === impl Maker ===

impl Maker<'_> {
    fn all(&self, fleets: &[FleetRef], outputs: Outputs) -> Vec<Desired> {
        let (spec, namespace) = (&self.policy.spec, self.namespace.as_str());
        let mut objects = Vec::new();
        // A fleet's pods and its static targets share a ConfigMap.
        let mut jobs: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        let job = |fleet: &str| format!("{namespace}/{}/{fleet}", self.policy.name_any());
        for (fleet, form) in fleets.iter().filter_map(|fleet| Some((fleet, outputs.pods?))) {
            let name = fleet.name.as_str();
            objects.extend(match form {
                Form::PodMonitor => {
                    Some(self.object(ChildKind::PodMonitor, name, "pods", pod_monitor::spec(spec, fleet, namespace)))
                }
                Form::ServiceMonitor => {
                    let fields = service_monitor::spec(spec, fleet, namespace);
                    Some(self.object(ChildKind::ServiceMonitor, name, "pods", fields))
                }
                Form::ScrapeConfig => {
                    let fields = scrape_config::of_pods(spec, fleet, namespace);
                    Some(self.object(ChildKind::ScrapeConfig, name, "pods", fields))
                }
                Form::ConfigMap => {
                    jobs.entry(name).or_default().push(plain::of_pods(spec, fleet, namespace, &job(name)));
                    None
                }
            });
        }
        let groups = static_targets::by_fleet(spec);
        for ((fleet, groups), form) in groups.iter().filter_map(|group| Some((group, outputs.static_targets?))) {
            if form == Form::ConfigMap {
                let job = format!("{}/static", job(fleet));
                jobs.entry(fleet).or_default().push(plain::of_static(spec, fleet, groups, namespace, &job));
            } else {
                let fields = scrape_config::of_static(spec, fleet, groups, namespace);
                objects.push(self.object(ChildKind::ScrapeConfig, fleet, "static", fields));
            }
        }
        objects.extend(jobs.into_iter().map(|(fleet, jobs)| {
            let data = json!({ SCRAPE_CONFIGS: plain::file(spec, &jobs) });
            self.made(ChildKind::ConfigMap, fleet, "scrape", "data", &data)
        }));
        objects
    }

    fn object(&self, kind: ChildKind, fleet: &str, what: &str, spec: Map<String, Value>) -> Desired {
        self.made(kind, fleet, what, "spec", &spec.into())
    }

    fn made(&self, kind: ChildKind, fleet: &str, what: &str, field: &str, value: &Value) -> Desired {
        let policy = self.policy.name_any();
        let name = names::joined(&[&policy, fleet, what]);
        let mut labels = self.site.monitor_labels.clone();
        let own = self.policy.spec.object_labels.iter();
        labels.extend(own.map(|(key, value)| (key.clone(), value.0.clone())));
        labels.insert("app.kubernetes.io/name".to_owned(), "fleetscope".to_owned());
        labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
        labels.insert(FLEET_LABEL.to_owned(), names::hashed(fleet));
        labels.insert(POLICY_LABEL.to_owned(), names::hashed(&policy));
        let mut metadata = json!({ "name": name, "namespace": self.namespace, "labels": labels });
        if let Some(owner) = self.policy.controller_owner_ref(&()) {
            metadata["ownerReferences"] = json!([owner]);
        }
        let body = json!({
            "apiVersion": kind.api_version(),
            "kind": kind.as_str(),
            "metadata": metadata,
            field: value,
        });
        Desired { kind, name, namespace: self.namespace.clone(), body }
    }
}

#[cfg(test)]
mod tests;
