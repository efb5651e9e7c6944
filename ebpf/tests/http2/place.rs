//! Whether bytes passed unseen.

use fleetscope_ebpf::http2::Direction;

/// What each of these I/Os of (bytes, bytes that passed unseen before it) told, when numbers begin there and move or stand.
fn told(begin: u32, moves: bool, received: bool, ios: &[(u32, u32)]) -> (Vec<bool>, Direction) {
    let (mut direction, mut place) = (Direction::default(), begin);
    let told = ios.iter().map(|(len, unseen)| {
        place = place.wrapping_add(if moves { len + unseen } else { 0 });
        direction.pass(place, *len, received)
    });
    (told.collect(), direction)
}

#[test]
fn bytes_that_pass_unseen_are_told_once_wherever_the_numbers_begin() {
    for begin in [0, 1, u32::MAX, u32::MAX - 20, 1 << 31] {
        for received in [false, true] {
            let (told, direction) = told(begin, true, received, &[(10, 7), (10, 0), (3, 2), (1, 0), (5, 900)]);
            assert_eq!(told, [false, false, true, false, true], "{begin} {received}");
            assert!(direction.has_place());
        }
    }
}

#[test]
fn the_end_of_the_stream_is_received_with_the_last_bytes() {
    for (received, missed) in [(true, false), (false, true)] {
        assert_eq!(told(9, true, received, &[(10, 0), (10, 0), (10, 1)]).0, [false, false, missed]);
    }
}

#[test]
fn a_direction_ends_where_its_socket_is_when_nothing_passed_unseen() {
    let (_, mut direction) = told(u32::MAX - 4, true, false, &[(10, 0)]);
    direction.seq = 7;
    let at = direction.place;
    let ends =
        [None, Some(0), Some(1), Some(2), Some(900)].map(|more| direction.end(more.map(|more| at.wrapping_add(more))));
    assert_eq!(ends, [7, 7, 7, 8, 8], "the end of the stream takes a number");
    assert_eq!(Direction::default().end(Some(77)), 0, "nothing of it was seen");
}

#[test]
fn numbers_that_stand_while_bytes_pass_tell_nothing() {
    let (told, direction) = told(77, false, false, &[(10, 0), (10, 0), (1, 0), (500, 0)]);
    assert_eq!((told, direction.has_place()), (vec![false; 4], false));
}
