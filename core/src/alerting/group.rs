//! Rules into groups, and groups into lists that fit into an object each.
//!
//! Prometheus evaluates groups side by side, and the rules of one group one after the other. So rules that have nothing to do with one
//! another are spread over groups of a few dozen, and what must be evaluated in order stays together.

use super::rule::{Group, Rule};
use crate::api::scalars::PromDuration;

/// Most rules in a group, unless more belong together.
pub const RULES_PER_GROUP: usize = 50;
/// Most bytes in a group, even if its rules belong together.
pub const GROUP_BYTES: usize = 200 * 1024;
/// Most bytes of groups in an object. prometheus-operator refuses rules of more than 512 KiB, and an apply from a client's
/// side has 256 KiB for its note of them; what is around the groups takes a few KiB.
pub const OBJECT_BYTES: usize = 390 * 1024;

/// Rules of one subject.
#[derive(Clone, Debug, Default)]
pub(super) struct Area {
    /// Its name, the end of the groups' names.
    pub(super) name: String,
    /// Least seconds between two evaluations.
    pub(super) seconds: Option<u64>,
    /// Rules that are evaluated in order, list by list.
    pub(super) lists: Vec<Vec<Rule>>,
}

// === impl Area ===

impl Area {
    /// Rules that are evaluated in their order.
    pub(super) fn ordered(name: impl Into<String>, seconds: Option<u64>, rules: Vec<Rule>) -> Self {
        Self { name: name.into(), seconds, lists: vec![rules] }
    }

    /// Rules that have nothing to do with one another.
    pub(super) fn loose(name: impl Into<String>, rules: Vec<Rule>) -> Self {
        Self { name: name.into(), seconds: None, lists: rules.into_iter().map(|rule| vec![rule]).collect() }
    }
}

/// The groups of some areas; their names begin with `prefix`.
pub(super) fn groups(prefix: &str, interval: &PromDuration, areas: Vec<Area>) -> Vec<Group> {
    let mut groups = Vec::new();
    for area in areas {
        let seconds = area.seconds.filter(|seconds| interval.seconds().is_none_or(|interval| interval < *seconds));
        let interval = seconds.map_or_else(|| interval.0.clone(), |seconds| format!("{seconds}s"));
        for (i, rules) in packed(area.lists).into_iter().enumerate() {
            let name =
                if i == 0 { format!("{prefix}/{}", area.name) } else { format!("{prefix}/{}/{}", area.name, i + 1) };
            groups.push(Group { name, interval: interval.clone(), rules });
        }
    }
    groups
}

/// Lists put together until a group is full.
fn packed(lists: Vec<Vec<Rule>>) -> Vec<Vec<Rule>> {
    let mut groups: Vec<Vec<Rule>> = Vec::new();
    let mut bytes = 0_usize;
    for list in lists {
        let weight: usize = list.iter().map(Rule::weight).sum();
        let fits = groups
            .last()
            .is_some_and(|group| group.len() + list.len() <= RULES_PER_GROUP && bytes + weight <= GROUP_BYTES);
        if !fits && !list.is_empty() {
            groups.push(Vec::new());
            bytes = 0;
        }
        for rule in list {
            let weight = rule.weight();
            if bytes > 0 && bytes + weight > GROUP_BYTES {
                groups.push(Vec::new());
                bytes = 0;
            }
            bytes += weight;
            if let Some(group) = groups.last_mut() {
                group.push(rule);
            }
        }
    }
    groups
}

/// Groups in lists that fit into an object each, in order.
pub(super) fn split(groups: Vec<Group>) -> Vec<Vec<Group>> {
    let mut objects: Vec<Vec<Group>> = Vec::new();
    let mut bytes = 0_usize;
    for group in groups {
        let weight = group.weight();
        if objects.is_empty() || bytes + weight > OBJECT_BYTES {
            objects.push(Vec::new());
            bytes = 0;
        }
        bytes += weight;
        if let Some(object) = objects.last_mut() {
            object.push(group);
        }
    }
    objects
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerting::rule::Texts;

    fn rule(name: &str, bytes: usize) -> Rule {
        Rule::record(name, "x".repeat(bytes), Texts::new())
    }

    #[test]
    fn loose_rules_fill_groups_and_lists_stay_whole() {
        let loose = (0..60).map(|i| vec![rule(&format!("r{i}"), 1)]);
        let together = (0..70).map(|i| rule(&format!("t{i}"), 1)).collect();
        let area = Area { name: "rules".to_owned(), seconds: Some(60), lists: loose.chain([together]).collect() };
        let groups = groups("AlertPolicy/a/b", &"30s".into(), vec![area]);
        let shape: Vec<_> =
            groups.iter().map(|group| (group.name.as_str(), group.interval.as_str(), group.rules.len())).collect();
        assert_eq!(
            shape,
            [
                ("AlertPolicy/a/b/rules", "60s", 50),
                ("AlertPolicy/a/b/rules/2", "60s", 10),
                ("AlertPolicy/a/b/rules/3", "60s", 70),
            ]
        );
    }

    #[test]
    fn a_group_never_outgrows_its_bytes_and_an_object_neither() {
        let rules = (0..40).map(|i| rule(&format!("r{i}"), 30_000)).collect();
        let groups = groups("p", &"5m".into(), vec![Area::ordered("rules", Some(60), rules)]);
        assert!(groups.iter().all(|group| group.weight() <= GROUP_BYTES && group.interval == "5m"));
        let names: Vec<String> =
            groups.iter().flat_map(|group| &group.rules).filter_map(|rule| rule.record.clone()).collect();
        assert_eq!(names, (0..40).map(|i| format!("r{i}")).collect::<Vec<_>>());
        let objects = split(groups.clone());
        assert!(objects.iter().all(|object| object.iter().map(Group::weight).sum::<usize>() <= OBJECT_BYTES));
        assert!(objects.len() > 1);
        assert_eq!(objects.concat(), groups);
    }

    #[test]
    fn no_rules_are_no_groups_and_no_groups_no_object() {
        assert_eq!(
            groups("p", &"30s".into(), vec![Area::loose("rules", Vec::new()), Area::ordered("x", None, Vec::new())]),
            []
        );
        assert_eq!(split(Vec::new()), Vec::<Vec<Group>>::new());
    }
}
