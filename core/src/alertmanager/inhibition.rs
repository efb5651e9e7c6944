//! Alerts that are held back while another one tells their cause: the one place where causes and consequences stand.
//!
//! Cause and consequence are alerts of one policy: whoever is not told of the consequence has been told of the cause, and
//! policies that do not want it are left in peace.

use std::collections::BTreeSet;

use super::Matcher;
use super::routing_tree::of_policy;
use crate::api::scalars::Severity;
use crate::catalogue::{self, Alert};

/// While the same alert has the first severity, those with one of the others are held back. It is for alerts of the catalogue, which
/// overrides may give several severities: which labels tell two of one name apart is known of these alone. An own rule may be about
/// pods, disks or whatever its expression yields.
const SEVERITIES: [(Severity, &[Severity]); 2] =
    [(Severity::Critical, &[Severity::Warning, Severity::Info]), (Severity::Warning, &[Severity::Info])];

/// Alerts that tell a cause, and those that follow from it.
#[derive(Clone, Copy, Debug)]
pub struct Cause {
    /// Names of the alerts that tell the cause.
    pub alerts: &'static [&'static str],
    /// Names of the alerts that are held back.
    pub hides: &'static [&'static str],
    /// Labels that must be the same on both.
    pub equal: &'static [&'static str],
}

/// All causes.
pub const CAUSES: &[Cause] = &[
    // A node agent serves all fleets of its node: one cause, and a message per fleet. The same fleets' failures on other nodes, such as
    // too many samples, have other causes.
    Cause { alerts: &["FleetscopeNodeAgentDown"], hides: &["FleetScrapeDown"], equal: &["node"] },
    // Where Prometheus sees no node agent at all, none of a node answers and none is asked for a fleet. Scrapes that fail are the
    // consequence of those on their nodes, which count as causes also while they are held back.
    Cause {
        alerts: &["FleetscopeNodeAgentAbsent"],
        hides: &["FleetscopeNodeAgentDown", "FleetNotScraped"],
        equal: &[],
    },
    // Where there is no operator, none leads.
    Cause { alerts: &["FleetscopeOperatorAbsent"], hides: &["FleetscopeOperatorNoLeader"], equal: &[] },
    // The score is made of these.
    Cause {
        alerts: &["FleetAgentFailed", "FleetAgentAbsent", "FleetTaskFailureRatioHigh", "FleetGrpcServerErrorRatioHigh"],
        hides: &["FleetHealthLow"],
        equal: &["namespace", "fleet"],
    },
    // Where most are slow, the slowest are.
    Cause { alerts: &["FleetTaskSlow"], hides: &["FleetTaskTailSlow"], equal: &["namespace", "fleet", "task"] },
];

/// A rule of Alertmanager.
pub(super) struct Rule {
    pub(super) source: Vec<Matcher>,
    pub(super) target: Vec<Matcher>,
    pub(super) equal: Vec<&'static str>,
}

/// The rules for a policy whose alerts have this label.
pub(super) fn rules(label: &str) -> Vec<Rule> {
    let with = |matcher: Option<Matcher>| -> Vec<Matcher> { of_policy(label).into_iter().chain(matcher).collect() };
    let one_of = |severities: &[Severity]| Matcher::one_of("severity", severities.iter().map(|s| s.as_str()));
    // As the name is to be equal, one side is enough.
    let of_catalogue = Matcher::one_of("alertname", catalogue::alerts().iter().map(|alert| alert.name.as_str()));
    let by_severity = SEVERITIES.iter().map(|(worse, others)| Rule {
        source: with(one_of(&[*worse])),
        target: with(one_of(others)).into_iter().chain(of_catalogue.clone()).collect(),
        equal: same(),
    });
    let by_cause = CAUSES.iter().map(|cause| Rule {
        source: with(Matcher::one_of("alertname", cause.alerts.iter().copied())),
        target: with(Matcher::one_of("alertname", cause.hides.iter().copied())),
        equal: cause.equal.to_vec(),
    });
    by_severity.chain(by_cause).collect()
}

/// What makes two alerts of the catalogue the same one: the name, and all that an alert may be about. A label that neither of the two
/// has counts as equal.
fn same() -> Vec<&'static str> {
    let about: BTreeSet<&str> = catalogue::alerts().iter().flat_map(Alert::labels).collect();
    std::iter::once("alertname").chain(about).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_and_consequences_are_alerts_of_the_catalogue() {
        let names = CAUSES.iter().flat_map(|cause| cause.alerts.iter().chain(cause.hides));
        let unknown: Vec<_> = names.filter(|name| catalogue::alert(name).is_none()).collect();
        assert_eq!(unknown, Vec::<&&str>::new());
    }
}
