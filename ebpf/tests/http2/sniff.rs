//! What is taken for HTTP/2 in mid-life, and what never is.

use fleetscope_ebpf::http2::connection::{phase, state};
use fleetscope_ebpf::http2::frame::{flag, kind};
use fleetscope_ebpf::http2::{STRIKES_MAX, reason, start};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::tap::{Tap, Way};
use crate::wire::{REQUEST, RESPONSE, TRAILERS, frame, header, headers, opening, read, settings};

/// A connection of which this is the first that is seen.
fn joined_by(bytes: &[u8]) -> Tap {
    let mut tap = Tap::default();
    tap.io(Way::Received, bytes);
    tap
}

#[test]
fn usual_calls_are_joined_in_mid_life() {
    let blocks: [&[u8]; 8] = [
        REQUEST,
        RESPONSE,
        // C-core: path and authority by the dynamic table, then :method; one of them with an index of two bytes.
        &[0xbe, 0xff, 0x05, 0x83, 0x86],
        // A size update to 4096, another, then :status.
        &[0x3f, 0xe1, 0x1f, 0x20, 0x88],
        // `:path` as a new name: plain, and in Huffman's code.
        b"\x40\x05:path\x01/",
        &[0x40, 0x84, 0xb9, 0x58, 0xd3, 0x3f, 0x01, b'/'],
        // Literals that are not indexed, and never.
        &[0x04, 0x01, b'/'],
        &[0x14, 0x01, b'/'],
    ];
    for block in blocks {
        let bytes = [headers(7, block, false), frame(kind::DATA, flag::END_STREAM, 7, b"\0\0\0\0\0")].concat();
        let tap = joined_by(&bytes);
        assert_eq!(tap.frames(Way::Received), read(&bytes, false).0, "{block:x?}");
        assert_eq!(tap.received[0].batch.start, start::JOINED);
        assert_eq!(tap.connection.shared.state, state::JOINED);
    }
}

#[test]
fn memory_may_be_cut_anywhere() {
    // netty has the header of a frame and its payload in pieces of their own; C-core has pieces of 23 bytes, whatever is in them.
    let bytes = [
        headers(7, REQUEST, false),
        frame(kind::WINDOW_UPDATE, 0, 7, &[0, 0, 0, 9]),
        frame(kind::DATA, flag::END_STREAM, 7, b"\0\0\0\0\0"),
    ]
    .concat();
    for first in 1..bytes.len() - 1 {
        for second in first + 1..bytes.len() {
            let mut tap = Tap::default();
            tap.vector(Way::Sent, &[&bytes[..first], &bytes[first..second], &bytes[second..]]);
            assert_eq!(tap.frames(Way::Sent), read(&bytes, false).0, "{first} {second}");
            assert_eq!(tap.connection.shared.state, state::JOINED);
        }
    }
    // A header that is not whole is no frame.
    let mut tap = Tap::default();
    tap.vector(Way::Sent, &[&bytes, &bytes[..4], &bytes[4..8]]);
    assert_eq!((tap.connection.shared.state, tap.sent.len()), (state::UNKNOWN, 0));
}

#[test]
fn a_block_behind_padding_and_priority_is_looked_at_where_it_begins() {
    let mut payload = vec![2, 0, 0, 0, 0, 16];
    payload.extend(REQUEST);
    payload.extend([0; 2]);
    let bytes = frame(kind::HEADERS, flag::END_HEADERS | flag::PADDED | flag::PRIORITY, 1, &payload);
    assert_eq!(joined_by(&bytes).frames(Way::Received), read(&bytes, false).0);
}

#[test]
fn a_response_with_trailers_and_what_surrounds_it_is_joined() {
    let bytes = [
        frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 9]),
        frame(kind::PING, flag::ACK, 0, b"12345678"),
        headers(1, RESPONSE, false),
        frame(kind::DATA, flag::PADDED, 1, b"\x02abc\0\0"),
        headers(1, TRAILERS, true),
        frame(kind::RST_STREAM, 0, 3, &[0, 0, 0, 0]),
        frame(kind::SETTINGS, flag::ACK, 0, b""),
    ];
    assert_eq!(joined_by(&bytes.concat()).frames(Way::Received), read(&bytes.concat(), false).0);
}

