//! What is kept per socket. All zeros is a socket of which nothing is known yet, as socket storage begins.

use super::frame::HEADER_BYTES;
use super::{RESYNCS_MAX, STRIKES_MAX, reason, start};

/// [`Shared::state`].
pub mod state {
    /// Not known to be HTTP/2.
    pub const UNKNOWN: u8 = 0;
    /// HTTP/2, proven in mid-life.
    pub const JOINED: u8 = 1;
    /// HTTP/2, proven by its preface.
    pub const COMPLETE: u8 = 2;
    /// Never looked at again; [`super::Shared::reason`] says why.
    pub const REJECTED: u8 = 3;
}

/// [`Direction::phase`].
pub mod phase {
    /// Nothing of it was HTTP/2 yet.
    pub const NEW: u8 = 0;
    /// Inside the client's preface.
    pub const PREFACE: u8 = 1;
    /// Before or inside a frame header.
    pub const HEAD: u8 = 2;
    /// Inside a frame's payload.
    pub const BODY: u8 = 3;
    /// The place in the byte stream is lost; it is looked for.
    pub const LOST: u8 = 4;
    /// Lost for good.
    pub const CLOSED: u8 = 5;
}

/// [`Direction::start`] of a direction that opened with SETTINGS while nothing was known of the connection: a server's that has not
/// read the preface yet, or any other protocol's. Until the other direction proves it nothing but frames of stream 0 may come.
/// Records say [`start::JOINED`].
pub(super) const OPENED: u8 = 3;

/// What both directions of a connection share.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// The socket's cookie; the kernel program's to set, the machine does not look at it.
    pub cookie: u64,
    /// One of [`state`].
    pub state: u8,
    /// One of [`reason`]: why it is rejected.
    pub reason: u8,
    /// Implausible I/Os since the last plausible one.
    pub strikes: u8,
    /// 1 when something of it could be read.
    pub read: u8,
    /// 1 when it was told that the connection is closed; the kernel program's, the machine does not look at it.
    pub closed: u8,
    /// Always 0.
    pub pad: [u8; 3],
}
const _: () = assert!(size_of::<Shared>() == 16);

/// One direction of a connection. Of the walk's fields only `seq` and `opened` outlive a restart.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Direction {
    /// Pieces sent or lost so far, see [`super::Http2Record::seq`].
    pub seq: u64,
    /// [`crate::pulse::MISSED`] as it was at the last I/O, at the end of system calls the turn of the group's verdict ([`crate::verdict::TURN`]);
    /// the kernel program's to compare, see [`Direction::missed`].
    pub epoch: u64,
    /// Bytes of the current frame's payload that have not passed yet.
    pub remaining: u32,
    /// Bytes of the current frame's payload.
    pub length: u32,
    /// Stream of the current frame.
    pub stream: u32,
    /// Stream whose header block is open: its CONTINUATION comes next. 0 for none.
    pub block: u32,
    /// Bytes of the header block, counted up to [`super::BLOCK_MAX`]` + 1`.
    pub block_bytes: u32,
    /// How much of the current frame's payload is sent, counted from its beginning.
    pub capture: u32,
    /// The highest stream of which a HEADERS frame has begun; of the direction that carries requests it is the last one's. Outlives a restart.
    pub opened: u32,
    /// The first `have` bytes of a frame header that an I/O cut.
    pub held: [u8; HEADER_BYTES as usize],
    /// Bytes of the frame header, or of the preface, that have passed.
    pub have: u8,
    /// Type of the current frame.
    pub kind: u8,
    /// Flags of the current frame.
    pub flags: u8,
    /// One of [`phase`].
    pub phase: u8,
    /// One of [`start`], or 3: opened with SETTINGS, not proven yet.
    pub start: u8,
    /// 1 when the next frame must be the SETTINGS that open a connection.
    pub opening: u8,
    /// How often the frames were found again.
    pub resyncs: u8,
    /// The place in the byte stream behind the last I/O, where the kernel numbers bytes (TCP's sequence numbers); the kernel program's
    /// to set and to compare, the machine does not look at it.
    pub place: u32,
    /// One of [`super::place::placed`].
    pub placed: u8,
    /// Always 0.
    pub pad: [u8; 7],
}
const _: () = assert!(size_of::<Direction>() == 72);

