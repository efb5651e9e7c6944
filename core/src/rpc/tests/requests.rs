//! Calls whose requests were lost: each counts once.

use super::Rig;
use super::gaps::{CANCEL, End, lost};
use super::wire::{block, headers, indexed, last, request, reset, response, trailers};
use crate::rpc::Loss;
use crate::rpc::frame::Direction;

#[test]
fn a_lost_request_is_counted_when_its_response_ends() {
    let mut rig = Rig::new();
    let answer = [response(), trailers("0")].concat();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]).lose(Direction::Sent, 2).sent(2, &[headers(7, &request("/a.B/C"))]);
    rig.received(3, &[last(3, &answer), headers(5, &response())]).received(4, &[last(5, &trailers("0"))]);
    assert_eq!(lost(&rig.counts()), [(Loss::Gap, 2)]);
    // One that ended long ago is none: only its reset comes late.
    rig.received(5, &[last(1, &answer)]).received(6, &[reset(1, 0), reset(3, 0), last(1, &answer)]);
    assert_eq!(lost(&rig.counts()), [(Loss::Gap, 2)]);
    assert_eq!(rig.counts().in_flight, 1);
}

#[test]
fn a_call_whose_request_was_lost_counts_once_when_its_reset_crosses_its_response() {
    for answered in [true, false] {
        let mut rig = Rig::new();
        rig.lose(Direction::Sent, 1).received(2, &[headers(1, &response())]);
        rig.sent(3, &[headers(3, &request("/a.B/C")), reset(1, 8)]);
        if answered {
            rig.received(4, &[last(1, &trailers("0"))]);
        }
        rig.tick(2_000);
        assert_eq!((rig.counts().lost(Loss::Gap), rig.counts().in_flight), (1, 1), "answered: {answered}");
    }
}

#[test]
fn a_call_that_ended_before_its_clients_loss_showed_counts_once() {
    // Its response is torn, or waits for its request in vain; both before the client's next record tells that this was lost.
    let torn = |rig: &mut Rig| {
        let trailers = last(3, &trailers("0")).cut(&[4]);
        rig.received(2, &[headers(3, &response())]).parts(Direction::Received, 3, trailers[..1].to_vec());
        rig.lose(Direction::Received, 1).received(4, &[]);
    };
    let whole = |rig: &mut Rig| {
        rig.received(2, &[headers(3, &response()), last(3, &trailers("0"))]).tick(1_600);
    };
    for end in [torn as End, whole] {
        let mut rig = Rig::new();
        rig.sent(1, &[headers(1, &request("/a.B/C"))]).lose(Direction::Sent, 1);
        end(&mut rig);
        rig.sent(1_700, &[headers(5, &request("/a.B/C")), reset(5, CANCEL)]).tick(4_000);
        assert_eq!((lost(&rig.counts()), rig.counts().started), (vec![(Loss::Gap, 1)], 2));
    }
}

#[test]
fn a_request_that_comes_after_its_torn_response_is_lost_with_it() {
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]);
    let trailers = last(3, &trailers("0")).cut(&[4]);
    rig.received(2, &[headers(3, &response())]).parts(Direction::Received, 3, trailers[..1].to_vec());
    rig.lose(Direction::Received, 1).received(4, &[]).sent(5, &[headers(3, &request("/a.B/C"))]);
    assert_eq!(
        rig.lines(),
        ["1 client a.B/C starts at 1", "3 client a.B/C starts at 5", "3 answers at 2", "3 a.B/C lost: gap"]
    );
    assert_eq!((lost(&rig.counts()), rig.counts().in_flight), (vec![(Loss::Gap, 1)], 1));
}

