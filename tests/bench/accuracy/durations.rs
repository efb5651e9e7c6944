//! Histograms of durations, the agent's and the peers', in the same buckets.

use std::collections::BTreeMap;

use fleetscope_tests::exposition::{Sample, matching};
use fleetscope_tests::peers::{Account, BOUNDS, Calls, Role};

use crate::agent::whole;

/// Durations of calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Durations {
    pub(crate) count: u64,
    /// In seconds.
    pub(crate) sum: f64,
    /// Not cumulative.
    buckets: [u64; BOUNDS.len() + 1],
}

/// By method and status.
pub(crate) type Measured = BTreeMap<(String, String), Durations>;

// === impl Durations ===

impl Durations {
    /// Adds others.
    pub(crate) fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.buckets.iter_mut().zip(other.buckets).for_each(|(bucket, more)| *bucket += more);
    }

    /// In which bucket the quantile is.
    pub(crate) fn bucket(&self, quantile: f64) -> usize {
        let (rank, mut below) = (quantile * float(self.count), 0);
        let found = self.buckets.iter().position(|bucket| {
            below += bucket;
            *bucket > 0 && float(below) >= rank
        });
        found.unwrap_or(0)
    }

    /// The quantile in seconds, as Prometheus' `histogram_quantile` gives it.
    pub(crate) fn quantile(&self, quantile: f64) -> f64 {
        let bucket = self.bucket(quantile);
        let Some(upper) = BOUNDS.get(bucket) else { return BOUNDS[BOUNDS.len() - 1] };
        let lower = bucket.checked_sub(1).map_or(0.0, |below| BOUNDS[below]);
        let below: u64 = self.buckets[..bucket].iter().sum();
        let inside = float(self.buckets[bucket]).max(1.0);
        lower + (upper - lower) * (quantile * float(self.count) - float(below)) / inside
    }

    /// Mean in seconds.
    pub(crate) fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / float(self.count) }
    }
}

impl From<&Calls> for Durations {
    fn from(calls: &Calls) -> Self {
        Self { count: calls.count, sum: calls.sum, buckets: calls.buckets }
    }
}

/// What the agent has measured of a group in a role.
pub(crate) fn measured(samples: &[Sample], pod: &str, role: Role) -> Measured {
    let name = match role {
        Role::Client => "rpc_client_call_duration_seconds",
        Role::Server => "rpc_server_call_duration_seconds",
    };
    let mut all = Measured::new();
    let labels = [("pod", pod)];
    let key = |sample: &Sample| {
        let label = |label: &str| sample.labels.get(label).cloned().unwrap_or_default();
        (label("rpc_method"), label("rpc_status_code"))
    };
    for sample in matching(samples, &format!("{name}_count"), &labels) {
        all.entry(key(sample)).or_default().count += whole(sample.value);
    }
    for sample in matching(samples, &format!("{name}_sum"), &labels) {
        all.entry(key(sample)).or_default().sum += sample.value;
    }
    for sample in matching(samples, &format!("{name}_bucket"), &labels) {
        let bound: f64 = sample.labels.get("le").and_then(|le| le.parse().ok()).unwrap_or(f64::INFINITY);
        // Buckets are the design's; one that is none of them would make the sum of all differ from the count.
        let at = BOUNDS.iter().position(|known| (known - bound).abs() < 1e-9).unwrap_or(BOUNDS.len());
        all.entry(key(sample)).or_default().buckets[at] += whole(sample.value);
    }
    for durations in all.values_mut() {
        // Cumulative until here.
        for at in (1..durations.buckets.len()).rev() {
            durations.buckets[at] -= durations.buckets[at - 1];
        }
    }
    all.retain(|_, durations| durations.count > 0);
    all
}

/// What a peer says of its calls.
pub(crate) fn told(account: &Account) -> Measured {
    account.iter().map(|((_, method, status), calls)| ((method.clone(), status.clone()), calls.into())).collect()
}

/// Adds the calls of another round.
pub(crate) fn merge(all: &mut Measured, more: &Measured) {
    for (key, durations) in more {
        all.entry(key.clone()).or_default().add(durations);
    }
}

/// Counts alone.
pub(crate) fn counts(all: &Measured) -> BTreeMap<(String, String), u64> {
    all.iter().map(|(key, durations)| (key.clone(), durations.count)).collect()
}

/// All calls of a method.
pub(crate) fn of_method(all: &Measured, method: &str) -> Measured {
    all.iter()
        .filter(|((name, _), _)| name == method)
        .map(|(key, durations)| (key.clone(), durations.clone()))
        .collect()
}

/// All together.
pub(crate) fn together(all: &Measured) -> Durations {
    all.values().fold(Durations::default(), |mut sum, durations| {
        sum.add(durations);
        sum
    })
}

/// How two counts differ, in words; `None` if they do not.
pub(crate) fn unlike(agent: &Measured, peer: &Measured) -> Option<String> {
    let (agent, peer) = (counts(agent), counts(peer));
    let mut keys: Vec<_> = agent.keys().chain(peer.keys()).collect();
    keys.sort();
    keys.dedup();
    let of = |all: &BTreeMap<(String, String), u64>, key| all.get(key).copied().unwrap_or(0);
    let differing = keys.into_iter().filter(|key| of(&agent, key) != of(&peer, key));
    let lines: Vec<String> = differing
        .map(|key| {
            let method = key.0.rsplit('/').next().unwrap_or_default();
            format!("{method} {}: agent {}, peer {}", key.1, of(&agent, key), of(&peer, key))
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
