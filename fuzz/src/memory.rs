//! The surroundings of the walker: the memory of one I/O in segments, some of them unreadable, and the records that come out.

use fleetscope_ebpf::http2::io::PEEK_BYTES;
use fleetscope_ebpf::http2::{Batch, FLUSH_BYTES, FRAME_HEAD_BYTES, FrameHead, Io, PIECE_MAX, RECORD_BYTES_MAX};

/// What the kernel can do with a segment of user memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read it.
    Sound,
    /// Find it, but not read it: the page is not there.
    Fault,
    /// Not even find it: beyond the entries of an iovec that are walked.
    Nowhere,
}

/// A segment.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// What is in it.
    pub bytes: &'a [u8],
    /// Whether that can be read.
    pub access: Access,
    /// Bytes of it that must not be read, one flag each; empty for none.
    pub secret: &'a [bool],
}

/// A record: its pieces.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What its head says.
    pub batch: Batch,
    /// Each piece's head and payload.
    pub pieces: Vec<(FrameHead, Vec<u8>)>,
}

/// The memory of one I/O and the record under construction. Panics when the walker asks for what [`Io`] says that it does not.
#[derive(Debug)]
pub struct Memory<'a> {
    segments: &'a [Segment<'a>],
    /// The segment that positions are looked up in, and the position of its first byte.
    current: usize,
    begins: usize,
    /// The position that was asked for last.
    last: usize,
    /// Calls of [`Io::run`].
    pub asked: usize,
    pieces: Vec<(FrameHead, Vec<u8>)>,
    fill: usize,
    /// The records.
    pub sent: Vec<Sent>,
}

// === impl Memory ===

impl<'a> Memory<'a> {
    /// Of these segments.
    pub fn new(segments: &'a [Segment<'a>]) -> Self {
        Self { segments, current: 0, begins: 0, last: 0, asked: 0, pieces: Vec::new(), fill: 0, sent: Vec::new() }
    }

    /// Whether pieces wait for a record.
    pub fn holds_pieces(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// `len` bytes at a position, if they can be read. They lie in the current segment.
    fn read(&self, at: u32, len: u32) -> Option<&'a [u8]> {
        let (segment, from) = (self.segments[self.current], at as usize - self.begins);
        let range = from..from + len as usize;
        assert!(range.end <= segment.bytes.len(), "read beyond what `run` gave");
        if segment.access != Access::Sound {
            return None;
        }
        assert!(segment.secret.is_empty() || !segment.secret[range.clone()].contains(&true), "read what is not needed");
        Some(&segment.bytes[range])
    }
}

impl Io for Memory<'_> {
    /// Goes on by at most one segment, as the kernel does.
    fn run(&mut self, at: u32) -> Option<u32> {
        self.asked += 1;
        let at = at as usize;
        if at < self.last {
            assert_eq!(at, 0, "positions do not decrease but for a walk after a sniff");
            (self.current, self.begins) = (0, 0);
        }
        self.last = at;
        let segment = self.segments.get(self.current)?;
        if at < self.begins + segment.bytes.len() {
            let run = self.begins + segment.bytes.len() - at;
            return (segment.access != Access::Nowhere).then(|| u32::try_from(run).expect("inputs are small"));
        }
        self.begins += segment.bytes.len();
        self.current += 1;
        Some(0)
    }

    fn peek(&mut self, at: u32, len: u32) -> Option<[u8; PEEK_BYTES as usize]> {
        assert!((1..=PEEK_BYTES).contains(&len));
        // What stands behind the bytes that were asked for must not matter.
        let mut bytes = [0xa5; PEEK_BYTES as usize];
        bytes[..len as usize].copy_from_slice(self.read(at, len)?);
        Some(bytes)
    }

    fn put(&mut self, fill: u32, head: FrameHead, at: u32) -> bool {
        assert!(fill <= FLUSH_BYTES && u32::from(head.captured) <= PIECE_MAX);
        assert!(fill.is_multiple_of(8) && fill as usize == self.fill, "a piece begins where the last one ended");
        let payload = if head.captured == 0 { Some(&[][..]) } else { self.read(at, head.captured.into()) };
        let Some(payload) = payload else { return false };
        self.fill += (FRAME_HEAD_BYTES as usize + payload.len()).next_multiple_of(8);
        self.pieces.push((head, payload.to_vec()));
        true
    }

    fn send(&mut self, batch: Batch) {
        let pieces = std::mem::take(&mut self.pieces);
        assert_eq!((batch.bytes as usize, usize::from(batch.pieces)), (std::mem::take(&mut self.fill), pieces.len()));
        assert!(batch.bytes <= RECORD_BYTES_MAX);
        assert!(batch.pieces != 0 || batch.end != 0, "a record that says nothing");
        self.sent.push(Sent { batch, pieces });
    }
}
