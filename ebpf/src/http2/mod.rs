//! HTTP/2 of a socket: what the kernel sends of it, and the machine that finds it there.
//!
//! ```text
//! bytes of one I/O -> sniff (is it HTTP/2?) -> walker (frame by frame) -> pieces -> Http2Record -> ring buffer
//!                       ^ Shared, Direction: kept per socket ^
//! ```
//!
//! One source for the kernel and for the host: the machine reads bytes and writes pieces through [`Io`] alone, which the kernel
//! implements over user memory and a test over a slice. It keeps no bytes but the nine of a frame header that an I/O cut, follows
//! no pointer, calls nothing that can panic, and ends after a bounded number of steps, whatever the bytes say.
//!
//! What leaves the kernel: header blocks whole (HPACK needs every byte), `RST_STREAM`, the first 8 bytes of `GOAWAY`, `SETTINGS` that
//! carry something, and of `DATA` a head alone, when it ends its stream. All else is skipped by its length, without being read.
//! Padding and priority fields are user space's to remove. Numbers of sections are those of RFC 9113.
//!
//! # Layout
//! - this file: the records, as they stand in the ring buffer, and their limits
//! - [`frame`]: the header of a frame, and the rules that it must keep
//! - [`connection`]: what is kept per socket
//! - [`io`]: what the machine needs of its surroundings
//! - [`place`]: whether bytes passed unseen
//! - [`sniff`]: whether an I/O is HTTP/2
//! - [`walker`]: the resumable walk over frames
//! - [`course`]: what is done with one I/O, in which order
#![expect(clippy::inline_always, reason = "the kernel's verifier knows bounds within one function, not across calls")]

pub mod connection;
pub mod course;
pub mod frame;
pub mod io;
pub mod place;
pub mod sniff;
pub mod walker;

pub use connection::{Connection, Direction, Shared};
pub use course::Next;
pub use frame::Header;
pub use io::{Batch, Io};
pub use sniff::Sniff;
pub use walker::Walk;

use crate::RecordHead;

/// Most bytes of payload in one piece. A longer payload is several pieces.
pub const PIECE_MAX: u32 = 4096;
/// Bytes of pieces from which on a record is sent before its I/O is done.
pub const FLUSH_BYTES: u32 = 8192;
/// Most bytes of pieces in one record: [`FLUSH_BYTES`], and the piece that crossed it.
pub const RECORD_BYTES_MAX: u32 = FLUSH_BYTES + FRAME_HEAD_BYTES + PIECE_MAX;
/// Bytes of a [`FrameHead`].
pub const FRAME_HEAD_BYTES: u32 = 16;
/// Most bytes of a header block, the heads of its CONTINUATION frames included, that are sent. A longer one is given up: see
/// [`FrameHead::is_given_up`]. What peers allow by default is 8 to 16 KiB.
pub const BLOCK_MAX: u32 = 65_536;
/// [`FrameHead::offset`] of a frame whose payload is not sent, because its block is longer than [`BLOCK_MAX`].
pub const GIVEN_UP: u32 = u32::MAX;
/// Most bytes of a SETTINGS payload that are sent: 682 settings, of which 8 are defined.
pub const SETTINGS_MAX: u32 = 4096;
/// Bytes of a GOAWAY payload that are sent: last stream and error code; debug data is not.
pub const GOAWAY_BYTES: u32 = 8;
/// Most steps of the walk over one I/O: frames, and pieces of them. An I/O of 512 KiB is 7,000 frames of PING.
pub const STEPS_MAX: u32 = 65_536;
/// Most steps of the sniff over one I/O: frames, and pieces of memory.
pub const SNIFF_STEPS_MAX: u32 = 4096;
/// Most pieces of memory of one I/O, which is the kernel's own limit (include/uapi/linux/uio.h, `UIO_MAXIOV`). gRPC's C core writes a header
/// block in one piece per field and half of it.
pub const IOVECS_MAX: u32 = 1024;
/// Implausible I/Os of one connection, no plausible one between, after which it is latched as not HTTP/2. Many, as one that is joined in mid-life may begin
/// with a long message that is read in parts; few enough that any other protocol soon costs one lookup.
pub const STRIKES_MAX: u8 = 64;
/// How often a direction that lost its frames is joined again.
pub const RESYNCS_MAX: u8 = 16;

