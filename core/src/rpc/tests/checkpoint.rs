//! What another process goes on with behaves as what it was taken from; and no bytes at all do harm.

use proptest::prelude::*;

use super::model::{Dice, life};
use super::wire::{Sheet, Wire, closed, data_end, flag, headers, indexed, kind, literal, table_size};
use super::{MS, Rig, line};
use crate::rpc::frame::Direction;
use crate::rpc::{CheckpointError, Counts, Event, Limits, Tracker, parse};

/// More than any checkpoint of a test has.
const ROOM: usize = 1 << 20;

fn restored(tracker: &Tracker) -> Tracker {
    Tracker::restore(Limits::default(), &tracker.checkpoint(ROOM)).unwrap()
}

/// Counts without the one that depends on how buffers grew.
fn counts(tracker: &Tracker) -> Counts {
    Counts { bytes: 0, ..*tracker.counts() }
}

/// The request of a call whose method is inserted into the table.
fn inserting(stream: u32, path: &str) -> Wire {
    let fields = [indexed(3), literal(0x40, ":path", path), literal(0x40, "content-type", "application/grpc")];
    Wire::new(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &fields.concat())
}

/// The request of a call whose method is the entry before the newest one.
fn by_index(stream: u32) -> Wire {
    let fields = [indexed(3), indexed(63), indexed(62)];
    Wire::new(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &fields.concat())
}

fn answer(stream: u32) -> [Wire; 2] {
    let begin = [indexed(8), literal(0x10, "content-type", "application/grpc")];
    let end = literal(0x10, "grpc-status", "0");
    [
        Wire::new(kind::HEADERS, flag::END_HEADERS, stream, &begin.concat()),
        Wire::new(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &end),
    ]
}

#[test]
fn names_and_calls_in_flight_go_on() {
    let mut rig = Rig::new();
    rig.sent(1, &[inserting(1, "/a.B/C")]).received(2, &answer(1)).sent(3, &[by_index(3)]);
    rig.lines();
    rig.tracker = restored(&rig.tracker);
    let in_flight: Vec<String> = rig.tracker.in_flight().map(|call| line(&Event::Started(call))).collect();
    assert_eq!(in_flight, ["3 client a.B/C starts at 3"]);
    rig.sent(4, &[by_index(5)]).received(9, &answer(3)).received(10, &answer(5));
    assert_eq!(
        rig.lines(),
        [
            "5 client a.B/C starts at 4",
            "3 answers at 9",
            "3 client a.B/C 3..9 (9) OK",
            "5 answers at 10",
            "5 client a.B/C 4..10 (10) OK",
        ]
    );
    let counts = rig.counts();
    assert_eq!((counts.started, counts.finished, counts.in_flight, counts.open, counts.gaps), (3, 3, 0, 1, 0));
}

#[test]
fn what_was_lost_in_between_makes_names_unknown_and_none_wrong() {
    let mut rig = Rig::new();
    rig.sent(1, &[inserting(1, "/a.B/C")]).received(2, &answer(1));
    rig.tracker = restored(&rig.tracker);
    // A piece that inserted two entries: what stands at the old places now is something else.
    rig.lines();
    rig.lose(Direction::Sent, 1).sent(5, &[by_index(5)]).received(6, &answer(5));
    assert_eq!(rig.lines(), ["5 client _OTHER=gap starts at 5", "5 answers at 6", "5 client _OTHER=gap 5..6 (6) OK"]);
}

#[test]
fn a_frame_that_was_cut_is_put_together_by_the_next_one() {
    let mut rig = Rig::new();
    let [begin, end] = answer(1);
    rig.sent(1, &[inserting(1, "/a.B/C"), data_end(1)]);
    let parts = begin.cut(&[1]);
    rig.parts(Direction::Received, 2, parts[..1].to_vec());
    rig.tracker = restored(&rig.tracker);
    rig.lines();
    rig.parts(Direction::Received, 3, parts[1..].to_vec()).received(4, &[end]);
    assert_eq!(rig.lines(), ["1 answers at 2", "1 client a.B/C 1..4 (2) OK"]);
    assert_eq!(rig.counts().faults, 0);
}

