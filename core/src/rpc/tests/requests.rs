//! Calls whose requests were lost: each counts once.

use super::Rig;
use super::gaps::{CANCEL, End, lost};
use super::wire::{headers, last, request, reset, response, trailers};
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
