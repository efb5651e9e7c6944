//! What is lost, what is unknown, and how both are told.

use fleetscope_ebpf::http2::reason;

use super::wire::{
    Wire, block, closed, closed_again, data_end, flag, go_away, headers, indexed, kind, last, literal, request, reset,
    response, trailers,
};
use super::{MS, Rig};
use crate::rpc::frame::Direction;
use crate::rpc::{Counts, Loss, Opaque, Unnamed};

pub(super) const CANCEL: u32 = 8;

/// How a call ends.
pub(super) type End = fn(&mut Rig);

pub(super) fn lost(counts: &Counts) -> Vec<(Loss, u64)> {
    Loss::ALL.into_iter().map(|loss| (loss, counts.lost(loss))).filter(|(_, count)| *count > 0).collect()
}

/// A request as a client sends it that has its path in its table already.
fn known_path(stream: u32, index: u8) -> Wire {
    headers(stream, &[vec![0x83], indexed(index), block(&[("content-type", "application/grpc")])].concat())
}

#[test]
fn a_name_from_before_the_join_is_unknown_and_one_from_after_it_is_not() {
    let mut rig = Rig::joined();
    rig.sent(1, &[known_path(7, 62)]);
    let insert =
        [vec![0x83], literal(0x40, ":path", "/a.B/C"), block(&[("content-type", "application/grpc")])].concat();
    assert_eq!((rig.counts().opaque(Opaque::Joined), rig.counts().open), (1, 0));
    rig.sent(2, &[headers(9, &insert), known_path(11, 62), known_path(13, 63)]);
    let answer = [response(), trailers("0")].concat();
    rig.received(3, &[last(7, &answer), last(9, &answer)]);
    assert_eq!(
        rig.lines(),
        [
            "7 client _OTHER=joined starts at 1",
            "9 client a.B/C starts at 2",
            "11 client a.B/C starts at 2",
            "13 client _OTHER=joined starts at 2",
            "7 answers at 3",
            "7 client _OTHER=joined 1..3 (3) OK",
            "9 answers at 3",
            "9 client a.B/C 2..3 (3) OK",
        ]
    );
    assert_eq!(rig.counts().unnamed(Unnamed::Joined), 1);
}

#[test]
fn a_status_that_is_unknown_is_never_ok() {
    let mut rig = Rig::joined();
    rig.sent(1, &[headers(7, &request("/a.B/C"))]).received(2, &[headers(7, &response()), last(7, &indexed(62))]);
    assert_eq!(rig.lines(), ["7 client a.B/C starts at 1", "7 answers at 2", "7 client a.B/C 1..2 (2) _OTHER"]);
    assert_eq!(rig.counts().unknown_status, 1);
}

#[test]
fn a_cancel_is_the_deadline_or_not_only_if_the_timeout_is_known() {
    let mut rig = Rig::joined();
    let unsure = [request("/a.B/C"), indexed(70)].concat();
    rig.received(1, &[headers(5, &response())]).sent(1, &[headers(7, &unsure)]).sent(2, &[reset(7, CANCEL)]);
    assert_eq!(rig.lines(), ["7 client a.B/C starts at 1", "7 client a.B/C 1..2 _OTHER"]);
}

#[test]
fn calls_from_before_the_join_are_lost_when_they_end() {
    let mut rig = Rig::joined();
    rig.received(1, &[headers(5, &response())]).received(2, &[last(5, &trailers("0"))]);
    rig.received(3, &[last(3, &trailers("0"))]).sent(4, &[headers(9, &request("/a.B/C"))]);
    rig.received(5, &[last(7, &trailers("0")), reset(1, CANCEL)]).tick(1_003);
    assert_eq!(rig.lines(), ["9 client a.B/C starts at 4"]);
    assert_eq!(lost(&rig.counts()), [(Loss::Joined, 3)]);
}

