//! For each CEL rule of each kind specs that it lets pass and specs that it refuses, with the sentence. One table for the evaluation
//! without a cluster and for an API server.

mod alerting;
mod fleet_specs;
mod fleets;
mod receiver_specs;
mod receivers;
mod scrape_policies;

use serde_json::{Value, json};

/// A spec that is good, one that is bad, and what is said about it.
type Pair = (Value, Value, &'static str);

/// A pair of specs of a kind.
pub(crate) struct Case {
    pub(crate) kind: &'static str,
    pub(crate) good: Value,
    pub(crate) bad: Value,
    /// `path: message`.
    pub(crate) says: &'static str,
}

/// All of them.
pub(crate) fn all() -> Vec<Case> {
    let pairs = [
        ("AgentFleet", fleets::cases()),
        ("ScrapePolicy", scrape_policies::cases()),
        ("ScrapePolicy", vec![selector("ScrapePolicy", "fleets"), selector("ScrapePolicy", "services")]),
        ("AlertPolicy", alerting::cases()),
        ("AlertPolicy", receivers::cases()),
        ("AlertPolicy", vec![selector("AlertPolicy", "fleets")]),
        ("ClusterAlertPolicy", alerting::cases()),
        ("ClusterAlertPolicy", receivers::cases()),
        (
            "ClusterAlertPolicy",
            vec![selector("ClusterAlertPolicy", "fleets"), selector("ClusterAlertPolicy", "namespaces")],
        ),
        ("ModelPriceList", vec![prices()]),
    ];
    let of = |(kind, pairs): (&'static str, Vec<Pair>)| {
        pairs.into_iter().map(move |(good, bad, says)| Case { kind, good, bad, says })
    };
    pairs.into_iter().flat_map(of).collect()
}

/// An object of a kind with this spec.
pub(crate) fn object(kind: &str, spec: &Value) -> Value {
    json!({ "apiVersion": "fleetscope.io/v1alpha1", "kind": kind, "metadata": { "name": "p" }, "spec": spec })
}

fn selector(kind: &str, field: &str) -> Pair {
    let with = |values: Value| {
        let mut spec = json!({ field: { "matchExpressions": [{ "key": "a", "operator": "In", "values": values }] } });
        if kind == "ScrapePolicy" {
            spec["pods"] = json!({});
        }
        spec
    };
    let says =
        format!("spec.{field}.matchExpressions[0].values: In and NotIn take values, Exists and DoesNotExist take none");
    (with(json!(["b"])), with(json!([])), leak(says))
}

fn prices() -> Pair {
    let of = |from: &str, until: &str| json!({ "models": [{ "model": "m", "from": from, "until": until, "perMillion": { "input": "1", "output": "1" } }] });
    let says = "spec.models[0].until: from is before until";
    (of("2026-01-01", "2026-01-02"), of("2026-01-02", "2026-01-02"), says)
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}