/// Counts up with every change to what records and the values of maps mean, where their sizes do not show it, and to programs that are pinned: the first
/// agent's stay.
const ABI_VERSION: u64 = 4;

/// A number for the layout and meaning of what may outlive an agent: another agent goes on with it only if its own number is the same.
pub const fn abi() -> u64 {
    let sizes = [
        size_of::<Connection>(),
        size_of::<Shared>(),
        size_of::<Http2Record>(),
        size_of::<ClosedRecord>(),
        size_of::<FrameHead>(),
        size_of::<Http2Counters>(),
        crate::pulse::PLACES as usize,
    ];
    let mut number = ABI_VERSION;
    let mut at = 0;
    while at < sizes.len() {
        number = number.wrapping_mul(0x100_0000_01b3) ^ sizes[at] as u64;
        at += 1;
    }
    number
}

/// [`Http2Record::direction`].
pub mod direction {
    /// The task sent it.
    pub const SENT: u8 = 0;
    /// The task received it.
    pub const RECEIVED: u8 = 1;
}

/// [`Http2Record::start`]: what is known of the header tables (RFC 7541) of a direction.
///
/// A server may send its SETTINGS before it has read the client's preface: the first records of that direction say
/// [`JOINED`](start::JOINED) and later ones [`PREFACE`](start::PREFACE). The record of the first header block tells what holds.
pub mod start {
    /// The connection never was HTTP/2: only with [`reason::TLS`](super::reason::TLS) or [`reason::UNREADABLE`](super::reason::UNREADABLE).
    pub const NONE: u8 = 0;
    /// Seen from its preface on: the header table is complete.
    pub const PREFACE: u8 = 1;
    /// Joined in mid-life, or joined again after the frames were lost: older entries of the header table are unknown.
    pub const JOINED: u8 = 2;
}

/// [`Http2Record::end`]: why a direction is given up. It may be joined again: a later record of it then has [`start::JOINED`].
pub mod reason {
    /// It goes on.
    pub const NONE: u8 = 0;
    /// The connection opened with TLS records: its content cannot be seen.
    pub const TLS: u8 = 1;
    /// Nothing of it looked like HTTP/2, [`STRIKES_MAX`](super::STRIKES_MAX) times. Never in a record; kept with the socket.
    pub const NOT_HTTP2: u8 = 2;
    /// A frame header broke a rule of its type: the place in the byte stream is lost, or the peer is faulty. Or nothing of the direction
    /// looked like HTTP/2, [`STRIKES_MAX`](super::STRIKES_MAX) times, while the connection is known to be: it is not joined any more then.
    pub const DESYNC: u8 = 3;
    /// Bytes that were needed could not be read. Of a connection of which nothing could, [`STRIKES_MAX`](super::STRIKES_MAX) times, it is not
    /// known what it is.
    pub const UNREADABLE: u8 = 4;
    /// One I/O had more frames than [`STEPS_MAX`](super::STEPS_MAX).
    pub const FLOOD: u8 = 5;
}

/// Pieces of frames of one I/O in one direction of a connection; `bytes` bytes of them follow: a [`FrameHead`], `captured` bytes of
/// payload, zeros up to a multiple of 8; the next.
///
/// An I/O whose pieces are more than [`FLUSH_BYTES`] makes several records. One without anything to send makes none.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Http2Record {
    /// Kind [`kind::HTTP2`](crate::kind::HTTP2); `head.cgroup` is the task's.
    pub head: RecordHead,
    /// The socket's cookie, unique while the machine is up.
    pub cookie: u64,
    /// Pieces of this direction before this record, sent or lost, and one for each time that it was given up before, or that its bytes
    /// passed unseen. A record that follows another begins where that one's pieces end, one behind that if it gave the direction up;
    /// else records between them are missing.
    pub seq: u64,
    /// Of a TCP socket that received: microseconds for which the bytes had been there, at least, when they were read: those since any came.
    pub waited: u32,
    /// Bytes that follow, a multiple of 8, at most [`RECORD_BYTES_MAX`].
    pub bytes: u32,
    /// Pieces that follow.
    pub pieces: u16,
    /// One of [`direction`].
    pub direction: u8,
    /// One of [`start`].
    pub start: u8,
    /// One of [`reason`]. The pieces of this record are the last ones before it.
    pub end: u8,
    /// Always 0.
    pub pad: [u8; 3],
}
const _: () = assert!(size_of::<Http2Record>() == 56);

