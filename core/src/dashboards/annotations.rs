//! Marks over all panels: rollouts of new images, and changes of alert policies.

use super::json::{Annotation, AnnotationTarget, GRAFANA, List, PROMETHEUS};
use super::variables::Scope;

/// A mark that Prometheus knows of.
struct Mark {
    name: &'static str,
    colour: &'static str,
    title: &'static str,
    text: &'static str,
    tags: &'static str,
    /// True for some minutes from the event on: a mark begins where it does.
    expr: &'static str,
}

const MARKS: [Mark; 3] = [
    Mark {
        name: "Rollouts",
        colour: "purple",
        title: "New image in {{namespace}}/{{fleet}}",
        text: "{{image}}",
        tags: "namespace,fleet",
        expr: "count by (namespace, fleet, image) (fleetscope_agent_info{$fleets}) unless count by (namespace, fleet, image) (fleetscope_agent_info{$fleets} offset 5m)",
    },
    Mark {
        name: "Policy changes",
        colour: "orange",
        title: "Alert policy changed",
        text: "{{namespace}}/{{policy}}",
        tags: "namespace,policy",
        // Policies of the cluster concern every fleet, whatever namespace is chosen.
        expr: "changes(fleetscope:policy_generation:info[5m]) > 0",
    },
    Mark {
        name: "Fleetscope rollouts",
        colour: "blue",
        title: "New version of Fleetscope",
        text: "{{component}} {{version}}",
        tags: "component",
        expr: "count by (component, version) (fleetscope_build_info) unless count by (component, version) (fleetscope_build_info offset 5m)",
    },
];

/// Expressions of all marks, for the tests of expressions.
#[cfg(test)]
pub(super) fn expressions(scope: &Scope) -> Vec<String> {
    MARKS.iter().map(|mark| mark.expr.replace("$fleets", scope.matchers())).collect()
}

/// In Grafana's model: its own, and ours.
pub(super) fn model(scope: &Scope) -> List<Annotation> {
    let built_in = Annotation {
        built_in: Some(1),
        name: "Annotations & Alerts",
        kind: Some("dashboard"),
        datasource: GRAFANA,
        enable: true,
        hide: true,
        icon_color: "rgba(0, 211, 255, 1)",
        title_format: None,
        text_format: None,
        tag_keys: None,
        target: None,
    };
    let ours = MARKS.iter().map(|mark| Annotation {
        built_in: None,
        name: mark.name,
        kind: None,
        datasource: PROMETHEUS,
        enable: true,
        hide: false,
        icon_color: mark.colour,
        title_format: Some(mark.title),
        text_format: Some(mark.text),
        tag_keys: Some(mark.tags),
        target: Some(AnnotationTarget {
            ref_id: "Anno",
            expr: mark.expr.replace("$fleets", scope.matchers()),
            interval: "1m",
        }),
    });
    List { list: std::iter::once(built_in).chain(ours).collect() }
}