#[test]
fn what_one_direction_proves_helps_the_other() {
    let mut tap = joined_by(&headers(1, REQUEST, true));
    // No block with a pseudo-header in it, but a whole number of frames.
    let bytes = [frame(kind::DATA, 0, 1, b"abc"), headers(1, TRAILERS, true)].concat();
    tap.io(Way::Sent, b"the end of a frame that began before");
    tap.io(Way::Sent, &bytes);
    assert_eq!(tap.frames(Way::Sent), read(&bytes, false).0);
    assert_eq!(tap.sent[0].batch.start, start::JOINED);
}

#[test]
fn settings_in_mid_life_make_no_complete_connection() {
    let mut tap = Tap::default();
    tap.io(Way::Sent, &settings(&[(4, 1 << 20)]));
    tap.io(Way::Received, &headers(5, REQUEST, true));
    tap.io(Way::Sent, &headers(5, RESPONSE, false));
    assert!(tap.sent.iter().chain(&tap.received).all(|r| r.batch.start == start::JOINED));
    assert_eq!((tap.frames(Way::Sent).len(), tap.frames(Way::Received).len()), (2, 1));
}

#[test]
fn settings_without_a_connection_behind_them_are_let_go() {
    // A protocol of messages behind a length: 4 bytes of zeros, and again.
    let mut tap = Tap::default();
    for _ in 0..3 {
        tap.io(Way::Sent, &[0, 0, 0, 4, 0, 0, 0, 0].repeat(4));
        assert_eq!((tap.connection.sent.phase, tap.connection.shared.state), (phase::NEW, state::UNKNOWN));
    }
    assert!(tap.sent.is_empty());
    // SETTINGS, and then what only a proven connection may have.
    let mut tap = Tap::default();
    tap.io(Way::Sent, &settings(&[(1, 0)]));
    tap.io(Way::Sent, &frame(kind::DATA, flag::END_STREAM, 1, b"?"));
    assert_eq!((tap.ends(Way::Sent), tap.frames(Way::Sent).len()), (vec![], 1));
    assert_eq!(tap.connection.sent.phase, phase::NEW);
}

/// A yamux header: version, type, flags, stream, length.
fn yamux(kind: u8, flags: u16, stream: u32, length: u32) -> Vec<u8> {
    let [high, low] = flags.to_be_bytes();
    [&[0, kind, high, low][..], &stream.to_be_bytes(), &length.to_be_bytes()].concat()
}

#[test]
fn other_protocols_are_never_taken_for_http2() {
    let mut hello = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    hello.extend([0x5a; 506]);
    let samples: Vec<Vec<u8>> = vec![
        yamux(1, 1, 1, 0),
        yamux(0, 1, 1, 5),
        [yamux(0, 0, 1, 5), b"hello".to_vec()].concat(),
        yamux(0, 4, 1, 0),
        yamux(2, 1, 0, 7),
        yamux(3, 0, 0, 0),
        yamux(0, 4, 0, 0),
        b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n".to_vec(),
        b"+OK\r\n".to_vec(),
        b"PING\r\n".to_vec(),
        b"$-1\r\n".to_vec(),
        hello,
        vec![0x17, 3, 3, 0, 64, 9, 9, 9],
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        b"POST /a.b/C HTTP/1.1\r\nContent-Type: application/grpc\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nPRI * HTTP/2.0\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        // PostgreSQL's start, Kafka's ApiVersions, MySQL's greeting, MongoDB's hello
        vec![0, 0, 0, 8, 4, 210, 22, 47],
        [&[0, 0, 0, 20, 0, 18, 0, 0, 0, 0, 0, 1, 0, 10][..], b"consumer-1"].concat(),
        [&[9, 0, 0, 0, 10][..], b"8.0.36\0\x08"].concat(),
        vec![16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 221, 7, 0, 0],
        vec![0; 9],
        vec![0; 27],
        vec![0xff; 64],
    ];
    for sample in &samples {
        let mut tap = Tap::default();
        for _ in 0..2 * STRIKES_MAX {
            tap.io(Way::Sent, sample);
            tap.io(Way::Received, sample);
            assert!(tap.frames(Way::Sent).is_empty() && tap.frames(Way::Received).is_empty(), "{sample:x?}");
        }
        assert_eq!(tap.connection.shared.state, state::REJECTED, "{sample:x?}");
        let tls = matches!(sample[0], 0x16 | 0x17);
        let told = if tls { vec![reason::TLS] } else { vec![] };
        assert_eq!(([tap.ends(Way::Sent), tap.ends(Way::Received)].concat()), told, "{sample:x?}");
        let why = if tls { reason::TLS } else { reason::NOT_HTTP2 };
        assert_eq!(tap.connection.shared.reason, why);
        // Latched: not even a connection that opens now is looked at.
        tap.io(Way::Sent, &opening());
        assert_eq!(tap.connection.shared.state, state::REJECTED);
    }
}

