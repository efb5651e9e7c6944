//! All that is made for a fleet: what carries its scrape configuration, its recordings, and its dashboard.

use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::{ChildKind, Desired, Installed, Site, names, scrape_name, scrape_object};
use crate::alerting::{built_in, recordings};
use crate::api::AgentFleet;
use crate::api::agent_fleet::FleetDashboard;
use crate::{catalogue, dashboards, profiles};

/// The label by which Grafana's sidecar finds dashboards, and its value (kube-prometheus-stack's defaults).
pub const DASHBOARD_LABEL: (&str, &str) = ("grafana_dashboard", "1");

/// The objects of a fleet; none while it is suspended.
pub fn desired(fleet: &AgentFleet, site: &Site, installed: Installed) -> Vec<Desired> {
    if fleet.spec.suspend {
        return Vec::new();
    }
    let (namespace, name) = (super::namespace(fleet), fleet.name_any());
    let scrape = ChildKind::wanted(fleet, |kind| installed.has(kind)).map(|kind| Desired {
        kind,
        name: scrape_name(&name),
        namespace: namespace.clone(),
        body: scrape_object(kind, fleet, site),
    });
    let profile = profiles::get(fleet.spec.profile);
    let compat = built_in::recordings_of(profile, &namespace, &name);
    let rows = catalogue::recordings();
    let recordings = recordings::desired(fleet, profile.name.as_str(), rows, compat, site, installed);
    scrape.into_iter().chain(recordings).chain(dashboard(fleet, site, installed)).collect()
}

/// The dashboard of a fleet that asks for one: a GrafanaDashboard where the kind is installed and nobody says otherwise, else a ConfigMap that
/// Grafana's sidecar finds.
fn dashboard(fleet: &AgentFleet, site: &Site, installed: Installed) -> Option<Desired> {
    if fleet.spec.dashboard == FleetDashboard::None {
        return None;
    }
    let (namespace, fleet_name) = (super::namespace(fleet), fleet.name_any());
    let profile = profiles::get(fleet.spec.profile);
    let threshold = |alert: &str| {
        let changed = profile.alert_override(alert).and_then(|change| change.threshold.as_ref()?.parse().ok());
        changed.or_else(|| dashboards::catalogue_threshold(alert))
    };
    let model = dashboards::fleet_dashboard(&namespace, &fleet_name, &threshold);
    let name = names::hashed(&format!("{fleet_name}-dashboard"));
    let mut metadata = super::metadata(fleet, site);
    metadata["name"] = json!(name);
    let (kind, field, content) = if installed.has(ChildKind::GrafanaDashboard) && !site.sidecar {
        (ChildKind::GrafanaDashboard, "spec", grafana_dashboard(&model.to_string(), site))
    } else {
        metadata["labels"][DASHBOARD_LABEL.0] = json!(DASHBOARD_LABEL.1);
        (ChildKind::ConfigMap, "data", json!({ format!("{name}.json"): model.to_string() }))
    };
    let body = json!({ "apiVersion": kind.api_version(), "kind": kind.as_str(), "metadata": metadata, field: content });
    Some(Desired { kind, name, namespace, body })
}

/// The spec of a GrafanaDashboard: grafana-operator's API reference, `GrafanaDashboardSpec`. Fleets are seldom in Grafana's own namespace.
fn grafana_dashboard(model: &str, site: &Site) -> Value {
    let selector = match &site.grafana_labels {
        // An empty one is for all instances.
        labels if labels.is_empty() => json!({}),
        labels => json!({ "matchLabels": labels }),
    };
    json!({ "allowCrossNamespaceImport": true, "instanceSelector": selector, "json": model })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(spec: &Value) -> AgentFleet {
        let object = json!({
            "apiVersion": "fleetscope.io/v1alpha1", "kind": "AgentFleet",
            "metadata": { "name": "review", "namespace": "agents", "uid": "0b1c" }, "spec": spec,
        });
        crate::api::admission::admit_as(&object).unwrap()
    }

    fn made(spec: &Value, installed: Installed) -> Vec<(&'static str, String)> {
        let site = Site { namespace: "fleetscope-system".to_owned(), ..Site::default() };
        desired(&fleet(spec), &site, installed).into_iter().map(|made| (made.kind.as_str(), made.name)).collect()
    }

    #[test]
    fn a_fleet_has_a_monitor_and_recordings_and_a_dashboard_if_it_asks_for_one() {
        let name = |name: &str| name.to_owned();
        assert_eq!(
            made(&json!({ "selector": {} }), Installed::all()),
            [("PodMonitor", name("review-scrape")), ("PrometheusRule", name("review-recordings"))]
        );
        assert_eq!(
            made(&json!({ "selector": {}, "dashboard": "Overview" }), Installed::default()),
            [
                ("ConfigMap", name("review-scrape")),
                ("ConfigMap", name("review-recordings")),
                ("ConfigMap", name("review-dashboard"))
            ]
        );
        assert_eq!(made(&json!({ "selector": {}, "suspend": true, "dashboard": "Overview" }), Installed::all()), []);
    }

    #[test]
    fn a_dashboard_is_the_fleets_own_and_found_by_grafanas_sidecar() {
        let fleet = fleet(&json!({ "selector": {}, "dashboard": "Overview", "profile": "AgentOrchestrator" }));
        let made = dashboard(&fleet, &Site { sidecar: true, ..Site::default() }, Installed::all()).unwrap().body;
        assert_eq!(made["metadata"]["labels"]["grafana_dashboard"], "1");
        assert_eq!(made["metadata"]["ownerReferences"][0]["uid"], "0b1c");
        let text = made["data"]["review-dashboard.json"].as_str().unwrap();
        let model: Value = serde_json::from_str(text).unwrap();
        assert!(model["panels"].as_array().is_some_and(|panels| panels.len() > 5));
        let constant = |name: &str| {
            let mut variables = model["templating"]["list"].as_array().into_iter().flatten();
            variables.find(|variable| variable["name"] == name).map(|variable| variable["query"].clone())
        };
        assert_eq!((constant("namespace"), constant("fleet")), (Some(json!("agents")), Some(json!("review"))));
    }

    #[test]
    fn a_dashboard_is_an_object_of_grafana_operator_where_that_kind_is_installed() {
        let fleet = fleet(&json!({ "selector": {}, "dashboard": "Overview" }));
        let text =
            dashboard(&fleet, &Site::default(), Installed::default()).unwrap().body["data"]["review-dashboard.json"]
                .take();
        for (labels, selector) in
            [(vec![], json!({})), (vec![("team", "platform")], json!({ "matchLabels": { "team": "platform" } }))]
        {
            let grafana_labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            let site = Site { grafana_labels, ..Site::default() };
            let mut made = dashboard(&fleet, &site, Installed::all()).unwrap();
            assert_eq!((made.kind, made.name.as_str()), (ChildKind::GrafanaDashboard, "review-dashboard"));
            let metadata = made.body["metadata"].take();
            assert_eq!(metadata["ownerReferences"][0]["uid"], "0b1c");
            assert_eq!(metadata["labels"].get("grafana_dashboard"), None);
            assert_eq!(
                made.body,
                json!({
                    "apiVersion": "grafana.integreatly.org/v1beta1",
                    "kind": "GrafanaDashboard",
                    "metadata": null,
                    "spec": { "allowCrossNamespaceImport": true, "instanceSelector": selector, "json": text },
                })
            );
        }
    }
}
