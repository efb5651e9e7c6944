//! Frames of one direction, put together to header blocks: HEADERS or `PUSH_PROMISE` and the CONTINUATION frames after it, without
//! padding and priority (RFC 9113 sections 6.2, 6.6, 6.10).
//!
//! A block of one frame is not copied. A block is bounded by [`BLOCK_MAX`]; of a larger one only its end is waited for.

use fleetscope_ebpf::http2::frame::{flag, kind};

use super::assembly::{Frame, Head};
use crate::checkpoint::{CheckpointError, Reader, Saved, ensure, saved_struct};

/// Most bytes of a header block, the kernel's bound; a larger one is given up, and the table of its direction is unknown then.
pub(super) const BLOCK_MAX: u32 = fleetscope_ebpf::http2::BLOCK_MAX;
const BLOCK_BYTES: usize = BLOCK_MAX as usize;
/// Bytes of buffer that are kept between blocks.
const KEEP: usize = 4096;
/// Bytes of a priority: dependency and weight.
const PRIORITY: usize = 5;
/// Bytes of the stream that a `PUSH_PROMISE` reserves.
const PROMISED: usize = 4;

/// A header block that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeaderBlock<'a> {
    pub(super) stream: u32,
    /// The stream ends with it.
    pub(super) end_stream: bool,
    /// It is of a `PUSH_PROMISE`, a request that the server makes up.
    pub(super) promise: bool,
    /// When its first piece came.
    pub(super) began: u64,
    /// What HPACK decodes; `None` if the block is too large or its frames are not sound.
    pub(super) bytes: Option<&'a [u8]>,
}

/// What is known of a block whose end was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Torn {
    pub(super) stream: u32,
    pub(super) end_stream: bool,
}

/// What one more frame of headers gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gathered<'a> {
    /// CONTINUATION frames follow.
    More,
    /// The block is whole.
    Block(HeaderBlock<'a>),
    /// A CONTINUATION of a block whose begin was not seen.
    Orphan,
}

/// The block that is being put together.
#[derive(Debug, Default)]
pub(super) struct HeaderBlocks {
    open: Option<Open>,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    torn: Torn,
    promise: bool,
    began: u64,
    sound: bool,
}

// === impl Torn ===

impl Torn {
    /// What is known of a frame of headers that was not whole.
    pub(super) fn of(head: Head) -> Self {
        Self { stream: head.stream, end_stream: head.kind == kind::HEADERS && head.has(flag::END_STREAM) }
    }
}

// === impl HeaderBlocks ===

impl HeaderBlocks {
    /// To be asked before each frame: the block that this frame leaves without its end. Between the frames of a block no other
    /// frame may come (RFC 9113 section 4.3).
    pub(super) fn interrupted(&mut self, head: Head) -> Option<Torn> {
        let continues = |open: &Open| head.kind == kind::CONTINUATION && head.stream == open.torn.stream;
        self.open.take_if(|open| !continues(open)).map(|open| open.torn)
    }

    /// Forgets the block that is being put together, and says what is known of it.
    pub(super) fn abandon(&mut self) -> Option<Torn> {
        self.open.take().map(|open| open.torn)
    }

    /// Takes the next frame, one of HEADERS, `PUSH_PROMISE` and CONTINUATION.
    pub(super) fn push<'a>(&'a mut self, frame: &Frame<'a>) -> Gathered<'a> {
        let last = frame.head.has(flag::END_HEADERS);
        let mut open = match (self.open.take(), frame.head.kind) {
            (Some(open), kind::CONTINUATION) => open,
            (None, kind::CONTINUATION) => return Gathered::Orphan,
            _ => {
                let promise = frame.head.kind == kind::PUSH_PROMISE;
                let mut open = Open { torn: Torn::of(frame.head), promise, began: frame.began, sound: true };
                let fragment = frame.payload.and_then(|payload| fragment(frame.head, payload));
                if last {
                    return Gathered::Block(open.block(fragment.filter(|bytes| bytes.len() <= BLOCK_BYTES)));
                }
                self.bytes.clear();
                self.bytes.shrink_to(KEEP);
                self.append(&mut open, fragment);
                self.open = Some(open);
                return Gathered::More;
            }
        };
        self.append(&mut open, frame.payload);
        if !last {
            self.open = Some(open);
            return Gathered::More;
        }
        Gathered::Block(open.block(open.sound.then_some(&*self.bytes)))
    }

    fn append(&mut self, open: &mut Open, fragment: Option<&[u8]>) {
        let fits = fragment.filter(|bytes| self.bytes.len() + bytes.len() <= BLOCK_BYTES);
        match fits {
            Some(bytes) if open.sound => self.bytes.extend_from_slice(bytes),
            _ => {
                open.sound = false;
                self.bytes = Vec::new();
            }
        }
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
    }
}

// === impl Open ===

impl Open {
    fn block(self, bytes: Option<&[u8]>) -> HeaderBlock<'_> {
        let Self { torn: Torn { stream, end_stream }, promise, began, .. } = self;
        HeaderBlock { stream, end_stream, promise, began, bytes }
    }
}

/// The part of a HEADERS or `PUSH_PROMISE` payload that is the block's; `None` if its padding or priority does not fit in it.
fn fragment(head: Head, payload: &[u8]) -> Option<&[u8]> {
    let (pad, rest) = if head.has(flag::PADDED) {
        payload.split_first().map(|(pad, rest)| (usize::from(*pad), rest))?
    } else {
        (0, payload)
    };
    let before = match head.kind {
        kind::PUSH_PROMISE => PROMISED,
        _ if head.has(flag::PRIORITY) => PRIORITY,
        _ => 0,
    };
    let rest = rest.get(before..)?;
    rest.get(..rest.len().checked_sub(pad)?)
}

saved_struct!(Torn { stream, end_stream });
saved_struct!(Open { torn, promise, began, sound });

impl Saved for HeaderBlocks {
    fn save(&self, out: &mut Vec<u8>) {
        self.open.save(out);
        // What is left of a block that was given out is of no use.
        if self.open.is_some() {
            self.bytes.save(out);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        let open: Option<Open> = Saved::load(from)?;
        let bytes: Vec<u8> = if open.is_some() { Saved::load(from)? } else { Vec::new() };
        ensure(bytes.len() <= BLOCK_BYTES, "a header block")?;
        Ok(Self { open, bytes })
    }
}