/// The value of the socket storage.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// Of both directions.
    pub shared: Shared,
    /// What the task sends.
    pub sent: Direction,
    /// What the task receives.
    pub received: Direction,
}
const _: () = assert!(size_of::<Connection>() == 160);

// === impl Shared ===

impl Shared {
    /// The connection is not looked at again.
    #[inline(always)]
    pub(super) fn reject(&mut self, reason: u8) {
        self.state = state::REJECTED;
        self.reason = if reason == reason::NOT_HTTP2 && self.read == 0 { reason::UNREADABLE } else { reason };
    }

    /// Whether it is not looked at again as nothing of it could be read: what it carries nobody knows.
    #[inline(always)]
    pub(super) fn is_unread(&self) -> bool {
        self.state == state::REJECTED && self.reason == reason::UNREADABLE
    }

    /// An I/O of a direction without a place did not look like HTTP/2. Whether the direction of a connection that is known to be is
    /// closed for that, which is to be told: nothing else will say that the rest of it is not seen.
    #[inline(always)]
    pub(super) fn strike(&mut self, direction: &mut Direction) -> bool {
        self.strikes = self.strikes.saturating_add(1);
        if self.strikes < STRIKES_MAX {
            return false;
        }
        if self.state == state::UNKNOWN {
            self.reject(reason::NOT_HTTP2);
            return false;
        }
        direction.restart(phase::CLOSED, start::JOINED);
        self.strikes = 0;
        true
    }
}

// === impl Direction ===

impl Direction {
    /// Begins a walk at the next byte.
    #[inline(always)]
    pub(super) fn restart(&mut self, phase: u8, start: u8) {
        self.remaining = 0;
        self.length = 0;
        self.block = 0;
        self.block_bytes = 0;
        self.capture = 0;
        self.have = 0;
        self.phase = phase;
        self.start = start;
        self.opening = u8::from(start == start::PREFACE || start == OPENED);
    }

    /// Begins a walk in mid-life; whether it may.
    #[inline(always)]
    pub(super) fn join(&mut self) -> bool {
        if self.phase == phase::LOST {
            if self.resyncs >= RESYNCS_MAX {
                self.phase = phase::CLOSED;
                return false;
            }
            self.resyncs = self.resyncs.wrapping_add(1);
        }
        self.restart(phase::HEAD, start::JOINED);
        true
    }

    /// Bytes of this direction have passed unseen: its place is lost, and what it said meanwhile. A piece counts as lost, so that the
    /// next record shows a gap.
    #[inline(always)]
    pub fn missed(&mut self) {
        if self.phase == phase::CLOSED {
            return;
        }
        self.seq = self.seq.wrapping_add(1);
        self.resyncs = 0;
        self.restart(phase::LOST, start::JOINED);
    }

    /// Takes from the connection what the other direction proved meanwhile.
    #[inline(always)]
    pub(super) fn learn(&mut self, shared: &Shared) {
        if self.phase == phase::NEW && shared.state == state::COMPLETE {
            self.restart(phase::HEAD, start::PREFACE);
        } else if self.start == OPENED && shared.state == state::COMPLETE {
            self.start = start::PREFACE;
        } else if self.start == OPENED && shared.state == state::JOINED {
            self.start = start::JOINED;
        }
    }

    /// What records say of it, one of [`start`].
    #[inline(always)]
    pub(super) fn told_start(&self) -> u8 {
        if self.start == OPENED { start::JOINED } else { self.start }
    }

    /// Whether nothing more of the current frame's payload is to be read.
    #[inline(always)]
    pub(super) fn is_skipping(&self) -> bool {
        self.phase == phase::BODY && self.length.wrapping_sub(self.remaining) >= self.capture
    }
}
