//! Whether an I/O is HTTP/2: asked for the first I/O of a direction, and again while its place in the byte stream is not known.
//!
//! In: the bytes of one I/O, looked at where frame headers would be. Out: what they prove. In mid-life an I/O counts only when usual
//! frames ([`Header::is_usual`]) tile it exactly, and proves a connection only when one of them is a HEADERS frame whose block
//! opens with a pseudo-header; others may be without one only as trailers, which end their stream. These are the rules of
//! OpenTelemetry's eBPF instrumentation (devdocs/grpc-context-propagation.md), which saw multiplexers like yamux pass for HTTP/2 without them.

use super::frame::{HEADER_BYTES, OPENING_SETTINGS_MAX, PREFACE, flag, kind};
use super::io::PEEK_BYTES;
use super::{Header, Io};

/// Last index of a pseudo-header in HPACK's static table (RFC 7541, appendix A); the first is 1.
const STATIC_PSEUDO_LAST: u8 = 14;
/// First index of the dynamic table (RFC 7541, 2.3.3).
const DYNAMIC_FIRST: u8 = 62;

/// The state of a sniff, and its result.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sniff {
    /// Where the next frame would begin.
    pub at: u32,
    /// Bytes of the I/O.
    pub len: u32,
    /// Frames found.
    pub frames: u32,
    /// How many of `first` are there.
    pub seen: u32,
    /// The I/O's first bytes.
    pub first: [u8; PEEK_BYTES as usize],
    /// 1 when a block opened with a pseudo-header.
    pub pseudo: u8,
    /// 1 when usual frames tile the I/O.
    pub tiled: u8,
    /// 1 when bytes could not be read.
    pub unreadable: u8,
    /// How many bytes of `held` are there.
    pub have: u8,
    /// Where the frame ends whose block begins at `at` and was not looked at yet; 0 when there is none.
    pub block_end: u32,
    /// The first bytes of a frame header that two pieces of memory share.
    pub held: [u8; HEADER_BYTES as usize],
    /// 1 when the frame of that block ends its stream.
    pub end_stream: u8,
    /// Always 0.
    pub pad: [u8; 6],
}
const _: () = assert!(size_of::<Sniff>() == 56);

/// How a header block begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    /// With a pseudo-header, or with entries of the dynamic table and then one.
    Pseudo,
    /// With another field, or with nothing that tells.
    Other,
    /// As no block does.
    Broken,
}

// === impl Sniff ===

impl Sniff {
    /// For an I/O of this many bytes.
    #[inline(always)]
    pub fn new(len: u32) -> Self {
        Self { len, ..Self::default() }
    }

    /// Looks at one frame, or a part of it; whether there is more. The caller stops after [`super::SNIFF_STEPS_MAX`] steps.
    #[inline(always)]
    pub fn step<I: Io>(&mut self, io: &mut I) -> bool {
        if self.block_end == 0 {
            if self.at >= self.len {
                self.tiled = u8::from(self.frames != 0 && self.have == 0);
                return false;
            }
            let Some((bytes, run)) = self.peek(io) else { return self.unreadable == 0 };
            if self.at == 0 {
                self.first = bytes;
                self.seen = run;
            }
            let mut padding = None;
            let head = if self.have == 0 && run >= HEADER_BYTES {
                self.at = self.at.wrapping_add(HEADER_BYTES);
                let [head @ .., next, _, _, _, _, _, _] = bytes;
                if run > HEADER_BYTES {
                    padding = Some(next);
                }
                head
            } else {
                if !self.hold(bytes, run) {
                    return true;
                }
                self.held
            };
            let header = Header::parse(head);
            if !header.is_usual() || header.length > self.len.wrapping_sub(self.at) {
                return false;
            }
            if header.kind != kind::HEADERS {
                // The length of the padding is the payload's first byte and leaves room for itself (6.1).
                let padded = header.kind == kind::DATA && header.has(flag::PADDED);
                if padded && padding.is_none_or(|padding| u32::from(padding) >= header.length) {
                    return false;
                }
                self.frames = self.frames.wrapping_add(1);
                self.at = self.at.wrapping_add(header.length);
                return true;
            }
            let padding = u32::from(header.has(flag::PADDED));
            let before = if header.has(flag::PRIORITY) { padding + 5 } else { padding };
            if header.length <= before {
                return false;
            }
            self.block_end = self.at.wrapping_add(header.length);
            self.at = self.at.wrapping_add(before);
            self.end_stream = u8::from(header.has(flag::END_STREAM));
        }
        // C-core and netty write the header and the block of a frame from memory of their own.
        let Some((bytes, run)) = self.peek(io) else { return self.unreadable == 0 };
        match opening(bytes, run.min(self.block_end.wrapping_sub(self.at))) {
            Opening::Pseudo => self.pseudo = 1,
            Opening::Other if self.end_stream != 0 => {}
            Opening::Other | Opening::Broken => return false,
        }
        self.frames = self.frames.wrapping_add(1);
        self.at = self.block_end;
        self.block_end = 0;
        true
    }

    /// The bytes from `at` on, and how many of them lie in one piece of memory. None when that is not known yet, or they cannot be read.
    #[inline(always)]
    fn peek<I: Io>(&mut self, io: &mut I) -> Option<([u8; PEEK_BYTES as usize], u32)> {
        let run = io.run(self.at);
        if run == Some(0) {
            return None;
        }
        let run = run.unwrap_or(0).min(self.len.wrapping_sub(self.at)).min(PEEK_BYTES);
        let bytes = if run == 0 { None } else { io.peek(self.at, run) };
        self.unreadable = u8::from(bytes.is_none());
        Some((bytes?, run))
    }

