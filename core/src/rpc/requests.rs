//! Which streams had a request, as far as was seen. Clients number them upwards (RFC 9113 section 5.1.1), so one number and the
//! holes that losses left are enough.

use super::counts::Loss;
use crate::checkpoint::{CheckpointError, Reader, Saved, ensure, saved_struct};

/// Holes that are remembered, the latest ones of joined connections: of an older one, calls that still run are not counted as lost when they end.
const HOLES: usize = 8;
/// Most calls that one hole counts where nobody knows how many frames were lost: a peer that jumps ahead in its numbers must not
/// make up calls without end.
pub(super) const UNKNOWN: u32 = 65_536;

/// The requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Requests {
    highest: u32,
    /// Calls above it that were counted as lost already, when their responses ended.
    counted: u32,
    /// Since the last request that was seen, requests may have been lost.
    open: Option<Open>,
    holes: [Option<Hole>; HOLES],
    next: usize,
}

/// Requests above this one may have been lost.
#[derive(Clone, Copy, Debug)]
struct Open {
    after: u32,
    loss: Loss,
    /// Not more than so many.
    most: u32,
}

/// Requests between these two, both not included, were made before the kernel came to the connection.
#[derive(Clone, Copy, Debug)]
struct Hole {
    after: u32,
    before: u32,
    loss: Loss,
}

/// Requests that were lost, as is known once a later one is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// The request before them; all of them are later.
    pub(super) after: u32,
    /// How many, those that were counted already left out.
    pub(super) calls: u32,
    pub(super) loss: Loss,
}

// === impl Requests ===

impl Requests {
    /// Whether the stream's request can still come.
    pub(super) fn can_come(&self, stream: u32) -> bool {
        stream > self.highest
    }

    /// A request was seen: tells which ones before it were lost. Calls are numbered without holes, by odd numbers; of those from before
    /// the kernel came most were over by then, so only those whose responses are seen count, then.
    pub(super) fn seen(&mut self, stream: u32) -> Option<Lost> {
        let (open, counted) = (self.open.take(), std::mem::take(&mut self.counted));
        self.highest = self.highest.max(stream);
        let Open { after, loss, most } = open.filter(|open| stream > open.after.saturating_add(1))?;
        if loss == Loss::Joined {
            self.holes[self.next] = Some(Hole { after, before: stream, loss });
            self.next = (self.next + 1) % HOLES;
            return None;
        }
        let between = (stream / 2).saturating_sub(after.div_ceil(2));
        Some(Lost { after, calls: between.min(most).saturating_sub(counted), loss })
    }

    /// The last request was that of stream `last`: as [`Requests::seen`] for one that comes after it.
    pub(super) fn ended(&mut self, last: u32) -> Option<(Lost, u32)> {
        if last.is_multiple_of(2) || last <= self.highest {
            return None;
        }
        let next = last.saturating_add(2);
        Some((self.seen(next)?, next))
    }

    /// From here on, until the next one is seen, requests may have been lost: at most as many as there are `frames` missing.
    pub(super) fn in_doubt(&mut self, loss: Loss, frames: u32) {
        let after = self.highest;
        let open = self.open.get_or_insert(Open { after, loss, most: 0 });
        open.most = open.most.saturating_add(frames);
    }

    /// Why the stream's request was not seen, if that is still to be counted; `None` if no loss explains it.
    pub(super) fn missing(&self, stream: u32) -> Option<Loss> {
        let in_hole = |hole: &&Hole| hole.after < stream && stream < hole.before;
        let open = self.open.filter(|open| stream > open.after).map(|open| open.loss);
        open.or_else(|| self.holes.iter().flatten().find(in_hole).map(|hole| hole.loss))
    }

    /// A call whose request was not seen was counted as lost. That its request was lost may show only later, in the next record of
    /// the client.
    pub(super) fn counted(&mut self, stream: u32) {
        self.counted = self.counted.saturating_add(u32::from(self.can_come(stream)));
    }
}

saved_struct!(Open { after, loss, most });
saved_struct!(Hole { after, before, loss });

impl Saved for Requests {
    fn save(&self, out: &mut Vec<u8>) {
        let Self { highest, counted, open, holes, next } = self;
        highest.save(out);
        counted.save(out);
        open.save(out);
        holes.save(out);
        (*next as u64).save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        let (highest, counted) = (u32::load(from)?, u32::load(from)?);
        let (open, holes, next) = (Saved::load(from)?, Saved::load(from)?, u64::load(from)?);
        ensure(next < HOLES as u64, "the next hole")?;
        Ok(Self { highest, counted, open, holes, next: usize::try_from(next).unwrap_or(0) })
    }
}
