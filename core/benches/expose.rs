//! What a scrape costs: a snapshot, and that in each format. The bar is 250 ms for 100,000 series, snapshot included.
//!
//! - `counters`: 100,000 counters of 1,000 containers
//! - `histograms`: 6,000 histograms of task durations: 102,000 lines of text
//! - `snapshot`: the copy alone, which is what an observation can have to wait for
//! - `text`, `openmetrics`, `protobuf`: snapshot, sorting and encoding

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use criterion::{Criterion, criterion_group, criterion_main};
use fleetscope_core::expose::{Format, encode};
use fleetscope_core::metrics::{TASK_DURATION, TASKS};
use fleetscope_core::series::{Filter, Identity, Limits, Registry};

fn identity(pod: usize) -> Arc<Identity> {
    let fleet = format!("fleet-{}", pod % 20);
    let pod = format!("agent-7c9d8b6f5d-{pod:05}");
    let [namespace, fleet, pod, container, workload] = ["team-a", &fleet, &pod, "agent", "agent"].map(Arc::from);
    Arc::new(Identity { namespace, fleet, pod, container, workload })
}

/// Every series says since when it counts, as a node agent's do.
fn started() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_704_202_345)
}

fn counters() -> Registry {
    let mut registry = Registry::new(Limits { per_metric_and_fleet: 10_000, total: 200_000 });
    registry.set_clock(started);
    for pod in 0..1_000 {
        let id = identity(pod);
        for task in 0..100 {
            let task_name = format!("task-{task}");
            registry.add(&TASKS, Some(&id), &["0", "git", "success", &task_name], f64::from(task));
        }
    }
    registry
}

fn histograms() -> Registry {
    let mut registry = Registry::new(Limits { per_metric_and_fleet: 10_000, total: 200_000 });
    registry.set_clock(started);
    for pod in 0..100 {
        let id = identity(pod);
        for task in 0..60 {
            let task_name = format!("task-{task}");
            for seconds in [0.003, 0.2, 7.5] {
                registry.observe(&TASK_DURATION, Some(&id), &["git", "success", &task_name], seconds);
            }
        }
    }
    registry
}

fn scrapes(c: &mut Criterion) {
    for (name, registry) in [("counters", counters()), ("histograms", histograms())] {
        let mut group = c.benchmark_group(name);
        group.sample_size(20);
        group.bench_function("snapshot", |b| b.iter(|| black_box(registry.snapshot(&Filter::default()))));
        let formats =
            [("text", Format::Text004), ("openmetrics", Format::OpenMetrics100), ("protobuf", Format::Protobuf)];
        for (name, format) in formats {
            group.bench_function(name, |b| b.iter(|| encode(&registry.snapshot(&Filter::default()), format)));
        }
        group.finish();
    }
}

criterion_group!(benches, scrapes);
criterion_main!(benches);
