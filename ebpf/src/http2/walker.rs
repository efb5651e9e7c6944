//! The walk over the frames of one direction, which goes on with the next I/O wherever the last one ended.
//!
//! Every call of a step reads or skips something, or asks for the next piece of memory, so that a loop over them ends. Arithmetic
//! wraps, although no operation here can: the kernel has no way to stop, and the host's tests look at the state behind each I/O instead.

use super::connection::{OPENED, phase, state};
use super::course::unreadable;
use super::frame::{HEADER_BYTES, OPENING_SETTINGS_MAX, PREFACE, PREFACE_BYTES, flag, is_block, kind};
use super::io::PEEK_BYTES;
use super::{
    BLOCK_MAX, Batch, Direction, FLUSH_BYTES, FRAME_HEAD_BYTES, FrameHead, GIVEN_UP, GOAWAY_BYTES, Header, Io,
    PIECE_MAX, SETTINGS_MAX, Shared, reason, start,
};

/// The state of the walk over one I/O.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Bytes of the I/O that have passed.
    pub at: u32,
    /// Bytes of the I/O.
    pub len: u32,
    /// Bytes of pieces in the record.
    pub fill: u32,
    /// Pieces in the record.
    pub pieces: u16,
    /// One of [`reason`], when the direction was given up.
    pub end: u8,
    /// Always 0.
    pub pad: u8,
}
const _: () = assert!(size_of::<Walk>() == 16);

// === impl Walk ===

impl Walk {
    /// Over an I/O of this many bytes.
    #[inline(always)]
    pub fn new(len: u32) -> Self {
        Self { len, ..Self::default() }
    }

    /// Over nothing, to tell why the connection is not looked at, or the direction if the connection is.
    #[inline(always)]
    pub fn rejected(shared: &Shared) -> Self {
        let end = if shared.reason == reason::NONE { reason::DESYNC } else { shared.reason };
        Self { end, ..Self::default() }
    }

    /// One step: a frame header and what lies behind it in the same memory, of a payload a piece or all that is skipped, or a part of either;
    /// whether there is another. The caller stops after [`super::STEPS_MAX`] steps.
    #[inline(always)]
    pub fn step<I: Io>(&mut self, shared: &mut Shared, direction: &mut Direction, io: &mut I) -> bool {
        if self.at >= self.len {
            return false;
        }
        if !direction.is_skipping() {
            let run = match io.run(self.at) {
                Some(0) => return true,
                Some(run) => run.min(self.len.wrapping_sub(self.at)),
                None => {
                    unreadable(self, shared, direction, io);
                    return false;
                }
            };
            let end = self.at.wrapping_add(run);
            let mut read = match direction.phase {
                phase::PREFACE => self.preface(shared, direction, io, run),
                phase::HEAD => self.head(shared, direction, io, run),
                phase::BODY => true,
                _ => return false, // given up in the last step
            };
            if read && direction.phase == phase::BODY && !direction.is_skipping() && self.at < end {
                read = self.payload(direction, io, end.wrapping_sub(self.at));
            }
            if !read {
                unreadable(self, shared, direction, io);
                return false;
            }
        }
        if direction.is_skipping() {
            let left = self.len.wrapping_sub(self.at);
            self.advance(direction, io, direction.remaining.min(left));
        }
        self.at < self.len
    }

    /// Compares up to 16 bytes with the preface; false when they cannot be read.
    #[inline(always)]
    fn preface<I: Io>(&mut self, shared: &mut Shared, direction: &mut Direction, io: &mut I, run: u32) -> bool {
        // At most 23, or the preface would be over.
        let have = u32::from(direction.have).min(PREFACE_BYTES - 1);
        let len = PREFACE_BYTES.wrapping_sub(have).min(run).min(PEEK_BYTES);
        let Some(bytes) = io.peek(self.at, len) else { return false };
        for (i, byte) in (0..PEEK_BYTES).zip(bytes) {
            if i >= len {
                break;
            }
            if PREFACE.get(have.wrapping_add(i) as usize) != Some(&byte) {
                self.leave(shared, direction);
                return true;
            }
        }
        let have = have.wrapping_add(len);
        self.at = self.at.wrapping_add(len);
        if have >= PREFACE_BYTES {
            direction.phase = phase::HEAD;
            direction.have = 0;
        } else {
            direction.have = low_byte(have);
        }
        true
    }

