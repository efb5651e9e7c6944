//! What the series say after given events, as whole sets of rows.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::*;
use crate::api::agent_fleet::GrpcSpec;
use crate::metrics::EVENTS_LOST;
use crate::pods::{ContainerState, ContainerView, PodView, Role as PodRole};
use crate::records::{CgroupGone, CgroupMade, Record};
use crate::rpc::{Finished, Loss, Method, Role, Unnamed, rows};
use crate::series::{Filter, Value};
use crate::tasks::tracker::{FleetView, TrackerLimits};

mod edits;
mod model;
mod waiting;

const SECOND: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;

/// The tracker of tasks, the series, and a clock.
struct Rig {
    tasks: Tracker,
    series: RpcSeries,
    now: u64,
}

fn fleet(grpc: GrpcSpec) -> FleetView {
    let selector = LabelSelector::default();
    FleetView { namespace: "ai".to_owned(), name: "f".to_owned(), created: 1, selector, grpc, ..FleetView::default() }
}

fn pod(n: u64) -> PodView {
    let container = ContainerView {
        name: "main".to_owned(),
        role: PodRole::Main,
        id: Some(format!("{n:064x}")),
        last_id: None,
        image: "agent:1".to_owned(),
        state: ContainerState::Running { started: Some(1) },
        last: None,
        restarts: 0,
        ready: true,
        probed: false,
    };
    PodView {
        uid: format!("uid-{n}"),
        cgroup_uid: format!("uid-{n}"),
        namespace: "ai".to_owned(),
        name: format!("pod-{n}"),
        containers: vec![container],
        ..PodView::default()
    }
}

impl Rig {
    fn new(grpc: GrpcSpec) -> Self {
        Self::with(grpc, SeriesLimits::default())
    }

    fn with(grpc: GrpcSpec, limits: SeriesLimits) -> Self {
        let mut tasks = Tracker::new(TrackerLimits { rpc: true, ..TrackerLimits::default() });
        tasks.upsert_fleet(fleet(grpc), 1);
        tasks.pods_synced();
        tasks.fleets_synced();
        Self { tasks, series: RpcSeries::new(limits), now: SECOND }
    }

    /// A rig with pod 1 in group 101.
    fn ready(grpc: GrpcSpec) -> Self {
        let mut rig = Self::new(grpc);
        rig.pod(1).group(1, "");
        rig
    }

    fn pod(&mut self, n: u64) -> &mut Self {
        self.tasks.upsert_pod(pod(n), self.now);
        self
    }

    /// The group `100 + n` of pod `n`, or one below it: `200 + n`.
    fn group(&mut self, n: u64, below: &str) -> &mut Self {
        let cgroup = if below.is_empty() { 100 + n } else { 200 + n };
        let path = format!("/kubepods/poduid-{n}/{n:064x}{below}");
        let made = CgroupMade { time: self.now, cgroup, parent: 1, path: Some(path.as_bytes()), verdict: Some(5) };
        self.tasks.handle(Record::CgroupMade(made), self.now);
        self
    }

    fn group_gone(&mut self, cgroup: u64) -> &mut Self {
        self.tasks.handle(Record::CgroupGone(CgroupGone { time: self.now, cgroup, parent: 1 }), self.now);
        self
    }

    fn pod_gone(&mut self, n: u64) -> &mut Self {
        self.tasks.remove_pod(&format!("uid-{n}"), self.now);
        self
    }

    fn edit(&mut self, view: FleetView) -> &mut Self {
        self.tasks.upsert_fleet(view, self.now);
        self
    }

    fn pass(&mut self, seconds: u64) -> &mut Self {
        self.now += seconds * SECOND;
        self.tasks.tick(self.now);
        self.series.tick(&mut self.tasks, self.now);
        self
    }

    fn event(&mut self, event: &Event<'_>) -> &mut Self {
        self.series.handle(event, &mut self.tasks, self.now);
        self
    }

    fn start(&mut self, cgroup: u64, stream: u32, method: &str) -> &mut Self {
        self.event(&Event::Started(call(cgroup, stream, method)))
    }

    fn finish(&mut self, cgroup: u64, stream: u32, method: &str) -> &mut Self {
        self.end(cgroup, stream, method, Status::Ok)
    }

