//! The machine against the straight parser, however the bytes are cut.

use fleetscope_ebpf::http2::connection::state;
use fleetscope_ebpf::http2::frame::{PREFACE, flag, kind};
use fleetscope_ebpf::http2::start;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::tap::{Tap, Way};
use crate::wire::{REQUEST, RESPONSE, TRAILERS, frame, headers, opening, read, settings};

/// What a client of everything sends behind its preface.
fn client() -> Vec<u8> {
    let mut bytes = opening()[PREFACE.len()..].to_vec();
    bytes.extend(frame(kind::SETTINGS, flag::ACK, 0, b""));
    bytes.extend(frame(kind::WINDOW_UPDATE, 0, 0, &[0, 1, 0, 0]));
    bytes.extend(headers(1, REQUEST, false));
    bytes.extend(frame(kind::DATA, 0, 1, b"\0\0\0\0\x05hello"));
    bytes.extend(frame(kind::PING, 0, 0, b"12345678"));
    let mut padded = vec![3, 0, 0, 0, 0, 16];
    padded.extend(REQUEST);
    padded.extend([0; 3]);
    bytes.extend(frame(kind::HEADERS, flag::END_HEADERS | flag::PADDED | flag::PRIORITY, 3, &padded));
    bytes.extend(frame(kind::PRIORITY, 0, 3, &[0, 0, 0, 0, 7]));
    bytes.extend(frame(kind::HEADERS, flag::END_STREAM, 5, &REQUEST[..3]));
    bytes.extend(frame(kind::CONTINUATION, 0, 5, b""));
    bytes.extend(frame(kind::CONTINUATION, flag::END_HEADERS, 5, &REQUEST[3..]));
    bytes.extend(frame(kind::DATA, flag::END_STREAM | flag::PADDED, 1, b"\x04data\0\0\0\0"));
    bytes.extend(frame(0xb, 0x55, 3, b"of no known type"));
    bytes.extend(frame(kind::DATA, flag::END_STREAM, 3, b""));
    bytes.extend(frame(kind::RST_STREAM, 0, 5, &[0, 0, 0, 8]));
    bytes
}

/// What a server of everything sends.
fn server() -> Vec<u8> {
    let mut bytes = settings(&[(1, 0), (3, 100)]);
    bytes.extend(frame(kind::SETTINGS, flag::ACK, 0, b""));
    bytes.extend(headers(1, RESPONSE, false));
    bytes.extend(frame(kind::DATA, 0, 1, b"\0\0\0\0\x02yo"));
    bytes.extend(headers(1, TRAILERS, true));
    bytes.extend(frame(kind::PUSH_PROMISE, flag::END_HEADERS, 3, &[0, 0, 0, 2, 0x82]));
    bytes.extend(frame(kind::PING, flag::ACK, 0, b"12345678"));
    bytes.extend(headers(3, &[0x88, 0xbe], true));
    bytes.extend(frame(kind::GOAWAY, 0, 0, b"\0\0\0\x03\0\0\0\0and why, in words"));
    bytes.extend(settings(&[]));
    bytes
}

/// The bytes, cut at these places, as I/Os.
fn cut(tap: &mut Tap, way: Way, bytes: &[u8], places: &[usize]) {
    let mut from = 0;
    for place in places.iter().copied().chain([bytes.len()]) {
        if place > from && place <= bytes.len() {
            tap.io(way, &bytes[from..place]);
            from = place;
        }
    }
}

#[test]
fn a_conversation_in_whole_buffers_gives_its_frames() {
    let mut tap = Tap::default();
    tap.io(Way::Sent, &[&PREFACE[..], &client()].concat());
    tap.io(Way::Received, &server());
    let kinds: Vec<u8> = tap.frames(Way::Sent).iter().map(|f| f.kind).collect();
    assert_eq!(kinds, [4, 1, 1, 1, 9, 9, 0, 0, 3]);
    let kinds: Vec<u8> = tap.frames(Way::Received).iter().map(|f| f.kind).collect();
    assert_eq!(kinds, [4, 1, 1, 5, 1, 7]);
    assert_eq!((tap.frames(Way::Sent), None), read(&client(), true));
    assert_eq!((tap.frames(Way::Received), None), read(&server(), true));
    assert_eq!((tap.sent.len(), tap.received.len()), (1, 1), "one record for one I/O");
    assert_eq!(tap.sent[0].batch.start, start::PREFACE);
    assert_eq!(tap.received[0].batch.start, start::PREFACE);
    assert_eq!(tap.connection.shared.state, state::COMPLETE);
}

#[test]
fn a_conversation_cut_at_any_two_bytes_gives_the_same_frames() {
    let (sent, received) = ([&PREFACE[..], &client()].concat(), server());
    let expected = (read(&client(), true).0, read(&received, true).0);
    for first in 0..sent.len() {
        for second in first..(first + 11).min(sent.len()) {
            let mut tap = Tap::default();
            cut(&mut tap, Way::Sent, &sent, &[first, second]);
            cut(&mut tap, Way::Received, &received, &[first, second]);
            assert_eq!((tap.frames(Way::Sent), tap.frames(Way::Received)), expected, "cut at {first} and {second}");
            assert!(tap.sent.iter().chain(&tap.received).all(|r| r.batch.end == 0 && r.batch.start == start::PREFACE));
        }
    }
}