#[test]
fn one_broken_rule_is_enough_to_prove_nothing() {
    let good = headers(7, REQUEST, true);
    let with = |behind: &[u8]| [&good[..], behind].concat();
    let samples = [
        headers(8, REQUEST, true),
        frame(kind::HEADERS, 0x44, 7, REQUEST),
        frame(kind::HEADERS, flag::END_STREAM, 7, REQUEST),
        headers(7, TRAILERS, true),
        headers(7, &[0x40, 0x01, b'x', 0x01, b'y'], true),
        headers(7, &[0x80], true),
        headers(7, &[0xbe, 0x20, 0x83], true),
        headers(7, &[0x40, 0x00, 0x83], true),
        headers(7, b"", true),
        headers(0x8000_0007, REQUEST, true),
        with(&[0]),
        with(&headers(9, TRAILERS, false)),
        with(&frame(kind::DATA, 0, 2, b"x")),
        with(&frame(kind::DATA, flag::END_HEADERS, 7, b"x")),
        with(&frame(kind::DATA, flag::PADDED, 7, b"\x05abcd")),
        with(&frame(kind::PING, 0, 0, b"1234567")),
        with(&frame(kind::SETTINGS, flag::ACK, 0, &[0; 6])),
        with(&frame(kind::WINDOW_UPDATE, 1, 0, &[0, 0, 0, 1])),
        with(&frame(kind::PUSH_PROMISE, flag::END_HEADERS, 7, &[0, 0, 0, 2, 0x82])),
        with(&frame(kind::CONTINUATION, flag::END_HEADERS, 7, REQUEST)),
        with(&frame(0x0a, 0, 0, b"x")),
        with(&header(2, kind::DATA, 0, 7)),
        good[..good.len() - 1].to_vec(),
    ];
    assert_eq!(joined_by(&good).connection.shared.state, state::JOINED);
    for sample in samples {
        let tap = joined_by(&sample);
        assert_eq!((tap.connection.shared.state, tap.received.len()), (state::UNKNOWN, 0), "{sample:x?}");
    }
}

#[test]
fn long_messages_read_in_parts_do_not_latch_a_connection_that_shows_frames() {
    let mut tap = Tap::default();
    for _ in 0..10 {
        for _ in 1..STRIKES_MAX {
            tap.io(Way::Received, &[0x61; 4096]);
        }
        tap.io(Way::Sent, &frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0x10, 0]));
    }
    tap.io(Way::Received, &headers(1, REQUEST, true));
    assert_eq!(tap.frames(Way::Received).len(), 1);
}

#[test]
fn a_direction_of_a_known_connection_that_shows_no_frames_is_closed_and_that_is_told_once() {
    for proof in [opening(), headers(7, REQUEST, true)] {
        let mut tap = Tap::default();
        tap.io(Way::Sent, &proof);
        if tap.connection.shared.state == state::COMPLETE {
            // Else it would be known to begin with the next byte.
            tap.unreadable(Way::Received, 10);
        }
        let (before, strikes) = (tap.ends(Way::Received), tap.connection.shared.strikes);
        for _ in strikes..STRIKES_MAX {
            assert_eq!(tap.ends(Way::Received), before);
            tap.io(Way::Received, &[0x61; 4096]);
        }
        assert_eq!(tap.ends(Way::Received), [before, vec![reason::DESYNC]].concat());
        assert_eq!(tap.received.last().map(|r| (r.batch.pieces, r.batch.start)), Some((0, start::JOINED)));
        // For good; the other one goes on.
        let records = tap.received.len();
        tap.io(Way::Received, &headers(7, RESPONSE, false));
        tap.io(Way::Sent, &headers(9, REQUEST, true));
        assert_eq!((tap.connection.received.phase, tap.received.len()), (phase::CLOSED, records));
        assert_eq!(tap.frames(Way::Sent).last().map(|frame| frame.stream), Some(9));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_never_taken_for_http2(ios in vec(vec(any::<u8>(), 1..200), 1..30)) {
        let mut tap = Tap::default();
        for (i, io) in ios.iter().enumerate() {
            tap.io(if i % 2 == 0 { Way::Sent } else { Way::Received }, io);
        }
        prop_assert!(tap.frames(Way::Sent).is_empty() && tap.frames(Way::Received).is_empty());
        prop_assert!(matches!(tap.connection.shared.state, state::UNKNOWN | state::REJECTED));
    }
}
