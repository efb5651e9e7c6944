//! A fleet's recordings: what alerts, dashboards and the CLI have in common, and the names that users of its profile's system know.
//!
//! In: a fleet, rows of the catalogue, rules of the profile. Out: groups, and the objects that carry them.

use kube::ResourceExt as _;

use super::group::{Area, groups};
use super::object::{Owner, kind, objects};
use super::rule::{Group, Rule, Texts, texts};
use crate::api::AgentFleet;
use crate::api::agent_fleet::ScrapeOutput;
use crate::api::alerting::RuleOutput;
use crate::catalogue::{FLEET_INFO, Fleets, Recording};
use crate::profiles::rules;
use crate::resources::{self, Desired, FLEET_LABEL, Installed, Site};

/// Time between two evaluations.
const INTERVAL: &str = "30s";

/// The groups of a fleet's recordings. `compat` are the rules of its profile.
///
/// All recordings are in one group, in the order of the catalogue: a row may use rows above it, and each group costs Prometheus a
/// dozen series of its own, which of thousands of fleets with eight groups each would be more than the recordings are worth.
pub fn fleet_recordings(
    namespace: &str,
    fleet: &str,
    profile: &str,
    rows: &[Recording],
    compat: Vec<Rule>,
) -> Vec<Group> {
    let one = Fleets::One { namespace: namespace.to_owned(), fleet: fleet.to_owned() }.to_string();
    let info = texts([("namespace", namespace), ("fleet", fleet), ("profile", profile)]);
    let mut recordings = vec![Rule::record(FLEET_INFO, "vector(1)", info)];
    // A row of the catalogue always fills in: its own tests hold it to that.
    let rows = rows.iter().filter_map(|row| Some(Rule::record(&row.record, row.expression(&one).ok()?, Texts::new())));
    recordings.extend(rows);
    let prefix = format!("AgentFleet/{namespace}/{fleet}");
    let mut all = groups(&prefix, &INTERVAL.into(), vec![Area::ordered("recordings", None, recordings)]);
    all.extend(groups(&prefix, &rules::INTERVAL.into(), vec![Area::ordered("profile", None, compat)]));
    all
}

/// The objects with a fleet's recordings; none for a fleet that is suspended, or whose scrape makes no object.
pub fn desired(
    fleet: &AgentFleet,
    profile: &str,
    rows: &[Recording],
    compat: Vec<Rule>,
    site: &Site,
    installed: Installed,
) -> Vec<Desired> {
    let output = match fleet.spec.scrape.output {
        _ if fleet.spec.suspend => return Vec::new(),
        ScrapeOutput::None => return Vec::new(),
        ScrapeOutput::ConfigMap => RuleOutput::ConfigMap,
        ScrapeOutput::Auto | ScrapeOutput::PodMonitor | ScrapeOutput::ServiceMonitor => RuleOutput::Auto,
    };
    let (namespace, name) = (resources::namespace(fleet), fleet.name_any());
    let mut labels = site.monitor_labels.clone();
    labels.extend(fleet.spec.scrape.labels.iter().map(|(key, value)| (key.clone(), value.0.clone())));
    let owner = Owner {
        name: format!("{name}-recordings"),
        namespace: namespace.clone(),
        reference: resources::owner(fleet),
        labels,
        of: (FLEET_LABEL, name.clone()),
    };
    objects(fleet_recordings(&namespace, &name, profile, rows, compat), kind(output, installed), &owner)
}