#[test]
fn a_conversation_byte_by_byte_gives_the_same_frames() {
    let mut tap = Tap::default();
    for byte in [&PREFACE[..], &client()].concat() {
        tap.io(Way::Received, &[byte]);
    }
    for byte in server() {
        tap.io(Way::Sent, &[byte]);
    }
    assert_eq!(tap.frames(Way::Received), read(&client(), true).0);
    assert_eq!(tap.frames(Way::Sent), read(&server(), true).0);
}

#[test]
fn an_io_in_pieces_of_memory_is_as_one_in_one_piece() {
    let bytes = [&PREFACE[..], &client()].concat();
    for size in 1..40 {
        let mut segments: Vec<&[u8]> = bytes.chunks(size).collect();
        segments.insert(1, b"");
        let mut tap = Tap::default();
        tap.vector(Way::Sent, &segments);
        assert_eq!(tap.frames(Way::Sent), read(&client(), true).0, "pieces of {size}");
    }
}

#[test]
fn a_server_that_speaks_first_is_complete_from_its_first_block_on() {
    let bytes = server();
    let greeting = settings(&[(1, 0), (3, 100)]).len();
    for place in 0..=greeting {
        let mut tap = Tap::default();
        cut(&mut tap, Way::Sent, &bytes[..greeting], &[place]);
        assert!(tap.sent.iter().all(|r| r.batch.start == start::JOINED), "not proven yet");
        tap.io(Way::Received, &opening());
        tap.io(Way::Sent, &bytes[greeting..]);
        assert_eq!(tap.frames(Way::Sent), read(&bytes, true).0, "cut at {place}");
        assert_eq!(tap.sent.last().map(|r| r.batch.start), Some(start::PREFACE));
    }
}

#[test]
fn a_preface_after_the_words_of_a_proxy_is_a_preface() {
    let mut tap = Tap::default();
    tap.io(Way::Sent, b"CONNECT a:80 HTTP/1.1\r\n\r\n");
    tap.io(Way::Received, b"HTTP/1.1 200 OK\r\n\r\n");
    tap.io(Way::Sent, &[&PREFACE[..], &client()].concat());
    tap.io(Way::Received, &server());
    assert_eq!(tap.frames(Way::Sent), read(&client(), true).0);
    assert_eq!(tap.frames(Way::Received), read(&server(), true).0);
    assert_eq!(tap.received[0].batch.start, start::PREFACE);
}

/// Frames as peers send them; their payloads are any bytes.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let stream = 0_u32..6;
    let short = vec(any::<u8>(), 0..40);
    let block = prop_oneof![4 => vec(any::<u8>(), 0..60), 1 => vec(any::<u8>(), 4000..9000)];
    prop_oneof![
        4 => (stream.clone(), any::<u8>(), block.clone()).prop_map(|(s, f, p)| frame(kind::HEADERS, f | flag::END_HEADERS, s | 1, &p)),
        2 => (1_u32..4, vec(block.clone(), 1..5)).prop_map(|(s, blocks)| {
            let mut bytes = frame(kind::HEADERS, 0, s, &blocks[0]);
            for block in &blocks[1..] {
                bytes.extend(frame(kind::CONTINUATION, 0, s, block));
            }
            bytes.extend(frame(kind::CONTINUATION, flag::END_HEADERS, s, b""));
            bytes
        }),
        4 => (stream.clone(), any::<u8>(), block).prop_map(|(s, f, p)| frame(kind::DATA, f, s | 1, &p)),
        1 => (stream.clone(), any::<[u8; 4]>()).prop_map(|(s, p)| frame(kind::RST_STREAM, 0, s | 1, &p)),
        1 => vec((any::<u16>(), any::<u32>()), 0..4).prop_map(|pairs| settings(&pairs)),
        1 => any::<[u8; 8]>().prop_map(|p| frame(kind::PING, 0, 0, &p)),
        1 => (stream.clone(), any::<[u8; 4]>()).prop_map(|(s, p)| frame(kind::WINDOW_UPDATE, 0, s, &p)),
        1 => (any::<[u8; 8]>(), short.clone()).prop_map(|(p, q)| frame(kind::GOAWAY, 0, 0, &[&p[..], &q].concat())),
        // Any header, with a length that its payload has: what breaks a rule, and what no rule is known for.
        1 => (any::<u8>(), any::<u8>(), stream, short).prop_map(|(k, f, s, p)| frame(k, f, s, &p)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_frames_cut_anywhere_are_what_a_straight_parser_reads(
        frames in vec(any_frame(), 0..20),
        tail in vec(any::<u8>(), 0..12),
        sizes in vec(prop_oneof![3 => 1_usize..30, 1 => 1_usize..6000], 1..40),
        segments in 1_usize..400,
    ) {
        let mut bytes = settings(&[(1, 4096)]);
        bytes.extend(frames.concat());
        bytes.extend(tail);
        let mut tap = Tap::default();
        tap.io(Way::Received, &PREFACE);
        let (mut rest, mut next) = (&bytes[..], sizes.iter().cycle());
        while !rest.is_empty() && tap.ends(Way::Received).is_empty() {
            let (io, behind) = rest.split_at(rest.len().min(*next.next().unwrap()));
            tap.vector(Way::Received, &io.chunks(segments).collect::<Vec<_>>());
            rest = behind;
        }
        let (expected, end) = read(&bytes, true);
        prop_assert_eq!(tap.frames(Way::Received), expected);
        prop_assert_eq!(tap.ends(Way::Received), Vec::from_iter(end));
    }
}
