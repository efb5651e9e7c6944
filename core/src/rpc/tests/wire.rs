//! What peers and the kernel would write: header blocks, frames, records.

use fleetscope_ebpf::http2::{GIVEN_UP, direction, reason, start};
use fleetscope_ebpf::kind as record_kind;

use crate::rpc::frame::Direction;

pub(crate) use fleetscope_ebpf::http2::frame::{flag, kind};

/// A frame as a peer sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wire {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A piece of a frame as the kernel captures it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) length: u32,
    pub(crate) offset: u32,
    pub(crate) data: Vec<u8>,
}

/// A record before it is bytes.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    pub(crate) time: u64,
    /// Microseconds.
    pub(crate) waited: u32,
    pub(crate) cgroup: u64,
    pub(crate) cookie: u64,
    pub(crate) seq: u64,
    pub(crate) direction: Direction,
    pub(crate) start: u8,
    pub(crate) end: u8,
    pub(crate) parts: Vec<Part>,
}

impl Wire {
    pub(crate) fn new(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Self {
        Self { kind, flags, stream, payload: payload.to_vec() }
    }

    /// Its pieces when the I/O or the piece's size cuts it so: the bytes of each piece but the last.
    pub(crate) fn cut(&self, sizes: &[usize]) -> Vec<Part> {
        let length = u32::try_from(self.payload.len()).unwrap();
        let part = |offset: usize, data: &[u8]| Part {
            kind: self.kind,
            flags: self.flags,
            stream: self.stream,
            length,
            offset: u32::try_from(offset).unwrap(),
            data: data.to_vec(),
        };
        if self.kind == kind::DATA {
            return vec![part(self.payload.len(), &[])];
        }
        let wanted = if self.kind == kind::GOAWAY { 8.min(self.payload.len()) } else { self.payload.len() };
        let (mut parts, mut at) = (Vec::new(), 0);
        for size in sizes.iter().copied().chain([usize::MAX]) {
            let end = at + size.min(4096).min(wanted - at);
            if end > at || (wanted == 0 && parts.is_empty()) {
                parts.push(part(at, &self.payload[at..end]));
            }
            at = end;
        }
        while at < wanted {
            let end = (at + 4096).min(wanted);
            parts.push(part(at, &self.payload[at..end]));
            at = end;
        }
        parts
    }

    /// Its bytes.
    pub(crate) fn on_the_wire(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[self.kind, self.flags], &self.stream.to_be_bytes(), &self.payload].concat()
    }

    /// What the kernel sends of it when its block is too long.
    pub(crate) fn given_up(&self) -> Part {
        let length = u32::try_from(self.payload.len()).unwrap();
        Part { kind: self.kind, flags: self.flags, stream: self.stream, length, offset: GIVEN_UP, data: Vec::new() }
    }
}

impl Sheet {
    pub(crate) fn new(cookie: u64, direction: Direction, time: u64, seq: u64, parts: Vec<Part>) -> Self {
        let (start, end) = (start::PREFACE, reason::NONE);
        Self { time, waited: 0, cgroup: 7, cookie, seq, direction, start, end, parts }
    }

    /// The highest stream of which it has headers, 0 if it has none.
    pub(crate) fn opened(&self) -> u32 {
        let headers = self.parts.iter().filter(|part| part.kind == kind::HEADERS);
        headers.map(|part| part.stream).max().unwrap_or(0)
    }

    /// Its bytes, as the kernel lays them out.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut after = Vec::new();
        for part in &self.parts {
            after.extend(part.stream.to_ne_bytes());
            after.extend(part.length.to_ne_bytes());
            after.extend(part.offset.to_ne_bytes());
            after.extend(u16::try_from(part.data.len()).unwrap().to_ne_bytes());
            after.extend([part.kind, part.flags]);
            after.extend(&part.data);
            after.resize(after.len().next_multiple_of(8), 0);
        }
        let mut bytes = head(record_kind::HTTP2, self.time, self.cgroup);
        bytes.extend(self.cookie.to_ne_bytes());
        bytes.extend(self.seq.to_ne_bytes());
        bytes.extend(self.waited.to_ne_bytes());
        bytes.extend(u32::try_from(after.len()).unwrap().to_ne_bytes());
        bytes.extend(u16::try_from(self.parts.len()).unwrap().to_ne_bytes());
        let direction = if self.direction == Direction::Sent { direction::SENT } else { direction::RECEIVED };
        bytes.extend([direction, self.start, self.end, 0, 0, 0]);
        bytes.extend(after);
        bytes
    }
}