    /// Keeps the next bytes of a frame header; whether all of it is there.
    #[inline(always)]
    fn hold(&mut self, bytes: [u8; PEEK_BYTES as usize], run: u32) -> bool {
        // At most 8, or it would have been parsed.
        let have = u32::from(self.have).min(HEADER_BYTES - 1);
        let len = HEADER_BYTES.wrapping_sub(have).min(run);
        for (i, byte) in (0..HEADER_BYTES).zip(bytes) {
            if i >= len {
                break;
            }
            if let Some(held) = self.held.get_mut(have.wrapping_add(i) as usize) {
                *held = byte;
            }
        }
        self.at = self.at.wrapping_add(len);
        let have = have.wrapping_add(len);
        let whole = have >= HEADER_BYTES;
        self.have = if whole { 0 } else { have.to_le_bytes()[0] };
        whole
    }

    /// Whether the I/O is a whole number of usual frames.
    #[inline(always)]
    pub fn is_tiled(&self) -> bool {
        self.tiled != 0
    }

    /// Whether the I/O proves HTTP/2 without anything else being known.
    #[inline(always)]
    pub fn is_proof(&self) -> bool {
        self.tiled != 0 && self.pseudo != 0
    }

    /// Whether the I/O begins with the client's preface, as far as it goes.
    #[inline(always)]
    pub fn opens_with_preface(&self) -> bool {
        if self.seen == 0 {
            return false;
        }
        for (i, (byte, expected)) in (0..PEEK_BYTES).zip(self.first.into_iter().zip(PREFACE)) {
            if i >= self.seen {
                break;
            }
            if byte != expected {
                return false;
            }
        }
        true
    }

    /// Whether the I/O begins as the SETTINGS that open a connection, as far as it goes.
    #[inline(always)]
    pub fn opens_with_settings(&self) -> bool {
        let [high, middle, low, kind, rest @ ..] = self.first;
        let length = u32::from_be_bytes([0, high, middle, low]);
        let mut same = self.seen != 0 && high == 0;
        same &= self.seen < 2 || middle <= 1;
        same &= self.seen < 3 || (length <= OPENING_SETTINGS_MAX && length.is_multiple_of(6));
        same &= self.seen < 4 || kind == kind::SETTINGS;
        // Flags and stream.
        for (seen, byte) in (5..=HEADER_BYTES).zip(rest) {
            if self.seen < seen {
                break;
            }
            if byte != 0 {
                return false;
            }
        }
        same
    }

    /// Whether the I/O begins with a TLS record (RFC 8446, 5.1): one of its four types, version 3.x, at most 2^14 + 256 bytes.
    #[inline(always)]
    pub fn opens_with_tls(&self) -> bool {
        let [kind, major, minor, high, low, ..] = self.first;
        let length = u32::from_be_bytes([0, 0, high, low]);
        self.seen >= 5 && matches!(kind, 0x14..=0x17) && major == 3 && minor <= 4 && length <= (1 << 14) + 256
    }
}

/// Where the parser of a block's first bytes stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before a field or a table size update.
    Field,
    /// In the later bytes of an integer (RFC 7541, 5.1).
    Integer,
    /// Before the length of a literal name.
    NameLength,
    /// Before the first byte of a literal name; whether it is Huffman coded.
    Name(bool),
}

/// How a block begins, by the first `len` of these bytes (RFC 7541, 6): table size updates, entries of the dynamic table, whose
/// names are not known here, then the first field that tells.
#[inline(always)]
fn opening(bytes: [u8; PEEK_BYTES as usize], len: u32) -> Opening {
    let mut place = Place::Field;
    let mut fields = false;
    for (i, byte) in (0..PEEK_BYTES).zip(bytes) {
        if i >= len {
            break;
        }
        match place {
            Place::Integer => {
                if byte & 0x80 == 0 {
                    place = Place::Field;
                }
            }
            // An empty name does not exist; the top bit says Huffman.
            Place::NameLength if matches!(byte, 0 | 0x80) => return Opening::Broken,
            Place::NameLength => place = Place::Name(byte & 0x80 != 0),
            // ':' is 1011100 in Huffman's code (RFC 7541, appendix B).
            Place::Name(true) => return if byte & 0xfe == 0xb8 { Opening::Pseudo } else { Opening::Other },
            Place::Name(false) => return if byte == b':' { Opening::Pseudo } else { Opening::Other },
            Place::Field if byte & 0x80 != 0 => match byte & 0x7f {
                0 => return Opening::Broken,
                1..=STATIC_PSEUDO_LAST => return Opening::Pseudo,
                index if index < DYNAMIC_FIRST => return Opening::Other,
                index => {
                    fields = true;
                    place = if index == 0x7f { Place::Integer } else { Place::Field };
                }
            },
            Place::Field if byte & 0xe0 == 0x20 => {
                if fields {
                    return Opening::Broken;
                }
                place = if byte & 0x1f == 0x1f { Place::Integer } else { Place::Field };
            }
            Place::Field => {
                let name = if byte & 0x40 != 0 { byte & 0x3f } else { byte & 0x0f };
                match name {
                    0 => place = Place::NameLength,
                    1..=STATIC_PSEUDO_LAST => return Opening::Pseudo,
                    _ => return Opening::Other,
                }
            }
        }
    }
    Opening::Other
}