#[test]
fn calls_that_were_lost_as_a_whole_are_counted_by_the_numbers_of_requests() {
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]).received(2, &[headers(1, &response())]).lines();
    // Three calls of which nothing arrives, two frames each way.
    rig.lose(Direction::Sent, 6).lose(Direction::Received, 6);
    rig.sent(3, &[headers(9, &request("/a.B/D"))]);
    assert_eq!(lost(&rig.counts()), [(Loss::Gap, 3)]);
    // What comes of their responses is not counted again.
    rig.received(4, &[headers(5, &response())]);
    assert_eq!(lost(&rig.counts()), [(Loss::Gap, 3)]);
}

#[test]
fn a_jump_in_the_numbers_counts_no_more_calls_than_there_are_frames_missing() {
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]).lose(Direction::Sent, 2);
    rig.sent(2, &[headers(0x7fff_ffff, &request("/a.B/C"))]);
    assert_eq!(lost(&rig.counts()), [(Loss::Gap, 2)]);
}

/// One whose connection said so much while another tracker saw it.
fn met_again() -> Rig {
    let mut rig = Rig::new();
    rig.pass(Direction::Sent, 100_000).pass(Direction::Received, 80_000);
    rig
}

#[test]
fn a_connection_that_is_met_again_has_no_calls_to_lose() {
    let mut rig = met_again();
    let known = [vec![0x83], indexed(62), block(&[("content-type", "application/grpc")])].concat();
    rig.sent(1, &[headers(100_001, &known), headers(100_003, &request("/a.B/C"))]);
    rig.received(
        2,
        &[last(100_001, &[response(), trailers("0")].concat()), last(100_003, &[response(), indexed(62)].concat())],
    );
    assert_eq!(
        rig.lines(),
        [
            "100001 client _OTHER=joined starts at 1",
            "100003 client a.B/C starts at 1",
            "100001 answers at 2",
            "100001 client _OTHER=joined 1..2 (2) OK",
            "100003 answers at 2",
            "100003 client a.B/C 1..2 (2) _OTHER",
        ]
    );
    let counts = rig.counts();
    assert_eq!((lost(&counts), counts.gaps, counts.faults), (vec![], 0, 0));
    // Calls that were in flight meanwhile count when they end, and from here on all is as always.
    rig.received(3, &[last(99_999, &trailers("0"))]).tick(1_500);
    assert_eq!(lost(&rig.counts()), [(Loss::Joined, 1)]);
    rig.lose(Direction::Sent, 2).sent(1_600, &[headers(100_009, &request("/a.B/C"))]);
    assert_eq!(lost(&rig.counts()), [(Loss::Gap, 2), (Loss::Joined, 1)]);
    // The server is met first.
    let mut rig = met_again();
    rig.received(1, &[last(99_999, &trailers("0"))]).sent(2, &[headers(100_001, &request("/a.B/C"))]).tick(1_500);
    assert_eq!((lost(&rig.counts()), rig.counts().gaps), (vec![(Loss::Joined, 1)], 0));
}

#[test]
fn settings_that_another_tracker_saw_may_have_allowed_any_table() {
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]).pass(Direction::Received, 1);
    rig.received(2, &[headers(1, &response())])
        .sent(3, &[headers(3, &[vec![0x3f, 0xe1, 0xff, 0x03], request("/a.B/D")].concat())]);
    assert_eq!((rig.counts().faults, rig.counts().in_flight), (0, 2));
}

#[test]
fn as_much_of_the_beginning_of_a_connection_is_lost_as_the_ring_refused() {
    let begins = |refused: u64| {
        let mut rig = Rig::new();
        rig.tracker.records_lost(0, refused);
        for cookie in 1..=2 {
            rig.cookie = cookie;
            rig.seq = [6, 0];
            rig.sent(1, &[headers(7, &request("/a.B/C"))]);
        }
        (lost(&rig.counts()), rig.counts().gaps)
    };
    assert_eq!(begins(5), (vec![], 0));
    assert_eq!(begins(6), (vec![(Loss::Gap, 3)], 1));
    assert_eq!(begins(12), (vec![(Loss::Gap, 6)], 2));
}
