//! Blocks, frames and I/Os at and beyond their bounds.

use fleetscope_ebpf::http2::connection::{phase, state};
use fleetscope_ebpf::http2::frame::{PREFACE, flag, kind};
use fleetscope_ebpf::http2::{
    BLOCK_MAX, Direction, FLUSH_BYTES, PIECE_MAX, RESYNCS_MAX, STEPS_MAX, STRIKES_MAX, reason, start,
};

use crate::tap::{Tap, Way};
use crate::wire::{Frame, REQUEST, RESPONSE, frame, header, headers, opening, read, settings};

/// A connection of which the opening has passed in both directions.
fn open() -> Tap {
    let mut tap = Tap::default();
    tap.io(Way::Sent, &opening());
    tap.io(Way::Received, &settings(&[]));
    tap.sent.clear();
    tap.received.clear();
    tap.connection.sent.seq = 0;
    tap
}

/// The frames that a direction sends behind its opening.
fn behind_opening(tap: &Tap) -> Vec<Frame> {
    tap.frames(Way::Sent)
}

/// What a straight parser reads of these bytes behind an opening.
fn expected(bytes: &[u8]) -> Vec<Frame> {
    read(bytes, false).0
}

/// `length` bytes of a block.
fn block(length: u32) -> Vec<u8> {
    (0..length).map(|i| i.to_le_bytes()[0]).collect()
}

#[test]
fn a_block_of_the_most_bytes_comes_whole_in_pieces() {
    let bytes = headers(1, &block(BLOCK_MAX), true);
    for size in [bytes.len(), 16_384, 5000, 1448] {
        let mut tap = open();
        bytes.chunks(size).for_each(|io| tap.io(Way::Sent, io));
        assert_eq!(behind_opening(&tap), expected(&bytes), "I/Os of {size}");
        assert_eq!(behind_opening(&tap)[0].payload, block(BLOCK_MAX));
        assert!(tap.sent.iter().flat_map(|r| &r.pieces).all(|(head, _)| u32::from(head.captured) <= PIECE_MAX));
        assert!(tap.sent.iter().all(|r| r.batch.bytes <= FLUSH_BYTES + PIECE_MAX + 16));
    }
}

#[test]
fn a_longer_block_is_given_up_and_the_frames_behind_it_are_not() {
    let mut tap = open();
    let bytes = [headers(1, &block(BLOCK_MAX + 1), true), headers(3, REQUEST, true)].concat();
    bytes.chunks(4000).for_each(|io| tap.io(Way::Sent, io));
    let frames = behind_opening(&tap);
    let (kind, flags) = (kind::HEADERS, flag::END_HEADERS | flag::END_STREAM);
    let given_up = Frame { kind, flags, stream: 1, length: BLOCK_MAX + 1, payload: Vec::new(), given_up: true };
    let whole = Frame { kind, flags, stream: 3, length: 8, payload: REQUEST.to_vec(), given_up: false };
    assert_eq!(frames, [given_up, whole]);
    assert_eq!(frames, expected(&bytes));
}

#[test]
fn a_flood_of_continuations_is_given_up_once() {
    let mut tap = open();
    let mut bytes = frame(kind::HEADERS, 0, 1, REQUEST);
    for _ in 0..20_000 {
        bytes.extend(frame(kind::CONTINUATION, 0, 1, b""));
    }
    bytes.extend(frame(kind::CONTINUATION, flag::END_HEADERS, 1, b"end"));
    bytes.extend(headers(3, REQUEST, false));
    bytes.chunks(65_536).for_each(|io| tap.io(Way::Sent, io));
    let frames = behind_opening(&tap);
    assert_eq!(frames, expected(&bytes));
    assert_eq!(frames.iter().filter(|f| f.given_up).count(), 2, "where it was given up, and where it ends");
    // 9 bytes each, behind 8 of the first frame, fit; then the two; then the next block.
    assert_eq!(frames.len(), 1 + (65_536 - 8) / 9 + 2 + 1);
}

#[test]
fn data_of_the_longest_frame_passes_by_its_length() {
    let mut tap = open();
    let length = (1 << 24) - 1;
    tap.io(Way::Sent, &header(length, kind::DATA, flag::END_STREAM, 1));
    let zeros = vec![0; 1 << 20];
    for _ in 0..15 {
        tap.io(Way::Sent, &zeros);
    }
    assert!(tap.sent.is_empty(), "the stream has not ended");
    let mut last = vec![0; (1 << 20) - 1];
    last.extend(headers(3, REQUEST, true));
    tap.io(Way::Sent, &last);
    let frames = behind_opening(&tap);
    assert_eq!((frames[0].kind, frames[0].length, frames.len()), (kind::DATA, length, 2));
    assert_eq!(frames[1].payload, REQUEST);
}

