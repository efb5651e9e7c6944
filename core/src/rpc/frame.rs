//! Records of HTTP/2 connections, parsed: the frames of one I/O ([`Frames`]), and the end of a connection ([`Closed`]).
//!
//! In: one entry of the ring buffer, of kind `HTTP2` or `HTTP2_CLOSED` (ABI in `fleetscope_ebpf::http2`). Out: a record that
//! borrows from those bytes, or a [`FrameError`] whose [`FrameError::reason`] is a label value. All pieces are checked before
//! the record is given out: one that is not sound is refused whole, and the next one's sequence number then shows the gap.

use std::mem::offset_of;

use fleetscope_ebpf::http2::{ClosedRecord, FrameHead, GIVEN_UP, Http2Record, PIECE_MAX, direction, reason, start};
use fleetscope_ebpf::{RecordHead, kind};

use crate::checkpoint::saved_enum;
use crate::records::fields::{u16_at, u32_at, u64_at};

const HEAD: usize = size_of::<RecordHead>();
const FIXED: usize = size_of::<Http2Record>();
const CLOSED: usize = size_of::<ClosedRecord>();
const FRAME: usize = size_of::<FrameHead>();
/// Nanoseconds.
const MICROSECOND: u64 = 1000;
/// Pieces begin at multiples of this.
const ALIGN: usize = 8;
/// Largest frame (RFC 9113 section 4.1: 24 bits of length).
const FRAME_MAX: u32 = (1 << 24) - 1;
/// Bits of a stream's number; the one above is reserved (RFC 9113 section 4.1).
pub(super) const STREAM_BITS: u32 = 0x7fff_ffff;

/// Which way bytes went, as seen from the task whose socket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The task sent them.
    Sent,
    /// The task received them.
    Received,
}

/// How the kernel came to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// At its preface: all that HPACK needs was seen.
    Preface,
    /// In mid-life: what was sent before is not known.
    Joined,
    /// It never was HTTP/2; such a record only says why nothing of it can be seen.
    Never,
}

/// The frames of one I/O on one direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frames<'a> {
    /// When, nanoseconds of `CLOCK_BOOTTIME`.
    pub time: u64,
    /// Nanoseconds for which the bytes had been in the socket by then, at least; 0 when that is not known.
    pub waited: u64,
    /// The cgroup2 id of the task.
    pub cgroup: u64,
    /// The socket's cookie, unique while the machine is up.
    pub cookie: u64,
    /// Pieces of this direction before this record, those that were lost included (`fleetscope_ebpf::http2::Http2Record::seq`).
    pub seq: u64,
    /// Which way.
    pub direction: Direction,
    /// How this direction was joined.
    pub start: Start,
    /// Why the kernel gave this direction up after these frames, 0 if it did not: one of `fleetscope_ebpf::http2::reason`.
    pub end: u8,
    pieces: u16,
    bytes: &'a [u8],
}

/// A connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// When, nanoseconds of `CLOCK_BOOTTIME`.
    pub time: u64,
    /// The socket's cookie.
    pub cookie: u64,
    /// It was closed some time before `time`, which is when that was found: how long its calls took is not known.
    pub late: bool,
    /// Where what was sent, and what was received, ends: the sequence number that the next record of the direction would have; one more when bytes
    /// have passed unseen after the last one. Less when the kernel cannot tell.
    pub ends: [u64; 2],
    /// The highest stream of which a HEADERS frame has begun in what was sent, and in what was received; 0 when the kernel cannot tell.
    pub streams: [u32; 2],
    /// It was told before.
    pub again: bool,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// See [`Frames`].
    Frames(Frames<'a>),
    /// See [`Closed`].
    Closed(Closed),
}

