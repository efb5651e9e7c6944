//! The kinds of objects that are made, how the API names them, and which of them a cluster has.

/// Kind of an object that is made.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ChildKind {
    /// `monitoring.coreos.com/v1` PodMonitor.
    PodMonitor,
    /// `monitoring.coreos.com/v1` ServiceMonitor.
    ServiceMonitor,
    /// `monitoring.coreos.com/v1alpha1` ScrapeConfig.
    ScrapeConfig,
    /// `monitoring.coreos.com/v1` PrometheusRule.
    PrometheusRule,
    /// `monitoring.coreos.com/v1alpha1` AlertmanagerConfig.
    AlertmanagerConfig,
    /// `grafana.integreatly.org/v1beta1` GrafanaDashboard, of grafana-operator.
    GrafanaDashboard,
    /// `v1` ConfigMap.
    ConfigMap,
}

/// The kinds that a cluster has. Built-in kinds are in every set.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Installed(u8);

// === impl ChildKind ===

impl ChildKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::PodMonitor,
        Self::ServiceMonitor,
        Self::ScrapeConfig,
        Self::PrometheusRule,
        Self::AlertmanagerConfig,
        Self::GrafanaDashboard,
        Self::ConfigMap,
    ];

    /// The kind's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PodMonitor => "PodMonitor",
            Self::ServiceMonitor => "ServiceMonitor",
            Self::ScrapeConfig => "ScrapeConfig",
            Self::PrometheusRule => "PrometheusRule",
            Self::AlertmanagerConfig => "AlertmanagerConfig",
            Self::GrafanaDashboard => "GrafanaDashboard",
            Self::ConfigMap => "ConfigMap",
        }
    }

    /// API group, empty for the core group.
    pub const fn group(self) -> &'static str {
        match self {
            Self::ConfigMap => "",
            Self::GrafanaDashboard => "grafana.integreatly.org",
            _ => "monitoring.coreos.com",
        }
    }

    /// Version within the group.
    pub const fn version(self) -> &'static str {
        match self {
            Self::ScrapeConfig | Self::AlertmanagerConfig => "v1alpha1",
            Self::GrafanaDashboard => "v1beta1",
            Self::PodMonitor | Self::ServiceMonitor | Self::PrometheusRule | Self::ConfigMap => "v1",
        }
    }

    /// What objects of the kind have as their `apiVersion`.
    pub fn api_version(self) -> String {
        match self.group() {
            "" => self.version().to_owned(),
            group => format!("{group}/{}", self.version()),
        }
    }

    /// Plural, as in URLs.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::PodMonitor => "podmonitors",
            Self::ServiceMonitor => "servicemonitors",
            Self::ScrapeConfig => "scrapeconfigs",
            Self::PrometheusRule => "prometheusrules",
            Self::AlertmanagerConfig => "alertmanagerconfigs",
            Self::GrafanaDashboard => "grafanadashboards",
            Self::ConfigMap => "configmaps",
        }
    }

    /// Name of the kind's CRD; a built-in kind has none.
    pub const fn crd(self) -> Option<&'static str> {
        match self {
            Self::PodMonitor => Some("podmonitors.monitoring.coreos.com"),
            Self::ServiceMonitor => Some("servicemonitors.monitoring.coreos.com"),
            Self::ScrapeConfig => Some("scrapeconfigs.monitoring.coreos.com"),
            Self::PrometheusRule => Some("prometheusrules.monitoring.coreos.com"),
            Self::AlertmanagerConfig => Some("alertmanagerconfigs.monitoring.coreos.com"),
            Self::GrafanaDashboard => Some("grafanadashboards.grafana.integreatly.org"),
            Self::ConfigMap => None,
        }
    }
}

// === impl Installed ===

impl Installed {
    /// Every kind.
    pub fn all() -> Self {
        ChildKind::ALL.into_iter().collect()
    }

    /// Whether the kind is there.
    pub const fn has(self, kind: ChildKind) -> bool {
        kind.crd().is_none() || self.0 & Self::bit(kind) != 0
    }

    /// The set with one kind more.
    #[must_use]
    pub const fn with(self, kind: ChildKind) -> Self {
        if kind.crd().is_some() { Self(self.0 | Self::bit(kind)) } else { self }
    }

    const fn bit(kind: ChildKind) -> u8 {
        1 << kind as u8
    }
}

impl FromIterator<ChildKind> for Installed {
    fn from_iter<I: IntoIterator<Item = ChildKind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::default(), Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crd_is_named_by_plural_and_group() {
        for kind in ChildKind::ALL {
            let named = kind.crd().map(str::to_owned);
            let expected = (!kind.group().is_empty()).then(|| format!("{}.{}", kind.plural(), kind.group()));
            assert_eq!(named, expected, "{}", kind.as_str());
            assert_eq!(kind.plural(), format!("{}s", kind.as_str().to_ascii_lowercase()));
        }
        assert_eq!(ChildKind::ScrapeConfig.api_version(), "monitoring.coreos.com/v1alpha1");
        assert_eq!(ChildKind::GrafanaDashboard.api_version(), "grafana.integreatly.org/v1beta1");
        assert_eq!(ChildKind::ConfigMap.api_version(), "v1");
    }

    #[test]
    fn a_set_has_what_was_put_in_and_the_built_in_kinds() {
        let set = Installed::default().with(ChildKind::ScrapeConfig).with(ChildKind::PrometheusRule);
        let has: Vec<ChildKind> = ChildKind::ALL.into_iter().filter(|kind| set.has(*kind)).collect();
        assert_eq!(has, [ChildKind::ScrapeConfig, ChildKind::PrometheusRule, ChildKind::ConfigMap]);
        assert!(ChildKind::ALL.into_iter().all(|kind| Installed::all().has(kind)));
        assert_eq!(Installed::default().with(ChildKind::ConfigMap), Installed::default());
    }
}