/// Begins every piece: the header of its frame, and which part of the payload follows.
///
/// Pieces of one frame come in order and without holes. A DATA frame that ends its stream is one piece without payload, when its
/// last byte has passed: `offset` is `length` then.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameHead {
    /// Stream, 31 bits.
    pub stream: u32,
    /// Bytes of the whole frame's payload, 24 bits.
    pub length: u32,
    /// Where in the payload this piece begins; or [`GIVEN_UP`].
    pub offset: u32,
    /// Bytes of payload that follow, at most [`PIECE_MAX`].
    pub captured: u16,
    /// Type, one of [`frame::kind`].
    pub kind: u8,
    /// Flags, [`frame::flag`].
    pub flags: u8,
}
const _: () = assert!(size_of::<FrameHead>() == FRAME_HEAD_BYTES as usize);

impl FrameHead {
    /// Whether this frame's payload is not sent because its block is longer than [`BLOCK_MAX`]: what the block did to the header
    /// table is unknown. Of such a block come the pieces of the frames before, this head, and one like it for the frame with
    /// `END_HEADERS`, if that is another.
    pub const fn is_given_up(&self) -> bool {
        self.offset == GIVEN_UP
    }
}

/// A connection that was HTTP/2 is closed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClosedRecord {
    /// Kind [`kind::HTTP2_CLOSED`](crate::kind::HTTP2_CLOSED).
    pub head: RecordHead,
    /// The socket's cookie.
    pub cookie: u64,
    /// [`Http2Record::seq`] behind all records of what was sent, and of what was received, and one more when bytes have passed unseen since
    /// the last I/O that was seen. Each I/O that was under way meanwhile, or receives what had arrived before, makes such a record once more: of several the one with
    /// the latest time tells where it ends.
    pub ends: [u64; 2],
    /// [`Direction::opened`] of what was sent, and of what was received: how many calls there were shows also when the records of the last ones are
    /// lost. 0 when it was found to be closed some time afterwards.
    pub streams: [u32; 2],
    /// 1 when it was found to be closed some time afterwards: `head.time` says when it was found, and `ends` is 0.
    pub late: u32,
    /// 1 when it was told before.
    pub again: u32,
}
const _: () = assert!(size_of::<ClosedRecord>() == 64);

/// How the bytes of an I/O were out of reach: index of [`Http2Counters::unreadable`].
pub mod unreadable {
    /// By a worker of the kernel (one of `io_uring`, a kernel thread): no system call of the task's own tells where the bytes are.
    pub const WORKER: usize = 0;
    /// By a system call that carries no buffer: `io_uring_enter`, sendfile, splice and others.
    pub const CALL: usize = 1;
    /// By a task of another register layout: 32 bits.
    pub const COMPAT: usize = 2;
    /// By sendmmsg or recvmmsg with several messages: which of them it is cannot be told.
    pub const MESSAGES: usize = 3;
    /// In memory that is not there.
    pub const FAULT: usize = 4;
    /// Names, as values of the label `reason`.
    pub const NAMES: [&str; 5] = ["worker", "call", "compat", "messages", "fault"];
}

/// Counts of one processor since the programs were loaded. Each field only grows.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Http2Counters {
    /// Records that the ring buffer took.
    pub records: u64,
    /// Records that it refused: lost. The next record of the direction shows how many pieces were in them.
    pub records_lost: u64,
    /// Pieces of frames in them.
    pub pieces_lost: u64,
    /// Closes that it refused, which wait in [`CLOSES`](crate::map::CLOSES).
    pub closes_deferred: u64,
    /// Closes for which that had no room either: lost.
    pub closes_lost: u64,
    /// Sockets for which the kernel had no memory: their I/O is not seen.
    pub storage_full: u64,
    /// Connections on Unix sockets for which [`UNIX_SOCKETS`](crate::map::UNIX_SOCKETS) had no room: that they are closed is not told.
    pub unix_full: u64,
    /// How often bytes of a socket had passed unseen: by a task or in a time that is not looked at, or in a way that shows nowhere else.
    pub missed: u64,
    /// I/Os on HTTP/2 connections whose bytes could not be read, by [`unreadable`]. Those inside of DATA cost nothing else.
    pub unreadable: [u64; unreadable::NAMES.len()],
}
const _: () = assert!(size_of::<Http2Counters>() == 104);
