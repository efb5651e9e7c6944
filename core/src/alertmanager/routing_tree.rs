//! The routing tree of a policy, before it is written as an object or as a file.

use super::{Matcher, NOBODY, Policy, SOURCE};
use crate::api::receivers::Route;
use crate::api::scalars::Severity;

/// A node of the tree.
pub(super) struct Node {
    /// Name of the receiver in the policy.
    pub(super) receiver: String,
    pub(super) matchers: Vec<Matcher>,
    /// Grouping and times. What else it says is in `matchers` and `children`.
    pub(super) route: Route,
    pub(super) children: Vec<Node>,
}

/// The tree of a policy that tells somebody.
pub(super) fn tree(policy: &Policy<'_>) -> Node {
    let routing = policy.routing;
    let default = routing.default_receiver.as_deref();
    let children = match (&routing.routes[..], default) {
        ([], None) => routing.receivers.iter().map(|receiver| leaf(&all_to(&receiver.name))).collect(),
        (routes, _) => routes.iter().map(leaf).collect(),
    };
    let receiver = default.unwrap_or(NOBODY);
    Node { receiver: receiver.to_owned(), matchers: of_policy(policy.label), route: all_to(receiver), children }
}

/// What all alerts of a policy have.
pub(super) fn of_policy(label: &str) -> Vec<Matcher> {
    vec![Matcher::equal("source", SOURCE), Matcher::equal("policy", label)]
}

/// A route that leaves the alert to those after it as well: other receivers, other policies, other people's routes.
fn all_to(receiver: &str) -> Route {
    Route { goes_on: true, ..Route::to(receiver) }
}

fn leaf(route: &Route) -> Node {
    fn texts(list: &[String]) -> impl Iterator<Item = &str> {
        list.iter().map(String::as_str)
    }
    let mut severities: Vec<Severity> = route.severities.clone();
    severities.sort_unstable();
    severities.dedup();
    let matchers = [
        Matcher::one_of("severity", severities.into_iter().map(Severity::as_str)),
        Matcher::one_of("namespace", texts(&route.namespaces)),
        Matcher::one_of("fleet", texts(&route.fleets)),
        Matcher::one_of("alertname", texts(&route.alerts)),
    ];
    Node {
        receiver: route.receiver.clone(),
        matchers: matchers.into_iter().flatten().collect(),
        route: route.clone(),
        children: Vec::new(),
    }
}
