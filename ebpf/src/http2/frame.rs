//! The header of a frame (RFC 9113, 4.1), and the rules that it must keep.
//!
//! Two sets of rules: [`Header::is_valid`] is what a peer may send (section 6), [`Header::is_usual`] is what gRPC and web peers do
//! send; the second tells HTTP/2 from other protocols where nothing else is known.

/// Bytes of a frame header.
pub const HEADER_BYTES: u32 = 9;
/// What a client sends first (3.4).
pub const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of [`PREFACE`].
pub const PREFACE_BYTES: u32 = 24;
/// Most bytes of a frame of unknown type: the least that every peer takes, the initial value of
/// `SETTINGS_MAX_FRAME_SIZE` (6.5.2). 246 of 256 types are unknown, so without this bound a lost place would be noticed late.
pub const UNKNOWN_MAX: u32 = 16_384;
/// Most bytes of the SETTINGS by which an unknown connection is taken for a server's side: 60 settings, of which 8 are defined.
pub const OPENING_SETTINGS_MAX: u32 = 360;

/// Types of frames (section 6).
pub mod kind {
    /// 6.1
    pub const DATA: u8 = 0;
    /// 6.2
    pub const HEADERS: u8 = 1;
    /// 6.3
    pub const PRIORITY: u8 = 2;
    /// 6.4
    pub const RST_STREAM: u8 = 3;
    /// 6.5
    pub const SETTINGS: u8 = 4;
    /// 6.6
    pub const PUSH_PROMISE: u8 = 5;
    /// 6.7
    pub const PING: u8 = 6;
    /// 6.8
    pub const GOAWAY: u8 = 7;
    /// 6.9
    pub const WINDOW_UPDATE: u8 = 8;
    /// 6.10
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames (section 6).
pub mod flag {
    /// DATA, HEADERS: the sender's half of the stream ends.
    pub const END_STREAM: u8 = 0x1;
    /// SETTINGS, PING: an answer.
    pub const ACK: u8 = 0x1;
    /// `HEADERS`, `PUSH_PROMISE`, `CONTINUATION`: the header block ends.
    pub const END_HEADERS: u8 = 0x4;
    /// `DATA`, `HEADERS`, `PUSH_PROMISE`: the payload begins with a length of padding.
    pub const PADDED: u8 = 0x8;
    /// HEADERS: five bytes of priority come before the block.
    pub const PRIORITY: u8 = 0x20;
}

/// Whether frames of this type carry a header block.
#[inline(always)]
pub const fn is_block(kind: u8) -> bool {
    matches!(kind, kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION)
}

/// A frame header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Bytes of payload, 24 bits.
    pub length: u32,
    /// Stream, 31 bits.
    pub stream: u32,
    /// One of [`kind`], or unknown.
    pub kind: u8,
    /// Bits of [`flag`].
    pub flags: u8,
    /// The reserved bit, which senders leave unset and receivers ignore.
    pub reserved: bool,
}

// === impl Header ===

impl Header {
    /// From its nine bytes.
    #[inline(always)]
    pub const fn parse(bytes: [u8; HEADER_BYTES as usize]) -> Self {
        let [high, middle, low, kind, flags, stream @ ..] = bytes;
        let stream = u32::from_be_bytes(stream);
        Self {
            length: u32::from_be_bytes([0, high, middle, low]),
            stream: stream & 0x7fff_ffff,
            kind,
            flags,
            reserved: stream >> 31 != 0,
        }
    }

    /// Whether it has this flag.
    #[inline(always)]
    pub const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether a peer may send it; `block` is the stream whose header block is open, 0 for none (6.2: nothing but its
    /// CONTINUATION may come then).
    #[inline(always)]
    pub const fn is_valid(&self, block: u32) -> bool {
        if block != 0 {
            return self.kind == kind::CONTINUATION && self.stream == block;
        }
        let on_stream = self.stream != 0;
        match self.kind {
            kind::DATA | kind::HEADERS => on_stream,
            kind::PRIORITY => on_stream && self.length == 5,
            kind::RST_STREAM => on_stream && self.length == 4,
            kind::SETTINGS => !on_stream && self.length.is_multiple_of(6) && (!self.has(flag::ACK) || self.length == 0),
            kind::PUSH_PROMISE => on_stream && self.length >= 4,
            kind::PING => !on_stream && self.length == 8,
            kind::GOAWAY => !on_stream && self.length >= 8,
            kind::WINDOW_UPDATE => self.length == 4,
            kind::CONTINUATION => false,
            _ => self.length <= UNKNOWN_MAX,
        }
    }

    /// Whether it can be the first frame of a connection: SETTINGS that are no answer (3.4).
    #[inline(always)]
    pub const fn is_opening(&self) -> bool {
        self.kind == kind::SETTINGS && !self.has(flag::ACK) && self.is_valid(0)
    }

    /// Whether it is what peers do send outside of an open header block: of a known type and valid, with no flag but those of its
    /// type, on no stream or on a client's (odd) one. No server push and no block over several frames: gRPC has the first not, and the second rarely.
    #[inline(always)]
    pub const fn is_usual(&self) -> bool {
        let flags = match self.kind {
            kind::DATA => flag::END_STREAM | flag::PADDED,
            kind::HEADERS => flag::END_STREAM | flag::END_HEADERS | flag::PADDED | flag::PRIORITY,
            kind::SETTINGS | kind::PING => flag::ACK,
            kind::PRIORITY | kind::RST_STREAM | kind::GOAWAY | kind::WINDOW_UPDATE => 0,
            _ => return false,
        };
        let whole = self.kind != kind::HEADERS || self.has(flag::END_HEADERS);
        let stream = self.stream == 0 || self.stream % 2 == 1;
        self.flags & !flags == 0 && whole && stream && !self.reserved && self.is_valid(0)
    }
}
