//! Frames and blocks, made and, by a straight parser of the whole byte string, read.

use fleetscope_ebpf::http2::frame::{PREFACE, flag, kind};
use fleetscope_ebpf::http2::{BLOCK_MAX, FrameHead, GIVEN_UP, reason};

/// What a gRPC client's block begins with: `:method: POST`, `:scheme: http`, `:path` as a literal that is indexed, of 4 bytes.
pub(crate) const REQUEST: &[u8] = &[0x83, 0x86, 0x44, 0x04, b'/', b'a', b'/', b'b'];
/// `:status: 200`
pub(crate) const RESPONSE: &[u8] = &[0x88, 0x5f, 0x01, b'x'];
/// Two entries of the dynamic table.
pub(crate) const TRAILERS: &[u8] = &[0xbe, 0xbf];

/// A frame as records have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) length: u32,
    /// The part of the payload that is sent.
    pub(crate) payload: Vec<u8>,
    pub(crate) given_up: bool,
}

// === impl Frame ===

impl Frame {
    /// A frame that begins with this piece.
    pub(crate) fn from_piece(head: FrameHead, payload: &[u8]) -> Self {
        if head.kind == kind::DATA {
            assert_eq!(head.offset, head.length, "DATA is told when it has passed");
        } else if head.offset != GIVEN_UP {
            assert_eq!(head.offset, 0, "the first piece of a frame is its beginning");
        }
        let FrameHead { kind, flags, stream, length, .. } = head;
        Self { kind, flags, stream, length, payload: payload.to_vec(), given_up: head.is_given_up() }
    }

    /// Whether a piece is the next one of this frame.
    pub(crate) fn continues(&self, head: FrameHead) -> bool {
        head.offset != 0
            && head.offset as usize == self.payload.len()
            && (head.kind, head.flags, head.stream, head.length) == (self.kind, self.flags, self.stream, self.length)
    }
}

/// How many there are, as lengths in frames and in records have it.
pub(crate) fn len_u32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("tests make no longer ones")
}

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(len_u32(payload), kind, flags, stream).to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

/// The bytes of a frame's header.
pub(crate) fn header(length: u32, kind: u8, flags: u8, stream: u32) -> [u8; 9] {
    let [_, high, middle, low] = length.to_be_bytes();
    let mut bytes = [high, middle, low, kind, flags, 0, 0, 0, 0];
    bytes[5..].copy_from_slice(&stream.to_be_bytes());
    bytes
}

/// HEADERS with its block whole.
pub(crate) fn headers(stream: u32, block: &[u8], end_stream: bool) -> Vec<u8> {
    frame(kind::HEADERS, flag::END_HEADERS | u8::from(end_stream), stream, block)
}

/// SETTINGS of these pairs.
pub(crate) fn settings(pairs: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (id, value) in pairs {
        payload.extend(id.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(kind::SETTINGS, 0, 0, &payload)
}

/// How a client begins: the preface and SETTINGS.
pub(crate) fn opening() -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    bytes.extend(settings(&[(1, 4096), (4, 65_535)]));
    bytes
}

/// Reads the bytes of a direction from its first frame on: the frames that records must have of it, and why it ends, if a rule is broken.
/// `opens` when the first frame must be SETTINGS.
pub(crate) fn read(bytes: &[u8], opens: bool) -> (Vec<Frame>, Option<u8>) {
    let mut frames = Vec::new();
    let mut rest = bytes;
    let (mut first, mut open, mut block, mut given_up) = (opens, None::<u32>, 0, false);
    while rest.len() >= 9 {
        let length = usize::from(rest[0]) << 16 | usize::from(rest[1]) << 8 | usize::from(rest[2]);
        let (kind, flags) = (rest[3], rest[4]);
        let stream = u32::from_be_bytes([rest[5], rest[6], rest[7], rest[8]]) & 0x7fff_ffff;
        let legal = match (open, kind) {
            (Some(stream_of_block), 9) => stream == stream_of_block,
            (Some(_), _) | (None, 9) => false,
            (None, 0 | 1) => stream > 0,
            (None, 2) => stream > 0 && length == 5,
            (None, 3) => stream > 0 && length == 4,
            (None, 4) => stream == 0 && length % 6 == 0 && (flags % 2 == 0 || length == 0),
            (None, 5) => stream > 0 && length > 3,
            (None, 6) => stream == 0 && length == 8,
            (None, 7) => stream == 0 && length > 7,
            (None, 8) => length == 4,
            (None, _) => length <= 16_384,
        };
        if !legal || (first && (kind != 4 || flags % 2 == 1)) {
            return (frames, Some(reason::DESYNC));
        }
        first = false;
        let there = &rest[9..rest.len().min(9 + length)];
        let whole = there.len() == length;
        let mut told = match kind {
            0 if whole && flags & 1 == 1 => Some(0),
            3 => Some(4),
            4 if length > 0 => Some(4096),
            7 => Some(8),
            1 | 5 | 9 => Some(length),
            _ => None,
        };
        if matches!(kind, 1 | 5 | 9) {
            let ends = flags & 4 == 4;
            open = (!ends).then_some(stream);
            (block, given_up) = if kind == 9 { (block + 9 + length, given_up) } else { (length, false) };
            if block > BLOCK_MAX as usize {
                if !given_up || ends {
                    let length = u32::from_be_bytes([0, rest[0], rest[1], rest[2]]);
                    frames.push(Frame { kind, flags, stream, length, payload: Vec::new(), given_up: true });
                }
                (given_up, told) = (true, None);
            }
        }
        if let Some(most) = told {
            let payload = there[..there.len().min(most)].to_vec();
            // Of a payload that has not begun nothing is told yet.
            if kind == 0 || length == 0 || !payload.is_empty() {
                let length = u32::from_be_bytes([0, rest[0], rest[1], rest[2]]);
                frames.push(Frame { kind, flags, stream, length, payload, given_up: false });
            }
        }
        if !whole {
            break;
        }
        rest = &rest[9 + length..];
    }
    (frames, None)
}
