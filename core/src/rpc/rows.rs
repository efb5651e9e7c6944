//! Rows of `/api/v1/grpc`: what the node agent answers as JSON and the CLI reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Role;
use crate::metrics::{Metric, RPC_CLIENT_DURATION, RPC_FIRST_RESPONSE, RPC_IN_FLIGHT, RPC_SERVER_DURATION};
use crate::series::{Snapshot, Value};

/// The calls of one method that one container served, or made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRow {
    /// Namespace.
    pub namespace: String,
    /// Fleet.
    pub fleet: String,
    /// Pod.
    pub pod: String,
    /// Container.
    pub container: String,
    /// Workload.
    pub workload: String,
    /// `server` or `client`.
    pub role: String,
    /// Method, as `package.Service/Method`.
    pub method: String,
    /// How many are in flight now.
    pub in_flight: u64,
    /// Upper bounds of the buckets of all counts below, in seconds, without the last bucket, which has none. Empty if nothing is counted.
    pub bounds: Vec<f64>,
    /// How long the finished ones took, by status.
    pub finished: Vec<FinishedCalls>,
    /// How long the first response took, of those that had one.
    pub first_response: Durations,
}

/// Calls that ended with one status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FinishedCalls {
    /// Value of the label `rpc_status_code`.
    pub status: String,
    /// Value of the label `error_type`; empty if these calls did not fail as seen from the row's end of them.
    pub error_type: String,
    /// How long they took.
    #[serde(flatten)]
    pub durations: Durations,
}

/// Durations, as a histogram.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Durations {
    /// How many.
    pub count: u64,
    /// How many per bucket, not cumulative, one more than there are bounds. Empty if nothing is counted.
    pub counts: Vec<u64>,
    /// Sum in seconds.
    pub sum: f64,
}

/// The rows of all calls in a snapshot, ordered by identity, then role, then method: the same figures as `/metrics`, as they are the same series.
pub fn calls(snapshot: &Snapshot) -> Vec<CallRow> {
    let mut rows: BTreeMap<_, CallRow> = BTreeMap::new();
    for family in snapshot.families() {
        let metric = family.metric;
        if !is_of_calls(metric) {
            continue;
        }
        for series in family.series() {
            let Some(identity) = &series.identity else { continue };
            let label =
                |name: &str| metric.labels.iter().position(|own| *own == name).map_or("", |at| &*series.labels[at]);
            let role = match role_of(metric) {
                Some(role) => role.as_str(),
                None => label("role"),
            };
            let key = (Arc::clone(identity), role.to_owned(), label("rpc_method").to_owned());
            let row = rows.entry(key).or_insert_with(|| CallRow {
                namespace: identity.namespace.to_string(),
                fleet: identity.fleet.to_string(),
                pod: identity.pod.to_string(),
                container: identity.container.to_string(),
                workload: identity.workload.to_string(),
                role: role.to_owned(),
                method: label("rpc_method").to_owned(),
                ..CallRow::default()
            });
            match (&series.value, metric.kind) {
                (Value::Number(number), _) => row.in_flight = whole(*number),
                (Value::Histogram { counts, sum, .. }, kind) => {
                    row.bounds = series.value.bounds(kind).to_vec();
                    let durations = Durations { count: counts.iter().sum(), counts: counts.to_vec(), sum: *sum };
                    if metric.name == RPC_FIRST_RESPONSE.name {
                        row.first_response = durations;
                    } else {
                        let (status, error_type) =
                            (label("rpc_status_code").to_owned(), label("error_type").to_owned());
                        row.finished.push(FinishedCalls { status, error_type, durations });
                    }
                }
            }
        }
    }
    rows.into_values().collect()
}

fn is_of_calls(metric: &Metric) -> bool {
    role_of(metric).is_some() || [RPC_IN_FLIGHT.name, RPC_FIRST_RESPONSE.name].contains(&metric.name)
}

/// The role that a metric is about, if it is about one only.
fn role_of(metric: &Metric) -> Option<Role> {
    match metric.name {
        name if name == RPC_SERVER_DURATION.name => Some(Role::Server),
        name if name == RPC_CLIENT_DURATION.name => Some(Role::Client),
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of calls: whole, not negative, far below 2^53"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{RPC_BOUNDS, RPC_SYSTEM, TASKS_RUNNING};
    use crate::series::{Filter, Identity, Limits, Registry};

    fn identity(pod: &str) -> Arc<Identity> {
        let [namespace, fleet, pod, container, workload] = ["ai", "fleet", pod, "main", "w"].map(Arc::from);
        Arc::new(Identity { namespace, fleet, pod, container, workload })
    }

    fn counts(buckets: &[usize]) -> Vec<u64> {
        let mut counts = vec![0; RPC_BOUNDS.len() + 1];
        for bucket in buckets {
            counts[*bucket] += 1;
        }
        counts
    }

    #[test]
    fn a_row_has_all_that_is_known_of_a_method_in_a_role() {
        let mut registry = Registry::new(Limits::default());
        let id = identity("a");
        let id = Some(&id);
        registry.set(&RPC_IN_FLIGHT, id, &["server", "p.S/M"], 2.0);
        registry.observe(&RPC_SERVER_DURATION, id, &["", "p.S/M", "OK", RPC_SYSTEM], 0.001);
        registry.observe(&RPC_SERVER_DURATION, id, &["", "p.S/M", "OK", RPC_SYSTEM], 400.0);
        registry.observe(&RPC_SERVER_DURATION, id, &["INTERNAL", "p.S/M", "INTERNAL", RPC_SYSTEM], 0.25);
        registry.observe(&RPC_FIRST_RESPONSE, id, &["server", "p.S/M"], 0.0625);
        registry.observe(&RPC_CLIENT_DURATION, id, &["", "p.S/M", "OK", RPC_SYSTEM], 0.5);
        registry.set(&TASKS_RUNNING, id, &["g", "t"], 1.0);
        let row = CallRow {
            namespace: "ai".to_owned(),
            fleet: "fleet".to_owned(),
            pod: "a".to_owned(),
            container: "main".to_owned(),
            workload: "w".to_owned(),
            method: "p.S/M".to_owned(),
            bounds: RPC_BOUNDS.to_vec(),
            ..CallRow::default()
        };
        let finished = |status: &str, error_type: &str, buckets: &[usize], sum| FinishedCalls {
            status: status.to_owned(),
            error_type: error_type.to_owned(),
            durations: Durations { count: buckets.len() as u64, counts: counts(buckets), sum },
        };
        let wanted = vec![
            CallRow { role: "client".to_owned(), finished: vec![finished("OK", "", &[10], 0.5)], ..row.clone() },
            CallRow {
                role: "server".to_owned(),
                in_flight: 2,
                finished: vec![finished("OK", "", &[1, 20], 400.001), finished("INTERNAL", "INTERNAL", &[9], 0.25)],
                first_response: Durations { count: 1, counts: counts(&[7]), sum: 0.0625 },
                ..row
            },
        ];
        assert_eq!(calls(&registry.snapshot(&Filter::default())), wanted);
    }

    #[test]
    fn a_row_reads_as_it_is_written() {
        let row = CallRow {
            role: "client".to_owned(),
            finished: vec![FinishedCalls { status: "OK".to_owned(), ..FinishedCalls::default() }],
            ..CallRow::default()
        };
        let json = serde_json::to_value(&row).unwrap();
        assert_eq!(
            json["finished"],
            serde_json::json!([{ "status": "OK", "errorType": "", "count": 0, "counts": [], "sum": 0.0 }])
        );
        assert_eq!(serde_json::from_value::<CallRow>(json).unwrap(), row);
    }
}
