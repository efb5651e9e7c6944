//! Records of HTTP/2 connections, as the kernel lays them out (`fleetscope_ebpf::http2`).

use fleetscope_ebpf::http2::frame::kind;
use fleetscope_ebpf::http2::start;
use fleetscope_ebpf::kind as record_kind;

/// A piece of a frame.
#[derive(Clone, Debug)]
pub struct Part {
    /// Type.
    pub kind: u8,
    /// Flags.
    pub flags: u8,
    /// Stream.
    pub stream: u32,
    /// Bytes of the whole payload.
    pub length: u32,
    /// Where in it this piece begins.
    pub offset: u32,
    /// The piece.
    pub data: Vec<u8>,
}

/// Pieces of one I/O.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// When, nanoseconds.
    pub time: u64,
    /// Microseconds for which it had been in the socket.
    pub waited: u32,
    /// Of which connection.
    pub cookie: u64,
    /// Pieces of the direction before it.
    pub seq: u64,
    /// 0 sent, 1 received.
    pub direction: u8,
    /// How the direction was joined.
    pub start: u8,
    /// Why it is given up.
    pub end: u8,
    /// The pieces.
    pub parts: Vec<Part>,
}

// === impl Part ===

impl Part {
    /// A frame in one piece, or cut behind so many bytes in two.
    pub fn of(kind: u8, flags: u8, stream: u32, payload: &[u8], cut: usize) -> Vec<Self> {
        let length = u32_of(payload.len());
        let piece = |offset: usize, data: &[u8]| Self {
            kind,
            flags,
            stream,
            length,
            offset: u32_of(offset),
            data: data.to_vec(),
        };
        if kind == kind::DATA {
            return vec![piece(payload.len(), &[])];
        }
        let (first, rest) = payload.split_at(cut.min(payload.len()));
        if first.is_empty() || rest.is_empty() {
            return vec![piece(0, payload)];
        }
        vec![piece(0, first), piece(first.len(), rest)]
    }
}

// === impl Sheet ===

impl Sheet {
    /// Of a direction that is seen from its beginning and goes on.
    pub fn new(cookie: u64, direction: u8, time: u64, seq: u64, parts: Vec<Part>) -> Self {
        Self { time, waited: 0, cookie, seq, direction, start: start::PREFACE, end: 0, parts }
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut pieces = Vec::new();
        for Part { kind, flags, stream, length, offset, data } in &self.parts {
            pieces.extend(stream.to_ne_bytes());
            pieces.extend(length.to_ne_bytes());
            pieces.extend(offset.to_ne_bytes());
            pieces.extend(u16_of(data.len()).to_ne_bytes());
            pieces.extend([*kind, *flags]);
            pieces.extend(data);
            pieces.resize(pieces.len().next_multiple_of(8), 0);
        }
        let mut bytes = head(record_kind::HTTP2, self.time);
        bytes.extend(self.cookie.to_ne_bytes());
        bytes.extend(self.seq.to_ne_bytes());
        bytes.extend(self.waited.to_ne_bytes());
        bytes.extend(u32_of(pieces.len()).to_ne_bytes());
        bytes.extend(u16_of(self.parts.len()).to_ne_bytes());
        bytes.extend([self.direction, self.start, self.end, 0, 0, 0]);
        bytes.extend(pieces);
        bytes
    }
}

/// The record of a connection that is closed, whose directions end there and have headers of streams up to these.
pub fn closed(cookie: u64, time: u64, ends: [u64; 2], streams: [u32; 2]) -> Vec<u8> {
    let mut bytes = head(record_kind::HTTP2_CLOSED, time);
    bytes.extend(cookie.to_ne_bytes());
    bytes.extend(ends.map(u64::to_ne_bytes).concat());
    bytes.extend(streams.map(u32::to_ne_bytes).concat());
    bytes.extend([0; 8]);
    bytes
}

fn head(kind: u16, time: u64) -> Vec<u8> {
    let mut bytes = kind.to_ne_bytes().to_vec();
    bytes.extend([0; 6]);
    bytes.extend(time.to_ne_bytes());
    bytes.extend(7_u64.to_ne_bytes());
    bytes
}

fn u32_of(number: usize) -> u32 {
    u32::try_from(number).expect("inputs make small records")
}

fn u16_of(number: usize) -> u16 {
    u16::try_from(number).expect("inputs make small records")
}
