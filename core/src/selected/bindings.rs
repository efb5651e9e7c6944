//! `status.bindings` of an object: who takes it, in prometheus-operator's own words (its `pkg/apis/monitoring/v1/types.go`, `WorkloadBinding`; it writes
//! them with the feature gate `StatusForConfigurationResources`).

use serde::Deserialize;
use serde_json::Value;

use super::{Workload, WorkloadKind};

/// One who selects the object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Binding {
    kind: WorkloadKind,
    namespace: String,
    name: String,
    /// Whether it took it.
    pub(super) accepted: bool,
    reason: String,
    message: String,
}

#[derive(Deserialize)]
struct Raw {
    resource: String,
    namespace: String,
    name: String,
    #[serde(default)]
    conditions: Vec<RawCondition>,
}

#[derive(Deserialize)]
struct RawCondition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

/// Reads them. One that does not say yet whether the object was accepted is left out.
pub(super) fn read(status: &Value) -> Vec<Binding> {
    let all = status.get("bindings").and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|binding| {
        let raw: Raw = serde_json::from_value(binding.clone()).ok()?;
        let kind = WorkloadKind::ALL.into_iter().find(|kind| kind.plural() == raw.resource)?;
        let condition = raw.conditions.into_iter().find(|condition| condition.kind == "Accepted")?;
        let accepted = match condition.status.as_str() {
            "True" => true,
            "False" => false,
            _ => return None,
        };
        let RawCondition { reason, message, .. } = condition;
        Some(Binding { kind, namespace: raw.namespace, name: raw.name, accepted, reason, message })
    })
    .collect()
}

// === impl Binding ===

impl Binding {
    pub(super) fn names(&self, workload: &Workload) -> bool {
        (self.kind, &self.namespace, &self.name) == (workload.kind, &workload.namespace, &workload.name)
    }

    pub(super) fn title(&self) -> String {
        format!("{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }

    /// Why it did not take it.
    pub(super) fn refusal(&self) -> String {
        let why = match (self.reason.as_str(), self.message.as_str()) {
            ("", "") => "without a reason".to_owned(),
            (reason, "") => reason.to_owned(),
            ("", message) => message.to_owned(),
            (reason, message) => format!("{reason}: {message}"),
        };
        format!("selects it and refuses it: {why}; remedy: correct what it names")
    }
}