#[test]
fn what_does_not_fit_is_left_out_and_counted() {
    let mut tracker = Tracker::new(Limits::default());
    for cookie in 1..=50 {
        let frames = inserting(1, "/a.B/C").cut(&[]);
        let sheet = Sheet { cookie, ..Sheet::new(1, Direction::Sent, cookie * MS, 0, frames) };
        tracker.handle(&parse(&sheet.bytes()).unwrap(), cookie * MS, &mut |_| {});
    }
    let whole = tracker.checkpoint(ROOM);
    let bytes = tracker.checkpoint(8 << 10);
    assert!(bytes.len() <= 8 << 10 && whole.len() > 8 << 10, "{} of {}", bytes.len(), whole.len());
    let part = Tracker::restore(Limits::default(), &bytes).unwrap();
    let counts = part.counts();
    let gone = 50 - part.connections() as u64;
    assert!(gone > 0 && part.connections() > 5, "{gone}");
    assert_eq!((counts.evicted_connections, counts.started, counts.in_flight), (gone, 50, 50 - gone));
    assert_eq!(counts.lost(crate::rpc::Loss::Evicted), gone);
    let newest: Vec<u64> = part.in_flight().map(|call| call.cookie).collect();
    assert_eq!(newest, (gone + 1..=50).collect::<Vec<u64>>());
}

#[test]
fn a_header_entry_that_is_larger_than_what_is_kept_costs_nothing_but_itself() {
    let mut rig = Rig::new();
    rig.received(1, &[table_size(1 << 20)]).sent(2, &[inserting(1, "/a.B/C")]);
    // To 1 MiB; behind all else `x`, and 65,536 zeros of five bits each.
    let zeros = [vec![0x40, 0x01, b'x', 0xff, 0x81, 0xbf, 0x02], vec![0; 40_960]].concat();
    let block = [vec![0x3f, 0xe1, 0xff, 0x3f], inserting(3, "/a.B/D").payload, zeros].concat();
    rig.sent(3, &[headers(3, &block)]).lines();
    rig.tracker = restored(&rig.tracker);
    rig.sent(5, &[inserting(5, "/a.B/E"), by_index(7)]).received(6, &answer(3)).received(6, &answer(7));
    assert_eq!(
        rig.lines(),
        [
            "5 client a.B/E starts at 5",
            "7 client a.B/E starts at 5",
            "3 answers at 6",
            "3 client a.B/D 3..6 (6) OK",
            "7 answers at 6",
            "7 client a.B/E 5..6 (6) OK",
        ]
    );
    assert_eq!((rig.counts().faults, rig.counts().in_flight), (0, 2));
}

#[test]
fn a_connection_that_cannot_be_is_left_out_and_the_others_are_not() {
    let mut rig = Rig::new();
    for cookie in [1, 2, 3] {
        rig.cookie = cookie;
        rig.seq = [0, 0];
        let streams = if cookie == 2 { vec![1, 3, 5] } else { vec![1] };
        rig.sent(cookie, &streams.into_iter().map(|stream| inserting(stream, "/a.B/C")).collect::<Vec<Wire>>());
    }
    let limits = Limits { streams: 2, ..Limits::default() };
    let tracker = Tracker::restore(limits, &rig.tracker.checkpoint(ROOM)).unwrap();
    let counts = tracker.counts();
    assert_eq!((tracker.connections(), counts.open, counts.evicted_connections), (2, 2, 1));
    assert_eq!((counts.started, counts.in_flight, counts.lost(crate::rpc::Loss::Evicted)), (5, 2, 3));
    assert_eq!(tracker.in_flight().map(|call| call.cookie).collect::<Vec<u64>>(), [1, 3]);
}

#[test]
fn other_versions_and_damage_are_told_apart() {
    let bytes = Tracker::new(Limits::default()).checkpoint(ROOM);
    let error = |bytes: &[u8]| Tracker::restore(Limits::default(), bytes).unwrap_err();
    let mut other = bytes.clone();
    other[6] += 1;
    assert_eq!(error(&other), CheckpointError::Version);
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(
        (error(&damaged), error(&bytes[..bytes.len() - 1])),
        (CheckpointError::Checksum, CheckpointError::Checksum)
    );
    assert_eq!(error(&[]), CheckpointError::Truncated);
}

/// Puts a right checksum in front, as one who means harm would.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = crate::checkpoint::checksum(&bytes[16..]);
    bytes[8..16].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// The records of two connections, in one order.
fn two_lives(seed: u64, calls: usize) -> Vec<Sheet> {
    let mut dice = Dice(seed);
    let mut records = life(calls, &mut dice).records;
    let other = life(calls, &mut dice).records.into_iter().map(|sheet| Sheet { cookie: 2, ..sheet });
    records.extend(other);
    records.sort_by_key(|sheet| sheet.time);
    records
}