    /// Reads a frame header, or what there is of it; false when it cannot be read.
    #[inline(always)]
    fn head<I: Io>(&mut self, shared: &mut Shared, direction: &mut Direction, io: &mut I, run: u32) -> bool {
        // At most 8, or it would have been parsed.
        let have = u32::from(direction.have).min(HEADER_BYTES - 1);
        let len = HEADER_BYTES.wrapping_sub(have).min(run);
        let Some(bytes) = io.peek(self.at, len) else { return false };
        self.at = self.at.wrapping_add(len);
        let Some(mut whole) = bytes.first_chunk().copied() else { return false };
        if len < HEADER_BYTES {
            for (i, byte) in (0..HEADER_BYTES).zip(whole) {
                if i < len
                    && let Some(held) = direction.held.get_mut(have.wrapping_add(i) as usize)
                {
                    *held = byte;
                }
            }
            let have = have.wrapping_add(len);
            direction.have = low_byte(have);
            if have < HEADER_BYTES {
                return true;
            }
            whole = direction.held;
        }
        direction.have = 0;
        self.frame(shared, direction, io, Header::parse(whole));
        true
    }

    /// Begins a frame.
    #[inline(always)]
    fn frame<I: Io>(&mut self, shared: &mut Shared, direction: &mut Direction, io: &mut I, header: Header) {
        if !admits(direction, &header) {
            self.give_up(shared, direction, reason::DESYNC);
            return;
        }
        if direction.opening != 0 {
            direction.opening = 0;
            if direction.start == start::PREFACE {
                shared.state = state::COMPLETE;
                shared.strikes = 0;
            }
        }
        direction.kind = header.kind;
        direction.flags = header.flags;
        direction.stream = header.stream;
        direction.length = header.length;
        direction.remaining = header.length;
        direction.phase = phase::BODY;
        direction.capture = match header.kind {
            kind::RST_STREAM => header.length,
            kind::GOAWAY => GOAWAY_BYTES,
            kind::SETTINGS => header.length.min(SETTINGS_MAX),
            _ => 0,
        };
        if is_block(header.kind) {
            self.block(direction, io, header);
        }
        if header.length == 0 {
            self.frame_end(direction, io);
        }
    }

    /// Begins a frame of a header block: how much of it is sent.
    #[inline(always)]
    fn block<I: Io>(&mut self, direction: &mut Direction, io: &mut I, header: Header) {
        if header.kind == kind::HEADERS && header.stream > direction.opened {
            direction.opened = header.stream;
        }
        let before = if header.kind == kind::CONTINUATION { direction.block_bytes } else { 0 };
        // The head of a CONTINUATION counts, so that empty ones come to an end too. No overflow: both are below 2^25.
        let head = if header.kind == kind::CONTINUATION { HEADER_BYTES } else { 0 };
        let bytes = before.wrapping_add(head).wrapping_add(header.length).min(BLOCK_MAX + 1);
        let ends = header.has(flag::END_HEADERS);
        direction.block_bytes = bytes;
        direction.block = if ends { 0 } else { header.stream };
        if bytes <= BLOCK_MAX {
            direction.capture = header.length;
            if header.length == 0 {
                self.append(direction, io, 0, 0);
            }
        } else if ends || before <= BLOCK_MAX {
            // Here, or where it ends.
            self.append(direction, io, GIVEN_UP, 0);
        }
    }

    /// Sends a piece of payload; false when it cannot be read.
    #[inline(always)]
    fn payload<I: Io>(&mut self, direction: &mut Direction, io: &mut I, run: u32) -> bool {
        let passed = direction.length.wrapping_sub(direction.remaining);
        let len = direction.capture.wrapping_sub(passed).min(run).min(PIECE_MAX);
        if !self.append(direction, io, passed, len) {
            return false;
        }
        self.advance(direction, io, len);
        true
    }

