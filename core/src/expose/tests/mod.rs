//! What is written, as whole outputs, and read back by readers of their own.

mod formats;
mod parser;
mod round_trip;

use std::sync::Arc;

use crate::metrics::{AGENT_CPU, AGENT_INFO, BUILD_INFO, RUNQUEUE_LATENCY, TASKS_RUNNING};
use crate::series::{Filter, Identity, Limits, Registry, Snapshot};

/// The container `c` of the pod `pod`.
fn identity(pod: &str) -> Arc<Identity> {
    let [namespace, fleet, pod, container, workload] = ["ns", "f", pod, "c", "w"].map(Arc::from);
    Arc::new(Identity { namespace, fleet, pod, container, workload })
}

/// One series of each kind, with values that need escapes.
fn sample() -> Snapshot {
    let mut registry = Registry::new(Limits::default());
    let id = identity("p");
    registry.add(&TASKS_RUNNING, Some(&id), &["a\"b\\c\nd", "Grüße\t\u{1F600}"], 2.0);
    registry.observe(&RUNQUEUE_LATENCY, Some(&id), &[], 0.000_002);
    registry.observe(&RUNQUEUE_LATENCY, Some(&id), &[], 2.0);
    registry.observe(&RUNQUEUE_LATENCY, Some(&id), &[], 5.0);
    registry.set(&AGENT_INFO, Some(&id), &["img:1", "node-1"], 1.0);
    registry.set(&AGENT_CPU, Some(&id), &[], 1_234_567.25);
    registry.set(&BUILD_INFO, None, &["node-agent", "0.1.0"], 1.0);
    registry.snapshot(&Filter::default())
}