#[test]
fn what_may_be_a_call_becomes_one_when_its_connection_is_known() {
    let mut rig = Rig::joined();
    let unsure = |stream| headers(stream, &[vec![0x83], indexed(62), indexed(63)].concat());
    rig.sent(1, &[unsure(7), unsure(9)]).received(2, &[headers(7, &[vec![0x88], indexed(62)].concat())]);
    assert_eq!(rig.lines(), [""; 0]);
    rig.received(3, &[last(9, &[response(), trailers("5")].concat())]);
    assert_eq!(
        rig.lines(),
        [
            "7 client _OTHER=joined starts at 1",
            "7 answers at 2",
            "9 client _OTHER=joined starts at 1",
            "9 answers at 3",
            "9 client _OTHER=joined 1..3 (3) NOT_FOUND",
        ]
    );
    let mut rig = Rig::joined();
    rig.sent(1, &[unsure(7), unsure(9)]).received(2, &[last(7, &[vec![0x88], indexed(62)].concat())]);
    rig.received(3, &[headers(9, &block(&[(":status", "200"), ("content-type", "text/css")]))]);
    assert_eq!((rig.lines(), rig.counts().other_requests), (vec![], 1));
    assert_eq!(lost(&rig.counts()), [(Loss::Unclassified, 1)]);
}

#[test]
fn trailers_that_end_a_response_to_a_post_show_grpc_where_no_field_can() {
    let answers = |verb: u8, first: Vec<u8>, end: Wire| {
        let mut rig = Rig::joined();
        let unsure = [vec![verb], literal(0x00, ":path", "/a.B/C"), indexed(62)].concat();
        rig.sent(1, &[headers(7, &unsure)]).received(2, &[headers(7, &first), end]);
        (rig.lines(), lost(&rig.counts()))
    };
    let (post, get) = (0x83, 0x82);
    let (fine, missing) = ([vec![0x88], indexed(62)].concat(), [vec![0x8d], indexed(62)].concat());
    let call = ["7 client a.B/C starts at 1", "7 answers at 2", "7 client a.B/C 1..2 (2) _OTHER"].map(str::to_owned);
    assert_eq!(answers(post, fine.clone(), last(7, &indexed(63))), (call.to_vec(), vec![]));
    // What web servers send, and trailers that have no status of gRPC.
    let nothing = (vec![], vec![(Loss::Unclassified, 1)]);
    assert_eq!(answers(get, fine.clone(), last(7, &indexed(63))), nothing);
    assert_eq!(answers(post, missing, last(7, &indexed(63))), nothing);
    assert_eq!(answers(post, fine.clone(), data_end(7)), nothing);
    assert_eq!(answers(post, fine, last(7, &block(&[("server-timing", "db")]))), nothing);
}

#[test]
fn after_a_gap_older_entries_are_unknown_and_newer_ones_are_not() {
    let mut rig = Rig::new();
    let insert = |stream, path: &str| {
        let fields = block(&[("content-type", "application/grpc")]);
        headers(stream, &[vec![0x83], literal(0x40, ":path", path), fields].concat())
    };
    rig.sent(1, &[insert(1, "/a.B/Old"), known_path(3, 62)]).lose(Direction::Sent, 1);
    rig.sent(2, &[known_path(7, 62), insert(9, "/a.B/New"), known_path(11, 62), known_path(13, 63)]);
    assert_eq!(
        rig.lines(),
        [
            "1 client a.B/Old starts at 1",
            "3 client a.B/Old starts at 1",
            "7 client _OTHER=gap starts at 2",
            "9 client a.B/New starts at 2",
            "11 client a.B/New starts at 2",
            "13 client _OTHER=gap starts at 2",
        ]
    );
    assert_eq!(rig.counts().gaps, 1);
}

#[test]
fn a_call_in_doubt_is_resolved_by_its_response_alone() {
    let start = |rig: &mut Rig| {
        rig.sent(1, &[headers(1, &request("/a.B/C"))])
            .lose(Direction::Received, 2)
            .received(2, &[go_away(0x7fff_ffff)]);
        rig.lines();
    };
    let cases: [(&str, End); 5] = [
        ("1 client a.B/C 1..3 OK", |rig| {
            rig.received(3, &[last(1, &trailers("0"))]);
        }),
        ("1 a.B/C lost: gap", |rig| {
            rig.sent(3, &[reset(1, CANCEL)]);
        }),
        ("1 a.B/C lost: gap", |rig| {
            rig.received(3, &[go_away(0)]);
        }),
        ("1 a.B/C lost: gap", |rig| {
            rig.close(3).tick(2_000);
        }),
        ("1 a.B/C lost: gap", |rig| {
            rig.tick(60_001);
            assert_eq!(rig.counts().in_flight, 1);
            rig.tick(60_500);
        }),
    ];
    for (line, end) in cases {
        let mut rig = Rig::new();
        start(&mut rig);
        end(&mut rig);
        assert_eq!((rig.lines(), rig.counts().in_flight), (vec![line.to_owned()], 0));
    }
    // It has answered since: it was alive then, and what comes later is its end.
    let mut rig = Rig::new();
    start(&mut rig);
    rig.received(3, &[headers(1, &response())]).sent(4, &[reset(1, CANCEL)]);
    assert_eq!(rig.lines(), ["1 answers at 3", "1 client a.B/C 1..4 (3) CANCELLED"]);
}

