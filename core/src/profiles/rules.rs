//! A profile's recordings as a group of Prometheus rules, for one fleet.
//!
//! In: a profile, and whose series it is about. Out: JSON, as in a rule file and in a `PrometheusRule`.
//!
//! A recorded counter keeps every label that tells sources apart (pod, container, instance), and only folds what one source counts
//! under several names. So it starts over when its source does and ends when its source ends, and `rate()` sees no reset where there
//! was none; a sum over pods would fall with each pod that goes, which `rate()` takes for a restart and counts all over again.

use serde_json::{Map, Value, json};

use super::{Kind, Profile, Recording};

/// Name of the group.
pub const GROUP: &str = "fleetscope-profile";
/// How often the group is evaluated. The systems' users query rates over one minute, for which there must be several samples.
pub const INTERVAL: &str = "15s";

/// Stands in expressions for the label matchers of the fleet.
const FLEETS: &str = "$fleets";
/// Stands in expressions of histograms for the ending of the name.
const PART: &str = "$part";
/// Endings of the series of a histogram.
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Label matchers that pick one fleet, without braces.
pub fn matchers(namespace: &str, fleet: &str) -> String {
    format!("namespace=\"{}\",fleet=\"{}\"", escape(namespace), escape(fleet))
}

/// A profile's group of rules for one fleet; none if it has no recordings.
pub fn group(profile: &Profile, namespace: &str, fleet: &str) -> Option<Value> {
    let matchers = matchers(namespace, fleet);
    let rules: Vec<Value> = profile.recordings.iter().flat_map(|recording| recording.rules(&matchers)).collect();
    (!rules.is_empty()).then(|| json!({ "name": GROUP, "interval": INTERVAL, "rules": rules }))
}

/// A rule file with a profile's group for one fleet, or with no group.
pub fn file(profile: &Profile, namespace: &str, fleet: &str) -> Value {
    let groups: Vec<Value> = group(profile, namespace, fleet).into_iter().collect();
    json!({ "groups": groups })
}

// === impl Recording ===

impl Recording {
    /// Its rules, for the series that `matchers` pick: one, or three of a histogram.
    pub fn rules(&self, matchers: &str) -> Vec<Value> {
        match self.kind {
            Kind::Counter | Kind::Gauge => vec![self.rule("", matchers)],
            Kind::Histogram => PARTS.map(|part| self.rule(part, matchers)).into(),
        }
    }

    fn rule(&self, part: &str, matchers: &str) -> Value {
        let expr = self.expr.trim_end().replace(PART, part).replace(FLEETS, matchers);
        let mut rule = Map::new();
        rule.insert("record".to_owned(), format!("{}{part}", self.record).into());
        rule.insert("expr".to_owned(), expr.into());
        if !self.labels.is_empty() {
            rule.insert("labels".to_owned(), json!(self.labels));
        }
        Value::Object(rule)
    }
}

/// Text as it stands between double quotes in `PromQL`.
fn escape(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}
