//! What rules are made of: a policy, its fleets, the catalogue, and what profiles change of it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{Resource as _, ResourceExt as _};

use super::SelectedFleet;
use super::object::{self, POLICY_LABEL};
use crate::api::alerting::Alerting;
use crate::api::scalars::Severity;
use crate::api::{AlertPolicy, ClusterAlertPolicy};
use crate::catalogue::{Alert, AlertScope};
use crate::resources::Site;

/// Which metrics there are.
pub trait Known {
    /// Whether anything may emit a metric of this name. What cannot be known is emitted.
    fn emits(&self, metric: &str) -> bool;
}

impl<F: Fn(&str) -> bool> Known for F {
    fn emits(&self, metric: &str) -> bool {
        self(metric)
    }
}

/// What a profile changes of the catalogue's alerts, by their names.
#[derive(Clone, Debug)]
pub struct ProfileAlerts<'a> {
    /// The profile's name.
    pub name: &'a str,
    /// What differs.
    pub alerts: BTreeMap<&'a str, ProfileAlert>,
}

/// What a profile changes of one alert.
#[derive(Clone, Debug, Default)]
pub struct ProfileAlert {
    /// Whether it is on.
    pub enabled: Option<bool>,
    /// The threshold.
    pub threshold: Option<String>,
    /// The least traffic.
    pub minimum: Option<String>,
    /// How long it must hold.
    pub hold: Option<String>,
    /// How urgent it is.
    pub severity: Option<Severity>,
}

/// A policy of either kind.
#[derive(Clone, Copy, Debug)]
pub enum Policy<'a> {
    /// For fleets of its namespace.
    Namespaced(&'a AlertPolicy),
    /// For fleets of all namespaces.
    Cluster(&'a ClusterAlertPolicy),
}

/// What rules are made of.
#[derive(Clone, Copy)]
pub struct PolicyInput<'a> {
    /// The policy.
    pub policy: Policy<'a>,
    /// The fleets that it selects.
    pub fleets: &'a [SelectedFleet],
    /// The catalogue.
    pub alerts: &'a [Alert],
    /// What profiles change of it.
    pub profiles: &'a [ProfileAlerts<'a>],
    /// Which metrics there are.
    pub known: &'a dyn Known,
}

/// Which alerts of the catalogue a policy can have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Audience {
    pub(super) cluster: bool,
    pub(super) self_alerts: bool,
}

// === impl Audience ===

impl Audience {
    pub(super) fn hears(self, row: &Alert) -> bool {
        row.scope == AlertScope::Fleet || (self.cluster && self.self_alerts)
    }

    pub(super) fn may_hear(self, row: &Alert) -> bool {
        row.scope == AlertScope::Fleet || self.cluster
    }
}

// === impl Policy ===

impl<'a> Policy<'a> {
    /// What both kinds have in common.
    pub fn alerting(self) -> &'a Alerting {
        match self {
            Self::Namespaced(policy) => &policy.spec.alerting,
            Self::Cluster(policy) => &policy.spec.alerting,
        }
    }

    /// Value of the label `policy` of its series and alerts.
    pub fn label(self) -> String {
        match self {
            Self::Namespaced(policy) => format!("{}/{}", self.namespace().unwrap_or_default(), policy.name_any()),
            Self::Cluster(policy) => policy.name_any(),
        }
    }

    /// The namespace of a policy of one. From a file, it may be left to kubectl's default.
    pub(super) fn namespace(self) -> Option<String> {
        match self {
            Self::Namespaced(policy) => Some(policy.namespace().unwrap_or_else(|| "default".to_owned())),
            Self::Cluster(_) => None,
        }
    }

    pub(super) fn selects_everything(self) -> bool {
        let empty = |selector: &LabelSelector| {
            selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
                && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
        };
        match self {
            Self::Namespaced(policy) => empty(&policy.spec.fleets),
            Self::Cluster(policy) => empty(&policy.spec.fleets) && empty(&policy.spec.namespaces),
        }
    }

    pub(super) fn audience(self) -> Audience {
        match self {
            Self::Namespaced(_) => Audience { cluster: false, self_alerts: false },
            Self::Cluster(policy) => Audience { cluster: true, self_alerts: policy.spec.self_alerts },
        }
    }

    pub(super) fn enforced(self) -> bool {
        matches!(self, Self::Cluster(policy) if policy.spec.enforced)
    }

    pub(super) fn generation(self) -> i64 {
        match self {
            Self::Namespaced(policy) => policy.metadata.generation,
            Self::Cluster(policy) => policy.metadata.generation,
        }
        .unwrap_or_default()
    }

    pub(super) fn owner(self, site: &Site) -> object::Owner {
        let (name, namespace, reference) = match self {
            Self::Namespaced(policy) => (policy.name_any(), self.namespace(), policy.controller_owner_ref(&())),
            Self::Cluster(policy) => (policy.name_any(), None, policy.controller_owner_ref(&())),
        };
        let mut labels = site.monitor_labels.clone();
        labels.extend(self.alerting().object_labels.iter().map(|(key, value)| (key.clone(), value.0.clone())));
        object::Owner {
            name: format!("{name}-alerts"),
            namespace: namespace.unwrap_or_else(|| site.namespace.clone()),
            reference,
            labels,
            of: (POLICY_LABEL, name),
        }
    }
}
