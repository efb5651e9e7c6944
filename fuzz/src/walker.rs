//! The kernel's walk over HTTP/2 (`fleetscope_ebpf::http2`), compiled for the host.
//!
//! Of any bytes ([`any_bytes`]): no panic, an end after a bounded number of steps, and after each I/O what user space relies on:
//! pieces of a frame without holes, `seq` that counts pieces, records within their size ([`Memory`] checks that one), a rejected
//! connection that is never looked at again. Of valid frames ([`valid_frames`]): the pieces are those that [`frames::read`] finds with the whole
//! byte string before it, wherever I/Os and memory are cut, and not a byte is read beyond those that are sent.

use fleetscope_ebpf::http2::connection::{phase, state};
use fleetscope_ebpf::http2::frame::{PREFACE, flag, kind};
use fleetscope_ebpf::http2::{
    BLOCK_MAX, Connection, Direction, FrameHead, GIVEN_UP, GOAWAY_BYTES, RESYNCS_MAX, SETTINGS_MAX, STRIKES_MAX,
    Shared, reason, start,
};
use fleetscope_ebpf::http2::{Next, Walk, course};

use crate::frames;
use crate::input::Input;
use crate::memory::{Access, Memory, Segment, Sent};

/// Bytes of a direction behind which no frame begins: lengths are two bytes of the input each, so that a short one can ask for a lot.
const BYTES_MAX: usize = 1 << 17;
/// Most segments of an I/O, somewhat more than the kernel walks. With a segment per byte a long I/O would run out of steps.
const SEGMENTS_MAX: usize = 64;
/// Most I/Os of an input.
const IOS_MAX: usize = 1000;
/// What the first block of a gRPC client begins with: it proves HTTP/2 in mid-life.
const REQUEST: &[u8] = &[0, 0, 8, 1, 4, 0, 0, 0, 1, 0x83, 0x86, 0x44, 0x04, b'/', b'a', b'/', b'b'];

/// The target.
pub fn fuzz(data: &[u8]) {
    let mut input = Input::new(data);
    if input.byte() & 1 == 0 { any_bytes(input) } else { valid_frames(input) }
}

/// A connection under observation.
#[derive(Default)]
struct Tap {
    connection: Connection,
    /// Records of what is sent and of what is received.
    records: [Vec<Sent>; 2],
    /// By direction: the frame whose payload has not all been sent yet, and how much of it has.
    open: [Option<(FrameHead, u32)>; 2],
}

fn any_bytes(mut input: Input<'_>) {
    let mut tap = Tap::default();
    for _ in 0..IOS_MAX {
        if input.is_empty() {
            break;
        }
        let way = usize::from(input.byte() & 1);
        let mut bytes = Vec::new();
        match input.below(8) {
            0..=2 => bytes.extend_from_slice(input.string()),
            3 => {
                let length = input.u16().into();
                frames::header(input.byte(), input.byte(), input.u32(), length, &mut bytes);
                bytes.extend_from_slice(input.string());
            }
            4 => {
                frames::write(&mut input, &mut bytes);
                // Mostly as it was made, sometimes cut.
                bytes.truncate(bytes.len() - usize::from(input.byte().saturating_sub(200)).min(bytes.len()));
            }
            5 => {
                bytes.extend_from_slice(&PREFACE);
                frames::frame(kind::SETTINGS, 0, 0, 6 * usize::from(input.below(4)), &mut bytes);
            }
            6 => bytes.extend_from_slice(REQUEST),
            _ => {
                tap.unreadable(way, input.u16().into());
                continue;
            }
        }
        let (cut, wrong) = (input.byte(), input.byte());
        let size = if cut == 0 { bytes.len() } else { usize::from(cut % 64) + 1 };
        let access = |at| match wrong {
            128..=191 if at == usize::from(wrong % 32) => Access::Fault,
            192.. if at >= usize::from(wrong % 32) => Access::Nowhere,
            _ => Access::Sound,
        };
        let chunks = bytes.chunks(size.max(bytes.len().div_ceil(SEGMENTS_MAX)).max(1)).enumerate();
        let segments = chunks.map(|(at, bytes)| Segment { bytes, access: access(at), secret: &[] });
        tap.io(way, &segments.collect::<Vec<_>>());
    }
}