#[test]
fn a_block_that_is_torn_by_a_gap_gives_no_name_and_no_status() {
    let whole = headers(1, &request("/a.B/C"));
    let mut rig = Rig::new();
    let parts = whole.cut(&[10]);
    rig.parts(Direction::Sent, 1, parts[..1].to_vec()).lose(Direction::Sent, 1);
    rig.sent(2, &[headers(3, &request("/a.B/D"))]).received(3, &[last(1, &[response(), trailers("0")].concat())]);
    assert_eq!(rig.lines(), ["3 client a.B/D starts at 2"]);
    assert_eq!((lost(&rig.counts()), rig.counts().faults), (vec![(Loss::Gap, 1)], 0));

    let mut rig = Rig::new();
    rig.sent(1, &[whole]).received(2, &[headers(1, &response())]);
    rig.lines();
    let parts = last(1, &trailers("0")).cut(&[5]);
    rig.lose(Direction::Received, 1).parts(Direction::Received, 3, parts[1..].to_vec());
    assert_eq!(rig.lines(), ["1 a.B/C lost: gap"]);
    assert_eq!((lost(&rig.counts()), rig.counts().faults), (vec![(Loss::Gap, 1)], 0));
}

#[test]
fn a_block_that_is_too_long_is_given_up_and_its_call_is_not() {
    let big = [vec![0x83], literal(0x40, ":path", &"/".repeat(60_000))].concat();
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]);
    let first = Wire::new(kind::HEADERS, 0, 3, &big).cut(&[]);
    for parts in first.chunks(2) {
        rig.parts(Direction::Sent, 2, parts.to_vec());
    }
    rig.parts(Direction::Sent, 3, vec![Wire::new(kind::CONTINUATION, 0, 3, &big).given_up()]);
    rig.parts(Direction::Sent, 4, vec![Wire::new(kind::CONTINUATION, flag::END_HEADERS, 3, &[0]).given_up()]);
    rig.parts(Direction::Sent, 5, vec![headers(5, &big).given_up()]);
    rig.received(6, &[last(3, &[response(), trailers("0")].concat())]);
    assert_eq!(
        rig.lines(),
        [
            "1 client a.B/C starts at 1",
            "3 client _OTHER=undecodable starts at 2",
            "5 client _OTHER=undecodable starts at 5",
            "3 answers at 6",
            "3 client _OTHER=undecodable 2..6 (6) OK"
        ]
    );
}

#[test]
fn a_direction_that_is_given_up_makes_its_connection_opaque_until_it_is_found_again() {
    for (why, opaque) in
        [(reason::DESYNC, Opaque::Desync), (reason::FLOOD, Opaque::Desync), (reason::UNREADABLE, Opaque::Unreadable)]
    {
        let mut rig = Rig::new();
        rig.sent(1, &[headers(1, &request("/a.B/C"))]);
        rig.give_up(Direction::Received, 2, why);
        let counts = rig.counts();
        assert_eq!((counts.open, counts.opaque(opaque), counts.open_opaque[opaque as usize]), (0, 1, 1));
        rig.start = 2;
        rig.received(3, &[headers(1, &response())]);
        assert_eq!((rig.counts().open, rig.counts().open_opaque), (1, [0; 4]));
        rig.lines();
        rig.lose(Direction::Received, 1).received(4, &[go_away(9)]).close(5).tick(2_000);
        assert_eq!((rig.lines(), lost(&rig.counts())), (vec!["1 a.B/C lost: gap".to_owned()], vec![(Loss::Gap, 1)]));
    }
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]);
    rig.give_up(Direction::Received, 2, reason::DESYNC).tick(70_000);
    assert_eq!(rig.lines(), ["1 client a.B/C starts at 1", "1 a.B/C lost: desync"]);
}

