//! Frames that are valid (RFC 9113 section 6): made out of an input, and read by a parser that has the whole byte string before it
//! and so needs no state: what records must have of them, and which bytes nobody needs to read.

use std::sync::LazyLock;

use fleetscope_ebpf::http2::frame::{flag, kind};
use fleetscope_ebpf::http2::{BLOCK_MAX, FrameHead, GIVEN_UP};

use crate::input::Input;
use crate::memory::Sent;

/// Bytes of a frame header.
const HEADER: usize = 9;

/// Longest payload: what [`Input::size`] gives, and what a GOAWAY has besides.
const PAYLOAD_MAX: usize = 66_000;
/// Payloads begin at any of so many places of the pattern, a prime.
const PERIOD: usize = 251;
/// What payloads are cut from: bytes that differ from place to place. Made once, as each byte that is made costs more than all else.
static PATTERN: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..PAYLOAD_MAX + PERIOD).map(|at| ((at * 167) >> 3).to_le_bytes()[0]).collect());

/// A frame as records have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Type.
    pub kind: u8,
    /// Flags.
    pub flags: u8,
    /// Stream.
    pub stream: u32,
    /// Bytes of the payload.
    pub length: u32,
    /// The part of it that is sent.
    pub payload: Vec<u8>,
    /// Its block is too long to be sent.
    pub given_up: bool,
}

/// What a byte string of whole frames, the last one perhaps cut, is to the walker.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// What is to be sent of it.
    pub told: Vec<Told>,
    /// Which of its bytes need not be read.
    pub secret: Vec<bool>,
}

/// Reads valid frames.
pub fn read(bytes: &[u8]) -> Reading {
    let mut reading = Reading { told: Vec::new(), secret: vec![false; bytes.len()] };
    let (mut at, mut block, mut given_up) = (0, 0, false);
    while let Some([a, b, c, kind, flags, stream @ ..]) = bytes.get(at..).and_then(<[u8]>::first_chunk::<HEADER>) {
        let (kind, flags) = (*kind, *flags);
        let length = u32::from_be_bytes([0, *a, *b, *c]);
        let stream = u32::from_be_bytes(*stream) & 0x7fff_ffff;
        let ends_block = flags & flag::END_HEADERS != 0;
        at += HEADER;
        let end = at + length as usize;
        let there = &bytes[at..end.min(bytes.len())];
        let whole = end <= bytes.len();
        let mut given_up_here = false;
        let mut wanted = match kind {
            kind::RST_STREAM => 4,
            kind::SETTINGS => 4096,
            kind::GOAWAY => 8,
            kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION => there.len(),
            _ => 0,
        };
        if matches!(kind, kind::HEADERS | kind::PUSH_PROMISE) {
            (block, given_up) = (length, false);
        } else if kind == kind::CONTINUATION {
            block += 9 + length;
        }
        if matches!(kind, kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION) && block > BLOCK_MAX {
            given_up_here = !given_up || ends_block;
            (given_up, wanted) = (true, 0);
        }
        let (needed, secret) = there.split_at(wanted.min(there.len()));
        let from = at + needed.len();
        reading.secret[from..from + secret.len()].fill(true);
        let is_told = match kind {
            kind::DATA => whole && flags & flag::END_STREAM != 0,
            kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION if given_up => given_up_here,
            kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION => length == 0 || !needed.is_empty(),
            _ => !needed.is_empty(),
        };
        if is_told {
            let payload = needed.to_vec();
            reading.told.push(Told { kind, flags, stream, length, payload, given_up: given_up_here });
        }
        if !whole {
            break;
        }
        at = end;
    }
    reading
}

/// Puts pieces together again. Pieces of a frame must come in order and without holes.
pub fn gather(records: &[Sent]) -> Vec<Told> {
    let mut frames: Vec<Told> = Vec::new();
    for (head, bytes) in records.iter().flat_map(|record| &record.pieces) {
        let FrameHead { stream, length, offset, kind, flags, .. } = *head;
        let same =
            |last: &&mut Told| (last.kind, last.flags, last.stream, last.length) == (kind, flags, stream, length);
        let last = frames.last_mut().filter(same).filter(|last| offset != 0 && offset as usize == last.payload.len());
        if let Some(last) = last {
            last.payload.extend_from_slice(bytes);
            continue;
        }
        let begin = if kind == kind::DATA { length } else { 0 };
        assert!(offset == begin || offset == GIVEN_UP, "a hole before {head:?}");
        let given_up = offset == GIVEN_UP;
        frames.push(Told { kind, flags, stream, length, payload: bytes.clone(), given_up });
    }
    frames
}

/// Appends a valid frame, or the frames of a header block.
pub fn write(input: &mut Input<'_>, out: &mut Vec<u8>) {
    let (kind, flags) = (input.below(12), input.byte());
    // The reserved bit is ignored (section 4.1).
    let reserved = u32::from(input.byte() & 1) << 31;
    let on_stream = reserved | (u32::from(input.byte()) + 1);
    match kind {
        kind::DATA => frame(kind, flags, on_stream, input.size(), out),
        kind::HEADERS | kind::PUSH_PROMISE => {
            let least = if kind == kind::PUSH_PROMISE { 4 } else { 0 };
            let more = input.below(8).saturating_sub(3);
            let whole = if more == 0 { flag::END_HEADERS } else { 0 };
            frame(kind, flags & !flag::END_HEADERS | whole, on_stream, input.size().max(least), out);
            for left in (0..more).rev() {
                let whole = if left == 0 { flag::END_HEADERS } else { 0 };
                frame(kind::CONTINUATION, input.byte() & !flag::END_HEADERS | whole, on_stream, input.size(), out);
            }
        }
        kind::PRIORITY => frame(kind, flags, on_stream, 5, out),
        kind::RST_STREAM | kind::WINDOW_UPDATE => frame(kind, flags, on_stream, 4, out),
        kind::SETTINGS if flags & flag::ACK != 0 => frame(kind, flags, reserved, 0, out),
        kind::SETTINGS => frame(kind, flags, reserved, input.size() / 6 * 6, out),
        kind::PING => frame(kind, flags, reserved, 8, out),
        kind::GOAWAY => frame(kind, flags, reserved, 8 + input.size(), out),
        // Of a type that the RFC does not have: 9 is CONTINUATION, which stands in no other place.
        other => frame(other + 1, flags, on_stream, input.size().min(16_384), out),
    }
}

/// Appends a frame whose payload differs from place to place.
pub fn frame(kind: u8, flags: u8, stream: u32, length: usize, out: &mut Vec<u8>) {
    header(kind, flags, stream, length, out);
    let from = out.len() % PERIOD;
    out.extend_from_slice(&PATTERN[from..from + length]);
}

/// Appends a frame header.
pub fn header(kind: u8, flags: u8, stream: u32, length: usize, out: &mut Vec<u8>) {
    let length = u32::try_from(length).expect("inputs make short frames");
    let [_, length @ ..] = length.to_be_bytes();
    out.extend(length);
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
}
