//! Arbitrary bytes: nothing panics, and what is kept stays within its bounds, which `tap` looks at behind every I/O.

use fleetscope_ebpf::http2::connection::phase;
use fleetscope_ebpf::http2::frame::PREFACE;
use fleetscope_ebpf::http2::{Connection, Direction, Shared};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::tap::{Tap, Way};
use crate::wire::{REQUEST, header, headers, len_u32, opening, settings};

/// One I/O of any bytes: noise, headers with any fields, or parts of the real thing.
fn any_io() -> impl Strategy<Value = Vec<u8>> {
    let head =
        (0_u32..1 << 24, 0_u8..12, any::<u8>(), any::<u32>()).prop_map(|(l, k, f, s)| header(l, k, f, s).to_vec());
    let near = (0_u32..70, 0_u8..12, any::<u8>(), 0_u32..4).prop_map(|(l, k, f, s)| header(l, k, f, s).to_vec());
    let part = prop_oneof![
        vec(any::<u8>(), 0..100),
        head,
        near,
        Just(PREFACE.to_vec()),
        Just(opening()),
        Just(settings(&[])),
        Just(headers(1, REQUEST, false)),
        Just(vec![0; 64]),
    ];
    (vec(part, 1..6), 0_usize..12).prop_map(|(parts, cut)| {
        let bytes = parts.concat();
        bytes[..bytes.len().saturating_sub(cut)].to_vec()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_ios_leave_a_bounded_state(
        ios in vec((any::<bool>(), 0_u8..12, any_io(), 1_usize..300), 1..60),
        opens in any::<bool>(),
    ) {
        let mut tap = Tap::default();
        if opens {
            tap.io(Way::Sent, &opening());
        }
        for (sent, how, bytes, segment) in &ios {
            let way = if *sent { Way::Sent } else { Way::Received };
            if bytes.is_empty() {
                continue;
            }
            match how {
                0 => tap.unreadable(way, len_u32(bytes)),
                1..4 => tap.vector(way, &bytes.chunks(*segment).collect::<Vec<_>>()),
                _ => tap.io(way, bytes),
            }
        }
    }

    /// Socket storage is written by two processors at once when two threads share a socket: any state must be survived.
    #[test]
    fn any_state_at_all_is_survived(
        numbers in any::<[u32; 6]>(),
        bytes in any::<[u8; 16]>(),
        shared in any::<[u8; 3]>(),
        ios in vec(any_io(), 1..8),
    ) {
        let [remaining, length, stream, block, block_bytes, capture] = numbers;
        let [a, b, c, d, e, f, g, h, i, have, kind, flags, at, start, opening, resyncs] = bytes;
        let direction = Direction {
            seq: u64::MAX - 3,
            epoch: 0,
            remaining,
            length,
            stream,
            block,
            block_bytes,
            capture,
            held: [a, b, c, d, e, f, g, h, i],
            have,
            kind,
            flags,
            phase: at % (phase::CLOSED + 2),
            start,
            opening,
            resyncs,
            ..Direction::default()
        };
        let [state, reason, strikes] = shared;
        let shared = Shared { cookie: 0, state, reason, strikes, read: 1, closed: 0, pad: [0; 3] };
        let mut connection = Connection { shared, sent: direction, received: direction };
        for io in &ios {
            crate::tap::survive(&mut connection, io);
        }
    }
}