fn head(kind: u16, time: u64, cgroup: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend([0; 6]);
    bytes.extend(time.to_ne_bytes());
    bytes.extend(cgroup.to_ne_bytes());
    bytes
}

/// The record of a closed connection whose directions end there; its group is that of whatever ran then.
pub(crate) fn closed(cookie: u64, time: u64, ends: [u64; 2], streams: [u32; 2]) -> Vec<u8> {
    closing(cookie, time, ends, streams, [0, 0])
}

/// As [`closed`], when it was told before.
pub(crate) fn closed_again(cookie: u64, time: u64, ends: [u64; 2], streams: [u32; 2]) -> Vec<u8> {
    closing(cookie, time, ends, streams, [0, 1])
}

fn closing(cookie: u64, time: u64, ends: [u64; 2], streams: [u32; 2], late_and_again: [u32; 2]) -> Vec<u8> {
    let mut bytes = head(record_kind::HTTP2_CLOSED, time, 1);
    bytes.extend(cookie.to_ne_bytes());
    bytes.extend(ends.map(u64::to_ne_bytes).concat());
    bytes.extend(streams.map(u32::to_ne_bytes).concat());
    bytes.extend(late_and_again.map(u32::to_ne_bytes).concat());
    bytes
}

/// The record of a connection that was closed some time before.
pub(crate) fn found_closed(cookie: u64, time: u64) -> Vec<u8> {
    closing(cookie, time, [0; 2], [0; 2], [1, 0])
}

/// A header block of literals that are not indexed.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| literal(0x00, name, value)).collect()
}

/// A field as a literal: 0x00 leaves the table as it is, 0x40 inserts it.
pub(crate) fn literal(form: u8, name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![form];
    for text in [name, value] {
        let len = text.len();
        if len < 127 {
            bytes.push(u8::try_from(len).unwrap());
        } else {
            bytes.push(127);
            let mut rest = len - 127;
            while rest >= 128 {
                bytes.push(u8::try_from(rest % 128 + 128).unwrap());
                rest /= 128;
            }
            bytes.push(u8::try_from(rest).unwrap());
        }
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// A field by its index, 62 for the newest of the dynamic table.
pub(crate) fn indexed(index: u8) -> Vec<u8> {
    vec![0x80 | index]
}

/// A gRPC request's header block.
pub(crate) fn request(path: &str) -> Vec<u8> {
    request_with(path, &[("content-type", "application/grpc"), ("te", "trailers")])
}

pub(crate) fn request_with(path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    [block(&[(":method", "POST"), (":scheme", "http"), (":path", path)]), block(fields)].concat()
}

/// A gRPC response's header block.
pub(crate) fn response() -> Vec<u8> {
    block(&[(":status", "200"), ("content-type", "application/grpc")])
}

pub(crate) fn trailers(status: &str) -> Vec<u8> {
    block(&[("grpc-status", status), ("grpc-message", "50%25")])
}

/// A HEADERS frame with a whole block.
pub(crate) fn headers(stream: u32, block: &[u8]) -> Wire {
    Wire::new(kind::HEADERS, flag::END_HEADERS, stream, block)
}

/// The same, and the stream ends with it.
pub(crate) fn last(stream: u32, block: &[u8]) -> Wire {
    Wire::new(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, block)
}

/// The DATA frame that ends the sender's half of a stream.
pub(crate) fn data_end(stream: u32) -> Wire {
    Wire::new(kind::DATA, flag::END_STREAM, stream, &[0; 12])
}

pub(crate) fn reset(stream: u32, code: u32) -> Wire {
    Wire::new(kind::RST_STREAM, 0, stream, &code.to_be_bytes())
}

pub(crate) fn go_away(last: u32) -> Wire {
    Wire::new(kind::GOAWAY, 0, 0, &[&last.to_be_bytes()[..], &[0; 4], b"too many pings"].concat())
}

pub(crate) fn table_size(bytes: u32) -> Wire {
    Wire::new(kind::SETTINGS, 0, 0, &[&[0, 3, 0, 0, 0, 100, 0, 1][..], &bytes.to_be_bytes()].concat())
}
