//! A connection as bytes.

use super::{Connection, End, Headers, Way, held};
use crate::checkpoint::{CheckpointError, Reader, Saved, saved_struct};
use crate::rpc::call::Call;
use crate::rpc::counts::Counts;

saved_struct!(End { time, due, looked, ends, streams });
saved_struct!(Headers { blocks, decoder, unknown, limit, ragged });
saved_struct!(Way { next, heard, assembly, headers, given_up });

impl Saved for Connection {
    fn save(&self, out: &mut Vec<u8>) {
        let Self { calls, ways: [sent, received], closed, opaque, tables: _, bytes: _ } = self;
        calls.save(out);
        sent.save(out);
        received.save(out);
        closed.save(out);
        opaque.save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        Ok(Self {
            calls: Saved::load(from)?,
            ways: [Saved::load(from)?, Saved::load(from)?],
            closed: Saved::load(from)?,
            opaque: Saved::load(from)?,
            tables: (0, 0),
            bytes: 0,
        })
    }
}

impl Connection {
    /// It is held again: takes it into what is counted now.
    pub(in super::super) fn enter(&mut self, counts: &mut Counts) {
        *held(counts, self.opaque) += 1;
        counts.in_flight += self.in_flight().count() as u64;
        self.measure(counts);
    }

    /// The cookie of its socket.
    pub(in super::super) fn cookie(&self) -> u64 {
        self.calls.cookie()
    }

    /// How many streams are held.
    pub(in super::super) fn streams(&self) -> usize {
        self.calls.held()
    }

    /// Its calls that were given out as started and are not over.
    pub(in super::super) fn in_flight(&self) -> impl Iterator<Item = Call<'_>> {
        self.calls.in_flight()
    }
}