/// One piece of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The frame's stream.
    pub stream: u32,
    /// Bytes of the whole frame's payload.
    pub length: u32,
    /// Where in the payload this piece begins; `fleetscope_ebpf::http2::GIVEN_UP` if the payload is not sent.
    pub offset: u32,
    /// The frame's type (RFC 9113 section 6).
    pub kind: u8,
    /// The frame's flags.
    pub flags: u8,
    /// The piece.
    pub data: &'a [u8],
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Fewer bytes than the record says it has.
    #[error("failed to read HTTP/2 record: {got} bytes, needs {needed}")]
    Truncated {
        /// Bytes that are there.
        got: usize,
        /// Bytes that it needs at least.
        needed: usize,
    },
    /// A field has a value that the ABI does not have.
    #[error("failed to read HTTP/2 record: {field} is {value}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What it says.
        value: u64,
    },
    /// Its pieces do not fill it.
    #[error("failed to read HTTP/2 record: it has {got} pieces, says {said}")]
    Pieces {
        /// Pieces that are there.
        got: u64,
        /// Pieces that it claims.
        said: u16,
    },
    /// It is a record of something else.
    #[error("failed to read HTTP/2 record: kind {kind}")]
    Kind {
        /// Kind from the head.
        kind: u16,
    },
}

// === impl FrameError ===

impl FrameError {
    /// Value of the label `reason` in `fleetscope_events_lost_total`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Truncated { .. } => "http2_truncated",
            Self::Invalid { .. } => "http2_invalid",
            Self::Pieces { .. } => "http2_pieces",
            Self::Kind { .. } => "http2_kind",
        }
    }

    /// All values of [`FrameError::reason`], so that counters can start at 0.
    pub const REASONS: [&'static str; 4] = ["http2_truncated", "http2_invalid", "http2_pieces", "http2_kind"];
}

saved_enum!(Direction, [Direction::Sent, Direction::Received]);

// === impl Direction ===

impl Direction {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Sent => Self::Received,
            Self::Received => Self::Sent,
        }
    }

    pub(super) fn index(self) -> usize {
        match self {
            Self::Sent => 0,
            Self::Received => 1,
        }
    }
}

// === impl Frames ===

impl<'a> Frames<'a> {
    /// How many pieces there are.
    pub fn count(&self) -> u16 {
        self.pieces
    }

    /// The sequence number of the next record, if none is lost in between.
    pub(super) fn next(&self) -> u64 {
        self.seq.saturating_add(self.pieces.into()).saturating_add(u64::from(self.end != reason::NONE))
    }

    /// The pieces, in the order in which they went over the connection.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'a>> {
        let mut rest = self.bytes;
        // The record was checked: an error cannot come, and would end it.
        std::iter::from_fn(move || {
            let (piece, after) = next_piece(rest).ok().flatten()?;
            rest = after;
            Some(piece)
        })
    }
}

/// Whether [`parse`] is for this entry of the ring buffer: its kind is one of ours.
pub fn is_record(bytes: &[u8]) -> bool {
    bytes.first_chunk().is_some_and(|kind| matches!(u16::from_ne_bytes(*kind), kind::HTTP2 | kind::HTTP2_CLOSED))
}

/// What a close says that the ring buffer had no room for.
pub fn from_deferred(record: &ClosedRecord) -> Record<'static> {
    let ClosedRecord { head: RecordHead { time, .. }, cookie, late, ends, streams, again } = *record;
    Record::Closed(Closed { time, cookie, late: late != 0, ends, streams, again: again != 0 })
}

/// Parses one entry of the ring buffer. Bytes after the record are ignored: the ring buffer rounds sizes up.
pub fn parse(bytes: &[u8]) -> Result<Record<'_>, FrameError> {
    need(bytes, HEAD)?;
    match u16_at(bytes, offset_of!(RecordHead, kind)) {
        kind::HTTP2 => frames(bytes).map(Record::Frames),
        kind::HTTP2_CLOSED => {
            need(bytes, CLOSED)?;
            Ok(Record::Closed(Closed {
                time: u64_at(bytes, offset_of!(RecordHead, time)),
                cookie: u64_at(bytes, offset_of!(ClosedRecord, cookie)),
                late: u32_at(bytes, offset_of!(ClosedRecord, late)) != 0,
                ends: [0, 8].map(|at| u64_at(bytes, offset_of!(ClosedRecord, ends) + at)),
                streams: [0, 4].map(|at| u32_at(bytes, offset_of!(ClosedRecord, streams) + at)),
                again: u32_at(bytes, offset_of!(ClosedRecord, again)) != 0,
            }))
        }
        kind => Err(FrameError::Kind { kind }),
    }
}

