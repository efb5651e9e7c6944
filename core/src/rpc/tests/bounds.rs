//! What is held stays within its limits, whatever comes; and every start has its end.

use std::collections::BTreeSet;

use fleetscope_ebpf::http2::GIVEN_UP;
use proptest::collection::vec;
use proptest::prelude::*;

use super::wire::{Part, Sheet, Wire, closed, flag, headers, kind, last, request, response, trailers};
use super::{MS, Rig};
use crate::rpc::frame::Direction;
use crate::rpc::{Event, Limits, Loss, Tracker, parse};

fn limits(connections: usize, streams: usize, bytes: usize) -> Limits {
    Limits { connections, streams, bytes, ..Limits::default() }
}

#[test]
fn the_connection_that_said_nothing_for_longest_goes_first() {
    let mut rig = Rig::with(limits(2, 10, 1 << 20));
    for (ms, cookie) in [(1, 1), (2, 2), (3, 1), (4, 3)] {
        rig.cookie = cookie;
        rig.seq = [u64::from(ms == 3), 0];
        let stream = if ms == 3 { 3 } else { 1 };
        rig.sent(ms, &[headers(stream, &request(&format!("/a.B/C{cookie}")))]);
    }
    assert_eq!(
        rig.lines(),
        [
            "1 client a.B/C1 starts at 1",
            "1 client a.B/C2 starts at 2",
            "3 client a.B/C1 starts at 3",
            "1 client a.B/C3 starts at 4",
            "1 a.B/C2 lost: evicted",
        ]
    );
    let counts = rig.counts();
    assert_eq!((rig.tracker.connections(), counts.evicted_connections, counts.open, counts.in_flight), (2, 1, 2, 3));
}

#[test]
fn a_connection_that_only_its_close_tells_of_takes_no_place_of_one_that_is_open() {
    for (lost, told) in [(0, 0), (8, 3)] {
        let mut rig = Rig::with(limits(1, 10, 1 << 20));
        rig.tracker.records_lost(0, lost);
        rig.sent(1, &[headers(1, &request("/a.B/C"))]);
        let unheard = closed(99, 2 * MS, [4, 4], [5, 0]);
        rig.bytes(&unheard, 2 * MS);
        let counts = rig.counts();
        assert_eq!(
            (rig.tracker.connections(), counts.evicted_connections, counts.open, counts.in_flight),
            (1, 0, 1, 1)
        );
        assert_eq!(counts.lost(Loss::Unclassified), told);
    }
}

#[test]
fn what_was_lost_of_a_connection_that_only_its_close_tells_of_is_counted_when_it_is_forgotten() {
    let mut rig = Rig::with(limits(1, 10, 1 << 20));
    rig.tracker.records_lost(0, 8);
    let unheard = closed(99, MS, [4, 4], [5, 0]);
    rig.bytes(&unheard, MS);
    assert_eq!((rig.tracker.connections(), rig.counts().lost(Loss::Unclassified)), (1, 0));
    rig.sent(2, &[headers(1, &request("/a.B/C"))]);
    assert_eq!((rig.tracker.connections(), rig.counts().lost(Loss::Unclassified)), (1, 3));
}

#[test]
fn streams_that_never_end_go_oldest_first() {
    let mut rig = Rig::with(limits(2, 8, 1 << 20));
    for stream in (1..=19).step_by(2) {
        rig.sent(1, &[headers(stream, &request("/a.B/C"))]);
    }
    let lost: Vec<String> = rig.lines().into_iter().filter(|line| line.contains("lost")).collect();
    assert_eq!(lost, ["1 a.B/C lost: streams_full", "3 a.B/C lost: streams_full"]);
    let counts = rig.counts();
    assert_eq!((counts.in_flight, counts.evicted_streams, counts.lost(Loss::StreamsFull)), (8, 2, 2));
}

#[test]
fn a_hundred_thousand_connections_that_say_nothing_take_what_they_may() {
    let mut tracker = Tracker::new(limits(1_000, 10, 600_000));
    for cookie in 0..100_000 {
        let sheet = Sheet::new(cookie, Direction::Sent, cookie, 0, Wire::new(kind::SETTINGS, 0, 0, &[]).cut(&[]));
        tracker.handle(&parse(&sheet.bytes()).unwrap(), cookie, &mut |event| panic!("{event:?}"));
        assert!(tracker.counts().bytes <= 600_000 && tracker.connections() <= 1_000);
    }
    let held = tracker.connections() as u64;
    assert!(held > 500, "{held}");
    assert_eq!((tracker.counts().evicted_connections, tracker.counts().open), (100_000 - held, held));
}

#[test]
fn blocks_that_never_end_take_what_they_may() {
    let mut rig = Rig::with(limits(100, 10, 1 << 20));
    for cookie in 0..100 {
        (rig.cookie, rig.seq) = (cookie, [0, 0]);
        rig.sent(cookie, &[Wire::new(kind::HEADERS, 0, 1, &[0; 4000])]);
        for ms in 0..40 {
            rig.sent(cookie + ms, &[Wire::new(kind::CONTINUATION, 0, 1, &[0; 4000])]);
        }
        assert!(rig.counts().bytes <= 1 << 20);
    }
    assert_eq!((rig.lines(), rig.counts().in_flight), (vec![], 0));
}