    /// Passes over `len` bytes of payload, at most what remains of it.
    #[inline(always)]
    pub(super) fn advance<I: Io>(&mut self, direction: &mut Direction, io: &mut I, len: u32) {
        self.at = self.at.wrapping_add(len);
        direction.remaining = direction.remaining.wrapping_sub(len);
        if direction.remaining == 0 {
            self.frame_end(direction, io);
        }
    }

    /// Ends a frame.
    #[inline(always)]
    fn frame_end<I: Io>(&mut self, direction: &mut Direction, io: &mut I) {
        direction.phase = phase::HEAD;
        if direction.kind == kind::DATA && direction.flags & flag::END_STREAM != 0 {
            let offset = direction.length;
            self.append(direction, io, offset, 0);
        }
    }

    /// Adds a piece to the record, and sends that when it is full; false when the piece's bytes cannot be read.
    #[inline(always)]
    fn append<I: Io>(&mut self, direction: &mut Direction, io: &mut I, offset: u32, len: u32) -> bool {
        let captured = len.min(PIECE_MAX);
        let head = FrameHead {
            stream: direction.stream,
            length: direction.length,
            offset,
            captured: u16::try_from(captured).unwrap_or(0), // at most PIECE_MAX
            kind: direction.kind,
            flags: direction.flags,
        };
        if !io.put(self.fill.min(FLUSH_BYTES), head, self.at) {
            return false;
        }
        self.fill = self.fill.wrapping_add((FRAME_HEAD_BYTES + 7).wrapping_add(captured) & !7);
        self.pieces = self.pieces.wrapping_add(1);
        if self.fill > FLUSH_BYTES {
            self.flush(direction, io);
        }
        true
    }

    /// Sends the record. `seq` counts its pieces whether it arrives or not, and one more where it gives the direction up: what passes
    /// from there on is not seen, which must show also when this record, which may have no piece, is lost.
    #[inline(always)]
    pub(super) fn flush<I: Io>(&mut self, direction: &mut Direction, io: &mut I) {
        let (bytes, pieces, seq) = (self.fill, self.pieces, direction.seq);
        direction.seq = seq.wrapping_add(u64::from(pieces)).wrapping_add(u64::from(self.end != reason::NONE));
        io.send(Batch { seq, bytes, pieces, start: direction.told_start(), end: self.end });
        self.fill = 0;
        self.pieces = 0;
    }

    /// Gives the direction up, with a reason that the record tells; without a word when it never was proven.
    #[inline(always)]
    pub(super) fn give_up(&mut self, shared: &mut Shared, direction: &mut Direction, reason: u8) {
        if direction.phase == phase::PREFACE || direction.start == OPENED {
            self.leave(shared, direction);
            return;
        }
        direction.restart(phase::LOST, direction.start);
        self.end = reason;
        self.at = self.len;
    }

    /// Forgets what the direction was taken for: it was something else. Its pieces do not leave.
    #[inline(always)]
    fn leave(&mut self, shared: &mut Shared, direction: &mut Direction) {
        direction.restart(phase::NEW, start::NONE);
        if shared.strike(direction) {
            self.end = reason::DESYNC;
        }
        self.fill = 0;
        self.pieces = 0;
        self.at = self.len;
    }
}

/// Whether this frame may come now.
#[inline(always)]
fn admits(direction: &Direction, header: &Header) -> bool {
    if direction.opening != 0 {
        let short = direction.start != OPENED || header.length <= OPENING_SETTINGS_MAX;
        return header.is_opening() && short;
    }
    let alone = matches!(header.kind, kind::SETTINGS | kind::PING | kind::GOAWAY | kind::WINDOW_UPDATE);
    let proven = direction.start != OPENED || (alone && header.stream == 0);
    proven && header.is_valid(direction.block)
}

/// The lowest byte of a number below 256.
#[inline(always)]
fn low_byte(number: u32) -> u8 {
    let [low, ..] = number.to_le_bytes();
    low
}
