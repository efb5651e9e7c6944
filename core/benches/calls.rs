//! From events of calls to series, one element per event: start, first response and end of each call.
//!
//! - `one method`: one container, one method
//! - `fleet`: 100 containers, 50 methods each, 1,000 calls in flight
//! - `native`: as `one method`, with native buckets
//! - `over the cap`: as `fleet`, and the fleet's cap is 10 methods

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fleetscope_core::api::agent_fleet::GrpcSpec;
use fleetscope_core::pods::{ContainerState, ContainerView, PodView, Role as PodRole};
use fleetscope_core::records::{CgroupMade, Record};
use fleetscope_core::rpc::{Call, Event, Finished, Method, Role, RpcSeries, SeriesLimits, Status};
use fleetscope_core::series::Limits;
use fleetscope_core::tasks::tracker::{FleetView, Tracker, TrackerLimits};

/// Calls of a round.
const CALLS: u32 = 1_000;

fn tracker(pods: u64, grpc: GrpcSpec) -> Tracker {
    let series = Limits { per_metric_and_fleet: 20_000, ..Limits::default() };
    let mut tracker = Tracker::new(TrackerLimits { series, ..TrackerLimits::default() });
    let fleet = FleetView { namespace: "ai".to_owned(), name: "fleet".to_owned(), grpc, ..FleetView::default() };
    tracker.upsert_fleet(fleet, 1);
    tracker.pods_synced();
    tracker.fleets_synced();
    for n in 0..pods {
        let id = format!("{n:064x}");
        let container = ContainerView {
            name: "main".to_owned(),
            role: PodRole::Main,
            id: Some(id.clone()),
            last_id: None,
            image: "agent:1".to_owned(),
            state: ContainerState::Running { started: None },
            last: None,
            restarts: 0,
            ready: true,
            probed: false,
        };
        let uid = format!("uid-{n}");
        let pod = PodView {
            cgroup_uid: uid.clone(),
            uid,
            namespace: "ai".to_owned(),
            name: format!("agent-7c9d8b6f5d-{n}"),
            containers: vec![container],
            ..PodView::default()
        };
        tracker.upsert_pod(pod, 1);
        let path = format!("/kubepods/poduid-{n}/{id}");
        let made = CgroupMade { time: 1, cgroup: 100 + n, parent: 1, path: Some(path.as_bytes()), verdict: Some(5) };
        tracker.handle(Record::CgroupMade(made), 1);
    }
    tracker
}

fn run(criterion: &mut Criterion, name: &str, pods: u64, methods: u32, grpc: GrpcSpec) {
    let mut tracker = tracker(pods, grpc);
    let mut series = RpcSeries::new(SeriesLimits::default());
    let names: Vec<String> = (0..methods).map(|n| format!("fleet.orders.v1.OrderService/Method{n}")).collect();
    let calls: Vec<Call<'_>> = (0..CALLS)
        .map(|n| Call {
            cookie: u64::from(n % 64),
            stream: n,
            cgroup: 100 + u64::from(n) % pods,
            role: Role::Server,
            method: Method::Named(&names[usize::try_from(n / 7 % methods).expect("small")]),
            start: 1_000_000,
            first_response: Some(1_500_000 + u64::from(n) * 1_000),
        })
        .collect();
    let mut group = criterion.benchmark_group("calls");
    group.throughput(Throughput::Elements(u64::from(3 * CALLS)));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            for call in &calls {
                series.handle(black_box(&Event::Started(*call)), &mut tracker, 2);
            }
            for call in &calls {
                series.handle(black_box(&Event::FirstResponse(*call)), &mut tracker, 2);
            }
            for call in &calls {
                let end = 2_000_000 + u64::from(call.stream) * 3_000;
                let finished = Finished { call: *call, end, status: Status::Ok };
                series.handle(black_box(&Event::Finished(finished)), &mut tracker, 2);
            }
        });
    });
    group.finish();
}

fn calls(criterion: &mut Criterion) {
    run(criterion, "one method", 1, 1, GrpcSpec::default());
    run(criterion, "fleet", 100, 50, GrpcSpec::default());
    run(criterion, "native", 1, 1, GrpcSpec { native_histograms: true, ..GrpcSpec::default() });
    run(criterion, "over the cap", 100, 50, GrpcSpec { max_methods: 10, ..GrpcSpec::default() });
}

criterion_group!(benches, calls);
criterion_main!(benches);
