//! The custom resources that the operator acts on: their kinds, and which object of them is meant.

use std::fmt;

use fleetscope_core::api::GROUP;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

/// A kind that the operator acts on.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum OwnerKind {
    /// `AgentFleet`.
    AgentFleet,
    /// `ScrapePolicy`.
    ScrapePolicy,
    /// `AlertPolicy`.
    AlertPolicy,
    /// `ClusterAlertPolicy`, which has no namespace.
    ClusterAlertPolicy,
    /// `ModelPriceList`, which has no namespace.
    ModelPriceList,
}

/// An object of these kinds.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OwnerKey {
    /// Its kind.
    pub kind: OwnerKind,
    /// Its namespace; empty for a kind that has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

// === impl OwnerKind ===

impl OwnerKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::AgentFleet, Self::ScrapePolicy, Self::AlertPolicy, Self::ClusterAlertPolicy, Self::ModelPriceList];

    /// The kind's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AgentFleet => "AgentFleet",
            Self::ScrapePolicy => "ScrapePolicy",
            Self::AlertPolicy => "AlertPolicy",
            Self::ClusterAlertPolicy => "ClusterAlertPolicy",
            Self::ModelPriceList => "ModelPriceList",
        }
    }

    /// Value of the label `controller` of the operator's metrics.
    pub const fn controller(self) -> &'static str {
        match self {
            Self::AgentFleet => "agentfleet",
            Self::ScrapePolicy => "scrapepolicy",
            Self::AlertPolicy => "alertpolicy",
            Self::ClusterAlertPolicy => "clusteralertpolicy",
            Self::ModelPriceList => "modelpricelist",
        }
    }

    /// Name of its definition (CRD).
    pub const fn crd(self) -> &'static str {
        match self {
            Self::AgentFleet => "agentfleets.fleetscope.io",
            Self::ScrapePolicy => "scrapepolicies.fleetscope.io",
            Self::AlertPolicy => "alertpolicies.fleetscope.io",
            Self::ClusterAlertPolicy => "clusteralertpolicies.fleetscope.io",
            Self::ModelPriceList => "modelpricelists.fleetscope.io",
        }
    }

    /// Whether its objects are in a namespace.
    pub const fn namespaced(self) -> bool {
        !matches!(self, Self::ClusterAlertPolicy | Self::ModelPriceList)
    }

    /// The kind that an owner reference names, if it is one of these.
    pub fn of(owner: &OwnerReference) -> Option<Self> {
        let ours = owner.api_version.split('/').next() == Some(GROUP);
        Self::ALL.into_iter().find(|kind| ours && kind.as_str() == owner.kind)
    }
}

// === impl OwnerKey ===

impl OwnerKey {
    /// A key; what has no namespace gets none.
    pub fn new(kind: OwnerKind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        let namespace = if kind.namespaced() { namespace.into() } else { String::new() };
        Self { kind, namespace, name: name.into() }
    }

    /// A fleet's.
    pub fn fleet(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self::new(OwnerKind::AgentFleet, namespace, name)
    }
}

impl fmt::Display for OwnerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.namespace.is_empty() { "" } else { "/" };
        write!(f, "{} {}{separator}{}", self.kind.as_str(), self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use fleetscope_core::api::crds;

    use super::*;

    #[test]
    fn the_kinds_are_those_that_are_installed() {
        let mut ours: Vec<(String, String, bool)> = OwnerKind::ALL
            .into_iter()
            .map(|kind| (kind.as_str().to_owned(), kind.crd().to_owned(), kind.namespaced()))
            .collect();
        ours.sort();
        let installed: Vec<(String, String, bool)> = crds()
            .into_iter()
            .map(|crd| (crd.spec.names.kind, crd.metadata.name.unwrap_or_default(), crd.spec.scope == "Namespaced"))
            .collect();
        assert_eq!(ours, installed);
    }

    #[test]
    fn a_kind_of_another_group_is_none_of_them() {
        let owner = |api_version: &str, kind: &str| OwnerReference {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            ..OwnerReference::default()
        };
        assert_eq!(OwnerKind::of(&owner("fleetscope.io/v1alpha1", "AlertPolicy")), Some(OwnerKind::AlertPolicy));
        assert_eq!(OwnerKind::of(&owner("other.io/v1alpha1", "AlertPolicy")), None);
        assert_eq!(OwnerKind::of(&owner("fleetscope.io/v1alpha1", "Other")), None);
    }

    #[test]
    fn what_has_no_namespace_has_none_in_its_key() {
        let key = OwnerKey::new(OwnerKind::ClusterAlertPolicy, "ns", "p");
        assert_eq!((key.namespace.as_str(), key.to_string()), ("", "ClusterAlertPolicy p".to_owned()));
        assert_eq!(OwnerKey::fleet("ns", "f").to_string(), "AgentFleet ns/f");
    }
}
