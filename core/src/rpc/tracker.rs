//! All connections: which there are, how much they may hold, and which goes when it is too much.

mod saved;

use super::call::Event;
use super::calls::Context;
use super::connection::Connection;
use super::counts::{Counts, Opaque};
use super::frame::{Closed, Frames, Record, Start};
use super::lru::Lru;
use crate::hpack::Block;
use fleetscope_ebpf::http2::reason;

/// Nanoseconds between two looks for what has waited long enough.
const SWEEP_EVERY: u64 = 250_000_000;

/// Connections that are remembered of which nothing is seen: they are encrypted, or cannot be read. Of one whose both directions are first seen at
/// the same moment, by two processors, the kernel writes two records, and nothing else of it ever. Between them are those that other processors
/// write meanwhile: fewer than these, unless one of both processors is held up in its program while the other ones see so many such connections
/// open.
pub(super) const UNSEEN: usize = 64;

/// How much may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections. Beyond that the one that said nothing for the longest time is forgotten.
    pub connections: usize,
    /// Open streams of one connection. Beyond that the oldest eighth is forgotten.
    pub streams: usize,
    /// Bytes of all connections. Beyond that the one that said nothing for the longest time is forgotten.
    pub bytes: usize,
    /// Nanoseconds for which a call is in flight whose end may have been lost.
    pub doubt_for: u64,
}

/// What the kernel is known to have lost.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// When the latest loss became known.
    pub(super) at: Option<u64>,
    /// Pieces that have not shown in a gap yet.
    pub(super) pieces: u64,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Tracker {
    limits: Limits,
    connections: Lru<Box<Connection>>,
    counts: Counts,
    /// What the latest header block said.
    scratch: Block,
    swept_at: u64,
    losses: Losses,
    /// Connections that a sweep looks at.
    due: Vec<u64>,
    /// The cookies of the connections that were counted last of which nothing is seen, the oldest first; no socket has the cookie 0.
    unseen: [u64; UNSEEN],
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 16_384, streams: 4_096, bytes: 48 << 20, doubt_for: 60_000_000_000 }
    }
}

// === impl Tracker ===

impl Tracker {
    /// Without connections.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            connections: Lru::new(),
            counts: Counts::default(),
            scratch: Block::default(),
            swept_at: 0,
            losses: Losses::default(),
            due: Vec::new(),
            unseen: [0; UNSEEN],
        }
    }

    /// Handles one record, which was read at `now`, nanoseconds of `CLOCK_BOOTTIME`. Records of one direction of a connection must
    /// come in the order in which the kernel wrote them; those of both directions may come in either order.
    pub fn handle(&mut self, record: &Record<'_>, now: u64, emit: &mut impl FnMut(Event<'_>)) {
        match record {
            Record::Frames(frames) => self.frames(frames, now, emit),
            Record::Closed(closed) => self.closed(closed, now, emit),
        }
    }

    fn frames(&mut self, frames: &Frames<'_>, now: u64, emit: &mut impl FnMut(Event<'_>)) {
        let Self { limits, connections, counts, scratch, losses, .. } = self;
        let connection = match connections.touch(frames.cookie) {
            Some(connection) => connection,
            None if frames.start == Start::Never => {
                self.unseen(frames);
                return;
            }
            None => {
                let connection = Box::new(Connection::new(frames, now, counts));
                connections.insert(frames.cookie, connection)
            }
        };
        let mut cx = Context { now, limits, counts, tail_lost: false, emit: &mut *emit };
        connection.handle(frames, losses, scratch, &mut cx);
        connection.measure(cx.counts);
        self.shed(now, emit);
    }

    fn closed(&mut self, closed: &Closed, now: u64, emit: &mut impl FnMut(Event<'_>)) {
        let Self { limits, connections, counts, losses, .. } = self;
        let full = connections.len() >= limits.connections;
        let Some(connection) = connections.get_mut(closed.cookie) else {
            if let Some(mut connection) = Connection::unheard(closed, now, counts) {
                connection.close(closed, now);
                if full {
                    // No connection that is open goes for one that is over.
                    connection.evict(losses, &mut Context { now, limits, counts, tail_lost: false, emit });
                    connection.leave(counts);
                } else {
                    connections.insert(closed.cookie, Box::new(connection)).measure(counts);
                    self.shed(now, emit);
                }
            }
            return;
        };
        if !closed.late {
            connection.close(closed, now);
        } else if !connection.is_closed() {
            // Nothing of it can still come, and how its calls ended it does not tell.
            connection.end(closed.time, &mut Context { now, limits, counts, tail_lost: true, emit });
            connection.leave(counts);
            connections.remove(closed.cookie);
        }
    }

    /// Counts a connection of which nothing is seen, at its first record.
    fn unseen(&mut self, frames: &Frames<'_>) {
        if !self.unseen.contains(&frames.cookie) {
            self.unseen.copy_within(1.., 0);
            self.unseen[UNSEEN - 1] = frames.cookie;
            let why = if frames.end == reason::UNREADABLE { Opaque::Unreadable } else { Opaque::Tls };
            self.counts.opaque[why as usize] += 1;
        }
    }

    /// The kernel's count of lost records has grown, as was found at `now`, nanoseconds of `CLOCK_BOOTTIME`, and that of the pieces in them by
    /// `pieces`; to be told before the records that are drained then. Most losses show in the next record of the direction. Of a
    /// direction that says no more only this tells: a reset from the other side, or the close, then does not tell how the call ended. And of one
    /// of which nothing was seen only this tells that its beginning was lost, and not seen by someone before.
    pub fn records_lost(&mut self, now: u64, pieces: u64) {
        self.losses.at = self.losses.at.max(Some(now));
        self.losses.pieces = self.losses.pieces.saturating_add(pieces);
    }

    /// Time passes: to be called after each drain of the ring buffer, at least every second. `now` is nanoseconds of
    /// `CLOCK_BOOTTIME`.
    pub fn tick(&mut self, now: u64, emit: &mut impl FnMut(Event<'_>)) {
        if now.saturating_sub(self.swept_at) < SWEEP_EVERY {
            return;
        }
        self.swept_at = now;
        let Self { limits, connections, counts, due, losses, .. } = self;
        due.clear();
        due.extend(connections.iter().filter(|(_, connection)| connection.due() <= now).map(|(cookie, _)| cookie));
        for cookie in due.drain(..) {
            let Some(connection) = connections.get_mut(cookie) else { continue };
            let mut cx = Context { now, limits, counts, tail_lost: false, emit: &mut *emit };
            if connection.expire(losses, &mut cx) {
                connection.leave(cx.counts);
                connections.remove(cookie);
            } else {
                connection.measure(cx.counts);
            }
        }
        self.shed(now, emit);
    }

    /// What was counted, and what is held now.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Connections that are held.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Forgets the connections that said nothing for the longest time, until all is within the limits. The last one may stay: its
    /// own bounds hold it.
    fn shed(&mut self, now: u64, emit: &mut impl FnMut(Event<'_>)) {
        let Self { limits, connections, counts, losses, .. } = self;
        while connections.len() > 1
            && (connections.len() > limits.connections || counts.bytes > limits.bytes as u64)
            && let Some(mut connection) = connections.oldest().and_then(|cookie| connections.remove(cookie))
        {
            counts.evicted_connections += 1;
            let mut cx = Context { now, limits, counts, tail_lost: false, emit: &mut *emit };
            connection.evict(losses, &mut cx);
            connection.leave(cx.counts);
        }
    }
}
