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
use crate::resources::{self, Desired, FLEET_LABEL, Installed, Site};

/// Time between two evaluations.
const INTERVAL: &str = "30s";

/// The groups of a fleet's recordings. `compat` are the rules of its profile.
pub fn fleet_recordings(
    namespace: &str,
    fleet: &str,
    profile: &str,
    rows: &[Recording],
    compat: Vec<Rule>,
) -> Vec<Group> {
    let one = Fleets::One { namespace: namespace.to_owned(), fleet: fleet.to_owned() }.to_string();
    let info = texts([("namespace", namespace), ("fleet", fleet), ("profile", profile)]);
    let mut areas = vec![Area::ordered("info", None, vec![Rule::record(FLEET_INFO, "vector(1)", info)])];
    for row in rows {
        // A row of the catalogue always fills in: its own tests hold it to that.
        let Ok(expr) = row.expression(&one) else { continue };
        let rule = Rule::record(&row.record, expr, Texts::new());
        let name = row.area.as_str();
        match areas.iter_mut().find(|area| area.name == name) {
            Some(area) => area.lists.iter_mut().for_each(|list| list.push(rule.clone())),
            None => areas.push(Area::ordered(name, None, vec![rule])),
        }
    }
    areas.push(Area::loose(format!("profile/{profile}"), compat));
    groups(&format!("AgentFleet/{namespace}/{fleet}"), &INTERVAL.into(), areas)
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