#[test]
fn a_steady_flow_of_calls_takes_no_more_memory() {
    let mut rig = Rig::new();
    let mut bytes = BTreeSet::new();
    for call in 0..10_000_u32 {
        let stream = call * 2 + 1;
        rig.sent(u64::from(call), &[headers(stream, &request("/a.B/C"))]);
        rig.received(u64::from(call), &[headers(stream, &response()), last(stream, &trailers("0"))]);
        if call >= 100 {
            bytes.insert(rig.counts().bytes);
        }
    }
    assert_eq!((bytes.len(), rig.counts().finished, rig.counts().in_flight), (1, 10_000, 0));
    assert!(bytes.iter().all(|bytes| *bytes < 32_768), "{bytes:?}");
}

fn part() -> impl Strategy<Value = Part> {
    let kinds = prop_oneof![Just(kind::HEADERS), Just(kind::CONTINUATION), Just(kind::RST_STREAM), 0..11_u8];
    let flags = prop_oneof![Just(flag::END_HEADERS), Just(flag::END_HEADERS | flag::END_STREAM), any::<u8>()];
    let sound = prop_oneof![
        Just(request("/a.B/C")),
        Just(response()),
        Just(trailers("0")),
        Just(vec![0x83, 0xbe, 0xbf]),
        vec(any::<u8>(), 0..40),
    ];
    (kinds, flags, 0..12_u32, sound, 0..4_u8, 0..60_u32).prop_map(|(kind, flags, stream, data, shape, by)| {
        let len = u32::try_from(data.len()).unwrap();
        let (length, offset, data) = match shape {
            0 => (len + by, 0, data),
            1 => (len + by, by, data),
            2 if by == 0 => (len, GIVEN_UP, Vec::new()),
            _ => (len, 0, data),
        };
        Part { kind, flags, stream, length, offset, data }
    })
}

fn sheets() -> impl Strategy<Value = Vec<(Sheet, bool)>> {
    let one = (0..4_u64, any::<bool>(), vec(part(), 0..5), 1..3_u8, 0..60_u8, 0..20_u64);
    vec(one, 0..60).prop_map(|records| {
        let mut seq = [[0; 2]; 4];
        let numbered = (0..).zip(records);
        let sheets = numbered.map(|(time, (cookie, sent, parts, start, end, lost))| {
            let direction = if sent { Direction::Sent } else { Direction::Received };
            let next = &mut seq[usize::try_from(cookie).unwrap()][direction.index()];
            *next += lost.saturating_sub(17);
            let mut sheet = Sheet::new(cookie, direction, time * MS, *next, parts);
            *next += sheet.parts.len() as u64;
            (sheet.start, sheet.end) = (start, end.saturating_sub(54));
            (sheet, lost == 0)
        });
        sheets.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_comes_each_start_has_one_end_and_limits_hold(records in sheets()) {
        let mut tracker = Tracker::new(limits(3, 5, 40_000));
        let (mut running, mut faults) = (BTreeSet::new(), Vec::new());
        let mut check = |event: Event<'_>| {
            let (call, fine) = match event {
                Event::Started(call) => (call, running.insert((call.cookie, call.stream))),
                Event::FirstResponse(call) => (call, running.contains(&(call.cookie, call.stream))),
                Event::Finished(finished) => (finished.call, running.remove(&(finished.call.cookie, finished.call.stream))),
                Event::Lost(call, _) => (call, running.remove(&(call.cookie, call.stream))),
            };
            if !fine {
                faults.push(format!("{event:?} {call:?}"));
            }
        };
        let mut now = 0;
        for (sheet, close) in &records {
            now = sheet.time;
            tracker.handle(&parse(&sheet.bytes()).unwrap(), now, &mut check);
            if *close {
                tracker.handle(&parse(&closed(sheet.cookie, now, [sheet.seq, u64::MAX], [u32::MAX, 1])).unwrap(), now, &mut check);
                tracker.tick(now, &mut check);
            }
            prop_assert!(tracker.connections() <= 3);
            prop_assert!(tracker.counts().bytes <= 40_000 || tracker.connections() == 1);
            let counts = tracker.counts();
            prop_assert_eq!(counts.open + counts.open_opaque.iter().sum::<u64>(), tracker.connections() as u64);
        }
        for cookie in 0..4 {
            tracker.handle(&parse(&closed(cookie, now, [u64::MAX, cookie], [u32::MAX; 2])).unwrap(), now, &mut check);
        }
        tracker.tick(now + 10_000 * MS, &mut check);
        let counts = *tracker.counts();
        prop_assert_eq!(faults, Vec::<String>::new());
        prop_assert_eq!((counts.in_flight, counts.bytes, tracker.connections()), (0, 0, 0));
        prop_assert_eq!(running, BTreeSet::new());
        prop_assert!(counts.started <= counts.finished + counts.lost.iter().sum::<u64>());
    }
}
