//! Which streams had a request, as far as was seen. Clients number them upwards (RFC 9113 section 5.1.1), so one number and the
//! holes that losses left are enough.

use super::counts::Loss;
use crate::checkpoint::{CheckpointError, Reader, Saved, ensure, saved_struct};

/// Holes that are remembered, the latest ones: of an older one, calls that still run are not counted as lost when they end.
const HOLES: usize = 8;

/// The requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Requests {
    highest: u32,
    /// Requests above this one may have been lost, and why.
    open: Option<(u32, Loss)>,
    holes: [Option<Hole>; HOLES],
    next: usize,
}

/// Requests between these two, both not included, were lost.
#[derive(Clone, Copy, Debug)]
struct Hole {
    after: u32,
    before: u32,
    loss: Loss,
}

// === impl Requests ===

impl Requests {
    /// Whether the stream's request can still come.
    pub(super) fn can_come(&self, stream: u32) -> bool {
        stream > self.highest
    }

    /// A request was seen.
    pub(super) fn seen(&mut self, stream: u32) {
        if let Some((after, loss)) = self.open.take()
            && stream > after.saturating_add(1)
        {
            self.holes[self.next] = Some(Hole { after, before: stream, loss });
            self.next = (self.next + 1) % HOLES;
        }
        self.highest = self.highest.max(stream);
    }

    /// From here on, until the next one is seen, requests may have been lost.
    pub(super) fn in_doubt(&mut self, loss: Loss) {
        self.open.get_or_insert((self.highest, loss));
    }

    /// Why the stream's request was not seen; `None` if no loss explains it.
    pub(super) fn missing(&self, stream: u32) -> Option<Loss> {
        let in_hole = |hole: &&Hole| hole.after < stream && stream < hole.before;
        let open = self.open.filter(|(after, _)| stream > *after).map(|(_, loss)| loss);
        open.or_else(|| self.holes.iter().flatten().find(in_hole).map(|hole| hole.loss))
    }
}

saved_struct!(Hole { after, before, loss });

impl Saved for Requests {
    fn save(&self, out: &mut Vec<u8>) {
        let Self { highest, open, holes, next } = self;
        highest.save(out);
        open.save(out);
        holes.save(out);
        (*next as u64).save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        let (highest, open, holes, next) = (u32::load(from)?, Saved::load(from)?, Saved::load(from)?, u64::load(from)?);
        ensure(next < HOLES as u64, "the next hole")?;
        Ok(Self { highest, open, holes, next: usize::try_from(next).unwrap_or(0) })
    }
}