/// Where the directions of a connection end.
/// The record of the end of this connection.
fn end(records: &[Sheet], cookie: u64, now: u64) -> Vec<u8> {
    let (mut ends, mut streams) = ([0; 2], [0; 2]);
    for sheet in records.iter().filter(|sheet| sheet.cookie == cookie) {
        let (way, opened) = (sheet.direction.index(), sheet.opened());
        ends[way] = sheet.seq + sheet.parts.len() as u64;
        streams[way] = opened.max(streams[way]);
    }
    closed(cookie, now, ends, streams)
}

#[test]
fn a_connection_that_is_closed_ends_where_it_was_told() {
    for (unseen, told) in [(0, "1 client a.B/C 1..3 UNAVAILABLE"), (1, "1 a.B/C lost: gap")] {
        let mut rig = Rig::new();
        rig.sent(1, &[inserting(1, "/a.B/C")]).received(2, &[Wire::new(kind::SETTINGS, 0, 0, &[0; 6])]);
        rig.pass(Direction::Received, unseen).close(3).lines();
        rig.tracker = restored(&rig.tracker);
        rig.tick(2_000);
        assert_eq!((rig.lines(), rig.tracker.connections()), (vec![told.to_owned()], 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_tracker_that_is_restored_behaves_as_the_original(
        seed in 1..u64::MAX, calls in 1..30_usize, lose in 0..30_usize, at in 0.0..1.0_f64,
    ) {
        let records = two_lives(seed, calls);
        let mut dice = Dice(seed);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place among a few hundred")]
        let cut = (at * records.len() as f64) as usize;
        let mut one = Tracker::new(Limits::default());
        let (mut lines, mut other_lines) = (Vec::new(), Vec::new());
        let mut two = None;
        let mut now = 0;
        for (place, sheet) in records.iter().enumerate() {
            if place == cut {
                lines.clear();
                let tracker = restored(&one);
                prop_assert_eq!(counts(&tracker), counts(&one));
                prop_assert_eq!(tracker.checkpoint(ROOM), one.checkpoint(ROOM));
                two = Some(tracker);
            }
            now = sheet.time;
            let lost = lose > 0 && dice.below(lose) == 0;
            let bytes = sheet.bytes();
            for (tracker, lines) in [(Some(&mut one), &mut lines), (two.as_mut(), &mut other_lines)] {
                let Some(tracker) = tracker else { continue };
                if lost {
                    tracker.records_lost(now, sheet.parts.len() as u64);
                } else {
                    tracker.handle(&parse(&bytes).unwrap(), now, &mut |event| lines.push(line(&event)));
                }
                tracker.tick(now, &mut |event| lines.push(line(&event)));
            }
        }
        let Some(mut two) = two else { return Ok(()) };
        for (tracker, lines) in [(&mut one, &mut lines), (&mut two, &mut other_lines)] {
            for cookie in 1..=2 {
                let closed = end(&records, cookie, now);
                tracker.handle(&parse(&closed).unwrap(), now, &mut |event| lines.push(line(&event)));
            }
            tracker.tick(now + 100_000 * MS, &mut |event| lines.push(line(&event)));
            // Connections that go at one moment do so in no order.
            lines.sort();
        }
        prop_assert_eq!(lines, other_lines);
        prop_assert_eq!(one.counts(), two.counts());
        prop_assert_eq!(two.counts().in_flight, 0);
    }

    #[test]
    fn no_bytes_do_harm(
        seed in 1..u64::MAX, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), cut in any::<prop::sample::Index>(),
        truncate in any::<bool>(),
    ) {
        let records = two_lives(seed, 8);
        let mut tracker = Tracker::new(Limits::default());
        let half = records.len() / 2;
        for sheet in &records[..half] {
            tracker.handle(&parse(&sheet.bytes()).unwrap(), sheet.time, &mut |_| {});
        }
        let mut bytes = tracker.checkpoint(ROOM);
        for (place, byte) in changes {
            let place = 16 + place.index(bytes.len() - 16);
            bytes[place] = byte;
        }
        if truncate {
            bytes.truncate(16 + cut.index(bytes.len() - 16));
        }
        let Ok(mut tracker) = Tracker::restore(Limits::default(), &sealed(bytes)) else { return Ok(()) };
        let mut now = 0;
        for sheet in &records[half..] {
            now = sheet.time;
            tracker.handle(&parse(&sheet.bytes()).unwrap(), now, &mut |_| {});
        }
        for cookie in 1..=2 {
            tracker.handle(&parse(&end(&records, cookie, now)).unwrap(), now, &mut |_| {});
        }
        tracker.tick(u64::MAX, &mut |_| {});
    }

    #[test]
    fn bytes_that_are_made_up_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Tracker::restore(Limits::default(), &bytes).is_err());
    }
}
