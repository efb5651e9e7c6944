//! Alertmanager's configuration out of a policy's receivers and routes.
//!
//! In: policies, as [`Policy`]. Out: the `spec` of an AlertmanagerConfig of prometheus-operator ([`config_object`]), or
//! a whole alertmanager.yaml ([`config_file`]); both from one routing tree, with the same receivers' names, and with Secrets
//! by name, never by content. Neither matches an alert that is not of one of these policies.
//!
//! ```text
//! root of the file (tells nobody)
//! └─ per policy: source="fleetscope", policy="..." -> defaultReceiver, or nobody; goes on
//!    ├─ first route:  severity, namespace, fleet, alertname -> receiver
//!    └─ second route: ...
//! ```
//!
//! prometheus-operator adds the matcher `namespace="<of the AlertmanagerConfig>"` to what it takes from the object, unless
//! the Alertmanager says otherwise in `spec.alertmanagerConfigMatcherStrategy.type`: see [`config_object::sees_own_namespace_only`].

use crate::api::receivers::Routing;

pub mod config_file;
pub mod config_object;
pub mod inhibition;
pub mod messages;
mod routing_tree;

/// The value of the label `source` that each of our alerts has.
pub const SOURCE: &str = "fleetscope";
/// Name of the receiver that tells nobody. No name that a user can give has an underscore in it.
const NOBODY: &str = "no_receiver";

/// What of a policy is Alertmanager's.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// Namespace of what the policy makes: its own; for a `ClusterAlertPolicy`, the operator's.
    pub namespace: &'a str,
    /// Name of the AlertmanagerConfig.
    pub name: &'a str,
    /// Value of the label `policy` of its alerts.
    pub label: &'a str,
    /// Its receivers and routes.
    pub routing: &'a Routing,
}

/// A condition on one label.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Matcher {
    label: &'static str,
    operator: &'static str,
    value: String,
}

// === impl Policy ===

impl Policy<'_> {
    /// Whether it has a say in Alertmanager's configuration.
    fn tells_somebody(&self) -> bool {
        !self.routing.receivers.is_empty()
    }

    /// A receiver's name in Alertmanager, as prometheus-operator makes it.
    fn receiver(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.namespace, self.name)
    }
}

// === impl Matcher ===

impl Matcher {
    fn equal(label: &'static str, value: &str) -> Self {
        Self { label, operator: "=", value: value.to_owned() }
    }

    /// A label that has one of these values, in each of which `*` stands for any characters. Nothing for no values: all do.
    fn one_of<'a>(label: &'static str, values: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let values: Vec<&str> = values.into_iter().collect();
        match values[..] {
            [] => None,
            [value] if !value.contains('*') => Some(Self::equal(label, value)),
            _ => {
                // A dot in a name of Kubernetes is a dot. Alertmanager matches the whole value.
                let patterns: Vec<String> =
                    values.iter().map(|value| value.replace('.', "[.]").replace('*', ".*")).collect();
                Some(Self { label, operator: "=~", value: patterns.join("|") })
            }
        }
    }
}

#[cfg(test)]
mod tests;
