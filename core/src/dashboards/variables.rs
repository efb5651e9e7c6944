//! Which fleets a dashboard shows, and the variables by which its user chooses.

use serde_json::{Value, json};

use super::json::{PROMETHEUS, VariableModel};

/// Whose series a dashboard shows.
#[derive(Clone, Debug)]
pub(super) enum Scope {
    /// Those of the fleets that the variables choose.
    Variables,
    /// Those of one fleet.
    Fleet { namespace: String, name: String },
}

/// The variables that there are. Every one is asked of a metric that every fleet has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Variable {
    /// Which Prometheus.
    DataSource,
    Namespace,
    /// Profiles of fleets; narrows the list of fleets down.
    Profile,
    Fleet,
    Task,
    /// Tasks of the group `workers`, as the profile of the orchestrator has it.
    WorkerProfile,
    /// Methods of gRPC.
    Method,
    /// Models of LLM providers.
    Model,
    Node,
}

/// Those that every dashboard of fleets has.
pub(super) const OF_FLEETS: [Variable; 4] =
    [Variable::DataSource, Variable::Namespace, Variable::Profile, Variable::Fleet];

/// How one is asked for.
struct Ask {
    name: &'static str,
    label: &'static str,
    query: &'static str,
    /// Takes the value out of what the query returns.
    regex: &'static str,
    /// What "All" stands for. Without one it is the list of all values.
    all: Option<&'static str>,
}

// === impl Scope ===

impl Scope {
    /// What stands for `$fleets`. Variables with several values are regular expressions; a constant is compared as it is, so that
    /// a dot in a name is a dot.
    pub(super) const fn matchers(&self) -> &'static str {
        match self {
            Self::Variables => r#"namespace=~"$namespace",fleet=~"$fleet""#,
            Self::Fleet { .. } => r#"namespace="$namespace",fleet="$fleet""#,
        }
    }
}

// === impl Variable ===

impl Variable {
    /// How it is asked for; nothing is for the data source.
    const fn ask(self) -> Option<Ask> {
        let (name, label, query, regex, all) = match self {
            Self::DataSource => return None,
            Self::Namespace => ("namespace", "Namespace", "label_values(fleetscope_agents, namespace)", "", Some(".+")),
            Self::Profile => (
                "profile",
                "Profile",
                r#"label_values(fleet:info:one{namespace=~"$namespace"}, profile)"#,
                "",
                Some(".*"),
            ),
            // All fleets but those of another profile: one whose recordings no Prometheus evaluates has none, and stays.
            // "All" is the list of them, not everything, so that the profile holds for it too.
            Self::Fleet => (
                "fleet",
                "Fleet",
                r#"query_result(group by (namespace, fleet) (fleetscope_agents{namespace=~"$namespace"}) unless on (namespace, fleet) fleet:info:one{profile!~"$profile"})"#,
                r#"/fleet="([^"]+)"/"#,
                None,
            ),
            Self::Task => ("task", "Task", "label_values(fleetscope_tasks_total{$fleets}, task)", "", Some(".*")),
            Self::WorkerProfile => (
                "worker_profile",
                "Worker profile",
                r#"label_values(fleetscope_tasks_total{$fleets,group="workers"}, task)"#,
                "",
                Some(".*"),
            ),
            Self::Method => (
                "method",
                "Method",
                r#"label_values({__name__=~"rpc_(client|server)_call_duration_seconds_count",$fleets}, rpc_method)"#,
                "",
                Some(".*"),
            ),
            Self::Model => {
                ("model", "Model", "label_values(fleetscope_llm_requests_total{$fleets}, model)", "", Some(".*"))
            }
            Self::Node => ("node", "Node", "label_values(fleetscope_probe_info, node)", "", Some(".*")),
        };
        Some(Ask { name, label, query, regex, all })
    }

    /// In Grafana's model. A variable that chooses fleets is a constant in the dashboard of one fleet, or not there.
    pub(super) fn model(self, scope: &Scope) -> Option<VariableModel> {
        let Some(ask) = self.ask() else { return Some(data_source()) };
        match (self, scope) {
            (Self::Namespace, Scope::Fleet { namespace, .. }) => return Some(constant(ask.name, namespace)),
            (Self::Fleet, Scope::Fleet { name, .. }) => return Some(constant(ask.name, name)),
            (Self::Profile, Scope::Fleet { .. }) => return None,
            _ => {}
        }
        let query = ask.query.replace("$fleets", scope.matchers());
        Some(VariableModel {
            label: Some(ask.label),
            query: json!({ "query": query, "refId": "StandardVariableQuery" }),
            datasource: Some(PROMETHEUS),
            definition: Some(query),
            regex: ask.regex,
            refresh: 2,
            sort: 1,
            multi: true,
            include_all: true,
            all_value: ask.all,
            current: json!({ "text": ["All"], "value": ["$__all"] }),
            ..plain(ask.name, "query", Value::Null)
        })
    }
}

/// Which Prometheus; the first one if nobody chooses.
fn data_source() -> VariableModel {
    VariableModel { label: Some("Data source"), refresh: 1, ..plain("datasource", "datasource", "prometheus".into()) }
}

/// A value that nobody chooses.
fn constant(name: &'static str, value: &str) -> VariableModel {
    VariableModel {
        hide: 2,
        current: json!({ "text": value, "value": value }),
        ..plain(name, "constant", value.into())
    }
}

fn plain(name: &'static str, kind: &'static str, query: Value) -> VariableModel {
    VariableModel {
        name,
        kind,
        label: None,
        hide: 0,
        query,
        datasource: None,
        definition: None,
        regex: "",
        refresh: 0,
        sort: 0,
        multi: false,
        include_all: false,
        all_value: None,
        current: json!({}),
        options: Vec::new(),
    }
}
