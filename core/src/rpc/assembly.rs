//! Pieces of one direction, put together to frames.
//!
//! A frame comes in pieces where an I/O ended within it or where it is longer than a piece may be. Most come whole, and those are
//! not copied. Nothing is guessed about a frame that misses bytes: it is given out as [`Step::Tail`], or by
//! [`Assembly::interrupted`] when the next frame begins before it was whole.

use fleetscope_ebpf::http2::frame::kind;
use fleetscope_ebpf::http2::{GIVEN_UP, GOAWAY_BYTES, SETTINGS_MAX};

use super::frame::Piece;
use super::header_block::BLOCK_MAX;
use crate::checkpoint::{CheckpointError, Reader, Saved, ensure, saved_struct};

/// Most bytes of a frame of headers: a block of 64 KiB and all that may stand around it, which is a pad length, a priority and
/// the padding (RFC 9113 section 6.2). A larger one is given up.
const HEADERS_MAX: u32 = BLOCK_MAX + 1 + 5 + 255;
/// Bytes of buffer that are kept between frames.
const KEEP: usize = 4096;

/// What a frame says before its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) stream: u32,
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
}

/// A frame with all of its payload that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) head: Head,
    /// When its first piece came, nanoseconds of `CLOCK_BOOTTIME`.
    pub(super) began: u64,
    /// `None` if it is larger than is kept.
    pub(super) payload: Option<&'a [u8]>,
}

/// What one more piece gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// More is needed.
    More,
    /// A frame is whole.
    Whole(Frame<'a>),
    /// A part of a frame whose first bytes were not seen.
    Tail(Head),
}

/// The frame that is being put together.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    current: Option<Current>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Current {
    head: Head,
    began: u64,
    got: u32,
}

// === impl Head ===

impl Head {
    fn of(piece: &Piece<'_>) -> Self {
        Self { stream: piece.stream, length: piece.length, kind: piece.kind, flags: piece.flags }
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Bytes of payload that make it whole; the kernel captures no more of it.
    fn wanted(self) -> u32 {
        match self.kind {
            kind::DATA => 0,
            kind::GOAWAY => self.length.min(GOAWAY_BYTES),
            kind::SETTINGS => self.length.min(SETTINGS_MAX),
            _ => self.length,
        }
    }
}

// === impl Assembly ===

impl Assembly {
    /// To be asked before each piece: the frame that this piece leaves without its end.
    pub(super) fn interrupted(&mut self, piece: &Piece<'_>) -> Option<Head> {
        let continues = |current: &Current| current.head == Head::of(piece) && current.got == piece.offset;
        self.current.take_if(|current| !continues(current)).map(|current| current.head)
    }

    /// Forgets the frame that is being put together, and says which it was.
    pub(super) fn abandon(&mut self) -> Option<Head> {
        self.current.take().map(|current| current.head)
    }

    /// Takes the next piece, which came at `time`.
    pub(super) fn push<'a>(&'a mut self, piece: &Piece<'a>, time: u64) -> Step<'a> {
        let head = Head::of(piece);
        if piece.offset == GIVEN_UP {
            return Step::Whole(Frame { head, began: time, payload: None });
        }
        if head.kind == kind::DATA {
            return Step::Whole(Frame { head, began: time, payload: Some(&[]) });
        }
        if let Some(current) = self.current.take() {
            // `interrupted` was asked: the piece begins where the last one ended.
            return self.more(current, piece.data);
        }
        let wanted = head.wanted();
        if piece.offset > 0 {
            return if piece.offset >= wanted { Step::More } else { Step::Tail(head) };
        }
        if let Some(payload) = piece.data.get(..wanted as usize) {
            return Step::Whole(Frame { head, began: time, payload: Some(payload) });
        }
        self.bytes.clear();
        self.bytes.shrink_to(KEEP);
        self.more(Current { head, began: time, got: 0 }, piece.data)
    }

    fn more(&mut self, mut current: Current, data: &[u8]) -> Step<'_> {
        let (head, wanted) = (current.head, current.head.wanted());
        let fits = wanted <= HEADERS_MAX;
        if fits {
            let room = wanted.saturating_sub(current.got) as usize;
            self.bytes.extend_from_slice(&data[..data.len().min(room)]);
        }
        current.got = current.got.saturating_add(u32::try_from(data.len()).unwrap_or(u32::MAX));
        if current.got < wanted {
            self.current = Some(current);
            return Step::More;
        }
        Step::Whole(Frame { head, began: current.began, payload: fits.then_some(&*self.bytes) })
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
    }
}

saved_struct!(Head { stream, length, kind, flags });
saved_struct!(Current { head, began, got });

impl Saved for Assembly {
    fn save(&self, out: &mut Vec<u8>) {
        self.current.save(out);
        // What is left of a frame that was given out is of no use.
        if self.current.is_some() {
            self.bytes.save(out);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        let current: Option<Current> = Saved::load(from)?;
        let Some(Current { head, got, .. }) = current else { return Ok(Self::default()) };
        let bytes: Vec<u8> = Saved::load(from)?;
        let wanted = head.wanted();
        let kept = if wanted <= HEADERS_MAX { got } else { 0 };
        ensure(got < wanted && bytes.len() == kept as usize, "a frame's part")?;
        Ok(Self { current, bytes })
    }
}
