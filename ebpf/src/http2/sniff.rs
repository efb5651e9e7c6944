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
    /// Always 0.
    pub pad: u8,
    /// Always 0.
    pub pad_more: u32,
}
const _: () = assert!(size_of::<Sniff>() == 40);

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

    /// Looks at one frame; whether there is another. The caller stops after [`super::SNIFF_STEPS_MAX`] steps.
    #[inline(always)]
    pub fn step<I: Io>(&mut self, io: &mut I) -> bool {
        let left = self.len.wrapping_sub(self.at);
        if self.at >= self.len {
            self.tiled = u8::from(self.frames != 0);
            return false;
        }
        let run = match io.run(self.at) {
            Some(0) => return true,
            Some(run) => run.min(left).min(PEEK_BYTES),
            None => {
                self.unreadable = 1;
                return false;
            }
        };
        let Some(bytes) = io.peek(self.at, run) else {
            self.unreadable = 1;
            return false;
        };
        if self.frames == 0 {
            self.first = bytes;
            self.seen = run;
        }
        // A header that two pieces of memory share is not put together for a sniff: the next I/O will tell.
        if run < HEADER_BYTES {
            return false;
        }
        let Some(head) = bytes.first_chunk() else { return false };
        let header = Header::parse(*head);
        let payload = left.wrapping_sub(HEADER_BYTES);
        if !header.is_usual() || header.length > payload {
            return false;
        }
        if header.kind == kind::DATA && header.has(flag::PADDED) {
            // The length of the padding is the payload's first byte and leaves room for itself (6.1).
            let [.., padding, _, _, _, _, _, _] = bytes;
            if run <= HEADER_BYTES || u32::from(padding) >= header.length {
                return false;
            }
        }
        if header.kind == kind::HEADERS {
            match block_opening(io, self.at.wrapping_add(HEADER_BYTES), header) {
                Opening::Pseudo => self.pseudo = 1,
                Opening::Other if header.has(flag::END_STREAM) => {}
                Opening::Other | Opening::Broken => return false,
            }
        }
        self.frames = self.frames.wrapping_add(1);
        self.at = self.at.wrapping_add(HEADER_BYTES.wrapping_add(header.length));
        true
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

/// How the block of a HEADERS frame begins; `at` is where its payload does.
#[inline(always)]
fn block_opening<I: Io>(io: &mut I, at: u32, header: Header) -> Opening {
    let padding = u32::from(header.has(flag::PADDED));
    let before = if header.has(flag::PRIORITY) { padding + 5 } else { padding };
    if header.length <= before {
        return Opening::Broken;
    }
    let at = at.wrapping_add(before);
    let left = header.length.wrapping_sub(before).min(PEEK_BYTES);
    // Nothing known of that memory yet, or not readable: not proven.
    let run = io.run(at).unwrap_or(0).min(left);
    if run == 0 {
        return Opening::Broken;
    }
    io.peek(at, run).map_or(Opening::Broken, |bytes| opening(bytes, run))
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
