//! The condition `Selected`: whether a Prometheus (an Alertmanager) of the cluster takes what was generated, and if not, which label on which object
//! is missing and what to do about it.
//!
//! In: the generated objects, and all Prometheus, PrometheusAgent, ThanosRuler and Alertmanager objects. Out: a [`Fact`]. The selectors are read
//! as prometheus-operator reads them (its `pkg/prometheus/resource_selector.go`): one that is not set selects nothing, an empty one all; a
//! namespace selector that is not set means the own namespace. Where prometheus-operator itself says in an object's status
//! who takes it, that counts.
//!
//! # Layout
//! - `workload`: [`Workload`], what selects
//! - `prometheus`, `alertmanager`: what else than selectors keeps an object away from them
//! - `obstacle`: why not, and the remedy

mod alertmanager;
mod bindings;
mod obstacle;
mod prometheus;
mod workload;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::conditions::{ConditionType, Fact, Reason, Status};
use crate::resources::ChildKind;
use obstacle::Obstacle;
pub use workload::{Workload, WorkloadKind};

/// An object that was generated.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its kind.
    pub kind: ChildKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Labels of its namespace.
    pub namespace_labels: BTreeMap<String, String>,
    /// Its `status`, null without one.
    pub status: Value,
    /// Where a user can give it labels, for example `spec.scrape.labels of AgentFleet review`.
    pub label_field: String,
    /// It is about more than its own namespace: targets that are elsewhere, rules or receivers for fleets of all namespaces.
    pub beyond_namespace: bool,
}

/// Whether an object is taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// By these: `Prometheus monitoring/kps`.
    Selected(Vec<String>),
    /// By none, and why; ends with the remedy.
    NotSelected(String),
    /// There is none that could.
    Nobody,
    /// Nobody has to: it is plain configuration.
    NothingToSelect,
}

// === impl Child ===

impl Child {
    fn title(&self) -> String {
        format!("{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}

/// Whether one object is taken.
pub fn judge(child: &Child, workloads: &[Workload]) -> Verdict {
    if matches!(child.kind, ChildKind::GrafanaDashboard | ChildKind::ConfigMap) {
        return Verdict::NothingToSelect;
    }
    let told = bindings::read(&child.status);
    let silent = |workload: &&Workload| !told.iter().any(|binding| binding.names(workload));
    let able = || workloads.iter().filter(|workload| workload.kind.takes(child.kind));
    let mut by: Vec<String> = told.iter().filter(|binding| binding.accepted).map(bindings::Binding::title).collect();
    let mut refused: Vec<(usize, String, String)> = Vec::new();
    for binding in told.iter().filter(|binding| !binding.accepted) {
        refused.push((0, binding.title(), format!("{} {}", binding.title(), binding.refusal())));
    }
    for workload in able().filter(silent) {
        let obstacles = obstacles(child, workload);
        if obstacles.is_empty() {
            by.push(workload.title());
        } else {
            let far = obstacles.iter().map(Obstacle::distance).sum();
            refused.push((far, workload.title(), obstacle::sentence(child, workload, &obstacles)));
        }
    }
    if !by.is_empty() {
        by.sort();
        by.dedup();
        return Verdict::Selected(by);
    }
    refused.sort();
    let Some((_, _, closest)) = refused.first() else { return Verdict::Nobody };
    let others = match refused.len() - 1 {
        0 => String::new(),
        1 => " (1 other does not select it either)".to_owned(),
        more => format!(" ({more} others do not select it either)"),
    };
    Verdict::NotSelected(format!("{} is not selected: {closest}{others}", child.title()))
}

/// What is true of all objects of a fleet or a policy together.
pub fn condition(children: &[Child], workloads: &[Workload]) -> Fact {
    let kind = ConditionType::Selected;
    let (mut by, mut not, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for child in children {
        match judge(child, workloads) {
            Verdict::Selected(names) => by.extend(names),
            Verdict::NotSelected(why) => not.push(why),
            Verdict::Nobody => alone.push(child),
            Verdict::NothingToSelect => {}
        }
    }
    if let Some(first) = not.first() {
        let more = match not.len() - 1 {
            0 => String::new(),
            1 => "; 1 more object is not selected".to_owned(),
            more => format!("; {more} more objects are not selected"),
        };
        return Fact::new(kind, false, Reason::NotSelected, format!("{first}{more}"));
    }
    if let Some(child) = alone.first() {
        let who = if child.kind == ChildKind::AlertmanagerConfig { "Alertmanager" } else { "Prometheus" };
        let message =
            format!("there is no {who} of prometheus-operator in the cluster that could take {}", child.title());
        return Fact::new(kind, Status::Unknown, Reason::NoPrometheus, message);
    }
    if by.is_empty() {
        let message = "nothing is generated that a Prometheus or an Alertmanager would have to select";
        return Fact::new(kind, true, Reason::NothingToSelect, message);
    }
    by.sort();
    by.dedup();
    Fact::new(kind, true, Reason::SelectedBy, format!("selected by {}", by.join(", ")))
}

/// What keeps an object away from a workload; nothing if it is selected.
fn obstacles(child: &Child, workload: &Workload) -> Vec<Obstacle> {
    let mut found = workload.selectors(child.kind).obstacles(child, workload);
    found.extend(match workload.kind {
        WorkloadKind::Alertmanager => alertmanager::obstacle(child, workload),
        _ => prometheus::obstacle(child, workload),
    });
    if found.is_empty() && workload.paused {
        found.push(Obstacle::Paused);
    }
    found
}

#[cfg(test)]
mod tests;
