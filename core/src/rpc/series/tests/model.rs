//! Whatever happens in whatever order: no call is counted twice or not at all, and none stays in flight.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert_eq, prop_oneof, proptest};

use super::*;

/// Pods, of which the fleet's containers are.
const PODS: u64 = 3;

#[derive(Clone, Debug)]
enum Op {
    Start { pod: u64, nested: bool, client: bool, method: u8 },
    First(usize),
    Finish(usize),
    Lose(usize),
    Pod(u64),
    RemovePod(u64),
    Group(u64, bool),
    GroupGone(u64, bool),
    Edit { max_methods: i32, buckets: bool },
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let pods = 0..PODS;
    prop_oneof![
        8 => (pods.clone(), any::<bool>(), any::<bool>(), 0..6_u8)
            .prop_map(|(pod, nested, client, method)| Op::Start { pod, nested, client, method }),
        4 => any::<usize>().prop_map(Op::First),
        6 => any::<usize>().prop_map(Op::Finish),
        1 => any::<usize>().prop_map(Op::Lose),
        2 => pods.clone().prop_map(Op::Pod),
        1 => pods.clone().prop_map(Op::RemovePod),
        2 => (pods.clone(), any::<bool>()).prop_map(|(pod, nested)| Op::Group(pod, nested)),
        1 => (pods, any::<bool>()).prop_map(|(pod, nested)| Op::GroupGone(pod, nested)),
        1 => (0..4, any::<bool>()).prop_map(|(max_methods, buckets)| Op::Edit { max_methods, buckets }),
        3 => (0..40_u64).prop_map(Op::Pass),
    ]
}

/// Calls in flight, finished and with a first response, of all rows.
fn sums(rig: &Rig) -> (u64, u64, u64) {
    let rows = rows::calls(&rig.tasks.registry().snapshot(&Filter::default()));
    rows.iter().fold((0, 0, 0), |(in_flight, finished, first), row| {
        let own: u64 = row.finished.iter().map(|own| own.durations.count).sum();
        (in_flight + row.in_flight, finished + own, first + row.first_response.count)
    })
}

proptest! {
    #[test]
    fn the_books_balance_whatever_happens(ops in vec(op(), 1..120), groups in 1..8_usize, pending in 0..12_usize) {
        let limits = SeriesLimits { groups, pending, cells: 12, ..SeriesLimits::default() };
        // Series stay for longer than the test takes: what was counted can be found.
        let mut rig = Rig::with(GrpcSpec { max_methods: 2, ..GrpcSpec::default() }, limits);
        rig.tasks = Tracker::new(TrackerLimits { rpc: true, grace: u64::MAX / 4, ..TrackerLimits::default() });
        rig.edit(fleet(GrpcSpec { max_methods: 2, ..GrpcSpec::default() }));
        rig.tasks.pods_synced();
        rig.tasks.fleets_synced();
        let mut open: BTreeMap<u32, (Call<'static>, bool)> = BTreeMap::new();
        let (mut stream, mut finished, mut first) = (1, 0, 0);
        // What other buckets made start over.
        let (mut dropped, mut dropped_first) = (0, 0);
        let mut bounds = false;
        for op in ops {
            let cgroup = |pod: u64, nested: bool| if nested { 201 + pod } else { 101 + pod };
            let pick = |at: usize| open.keys().nth(at.checked_rem(open.len()).unwrap_or(0)).copied();
            match op {
                Op::Start { pod, nested, client, method } => {
                    const NAMES: [&str; 6] = ["a.B/A", "a.B/B", "a.B/C", "a.B/D", "a.B/E", ""];
                    let role = if client { Role::Client } else { Role::Server };
                    let call = Call { role, ..call(cgroup(pod, nested), stream, NAMES[usize::from(method)]) };
                    rig.event(&Event::Started(call));
                    open.insert(stream, (call, false));
                    stream += 1;
                }
                Op::First(at) => {
                    let Some((call, answered)) = pick(at).and_then(|at| open.get_mut(&at)) else { continue };
                    if !std::mem::replace(answered, true) {
                        call.first_response = Some(2 * MS);
                        rig.event(&Event::FirstResponse(*call));
                        first += 1;
                    }
                }
                Op::Finish(at) => {
                    let Some((call, _)) = pick(at).and_then(|at| open.remove(&at)) else { continue };
                    rig.event(&Event::Finished(Finished { call, end: 7 * MS, status: Status::Ok }));
                    finished += 1;
                }
                Op::Lose(at) => {
                    let Some((call, _)) = pick(at).and_then(|at| open.remove(&at)) else { continue };
                    rig.event(&Event::Lost(call, Loss::Gap));
                }
                Op::Pod(n) => {
                    rig.pod(n + 1);
                }
                Op::RemovePod(n) => {
                    rig.pod_gone(n + 1);
                }
                Op::Group(n, nested) => {
                    rig.group(n + 1, if nested { "/nested" } else { "" });
                }
                Op::GroupGone(n, nested) => {
                    // The kernel removes a group after those below it.
                    rig.group_gone(cgroup(n, true));
                    if !nested {
                        rig.group_gone(cgroup(n, false));
                    }
                }
                Op::Edit { max_methods, buckets } => {
                    let before = sums(&rig);
                    let spec = GrpcSpec { max_methods, ..GrpcSpec::default() };
                    rig.edit(fleet(GrpcSpec { buckets: if buckets { vec![0.5] } else { Vec::new() }, ..spec }));
                    if std::mem::replace(&mut bounds, buckets) != buckets {
                        let after = sums(&rig);
                        dropped += before.1 - after.1;
                        dropped_first += before.2 - after.2;
                    }
                }
                Op::Pass(seconds) => {
                    rig.pass(seconds);
                }
            }
        }
        prop_assert_eq!(rig.series.in_flight(), open.len());
        // All that waits has had its time.
        rig.pass(31).pass(31);
        let (in_flight, told, answered) = sums(&rig);
        prop_assert_eq!((in_flight, told + dropped, answered + dropped_first), (open.len() as u64, finished, first));
        for (call, _) in open.into_values() {
            rig.event(&Event::Finished(Finished { call, end: 7 * MS, status: Status::Ok }));
            finished += 1;
        }
        rig.pass(31).pass(31);
        let (in_flight, told, _) = sums(&rig);
        prop_assert_eq!((in_flight, told + dropped, rig.series.in_flight()), (0, finished, 0));
    }
}
