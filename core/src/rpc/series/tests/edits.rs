//! Fleets that are edited while calls are in flight.

use super::*;

#[test]
fn other_buckets_start_the_histograms_over_and_calls_stay_in_flight() {
    let mut rig = Rig::ready(GrpcSpec::default());
    rig.whole(101, 1, "p.S/M").start(101, 3, "p.S/M");
    let grpc = GrpcSpec { buckets: vec![0.005, 1.0], native_histograms: true, ..GrpcSpec::default() };
    rig.edit(fleet(grpc)).pass(1);
    assert_eq!(rig.rows(), ["pod-1 main server p.S/M: 1, , first 0"]);
    rig.finish(101, 3, "p.S/M");
    let snapshot = rig.tasks.registry().snapshot(&Filter::default());
    let rows = rows::calls(&snapshot);
    let durations = rows::Durations { count: 1, counts: vec![0, 1, 0], sum: 0.01 };
    assert_eq!((&rows[0].bounds, &rows[0].finished[0].durations), (&vec![0.005, 1.0], &durations));
    let series = snapshot.families().iter().flat_map(crate::series::Family::series);
    let natives = series.filter(|own| matches!(own.value, Value::Histogram { native: Some(_), .. })).count();
    assert_eq!(natives, 2);
}

#[test]
fn methods_come_anew_after_an_edit() {
    let mut rig = Rig::ready(GrpcSpec { max_methods: 1, ..GrpcSpec::default() });
    rig.start(101, 1, "p.S/M").start(101, 3, "p.S/N");
    let other = "pod-1 main server _OTHER: 1, , first 0";
    assert_eq!(rig.rows(), [other, "pod-1 main server p.S/M: 1, , first 0"]);
    rig.edit(fleet(GrpcSpec { exclude_methods: vec!["*/M".to_owned()], max_methods: 1, ..GrpcSpec::default() }))
        .pass(1);
    assert_eq!(rig.rows(), ["pod-1 main server p.S/N: 1, , first 0"]);
    rig.edit(fleet(GrpcSpec::default())).finish(101, 1, "p.S/M").finish(101, 3, "p.S/N");
    let [m, n] = ["M", "N"].map(|name| format!("pod-1 main server p.S/{name}: 0, OK 1, first 1"));
    assert_eq!(rig.rows(), [m, n]);
}

#[test]
fn a_fleet_that_wants_no_calls_or_is_suspended_has_no_series_of_them() {
    let mut rig = Rig::ready(GrpcSpec::default());
    rig.start(101, 1, "p.S/M").whole(101, 3, "p.S/M");
    rig.edit(fleet(GrpcSpec { enabled: false, ..GrpcSpec::default() }));
    rig.whole(101, 5, "p.S/M").pass(1).pass(2);
    assert_eq!(rig.rows(), Vec::<String>::new());
    rig.edit(fleet(GrpcSpec::default())).pass(1);
    assert_eq!(rig.rows(), ["pod-1 main server p.S/M: 1, , first 0"]);
    rig.edit(FleetView { suspend: true, ..fleet(GrpcSpec::default()) }).pass(1).pass(2);
    assert_eq!(rig.rows(), Vec::<String>::new());
    rig.edit(fleet(GrpcSpec::default())).finish(101, 1, "p.S/M");
    assert_eq!(rig.rows(), ["pod-1 main server p.S/M: 0, OK 1, first 1"]);
}

#[test]
fn a_fleet_that_was_deleted_has_no_series() {
    let mut rig = Rig::ready(GrpcSpec::default());
    rig.start(101, 1, "p.S/M").whole(101, 3, "p.S/M");
    rig.tasks.remove_fleet("ai", "f", rig.now);
    rig.pass(1).pass(2).finish(101, 1, "p.S/M");
    assert_eq!((rig.rows(), rig.series.in_flight()), (Vec::new(), 0));
}