#[test]
fn calls_that_begin_while_the_server_cannot_be_read_do_not_end_with_the_close() {
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]);
    rig.give_up(Direction::Received, 2, reason::UNREADABLE);
    rig.sent(3, &[headers(3, &request("/a.B/D"))]).close(4).tick(2_000);
    assert_eq!(
        rig.lines(),
        [
            "1 client a.B/C starts at 1",
            "3 client a.B/D starts at 3",
            "1 a.B/C lost: unreadable",
            "3 a.B/D lost: unreadable"
        ]
    );
    // Once it is found again, later calls end as always.
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]).give_up(Direction::Received, 2, reason::UNREADABLE);
    rig.start = 2;
    rig.received(3, &[headers(1, &response())]).lines();
    rig.start = 1;
    rig.sent(4, &[headers(3, &request("/a.B/D"))]).close(5).tick(2_000);
    assert_eq!(
        rig.lines(),
        ["3 client a.B/D starts at 4", "1 client a.B/C 1..5 (3) UNAVAILABLE", "3 client a.B/D 4..5 UNAVAILABLE"]
    );
}

#[test]
fn a_loss_at_the_end_of_a_direction_does_not_pass_for_the_close() {
    let mut rig = Rig::new();
    rig.received(0, &[Wire::new(kind::SETTINGS, 0, 0, &[0; 6])]);
    rig.sent(1, &[headers(1, &request("/a.B/C"))]);
    // The ring buffer refuses the response, or it passes unseen; nothing else comes of the connection but its close.
    rig.pass(Direction::Received, 1).close(3).tick(2_000);
    assert_eq!(rig.lines(), ["1 client a.B/C starts at 1", "1 a.B/C lost: gap"]);
    assert_eq!((rig.counts().gaps, rig.counts().in_flight), (1, 0));
    // What other connections lost is not its.
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]);
    rig.tracker.records_lost(2 * MS, 1);
    rig.close(3).tick(2_000);
    assert_eq!(rig.lines(), ["1 client a.B/C starts at 1", "1 client a.B/C 1..3 UNAVAILABLE"]);
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]);
    rig.tracker.records_lost(2 * MS, 1);
    rig.sent(3, &[reset(1, CANCEL)]);
    assert_eq!(rig.lines(), ["1 client a.B/C starts at 1", "1 a.B/C lost: gap"]);
}

#[test]
fn calls_whose_records_are_the_last_ones_of_their_connection_are_lost_and_counted() {
    // Of six calls two are seen. Those of the others are lost whose records are; of one the server's may not be.
    for seen in [false, true] {
        let mut rig = Rig::new();
        let answer = [response(), trailers("0")].concat();
        rig.sent(1, &[headers(1, &request("/a.B/C")), headers(3, &request("/a.B/C"))]);
        rig.received(2, &[last(1, &answer)]);
        rig.lose(Direction::Sent, 4).opened(Direction::Sent, 11);
        if seen {
            rig.received(3, &[last(7, &answer)]);
        }
        rig.lose(Direction::Received, 4).opened(Direction::Received, 9).close(4).tick(2_000);
        assert_eq!((lost(&rig.counts()), rig.counts().finished), (vec![(Loss::Gap, 5)], 1), "{seen}");
        assert_eq!((rig.counts().in_flight, rig.tracker.connections()), (0, 0));
    }
    // No more than what was lost can hold.
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]).lose(Direction::Sent, 3).opened(Direction::Sent, u32::MAX);
    rig.close(4).tick(2_000);
    assert_eq!((lost(&rig.counts()), rig.counts().finished), (vec![(Loss::Gap, 4)], 0));
    // Nothing is missing: what its highest stream is does not matter.
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]).opened(Direction::Sent, 9).close(4).tick(2_000);
    assert_eq!((lost(&rig.counts()), rig.counts().finished), (vec![], 1));
}

