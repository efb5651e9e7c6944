//! Why an object is not taken, as a sentence that names the object, the label, and the remedy.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::{Child, Workload};
use crate::pods::selects;

/// One reason.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Obstacle {
    /// The selector of objects is not set.
    SelectsNothing { field: &'static str },
    /// A label of the object.
    Object { field: &'static str, unmet: Unmet },
    /// The selector of namespaces is not set, and the object is in another one. `field` is without `NamespaceSelector`.
    OwnNamespace { field: &'static str },
    /// A label of the object's namespace.
    Namespace { field: &'static str, unmet: Unmet },
    /// It is an agent on each node, which takes PodMonitors only.
    DaemonSet,
    /// It looks for targets in the monitor's own namespace.
    IgnoresNamespaces,
    /// It evaluates rules over the series of their own namespace.
    EnforcesNamespace,
    /// It shows receivers the alerts of their own namespace.
    OnNamespace { strategy: String },
    /// It is paused.
    Paused,
}

/// A requirement that labels do not meet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unmet {
    requirement: LabelSelectorRequirement,
    has: Option<String>,
}

/// What a selector requires and these labels do not have.
pub(super) fn unmet(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> Vec<Unmet> {
    let equal = selector.match_labels.iter().flatten().map(|(key, value)| LabelSelectorRequirement {
        key: key.clone(),
        operator: "In".to_owned(),
        values: Some(vec![value.clone()]),
    });
    let all = equal.chain(selector.match_expressions.iter().flatten().cloned());
    let holds = |requirement: &LabelSelectorRequirement| {
        let alone = LabelSelector { match_expressions: Some(vec![requirement.clone()]), ..LabelSelector::default() };
        selects(&alone, labels)
    };
    all.filter(|requirement| !holds(requirement))
        .map(|requirement| Unmet { has: labels.get(&requirement.key).cloned(), requirement })
        .collect()
}

// === impl Obstacle ===

impl Obstacle {
    /// How far the object is from being taken: of several workloads the nearest is told of. A label is near; one that takes nothing of the
    /// kind, or nothing of other namespaces, was most likely not meant to take this.
    pub(super) fn distance(&self) -> usize {
        match self {
            Self::Object { .. } | Self::Namespace { .. } | Self::Paused => 1,
            Self::IgnoresNamespaces | Self::EnforcesNamespace | Self::OnNamespace { .. } => 10,
            Self::OwnNamespace { .. } => 100,
            Self::SelectsNothing { .. } | Self::DaemonSet => 1_000,
        }
    }

    /// What the workload does, and what the object or its namespace has instead.
    fn what(&self, child: &Child, workload: &Workload) -> String {
        let kind = child.kind.as_str();
        match self {
            Self::SelectsNothing { field } => format!("takes no {kind}, as its spec.{field} is not set"),
            Self::Object { unmet, .. } => format!("takes {kind}s with {}, and this one {}", unmet.wants(), unmet.has()),
            Self::OwnNamespace { .. } => format!("takes {kind}s of its own namespace {} only", workload.namespace),
            Self::Namespace { unmet, .. } => {
                format!(
                    "takes {kind}s of namespaces with {}, and namespace {} {}",
                    unmet.wants(),
                    child.namespace,
                    unmet.has()
                )
            }
            Self::DaemonSet => format!("is an agent on each node (spec.mode: DaemonSet), which takes no {kind}"),
            Self::IgnoresNamespaces => format!(
                "looks for targets in the {kind}'s own namespace only (spec.ignoreNamespaceSelectors), and these are elsewhere"
            ),
            Self::EnforcesNamespace => {
                format!(
                    "limits rules to series of their own namespace (spec.enforcedNamespaceLabel), and this {kind} is for all"
                )
            }
            Self::OnNamespace { strategy } => format!(
                "gives the receivers of an {kind} the alerts of its own namespace only (spec.alertmanagerConfigMatcherStrategy: {strategy}), and this one is for all"
            ),
            Self::Paused => "is paused".to_owned(),
        }
    }

    fn remedy(&self, child: &Child, workload: &Workload) -> String {
        match self {
            Self::SelectsNothing { field } => patch(workload, &format!(r#"{{"{field}":{{}}}}"#)),
            Self::Object { field, unmet } => unmet.remedy_of_object(child, workload, field),
            Self::OwnNamespace { field } => patch(workload, &format!(r#"{{"{field}NamespaceSelector":{{}}}}"#)),
            Self::Namespace { field, unmet } => unmet.remedy_of_namespace(child, workload, field),
            Self::DaemonSet => "set output to PodMonitor".to_owned(),
            Self::IgnoresNamespaces => patch(workload, r#"{"ignoreNamespaceSelectors":false}"#),
            Self::EnforcesNamespace => format!(
                "add {{group: monitoring.coreos.com, resource: {}, namespace: {}}} to spec.excludedFromEnforcement of {}",
                child.kind.plural(),
                child.namespace,
                workload.title()
            ),
            Self::OnNamespace { .. } => patch(workload, r#"{"alertmanagerConfigMatcherStrategy":{"type":"None"}}"#),
            Self::Paused => patch(workload, r#"{"paused":false}"#),
        }
    }
}

/// All of it.
pub(super) fn sentence(child: &Child, workload: &Workload, obstacles: &[Obstacle]) -> String {
    let what: Vec<String> = obstacles.iter().map(|obstacle| obstacle.what(child, workload)).collect();
    let remedies: Vec<String> = obstacles.iter().map(|obstacle| obstacle.remedy(child, workload)).collect();
    format!("{} {}; remedy: {}", workload.title(), what.join(", and "), remedies.join("; and "))
}

fn patch(workload: &Workload, spec: &str) -> String {
    let kind = workload.kind.as_str().to_ascii_lowercase();
    format!("kubectl -n {} patch {kind} {} --type merge -p '{{\"spec\":{spec}}}'", workload.namespace, workload.name)
}

// === impl Unmet ===

impl Unmet {
    /// The label.
    pub(super) fn key(&self) -> &str {
        &self.requirement.key
    }

    fn values(&self) -> &[String] {
        self.requirement.values.as_deref().unwrap_or_default()
    }

    fn wants(&self) -> String {
        let (key, values) = (self.key(), self.values());
        match (self.requirement.operator.as_str(), values) {
            ("In", [value]) => format!("label {key}={value}"),
            ("In", values) => format!("label {key} in ({})", values.join(", ")),
            ("NotIn", [value]) => format!("no label {key}={value}"),
            ("NotIn", values) => format!("no label {key} in ({})", values.join(", ")),
            ("Exists", _) => format!("a label {key}"),
            ("DoesNotExist", _) => format!("no label {key}"),
            (other, _) => format!("label {key} {other}, which no label meets"),
        }
    }

    fn has(&self) -> String {
        match &self.has {
            Some(value) => format!("has {}={value}", self.key()),
            None => format!("has no label {}", self.key()),
        }
    }

    /// The value that would do; none if the label has to go.
    pub(super) fn value(&self) -> Option<&str> {
        match self.requirement.operator.as_str() {
            "In" => self.values().first().map(String::as_str),
            "Exists" => Some("true"),
            _ => None,
        }
    }

    fn remedy_of_object(&self, child: &Child, workload: &Workload, field: &str) -> String {
        let key = self.key();
        if key.starts_with("app.kubernetes.io/") || key.starts_with("fleetscope.io/") {
            return format!("change spec.{field} of {}, as the label {key} is Fleetscope's own", workload.title());
        }
        match self.value() {
            Some(value) => format!(
                "helm upgrade fleetscope CHART --reuse-values --set-string {}, or {key}: {value} in {}",
                helm(key, value),
                child.label_field
            ),
            None => format!("remove {key} from the chart's monitoring.labels and from {}", child.label_field),
        }
    }

    fn remedy_of_namespace(&self, child: &Child, workload: &Workload, field: &str) -> String {
        let (key, namespace) = (self.key(), &child.namespace);
        // The API server sets this one, to the namespace's name.
        if key == "kubernetes.io/metadata.name" {
            return format!("let spec.{field}NamespaceSelector of {} take namespace {namespace}", workload.title());
        }
        let overwrite = if self.has.is_some() { "--overwrite " } else { "" };
        match self.value() {
            Some(value) => format!("kubectl label {overwrite}namespace {namespace} {key}={value}"),
            None => format!("kubectl label namespace {namespace} {key}-"),
        }
    }
}

/// A chart's value on the command line: dots within a key have a backslash before them, which a shell would take.
fn helm(key: &str, value: &str) -> String {
    let set = format!("monitoring.labels.{}={value}", key.replace('.', r"\."));
    if set.contains('\\') { format!("'{set}'") } else { set }
}
