//! Which fleets a policy's rules are about, as label matchers and as conditions on the result.
//!
//! A policy of a namespace names its fleets in the matchers, as long as these are few. A cluster-wide policy, and one with many
//! fleets, records a series per fleet, `fleetscope:policy_member:info`, and lets what has such a series pass. A
//! policy of a namespace records, too, for which fleets it decides the catalogue's alerts; those are what a cluster-wide policy leaves out.
//! So a policy that no Prometheus loads silences nobody.

use super::promql::{one_of, quote};
use super::rule::{Rule, texts};
use crate::catalogue::{FLEET_INFO, Fleets};

/// Recorded for each fleet of a policy that does not name them.
pub const MEMBER: &str = "fleetscope:policy_member:info";
/// Recorded for each fleet whose catalogue alerts a policy of its namespace decides.
pub const COVERED: &str = "fleetscope:alert_policy:info";

/// Most fleets that are named in matchers, and most bytes that this may take.
const NAMED: usize = 50;
const NAMED_BYTES: usize = 2048;

/// A fleet that a policy selects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SelectedFleet {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Name of its profile.
    pub profile: String,
    /// Whether this policy decides its catalogue alerts, or yields to an older one of the same kind.
    pub decides: bool,
    /// Bounds of the histograms of its gRPC calls, where the fleet has its own; else empty.
    pub call_bounds: Vec<f64>,
}

/// The fleets of a policy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach<'a> {
    /// Value of the label `policy`.
    pub(super) policy: &'a str,
    /// The one namespace, if the policy is of one.
    pub(super) namespace: Option<&'a str>,
    /// The policy has no selectors.
    pub(super) everything: bool,
    /// Leaves out the fleets that a policy of their own namespace covers.
    pub(super) gives_way: bool,
    /// All that it selects.
    pub(super) fleets: &'a [SelectedFleet],
}

/// Fleets as they stand in expressions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Selection {
    /// Label matchers, at least one.
    pub(super) matchers: String,
    /// Conditions on a result that has the labels `namespace` and `fleet`, such as `and on (namespace, fleet) x`.
    pub(super) conditions: Vec<String>,
}

/// Which of the fleets by profile.
#[derive(Clone, Copy, Debug)]
pub(super) enum Profiles<'a> {
    /// Those with this one.
    Only(&'a str),
    /// Those with none of these.
    Except(&'a [&'a str]),
}

// === impl Selection ===

impl Selection {
    /// The expression for these fleets alone.
    pub(super) fn filter(&self, expr: &str) -> String {
        if self.conditions.is_empty() {
            return expr.trim().to_owned();
        }
        format!("(\n{}\n)\n{}", indent(expr.trim()), self.conditions.join("\n"))
    }
}

/// Two columns more on each line.
pub(super) fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

// === impl Profiles ===

impl Profiles<'_> {
    fn has(self, fleet: &SelectedFleet) -> bool {
        match self {
            Self::Only(profile) => fleet.profile == profile,
            Self::Except(profiles) => !profiles.contains(&fleet.profile.as_str()),
        }
    }

    fn condition(self) -> Option<String> {
        match self {
            Self::Only(profile) => {
                Some(format!("and on (namespace, fleet) {FLEET_INFO}{{profile={}}}", quote(profile)))
            }
            Self::Except([]) => None,
            Self::Except(profiles) => {
                let pattern = quote(&one_of(profiles.iter().copied()));
                Some(format!("unless on (namespace, fleet) {FLEET_INFO}{{profile=~{pattern}}}"))
            }
        }
    }
}

// === impl Reach ===

impl Reach<'_> {
    /// All fleets of the policy: for what it says itself. None if there is no fleet.
    pub(super) fn own(&self) -> Option<Selection> {
        self.select(Profiles::Except(&[]), false)
    }

    /// The fleets with these profiles whose catalogue alerts it decides. None if there is no such fleet.
    pub(super) fn catalogue(&self, profiles: Profiles<'_>) -> Option<Selection> {
        self.select(profiles, true)
    }

    fn select(&self, profiles: Profiles<'_>, of_catalogue: bool) -> Option<Selection> {
        let wanted = |fleet: &&SelectedFleet| profiles.has(fleet) && (fleet.decides || !of_catalogue);
        let fleets: Vec<&SelectedFleet> = self.fleets.iter().filter(wanted).collect();
        let complete = self.everything && fleets.len() == self.fleets.len();
        if fleets.is_empty() && !complete {
            return None;
        }
        let mut selection = Selection { matchers: self.everywhere(), conditions: Vec::new() };
        if let Some(namespace) = self.namespace {
            if complete {
                return Some(selection);
            }
            if is_short(&fleets) {
                let namespace = namespace.to_owned();
                selection.matchers = match fleets[..] {
                    [fleet] => Fleets::One { namespace, fleet: fleet.name.clone() },
                    _ => Fleets::Some { namespace, fleets: fleets.iter().map(|fleet| fleet.name.clone()).collect() },
                }
                .to_string();
                return Some(selection);
            }
        }
        if self.has_members() {
            let of_catalogue = if of_catalogue { ",catalogue=\"true\"" } else { "" };
            selection
                .conditions
                .push(format!("and on (namespace, fleet) {MEMBER}{{policy={}{of_catalogue}}}", quote(self.policy)));
        }
        selection.conditions.extend(profiles.condition());
        if of_catalogue && self.gives_way {
            selection.conditions.push(format!("unless on (namespace, fleet) {COVERED}"));
        }
        Some(selection)
    }

    fn everywhere(&self) -> String {
        let all = self.namespace.map(|namespace| Fleets::Namespace { namespace: namespace.to_owned() });
        all.unwrap_or(Fleets::All).to_string()
    }

    /// Whether its fleets are told by recorded series.
    fn has_members(&self) -> bool {
        let partial = !self.everything || self.fleets.iter().any(|fleet| !fleet.decides);
        match self.namespace {
            None => partial,
            // Fleets of one profile may be many where all of them are not told apart otherwise.
            Some(_) => !is_short(&self.fleets.iter().collect::<Vec<_>>()),
        }
    }

    /// A series per fleet of the policy, where expressions do not name them.
    pub(super) fn members(&self) -> Vec<Rule> {
        if !self.has_members() {
            return Vec::new();
        }
        let member = |fleet: &SelectedFleet| {
            let catalogue = if fleet.decides { "true" } else { "false" };
            let labels = [
                ("namespace", fleet.namespace.as_str()),
                ("fleet", &fleet.name),
                ("policy", self.policy),
                ("catalogue", catalogue),
            ];
            Rule::record(MEMBER, "vector(1)", texts(labels))
        };
        self.fleets.iter().map(member).collect()
    }

    /// A series per fleet whose catalogue alerts a policy of its namespace decides.
    pub(super) fn covered(&self) -> Vec<Rule> {
        if self.namespace.is_none() {
            return Vec::new();
        }
        let covered = |fleet: &SelectedFleet| {
            let labels = [("namespace", fleet.namespace.as_str()), ("fleet", &fleet.name), ("policy", self.policy)];
            Rule::record(COVERED, "vector(1)", texts(labels))
        };
        self.fleets.iter().filter(|fleet| fleet.decides).map(covered).collect()
    }
}

fn is_short(fleets: &[&SelectedFleet]) -> bool {
    fleets.len() <= NAMED && fleets.iter().map(|fleet| fleet.name.len() + 1).sum::<usize>() <= NAMED_BYTES
}

#[cfg(test)]
mod tests;