/// The bytes of one peer, and how many have passed.
struct Peer {
    bytes: Vec<u8>,
    secret: Vec<bool>,
    told: Vec<frames::Told>,
    at: usize,
    opening: usize,
}

fn valid_frames(mut input: Input<'_>) {
    let client_way = usize::from(input.byte() & 1);
    let mut peers = [true, false].map(|client| {
        let mut bytes = if client { PREFACE.to_vec() } else { Vec::new() };
        let preface = bytes.len();
        // A server may say no more before it has read the preface; so much of it is taken for a server's without proof.
        frames::frame(kind::SETTINGS, 0, 0, 6 * usize::from(input.below(61)), &mut bytes);
        let opening = bytes.len();
        for _ in 0..input.byte() {
            if bytes.len() > BYTES_MAX {
                break;
            }
            frames::write(&mut input, &mut bytes);
        }
        bytes.truncate((bytes.len() - usize::from(input.byte().saturating_sub(128)).min(bytes.len())).max(opening));
        let frames::Reading { told, secret } = frames::read(&bytes[preface..]);
        let secret = [vec![false; preface], secret].concat();
        Peer { bytes, secret, told, at: 0, opening }
    });
    let mut tap = Tap::default();
    while peers.iter().any(|peer| peer.at < peer.bytes.len()) {
        // Behind the end of the input: all of the client, then all of the server.
        let ended = input.is_empty();
        let (who, size, cut) = (input.byte(), input.size() + 1, input.size() + 1);
        let proven = peers[0].at >= peers[0].opening;
        let who = usize::from(who & 1 == 1 || peers[0].at == peers[0].bytes.len());
        let peer = &mut peers[who];
        let most = if who == 1 && !proven { peer.opening } else { peer.bytes.len() };
        let size = if ended { most } else { size };
        let range = peer.at..(peer.at + size).min(most).max(peer.at);
        peer.at = range.end;
        if range.is_empty() {
            continue;
        }
        let (bytes, secret) = (&peer.bytes[range.clone()], &peer.secret[range]);
        let way = if who == 0 { client_way } else { 1 - client_way };
        // A sniff may look at what is behind a frame's header.
        let walks = tap.next(way) == Next::Walk;
        let cut = cut.max(bytes.len().div_ceil(SEGMENTS_MAX));
        let chunks = bytes.chunks(cut).zip(secret.chunks(cut));
        let segments = chunks.map(|(bytes, secret)| Segment {
            bytes,
            access: Access::Sound,
            secret: if walks { secret } else { &[] },
        });
        tap.io(way, &segments.collect::<Vec<_>>());
    }
    for (who, peer) in peers.iter().enumerate() {
        let records = &tap.records[if who == 0 { client_way } else { 1 - client_way }];
        assert_eq!(frames::gather(records), peer.told);
        assert!(records.iter().all(|record| record.batch.end == reason::NONE));
    }
}

// === impl Tap ===

impl Tap {
    /// What the walker will do with the next I/O.
    fn next(&self, way: usize) -> Next {
        let Connection { shared, mut sent, mut received } = self.connection;
        course::begin(&shared, if way == 0 { &mut sent } else { &mut received })
    }