    fn end(&mut self, cgroup: u64, stream: u32, method: &str, status: Status) -> &mut Self {
        let call = Call { first_response: Some(2 * MS), ..call(cgroup, stream, method) };
        self.event(&Event::FirstResponse(call)).event(&Event::Finished(Finished { call, end: 11 * MS, status }))
    }

    fn whole(&mut self, cgroup: u64, stream: u32, method: &str) -> &mut Self {
        self.start(cgroup, stream, method).finish(cgroup, stream, method)
    }

    /// Rows as `pod container role method: in flight, status count.., first count`.
    fn rows(&self) -> Vec<String> {
        let rows = rows::calls(&self.tasks.registry().snapshot(&Filter::default()));
        let line = |row: &rows::CallRow| {
            let finished: Vec<String> =
                row.finished.iter().map(|own| format!("{} {}", own.status, own.durations.count)).collect();
            let who = [&*row.pod, &*row.container, &*row.role, &*row.method].join(" ");
            format!("{who}: {}, {}, first {}", row.in_flight, finished.join(" "), row.first_response.count)
        };
        rows.iter().map(line).collect()
    }

    fn lost(&self) -> Vec<(String, f64)> {
        let filter = Filter { name_prefix: Some(EVENTS_LOST.name.to_owned()), ..Filter::default() };
        let snapshot = self.tasks.registry().snapshot(&filter);
        let series = snapshot.families().iter().flat_map(crate::series::Family::series);
        let number = |value: &Value| if let Value::Number(number) = value { *number } else { f64::NAN };
        series.map(|own| (own.labels[0].to_string(), number(&own.value))).filter(|(_, count)| *count > 0.0).collect()
    }
}

/// Of a server; a method that is empty cannot be known.
fn call(cgroup: u64, stream: u32, method: &str) -> Call<'_> {
    let method = if method.is_empty() { Method::Unnamed(Unnamed::Joined) } else { Method::Named(method) };
    Call { cookie: 7, stream, cgroup, role: Role::Server, method, start: MS, first_response: None }
}

#[test]
fn a_call_is_in_flight_until_it_ends_and_counts_by_status() {
    let mut rig = Rig::ready(GrpcSpec::default());
    rig.start(101, 1, "p.S/M").start(101, 3, "p.S/M").start(101, 5, "p.S/M");
    assert_eq!(rig.rows(), ["pod-1 main server p.S/M: 3, , first 0"]);
    rig.finish(101, 1, "p.S/M").end(101, 3, "p.S/M", Status::NotFound);
    rig.event(&Event::Lost(call(101, 5, "p.S/M"), Loss::Gap));
    assert_eq!(rig.rows(), ["pod-1 main server p.S/M: 0, NOT_FOUND 1 OK 1, first 2"]);
    let client = Call { role: Role::Client, ..call(101, 7, "p.S/M") };
    rig.event(&Event::Started(client));
    rig.event(&Event::Finished(Finished { call: client, end: 2 * MS, status: Status::NotFound }));
    let rows = rows::calls(&rig.tasks.registry().snapshot(&Filter::default()));
    let errors: Vec<&str> = rows.iter().flat_map(|row| &row.finished).map(|own| &*own.error_type).collect();
    // Ordered by role, then by error type: what is no error of a server is one of a client.
    assert_eq!(errors, ["NOT_FOUND", "", ""]);
    assert_eq!((rows[0].role.as_str(), rows[0].finished[0].durations.sum), ("client", 0.001));
    assert_eq!(rig.series.in_flight(), 0);
}

#[test]
fn methods_beyond_the_cap_share_one_name_and_excluded_ones_have_none() {
    let globs = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect();
    let mut rig = Rig::ready(GrpcSpec {
        max_methods: 2,
        include_methods: globs(&["p.*"]),
        exclude_methods: globs(&["*/Check"]),
        ..GrpcSpec::default()
    });
    for (stream, method) in (1..).zip(["p.S/A", "p.S/Check", "q.S/A", "p.S/B", "p.S/C", "p.S/D", "", "_OTHER", "p.S/A"])
    {
        rig.whole(101, stream, method);
    }
    rig.start(101, 100, "p.S/C").start(101, 101, "p.S/Check").start(101, 102, "");
    assert_eq!(
        rig.rows(),
        [
            "pod-1 main server _OTHER: 2, OK 4, first 4",
            "pod-1 main server p.S/A: 0, OK 2, first 2",
            "pod-1 main server p.S/B: 0, OK 1, first 1",
        ]
    );
}