fn frames(bytes: &[u8]) -> Result<Frames<'_>, FrameError> {
    need(bytes, FIXED)?;
    let direction = match bytes[offset_of!(Http2Record, direction)] {
        direction::SENT => Direction::Sent,
        direction::RECEIVED => Direction::Received,
        value => return Err(FrameError::Invalid { field: "direction", value: value.into() }),
    };
    let start = match bytes[offset_of!(Http2Record, start)] {
        start::PREFACE => Start::Preface,
        start::JOINED => Start::Joined,
        start::NONE => Start::Never,
        value => return Err(FrameError::Invalid { field: "start", value: value.into() }),
    };
    let after = u32_at(bytes, offset_of!(Http2Record, bytes)) as usize;
    need(bytes, FIXED.saturating_add(after))?;
    let frames = Frames {
        time: u64_at(bytes, offset_of!(RecordHead, time)),
        waited: u64::from(u32_at(bytes, offset_of!(Http2Record, waited))) * MICROSECOND,
        cgroup: u64_at(bytes, offset_of!(RecordHead, cgroup)),
        cookie: u64_at(bytes, offset_of!(Http2Record, cookie)),
        seq: u64_at(bytes, offset_of!(Http2Record, seq)),
        direction,
        start,
        end: bytes[offset_of!(Http2Record, end)],
        pieces: u16_at(bytes, offset_of!(Http2Record, pieces)),
        bytes: &bytes[FIXED..FIXED + after],
    };
    let (mut rest, mut got) = (frames.bytes, 0);
    while let Some((_, after)) = next_piece(rest)? {
        rest = after;
        got += 1;
    }
    if got != u64::from(frames.pieces) {
        return Err(FrameError::Pieces { got, said: frames.pieces });
    }
    Ok(frames)
}

/// The first piece of `bytes`, and what follows it; `None` at the end.
fn next_piece(bytes: &[u8]) -> Result<Option<(Piece<'_>, &[u8])>, FrameError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    need(bytes, FRAME)?;
    let captured = u16_at(bytes, offset_of!(FrameHead, captured));
    let length = u32_at(bytes, offset_of!(FrameHead, length));
    let offset = u32_at(bytes, offset_of!(FrameHead, offset));
    if u32::from(captured) > PIECE_MAX {
        return Err(FrameError::Invalid { field: "captured", value: captured.into() });
    }
    if length > FRAME_MAX {
        return Err(FrameError::Invalid { field: "length", value: length.into() });
    }
    let given_up = offset == GIVEN_UP && captured == 0;
    if !given_up && offset.checked_add(captured.into()).is_none_or(|end| end > length) {
        return Err(FrameError::Invalid { field: "offset", value: offset.into() });
    }
    let end = FRAME + usize::from(captured);
    need(bytes, end.next_multiple_of(ALIGN))?;
    let piece = Piece {
        stream: u32_at(bytes, offset_of!(FrameHead, stream)) & STREAM_BITS,
        length,
        offset,
        kind: bytes[offset_of!(FrameHead, kind)],
        flags: bytes[offset_of!(FrameHead, flags)],
        data: &bytes[FRAME..end],
    };
    Ok(Some((piece, &bytes[end.next_multiple_of(ALIGN)..])))
}

fn need(bytes: &[u8], needed: usize) -> Result<(), FrameError> {
    if bytes.len() < needed { Err(FrameError::Truncated { got: bytes.len(), needed }) } else { Ok(()) }
}