#[test]
fn settings_and_goaway_are_sent_up_to_their_bounds() {
    let mut tap = open();
    let pairs = vec![(6, 1); 1000];
    let bytes = [settings(&pairs), frame(kind::GOAWAY, 0, 0, &[7; 5000]), headers(1, REQUEST, true)].concat();
    bytes.chunks(1000).for_each(|io| tap.io(Way::Sent, io));
    let frames = behind_opening(&tap);
    assert_eq!(frames.iter().map(|f| f.payload.len()).collect::<Vec<_>>(), [4096, 8, 8]);
    assert_eq!(frames, expected(&bytes));
}

#[test]
fn lengths_that_lie_end_the_direction_with_a_reason() {
    let lies = [
        header(3, kind::RST_STREAM, 0, 1),
        header(7, kind::PING, 0, 0),
        header(5, kind::WINDOW_UPDATE, 0, 0),
        header(5, kind::SETTINGS, 0, 0),
        header(6, kind::SETTINGS, flag::ACK, 0),
        header(4, kind::PRIORITY, 0, 1),
        header(3, kind::PUSH_PROMISE, 0, 1),
        header(7, kind::GOAWAY, 0, 0),
        header(16_385, 0x40, 0, 1),
        header(1, kind::DATA, 0, 0),
        header(1, kind::HEADERS, 0, 0),
        header(4, kind::RST_STREAM, 0, 0),
        header(8, kind::PING, 0, 1),
        header(6, kind::SETTINGS, 0, 1),
        header(8, kind::GOAWAY, 0, 1),
        header(1, kind::CONTINUATION, flag::END_HEADERS, 1),
    ];
    for lie in lies {
        let mut tap = open();
        tap.io(Way::Sent, &[&headers(1, REQUEST, false)[..], &lie, &[0; 40]].concat());
        assert_eq!(tap.ends(Way::Sent), [reason::DESYNC], "{lie:?}");
        assert_eq!(behind_opening(&tap).len(), 1, "what came before is not lost");
        assert_eq!((tap.connection.sent.phase, tap.connection.received.phase), (phase::LOST, phase::HEAD));
    }
}

#[test]
fn nothing_may_come_inside_a_block() {
    let between = [
        frame(kind::DATA, 0, 1, b"x"),
        frame(kind::PING, 0, 0, b"12345678"),
        headers(1, REQUEST, false),
        frame(kind::CONTINUATION, flag::END_HEADERS, 3, REQUEST),
        frame(0x40, 0, 1, b"x"),
    ];
    for other in between {
        let mut tap = open();
        tap.io(Way::Sent, &frame(kind::HEADERS, 0, 1, REQUEST));
        tap.io(Way::Sent, &other);
        assert_eq!(tap.ends(Way::Sent), [reason::DESYNC], "{other:?}");
    }
}

#[test]
fn a_preface_and_then_garbage_is_no_connection() {
    for garbage in [&b"GET / HTTP/1.1\r\n"[..], &headers(1, REQUEST, true), &header(0, kind::SETTINGS, flag::ACK, 0)] {
        let mut tap = Tap::default();
        tap.io(Way::Sent, &[&PREFACE[..], garbage].concat());
        tap.io(Way::Received, b"+OK\r\n and more");
        assert_eq!((tap.ends(Way::Sent), tap.frames(Way::Sent)), (vec![reason::DESYNC], vec![]));
        assert_eq!(tap.connection.shared.state, state::UNKNOWN);
        assert!(tap.received.is_empty());
    }
}

#[test]
fn a_lost_direction_is_joined_again_at_an_io_that_proves_it() {
    let mut tap = open();
    tap.io(Way::Sent, &header(7, kind::PING, 0, 0));
    tap.io(Way::Sent, b"in the middle of something");
    assert_eq!(tap.connection.sent.phase, phase::LOST);
    tap.io(Way::Sent, &[headers(9, REQUEST, false), frame(kind::DATA, flag::END_STREAM, 9, b"x")].concat());
    assert_eq!(behind_opening(&tap).iter().map(|f| f.stream).collect::<Vec<_>>(), [9, 9]);
    assert_eq!(tap.sent.iter().map(|r| r.batch.start).collect::<Vec<_>>(), [start::PREFACE, start::JOINED]);
    assert_eq!(tap.connection.sent.resyncs, 1);
    // An even more faulty peer is not followed for ever.
    for _ in 0..2 * RESYNCS_MAX {
        tap.io(Way::Sent, &frame(kind::PING, 0, 0, b"12345678"));
        tap.io(Way::Sent, &header(7, kind::PING, 0, 0));
    }
    assert_eq!(tap.connection.sent.phase, phase::CLOSED);
    assert_eq!(tap.ends(Way::Sent).len(), 1 + usize::from(RESYNCS_MAX));
}

