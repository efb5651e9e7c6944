//! Ways between the dashboards: variables and time are kept.

use super::json::{DataLink, Link};
use super::variables::Scope;

/// By which the dashboards find each other.
pub(super) const TAG: &str = "fleetscope";

/// Links at the top. Those of one fleet's dashboard name their target, as constants are not passed on.
pub(super) fn top(scope: &Scope, others: &[(&str, &str)]) -> Vec<Link> {
    match scope {
        Scope::Variables => vec![link("Fleetscope".to_owned(), "dashboards", vec![TAG], String::new())],
        Scope::Fleet { namespace, name } => others
            .iter()
            .map(|(uid, title)| {
                let url = format!("/d/{uid}?var-namespace={namespace}&var-fleet={name}&${{datasource:queryparam}}");
                link((*title).to_owned(), "link", Vec::new(), url)
            })
            .collect(),
    }
}

/// A click on a series leads to another dashboard, for the fleet of the series.
pub(super) fn drill(uid: &str) -> DataLink {
    let fleet = "var-namespace=${__field.labels.namespace}&var-fleet=${__field.labels.fleet}";
    DataLink {
        title: "This fleet in ${__field.labels.namespace}".to_owned(),
        url: format!("/d/{uid}?{fleet}&${{datasource:queryparam}}&${{__url_time_range}}"),
    }
}

fn link(title: String, kind: &'static str, tags: Vec<&'static str>, url: String) -> Link {
    Link {
        title,
        kind,
        icon: if kind == "link" { "dashboard" } else { "external link" },
        tags,
        url,
        as_dropdown: false,
        include_vars: kind == "dashboards",
        keep_time: true,
        tooltip: "",
    }
}