#[test]
fn groups_of_one_container_share_their_figures() {
    let mut rig = Rig::ready(GrpcSpec::default());
    rig.group(1, "/nested");
    rig.start(101, 1, "p.S/M").start(201, 3, "p.S/M").finish(101, 1, "p.S/M");
    assert_eq!(rig.rows(), ["pod-1 main server p.S/M: 1, OK 1, first 1"]);
}

#[test]
fn what_is_beyond_the_limits_counts_all_the_same() {
    let limits = SeriesLimits { groups: 1, cells: 2, calls: 2, ..SeriesLimits::default() };
    let mut rig = Rig::with(GrpcSpec::default(), limits);
    rig.pod(1).group(1, "").pod(2).group(2, "");
    rig.start(101, 1, "a.B/C").start(101, 3, "a.B/D").start(101, 5, "a.B/E");
    assert_eq!(rig.series.in_flight(), 2);
    rig.finish(101, 1, "a.B/C").finish(101, 3, "a.B/D").finish(101, 5, "a.B/E").whole(102, 7, "a.B/C");
    assert_eq!(
        rig.rows(),
        [
            "_OTHER _OTHER server _OTHER: 0, OK 1, first 1",
            "pod-1 main server _OTHER: 0, OK 1, first 1",
            "pod-1 main server a.B/C: 0, OK 1, first 1",
            "pod-1 main server a.B/D: 0, OK 1, first 1",
        ]
    );
    assert_eq!(rig.lost(), [("calls_full".to_owned(), 1.0)]);
}

#[test]
fn the_series_of_a_pod_that_is_gone_go_after_the_grace_period() {
    let mut rig = Rig::ready(GrpcSpec::default());
    rig.whole(101, 1, "p.S/M").start(101, 3, "p.S/M");
    rig.group_gone(101).pod_gone(1).pass(33);
    assert_eq!(rig.rows(), ["pod-1 main server p.S/M: 1, OK 1, first 1"]);
    // The group is forgotten, and the call goes on somewhere: nobody's.
    rig.pass(2).pass(2);
    let own = "pod-1 main server p.S/M: 0, OK 1, first 1";
    assert_eq!(rig.rows(), ["_OTHER _OTHER server p.S/M: 1, , first 0", own]);
    rig.finish(101, 3, "p.S/M").pass(400).pass(2);
    assert_eq!(rig.rows(), ["_OTHER _OTHER server p.S/M: 0, OK 1, first 1"]);
    assert_eq!(rig.lost(), [("cgroup_gone".to_owned(), 1.0)]);
}

#[test]
fn every_reason_is_shown_from_the_first_time_on() {
    let mut registry = crate::series::Registry::new(crate::series::Limits::default());
    let mut counts = crate::rpc::Counts { started: 3, open: 2, bytes: 9, ..crate::rpc::Counts::default() };
    counts.lost[Loss::Gap as usize] = 4;
    counts.show(&mut registry);
    let filter = Filter { name_prefix: Some("fleetscope_rpc".to_owned()), ..Filter::default() };
    let snapshot = registry.snapshot(&filter);
    let series = snapshot.families().iter().flat_map(|family| family.series().map(move |own| (family.metric, own)));
    let line = |(metric, own): (&crate::metrics::Metric, &crate::series::Series)| {
        let Value::Number(number) = own.value else { panic!("{own:?}") };
        (format!("{} {}", metric.name, own.labels.join(" ")), number)
    };
    let (set, zero): (Vec<_>, Vec<_>) = series.map(line).partition(|(_, number)| *number > 0.0);
    let wanted = [
        ("fleetscope_rpc_calls_total started", 3.0),
        ("fleetscope_rpc_calls_lost_total gap", 4.0),
        ("fleetscope_rpc_connections open", 2.0),
        ("fleetscope_rpc_state_bytes ", 9.0),
    ];
    assert_eq!(set, wanted.map(|(name, number)| (name.to_owned(), number)));
    assert_eq!(zero.len(), 1 + 4 + 1 + 7 + 3 + 4 + 2 + 3);
}