#[test]
fn unreadable_bytes_inside_data_are_passed_over() {
    let mut tap = open();
    tap.io(Way::Sent, &header(1000, kind::DATA, flag::END_STREAM, 1));
    tap.unreadable(Way::Sent, 400);
    tap.unreadable(Way::Sent, 600);
    tap.io(Way::Sent, &headers(3, REQUEST, true));
    let told: Vec<_> = behind_opening(&tap).iter().map(|f| (f.kind, f.stream)).collect();
    assert_eq!(told, [(kind::DATA, 1), (kind::HEADERS, 3)]);
    assert!(tap.ends(Way::Sent).is_empty());
}

#[test]
fn unreadable_bytes_elsewhere_end_the_direction_with_a_reason() {
    let before: [&[u8]; 4] = [b"", &header(1000, kind::DATA, 0, 1), &header(10, kind::HEADERS, 4, 1), &[0, 0, 4, 8]];
    for before in before {
        let mut tap = open();
        if !before.is_empty() {
            tap.io(Way::Sent, before);
        }
        tap.unreadable(Way::Sent, 1001);
        assert_eq!(tap.ends(Way::Sent), [reason::UNREADABLE], "behind {before:?}");
        tap.io(Way::Sent, &headers(3, REQUEST, true));
        assert_eq!(tap.sent.last().map(|r| r.batch.start), Some(start::JOINED));
    }
}

#[test]
fn a_first_io_that_cannot_be_read_proves_nothing_and_ends_what_is_proven() {
    let mut tap = Tap::default();
    tap.unreadable(Way::Sent, 100);
    assert!(tap.sent.is_empty());
    tap.io(Way::Sent, &opening());
    tap.unreadable(Way::Received, 21);
    assert_eq!(tap.ends(Way::Received), [reason::UNREADABLE]);
    tap.io(Way::Received, &headers(1, RESPONSE, false));
    assert_eq!(tap.received.last().map(|r| (r.batch.start, r.batch.end)), Some((start::JOINED, 0)));
}

#[test]
fn an_io_of_more_frames_than_are_walked_ends_the_direction_with_a_reason() {
    let mut tap = open();
    let frames = STEPS_MAX as usize;
    tap.io(Way::Sent, &frame(kind::DATA, 0, 1, b"").repeat(frames));
    assert!(tap.ends(Way::Sent).is_empty());
    tap.io(Way::Sent, &frame(kind::DATA, 0, 1, b"").repeat(frames + 1));
    assert_eq!(tap.ends(Way::Sent), [reason::FLOOD]);
}

#[test]
fn a_rejected_connection_stays_as_it_is_whatever_comes_of_it() {
    let mut tap = Tap::default();
    tap.io(Way::Sent, &opening()[..20]);
    tap.io(Way::Received, &[0x16, 3, 1, 0, 2, 1]);
    let (rejected, records) = (tap.connection, tap.received.len());
    assert_eq!((rejected.shared.state, rejected.shared.reason), (state::REJECTED, reason::TLS));
    for way in [Way::Sent, Way::Received] {
        tap.unreadable(way, 100);
        tap.io(way, &opening()[20..]);
    }
    assert_eq!((tap.connection, tap.sent.len(), tap.received.len()), (rejected, 0, records));
}

#[test]
fn a_connection_of_which_nothing_can_be_read_is_told_once_as_what_nobody_knows() {
    let mut tap = Tap::default();
    // Some of it has passed unseen.
    tap.connection.sent = Direction { phase: phase::LOST, start: start::JOINED, ..Direction::default() };
    for number in 1..STRIKES_MAX {
        tap.unreadable(if number % 2 == 0 { Way::Sent } else { Way::Received }, 100);
    }
    assert!(tap.sent.is_empty() && tap.received.is_empty());
    for _ in 0..2 * STRIKES_MAX {
        tap.unreadable(Way::Sent, 100);
    }
    let told: Vec<_> = tap.sent.iter().map(|r| (r.batch.start, r.batch.end, r.batch.pieces)).collect();
    assert_eq!((told, tap.received.len()), (vec![(start::NONE, reason::UNREADABLE, 0)], 0));
    assert_eq!((tap.connection.shared.state, tap.connection.shared.reason), (state::REJECTED, reason::UNREADABLE));
}

#[test]
fn a_connection_of_which_something_was_read_is_known_to_be_something_else() {
    let mut tap = Tap::default();
    tap.io(Way::Received, b"GET / HTTP/1.1\r\n\r\n");
    for _ in 0..2 * STRIKES_MAX {
        tap.unreadable(Way::Sent, 100);
    }
    assert!(tap.sent.is_empty() && tap.received.is_empty());
    assert_eq!((tap.connection.shared.state, tap.connection.shared.reason), (state::REJECTED, reason::NOT_HTTP2));
}