    /// One I/O. One of no bytes does not reach the walker.
    fn io(&mut self, way: usize, segments: &[Segment<'_>]) {
        let len: usize = segments.iter().map(|segment| segment.bytes.len()).sum();
        if len == 0 {
            return;
        }
        let before = self.connection;
        let mut memory = Memory::new(segments);
        let (shared, direction) = halves(&mut self.connection, way);
        course::observe(shared, direction, length(len), &mut memory);
        // A sniff asks twice for a frame, a walk once for what it reads: never more often than there are bytes and segments.
        assert!(memory.asked <= 3 * (len + segments.len() + 1), "asked {} times for {len} bytes", memory.asked);
        // What was something else leaves its pieces behind.
        assert!(!memory.holds_pieces() || direction.phase == phase::NEW);
        self.check(way, &before, memory.sent);
    }

    /// One I/O whose bytes are nowhere.
    fn unreadable(&mut self, way: usize, len: u32) {
        let before = self.connection;
        let (mut memory, mut walk) = (Memory::new(&[]), Walk::new(len));
        let (shared, direction) = halves(&mut self.connection, way);
        course::unreadable(&mut walk, shared, direction, &mut memory);
        course::finish(&mut walk, shared, direction, &mut memory);
        self.check(way, &before, memory.sent);
    }

    /// What must hold behind every I/O.
    fn check(&mut self, way: usize, before: &Connection, sent: Vec<Sent>) {
        let Connection { shared, sent: ours, received: theirs } = self.connection;
        let (same, direction) =
            if way == 0 { (theirs == before.received, ours) } else { (ours == before.sent, theirs) };
        assert!(same, "an I/O changes its own direction");
        if before.shared.state == state::REJECTED {
            assert!(self.connection == *before && sent.is_empty(), "rejected for good");
        }
        assert!(shared.state <= state::REJECTED && shared.strikes <= STRIKES_MAX);
        assert!(shared.state != state::UNKNOWN || before.shared.state == state::UNKNOWN, "what is proven stays so");
        assert!(shared.state != state::REJECTED || matches!(before.shared.state, state::UNKNOWN | state::REJECTED));
        bounded(&direction);

        let old = if way == 0 { before.sent.seq } else { before.received.seq };
        let mut seq = old;
        for Sent { batch, pieces } in &sent {
            assert_eq!(batch.seq, seq, "pieces are counted without holes");
            seq += u64::from(batch.pieces) + u64::from(batch.end != reason::NONE);
            assert!(batch.start != start::NONE || matches!(batch.end, reason::TLS | reason::UNREADABLE));
            assert_ne!(batch.end, reason::FLOOD, "inputs have fewer frames than an I/O may have");
            for (head, _) in pieces {
                self.open[way] = next_open(self.open[way], *head);
            }
            if batch.end != reason::NONE {
                self.open[way] = None;
            }
        }
        assert_eq!(direction.seq, seq);
        if direction.phase != phase::BODY {
            assert!(self.open[way].is_none() || direction.phase == phase::NEW, "a frame has ended without its end");
            self.open[way] = None;
        }
        self.records[way].extend(sent);
    }
}

/// The frame that is open behind this piece, when `open` was open before it.
fn next_open(open: Option<(FrameHead, u32)>, head: FrameHead) -> Option<(FrameHead, u32)> {
    let most = match head.kind {
        kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION | kind::RST_STREAM => head.length,
        kind::SETTINGS => head.length.min(SETTINGS_MAX),
        kind::GOAWAY => GOAWAY_BYTES,
        kind::DATA => {
            assert!(head.flags & flag::END_STREAM != 0 && head.captured == 0 && head.offset == head.length);
            assert!(open.is_none(), "{head:?} within {open:?}");
            return None;
        }
        other => panic!("a piece of a frame of type {other}"),
    };
    let (captured, offset) = (u32::from(head.captured), head.offset);
    if offset == GIVEN_UP {
        assert!(open.is_none() && captured == 0);
        return None;
    }
    match open {
        Some((first, got)) => {
            let same = FrameHead { offset: 0, captured: 0, ..head } == FrameHead { offset: 0, captured: 0, ..first };
            assert!(same && offset == got, "{head:?} does not go on with {first:?}, of which {got} bytes are sent");
        }
        None => assert_eq!(offset, 0, "{head:?} has no beginning"),
    }
    assert!(offset + captured <= most && (captured > 0 || head.length == 0));
    (offset + captured < most).then_some((head, offset + captured))
}

/// What a direction holds is within its bounds.
fn bounded(direction: &Direction) {
    assert!(direction.phase <= phase::CLOSED && direction.resyncs <= RESYNCS_MAX);
    assert!(direction.remaining <= direction.length && direction.length < 1 << 24);
    assert!(direction.capture <= direction.length && direction.block_bytes <= BLOCK_MAX + 1);
    let most = if direction.phase == phase::PREFACE { 24 } else { 9 };
    assert!(direction.have < most);
}

fn halves(connection: &mut Connection, way: usize) -> (&mut Shared, &mut Direction) {
    let Connection { shared, sent, received } = connection;
    (shared, if way == 0 { sent } else { received })
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("inputs make short I/Os")
}
