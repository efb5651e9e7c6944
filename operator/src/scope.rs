//! Which namespaces are looked at.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Namespace;
use kube::core::{NamespaceScope, PartialObjectMeta};
use kube::runtime::watcher::Config;
use kube::{Api, Client, Resource};

use crate::watched::Part;

/// The namespaces that are looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope(Option<BTreeSet<String>>);

// === impl Scope ===

impl Scope {
    /// These and `own`, where cluster-wide policies have their objects and the node agents are; without any, all.
    pub fn new(namespaces: &[String], own: &str) -> Self {
        let some = namespaces.iter().map(String::as_str).chain([own]).map(str::to_owned);
        Self((!namespaces.is_empty()).then(|| some.collect()))
    }

    /// The objects of a kind that has namespaces.
    pub fn parts<K: Resource<Scope: NamespaceScope> + Clone>(&self, api: &Api<K>, config: &Config) -> Vec<Part<K>> {
        let part = |api| Part { api, config: config.clone() };
        match &self.0 {
            None => vec![part(api.clone())],
            Some(namespaces) => namespaces.iter().map(|namespace| part(api.clone().constrain(namespace))).collect(),
        }
    }

    /// The namespaces themselves. A right to list one is a right by its name, which the API server looks for in the selector.
    pub fn namespaces(&self, client: &Client) -> Vec<Part<PartialObjectMeta<Namespace>>> {
        let part = |config| Part { api: Api::all(client.clone()), config };
        match &self.0 {
            None => vec![part(Config::default())],
            Some(names) => {
                names.iter().map(|name| part(Config::default().fields(&format!("metadata.name={name}")))).collect()
            }
        }
    }
}

// === impl Display ===

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            None => f.write_str("all"),
            Some(names) => f.write_str(&names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_namespaces_are_they_and_the_own_one() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(Scope::new(&[], "own"), Scope(None));
        let scope = Scope::new(&names(&["b", "a", "b"]), "own");
        assert_eq!(scope, Scope(Some(names(&["a", "b", "own"]).into_iter().collect())));
        assert_eq!(scope.to_string(), "a, b, own");
        assert_eq!(Scope::new(&names(&["own"]), "own").to_string(), "own");
    }
}
