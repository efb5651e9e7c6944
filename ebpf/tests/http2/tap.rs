//! A connection, I/Os put into it, and its records taken apart again.

use fleetscope_ebpf::http2::connection::{phase, state};
use fleetscope_ebpf::http2::{
    BLOCK_MAX, Batch, Connection, Direction, FLUSH_BYTES, FrameHead, Io, PIECE_MAX, RECORD_BYTES_MAX, RESYNCS_MAX,
    STRIKES_MAX, Walk, course, io::PEEK_BYTES, reason,
};

use crate::wire::{Frame, len_u32};

/// Bytes of a piece's head, as `FrameHead` has them.
const HEAD: usize = size_of::<FrameHead>();

/// Which direction an I/O is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The task sends.
    Sent,
    /// The task receives.
    Received,
}

/// A record, its pieces taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) batch: Batch,
    pub(crate) pieces: Vec<(FrameHead, Vec<u8>)>,
}

/// One connection under observation.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    pub(crate) connection: Connection,
    pub(crate) sent: Vec<Record>,
    pub(crate) received: Vec<Record>,
}

/// The bytes of one I/O, and the record under construction.
struct Memory<'a> {
    segments: &'a [&'a [u8]],
    /// The segment that positions are looked up in, and the position of its first byte.
    current: usize,
    begins: usize,
    record: Vec<u8>,
    records: &'a mut Vec<Record>,
}

// === impl Tap ===

impl Tap {
    /// One I/O in one piece of memory.
    pub(crate) fn io(&mut self, way: Way, bytes: &[u8]) {
        self.vector(way, &[bytes]);
    }

    /// One I/O in several pieces of memory.
    pub(crate) fn vector(&mut self, way: Way, segments: &[&[u8]]) {
        let len = segments.iter().map(|segment| len_u32(segment)).sum();
        let (connection, records) = self.side(way);
        let mut memory = Memory { segments, current: 0, begins: 0, record: Vec::new(), records };
        let (shared, direction) = halves(connection, way);
        course::observe(shared, direction, len, &mut memory);
        let left = direction.phase == phase::NEW;
        assert!(memory.record.is_empty() || left, "only what was something else keeps its pieces");
        self.check();
    }

    /// One I/O whose bytes are nowhere.
    pub(crate) fn unreadable(&mut self, way: Way, len: u32) {
        let (connection, records) = self.side(way);
        let mut memory = Memory { segments: &[], current: 0, begins: 0, record: Vec::new(), records };
        let (shared, direction) = halves(connection, way);
        let mut walk = Walk::new(len);
        course::unreadable(&mut walk, shared, direction, &mut memory);
        course::finish(&mut walk, shared, direction, &mut memory);
        self.check();
    }

    /// The frames of all records of a direction, put together again.
    pub(crate) fn frames(&self, way: Way) -> Vec<Frame> {
        let records = match way {
            Way::Sent => &self.sent,
            Way::Received => &self.received,
        };
        let mut frames: Vec<Frame> = Vec::new();
        for (head, payload) in records.iter().flat_map(|r| &r.pieces) {
            match frames.last_mut() {
                Some(last) if last.continues(*head) => last.payload.extend_from_slice(payload),
                _ => frames.push(Frame::from_piece(*head, payload)),
            }
        }
        frames
    }

    /// Why directions ended, in the order of records.
    pub(crate) fn ends(&self, way: Way) -> Vec<u8> {
        let records = match way {
            Way::Sent => &self.sent,
            Way::Received => &self.received,
        };
        records.iter().map(|r| r.batch.end).filter(|end| *end != 0).collect()
    }

    fn side(&mut self, way: Way) -> (&mut Connection, &mut Vec<Record>) {
        match way {
            Way::Sent => (&mut self.connection, &mut self.sent),
            Way::Received => (&mut self.connection, &mut self.received),
        }
    }

