//! The tracker as bytes: what another process needs to go on with the records that come after those that were handled.
//!
//! ```text
//! magic, version | checksum of the rest | counts, times, connections of which nothing is seen | connections, the one that said nothing for the longest time first
//! connection: calls in flight, bytes that follow | the connection
//! ```

use super::{Limits, Losses, Tracker, UNSEEN};
use crate::checkpoint::{CheckpointError, Reader, Saved, checksum, ensure, save_count, saved_struct};
use crate::rpc::call::Call;
use crate::rpc::connection::Connection;
use crate::rpc::counts::{Counts, Loss};

/// `FLSRPC`, then the version: to be counted up with each change to what is saved, to an enum that is, and to what it means.
const MAGIC: u64 = u64::from_le_bytes(*b"FLSRPC\x07\x00");

saved_struct!(Losses { at, pieces });

impl Counts {
    /// A connection is forgotten with so many calls in flight.
    fn forget(&mut self, in_flight: u64) {
        self.evicted_connections += 1;
        let lost = &mut self.lost[Loss::Evicted as usize];
        *lost = lost.saturating_add(in_flight);
    }
}

impl Tracker {
    /// All that is known, in at most `max` bytes if that is enough for the counts. What does not fit is left out, the connections that said nothing for
    /// the longest time first: to the one who goes on they are as if forgotten.
    pub fn checkpoint(&self, max: usize) -> Vec<u8> {
        let mut counts = self.counts;
        let (mut parts, mut room): (Vec<Vec<u8>>, _) = (Vec::new(), max.saturating_sub(HEAD_MAX));
        let mut full = false;
        for connection in self.connections.newest_first() {
            let (mut part, mut bytes) = (Vec::new(), Vec::new());
            let in_flight = connection.in_flight().count();
            save_count(in_flight, &mut part);
            connection.save(&mut bytes);
            bytes.save(&mut part);
            full |= part.len() > room;
            if full {
                counts.forget(in_flight as u64);
            } else {
                room -= part.len();
                parts.push(part);
            }
        }
        let mut body = Vec::with_capacity(max.saturating_sub(room));
        counts.save(&mut body);
        self.swept_at.save(&mut body);
        self.losses.save(&mut body);
        self.unseen.save(&mut body);
        save_count(parts.len(), &mut body);
        for part in parts.iter().rev() {
            body.extend_from_slice(part);
        }
        let mut bytes = Vec::with_capacity(body.len() + 16);
        MAGIC.save(&mut bytes);
        checksum(&body).save(&mut bytes);
        bytes.extend_from_slice(&body);
        bytes
    }

    /// One that goes on where the one that gave this [`Tracker::checkpoint`] stopped. Its counts go on, too. A connection that cannot be is
    /// as if forgotten: it must not cost the others.
    pub fn restore(limits: Limits, bytes: &[u8]) -> Result<Self, CheckpointError> {
        let mut from = Reader::new(bytes);
        if u64::load(&mut from)? != MAGIC {
            return Err(CheckpointError::Version);
        }
        if u64::load(&mut from)? != bytes.get(16..).map_or(0, checksum) {
            return Err(CheckpointError::Checksum);
        }
        let mut tracker = Self::new(limits);
        tracker.counts = Saved::load(&mut from)?;
        tracker.swept_at = Saved::load(&mut from)?;
        tracker.losses = Saved::load(&mut from)?;
        tracker.unseen = Saved::load(&mut from)?;
        from.each(|(in_flight, bytes): (u32, Vec<u8>)| {
            if tracker.take_in(&bytes).is_err() {
                tracker.counts.forget(in_flight.into());
            }
            Ok(())
        })?;
        from.end()?;
        Ok(tracker)
    }

    /// Takes in a connection that was saved.
    fn take_in(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        let Self { limits, connections, counts, .. } = self;
        let mut from = Reader::new(bytes);
        let mut connection = Box::<Connection>::load(&mut from)?;
        from.end()?;
        let cookie = connection.cookie();
        ensure(connection.streams() <= limits.streams.max(1), "the number of streams")?;
        ensure(connections.len() < limits.connections.max(1), "the number of connections")?;
        ensure(connections.get_mut(cookie).is_none(), "a connection that is there twice")?;
        connection.enter(counts);
        connections.insert(cookie, connection);
        Ok(())
    }

    /// The calls that were given out as started and are not over: whoever takes events after [`Tracker::restore`] has not seen these start.
    pub fn in_flight(&self) -> impl Iterator<Item = Call<'_>> {
        self.connections.iter().flat_map(|(_, connection)| connection.in_flight())
    }
}

/// More bytes than everything but the connections takes.
const HEAD_MAX: usize = 1024 + 8 * UNSEEN;
