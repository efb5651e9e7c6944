//! Prometheus, PrometheusAgent, ThanosRuler and Alertmanager objects, as far as they select.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use super::Child;
use super::obstacle::{self, Obstacle};
use crate::resources::ChildKind;

/// Kind of an object that selects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WorkloadKind {
    /// Scrapes and evaluates rules.
    Prometheus,
    /// Scrapes.
    PrometheusAgent,
    /// Evaluates rules.
    ThanosRuler,
    /// Notifies.
    Alertmanager,
}

/// An object that selects.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// prometheus-operator leaves it as it is.
    pub(super) paused: bool,
    /// Its `spec`.
    pub(super) spec: Value,
}

/// The two selectors for one kind of objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Selectors {
    /// Name of the field that selects objects; the field for namespaces is named after it.
    field: &'static str,
    objects: Option<LabelSelector>,
    namespaces: Option<LabelSelector>,
}

// === impl WorkloadKind ===

impl WorkloadKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Prometheus, Self::PrometheusAgent, Self::ThanosRuler, Self::Alertmanager];

    /// The kind's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus",
            Self::PrometheusAgent => "PrometheusAgent",
            Self::ThanosRuler => "ThanosRuler",
            Self::Alertmanager => "Alertmanager",
        }
    }

    /// Plural, as in URLs and bindings.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheuses",
            Self::PrometheusAgent => "prometheusagents",
            Self::ThanosRuler => "thanosrulers",
            Self::Alertmanager => "alertmanagers",
        }
    }

    /// Whether it takes objects of this kind at all.
    pub const fn takes(self, kind: ChildKind) -> bool {
        match kind {
            ChildKind::PodMonitor | ChildKind::ServiceMonitor | ChildKind::ScrapeConfig => {
                matches!(self, Self::Prometheus | Self::PrometheusAgent)
            }
            ChildKind::PrometheusRule => matches!(self, Self::Prometheus | Self::ThanosRuler),
            ChildKind::AlertmanagerConfig => matches!(self, Self::Alertmanager),
            ChildKind::GrafanaDashboard | ChildKind::ConfigMap => false,
        }
    }
}

// === impl Workload ===

impl Workload {
    /// Reads an object. None for another kind, or one without a name. A field that is not as expected counts as not set.
    pub fn of(object: &Value) -> Option<Self> {
        let kind = object.get("kind").and_then(Value::as_str)?;
        let kind = WorkloadKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        let text = |field: &str| object.pointer(field).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            kind,
            namespace: text("/metadata/namespace")?,
            name: text("/metadata/name")?,
            paused: object.pointer("/spec/paused").and_then(Value::as_bool).unwrap_or_default(),
            spec: object.get("spec").cloned().unwrap_or_default(),
        })
    }

    /// `Prometheus monitoring/kps`.
    pub(super) fn title(&self) -> String {
        format!("{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }

    pub(super) fn selectors(&self, kind: ChildKind) -> Selectors {
        let (field, namespaces) = match kind {
            ChildKind::PodMonitor => ("podMonitorSelector", "podMonitorNamespaceSelector"),
            ChildKind::ServiceMonitor => ("serviceMonitorSelector", "serviceMonitorNamespaceSelector"),
            ChildKind::ScrapeConfig => ("scrapeConfigSelector", "scrapeConfigNamespaceSelector"),
            ChildKind::PrometheusRule => ("ruleSelector", "ruleNamespaceSelector"),
            ChildKind::AlertmanagerConfig => ("alertmanagerConfigSelector", "alertmanagerConfigNamespaceSelector"),
            ChildKind::GrafanaDashboard | ChildKind::ConfigMap => return Selectors::default(),
        };
        let read = |field| self.spec.get(field).and_then(|value| serde_json::from_value(value.clone()).ok()).flatten();
        Selectors { field, objects: read(field), namespaces: read(namespaces) }
    }
}

// === impl Selectors ===

impl Selectors {
    /// What they have against an object.
    pub(super) fn obstacles(&self, child: &Child, workload: &Workload) -> Vec<Obstacle> {
        let mut found = Vec::new();
        match &self.objects {
            None => found.push(Obstacle::SelectsNothing { field: self.field }),
            Some(selector) => {
                let unmet = obstacle::unmet(selector, &child.labels).into_iter();
                found.extend(unmet.map(|unmet| Obstacle::Object { field: self.field, unmet }));
            }
        }
        let field = self.field.strip_suffix("Selector").unwrap_or(self.field);
        match &self.namespaces {
            None if child.namespace != workload.namespace => found.push(Obstacle::OwnNamespace { field }),
            None => {}
            Some(selector) => {
                let unmet = obstacle::unmet(selector, &child.namespace_labels).into_iter();
                found.extend(unmet.map(|unmet| Obstacle::Namespace { field, unmet }));
            }
        }
        found
    }
}
