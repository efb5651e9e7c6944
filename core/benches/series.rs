//! What one observation costs.
//!
//! - `add/hot`, `observe/hot`, `set/hot`: a series that is there, among 10,000 others
//! - `add/folded`: a name beyond the cap, counted under `_OTHER`
//! - `add/new`: a series that is not there yet (and its removal)

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use fleetscope_core::metrics::{AGENT_MEMORY, TASK_DURATION, TASKS, TASKS_RUNNING};
use fleetscope_core::series::{Identity, Limits, Registry};

fn identity(pod: usize) -> Arc<Identity> {
    let pod = format!("agent-7c9d8b6f5d-{pod:05}");
    let [namespace, fleet, pod, container, workload] = ["team-a", "coders", &pod, "agent", "agent"].map(Arc::from);
    Arc::new(Identity { namespace, fleet, pod, container, workload })
}

fn filled(limits: Limits) -> Registry {
    let mut registry = Registry::new(limits);
    for pod in 0..100 {
        let id = identity(pod);
        registry.set(&AGENT_MEMORY, Some(&id), &[], 1.0);
        for task in 0..50 {
            let task = format!("task-{task}");
            registry.add(&TASKS, Some(&id), &["0", "git", "success", &task], 1.0);
            registry.observe(&TASK_DURATION, Some(&id), &["git", "success", &task], 0.2);
        }
    }
    registry
}

fn observations(c: &mut Criterion) {
    let mut registry = filled(Limits { per_metric_and_fleet: 10_000, total: 200_000 });
    let id = identity(50);
    c.bench_function("add/hot", |b| {
        b.iter(|| registry.add(&TASKS, Some(black_box(&id)), black_box(&["0", "git", "success", "task-7"]), 1.0));
    });
    c.bench_function("observe/hot", |b| {
        b.iter(|| {
            registry.observe(&TASK_DURATION, Some(black_box(&id)), black_box(&["git", "success", "task-7"]), 0.7);
        });
    });
    c.bench_function("set/hot", |b| b.iter(|| registry.set(&AGENT_MEMORY, Some(black_box(&id)), &[], black_box(2.0))));
    c.bench_function("add/new", |b| {
        b.iter(|| {
            registry.add(&TASKS_RUNNING, Some(&id), black_box(&["git", "rebase"]), 1.0);
            registry.remove(&TASKS_RUNNING, Some(&id), black_box(&["git", "rebase"]))
        });
    });
    let mut full = filled(Limits { per_metric_and_fleet: 1_000, total: 200_000 });
    c.bench_function("add/folded", |b| {
        b.iter(|| full.add(&TASKS, Some(black_box(&id)), black_box(&["0", "git", "success", "unseen"]), 1.0));
    });
}

criterion_group!(benches, observations);
criterion_main!(benches);