#[test]
fn calls_of_a_connection_whose_records_are_all_lost_are_counted() {
    for (sent, received, told) in [
        // Nothing says that they were gRPC's.
        (4, 4, vec![(Loss::Unclassified, 3)]),
        // More than was lost: another agent heard them, or the connection was forgotten.
        (9, 9, vec![]),
        // The client's were heard by another one.
        (9, 2, vec![(Loss::Unclassified, 2)]),
    ] {
        // What was lost may be known before the close is read, and after.
        for (before, after) in [(8, 0), (0, 8), (3, 5)] {
            let mut rig = Rig::new();
            rig.tracker.records_lost(0, before);
            rig.pass(Direction::Sent, sent).opened(Direction::Sent, 5);
            rig.pass(Direction::Received, received).opened(Direction::Received, 3).close(4);
            rig.tracker.records_lost(5 * MS, after);
            // It is told twice when an I/O was under way.
            rig.close(5).tick(2_000);
            assert_eq!((lost(&rig.counts()), rig.counts().bytes, rig.tracker.connections()), (told.clone(), 0, 0));
        }
    }
    // It was over before: what is told again, as its last bytes are read seconds later, is counted.
    let mut rig = Rig::new();
    rig.tracker.records_lost(0, 8);
    let record = closed_again(rig.cookie, 4 * MS, [4, 4], [5, 3]);
    rig.bytes(&record, 4 * MS);
    assert_eq!(rig.tracker.connections(), 0);
    // Its calls were none.
    let mut rig = Rig::new();
    rig.lose(Direction::Sent, 1).lose(Direction::Received, 1).close(4);
    assert_eq!(rig.tracker.connections(), 0);
}

#[test]
fn of_a_close_that_is_told_twice_the_first_time_and_the_last_end_count() {
    // The close comes while an I/O is under way: bytes seem to have passed unseen. Then the I/O is seen, and the end told again. The first record may
    // have waited in the kernel, and come later.
    for (one, two) in [((5, [2, 2]), (6, [2, 1])), ((6, [2, 1]), (5, [2, 2]))] {
        let mut rig = Rig::new();
        rig.sent(1, &[headers(1, &request("/a.B/C"))]).sent(2, &[headers(3, &request("/a.B/D"))]);
        rig.received(3, &[headers(1, &response())]).lines();
        for (ms, ends) in [one, two] {
            let record = closed(rig.cookie, ms * MS, ends, [3, 1]);
            rig.bytes(&record, 6 * MS);
        }
        rig.tick(2_000);
        assert_eq!(rig.lines(), ["1 client a.B/C 1..5 (3) UNAVAILABLE", "3 client a.B/D 2..5 UNAVAILABLE"]);
        assert_eq!(rig.counts().gaps, 0);
    }
}

#[test]
fn what_others_heard_of_a_silent_direction_is_not_missing_at_the_close_and_what_was_lost_of_it_is() {
    for (heard, lost, told) in [
        (240, 0, "1 client a.B/C 1..3 UNAVAILABLE"),
        (240, 7, "1 client a.B/C 1..3 UNAVAILABLE"),
        (7, 7, "1 a.B/C lost: gap"),
        // Bytes passed unseen.
        (1, 0, "1 a.B/C lost: gap"),
    ] {
        let mut rig = Rig::new();
        rig.sent(1, &[headers(1, &request("/a.B/C"))]).lines();
        rig.tracker.records_lost(0, lost);
        rig.pass(Direction::Received, heard).close(3).tick(2_000);
        assert_eq!(rig.lines(), [told], "{heard} {lost}");
    }
}

#[test]
fn a_table_size_that_may_have_been_lost_makes_far_entries_unknown_and_no_fault() {
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]).lose(Direction::Sent, 1);
    rig.sent(2, &[headers(3, &request("/a.B/D"))]).lose(Direction::Received, 1);
    // Entry 200 fits no table of the default size; the server may have said that it keeps a larger one.
    rig.received(3, &[headers(3, &response())]).lines();
    let far = [vec![0x83, 0xff, 200 - 127], block(&[("content-type", "application/grpc")])].concat();
    rig.sent(4, &[headers(5, &far)]);
    assert_eq!(rig.lines(), ["5 client _OTHER=gap starts at 4"]);
    assert_eq!(rig.counts().faults, 0);
}

#[test]
fn a_reset_or_a_go_away_that_is_too_short_is_a_fault_and_ends_nothing() {
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]).lines();
    rig.received(2, &[Wire::new(kind::RST_STREAM, 0, 1, &[0; 3]), Wire::new(kind::GOAWAY, 0, 0, &[0; 3])]);
    assert_eq!((rig.lines(), rig.counts().faults), (vec![], 2));
}