    /// What must hold behind every I/O.
    fn check(&self) {
        let Connection { shared, sent, received } = &self.connection;
        assert!(shared.state <= state::REJECTED && shared.strikes <= STRIKES_MAX);
        for (direction, records) in [(sent, &self.sent), (received, &self.received)] {
            assert!(direction.phase <= phase::CLOSED);
            assert!(direction.remaining <= direction.length && direction.length < 1 << 24);
            assert!(direction.capture <= direction.length && direction.block_bytes <= BLOCK_MAX + 1);
            let limit = if direction.phase == phase::PREFACE { 24 } else { 9 };
            assert!(direction.have < limit, "{} bytes held in phase {}", direction.have, direction.phase);
            assert!(direction.resyncs <= RESYNCS_MAX);
            let behind = |Record { batch, .. }: &Record| {
                batch.seq + u64::from(batch.pieces) + u64::from(batch.end != reason::NONE)
            };
            assert_eq!(direction.seq, records.last().map_or(0, behind));
            if let [.., before, last] = &records[..] {
                assert_eq!(last.batch.seq, behind(before), "pieces are counted without holes");
            }
        }
    }
}

/// One I/O upon a state that no walk leaves behind; only what every record must keep is looked at.
pub(crate) fn survive(connection: &mut Connection, bytes: &[u8]) {
    let mut memory = Memory { segments: &[bytes], current: 0, begins: 0, record: Vec::new(), records: &mut Vec::new() };
    let len = len_u32(bytes);
    course::observe(&mut connection.shared, &mut connection.sent, len, &mut memory);
}

fn halves(connection: &mut Connection, way: Way) -> (&mut fleetscope_ebpf::http2::Shared, &mut Direction) {
    match way {
        Way::Sent => (&mut connection.shared, &mut connection.sent),
        Way::Received => (&mut connection.shared, &mut connection.received),
    }
}

// === impl Memory ===

impl Memory<'_> {
    /// `len` bytes at a position, which lie in the current segment.
    fn bytes(&self, at: u32, len: usize) -> &[u8] {
        let from = at as usize - self.begins;
        &self.segments[self.current][from..from + len]
    }
}

impl Io for Memory<'_> {
    /// Goes on by at most one segment, as the kernel does.
    fn run(&mut self, at: u32) -> Option<u32> {
        let at = at as usize;
        if at < self.begins {
            assert_eq!(at, 0, "a walk begins at 0");
            (self.current, self.begins) = (0, 0);
        }
        let len = self.segments.get(self.current)?.len();
        if at < self.begins + len {
            return Some(len_u32(&self.segments[self.current][at - self.begins..]));
        }
        self.begins += len;
        self.current += 1;
        Some(0)
    }

    fn peek(&mut self, at: u32, len: u32) -> Option<[u8; PEEK_BYTES as usize]> {
        assert!((1..=PEEK_BYTES).contains(&len));
        // What stands behind the bytes that were asked for must not matter.
        let mut bytes = [0xa5; PEEK_BYTES as usize];
        bytes[..len as usize].copy_from_slice(self.bytes(at, len as usize));
        Some(bytes)
    }

    fn put(&mut self, fill: u32, head: FrameHead, at: u32) -> bool {
        assert_eq!(fill as usize, self.record.len());
        assert!(fill <= FLUSH_BYTES && u32::from(head.captured) <= PIECE_MAX);
        self.record.extend(head.stream.to_ne_bytes());
        self.record.extend(head.length.to_ne_bytes());
        self.record.extend(head.offset.to_ne_bytes());
        self.record.extend(head.captured.to_ne_bytes());
        self.record.extend([head.kind, head.flags]);
        if head.captured != 0 {
            let payload = self.bytes(at, head.captured.into()).to_vec();
            self.record.extend(payload);
        }
        self.record.resize(self.record.len().next_multiple_of(8), 0);
        true
    }

    fn send(&mut self, batch: Batch) {
        let mut rest = std::mem::take(&mut self.record);
        assert_eq!(batch.bytes as usize, rest.len());
        assert!(batch.bytes <= RECORD_BYTES_MAX);
        assert!(batch.pieces != 0 || batch.end != 0, "a record that says nothing");
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let word = |at: usize| u32::from_ne_bytes(rest[at..at + 4].try_into().expect("four bytes"));
            let captured = u16::from_ne_bytes([rest[12], rest[13]]);
            let head = FrameHead {
                stream: word(0),
                length: word(4),
                offset: word(8),
                captured,
                kind: rest[14],
                flags: rest[15],
            };
            let end = HEAD + usize::from(captured);
            pieces.push((head, rest[HEAD..end].to_vec()));
            rest.drain(..end.next_multiple_of(8));
        }
        assert_eq!(pieces.len(), usize::from(batch.pieces));
        self.records.push(Record { batch, pieces });
    }
}
