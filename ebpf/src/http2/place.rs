//! Whether bytes of a direction passed unseen, by the numbers that the kernel gives to bytes (TCP's sequence numbers).

use super::Direction;

/// [`Direction::placed`].
pub mod placed {
    /// No place is known: no I/O was seen, or the kernel does not number this socket's bytes.
    pub const NOWHERE: u8 = 0;
    /// The place behind the first I/O that was seen.
    pub const ONCE: u8 = 1;
    /// The place moves with the bytes.
    pub const MOVES: u8 = 2;
    /// It does not, as another layer carries them (a BPF program that redirects messages between sockets): it tells nothing.
    pub const STANDS: u8 = 3;
}

impl Direction {
    /// An I/O of `len` bytes, at least one, was seen, behind which the socket is at `place`. Whether others passed unseen since the last one, so
    /// that [`Direction::missed`] is to be called.
    #[inline(always)]
    pub fn pass(&mut self, place: u32, len: u32, received: bool) -> bool {
        let passed = place.wrapping_sub(self.place.wrapping_add(len));
        let stands = place == self.place;
        self.place = place;
        match self.placed {
            placed::NOWHERE => self.placed = placed::ONCE,
            placed::ONCE if stands => self.placed = placed::STANDS,
            placed::ONCE => self.placed = placed::MOVES,
            _ => {}
        }
        // The end of the other side's stream (FIN) takes a number too, and is received with the last bytes.
        self.placed == placed::MOVES && passed != 0 && !(received && passed == 1)
    }

    /// Where the direction ends for [`super::ClosedRecord::ends`], when the socket was at `place` in the end. The end of the stream (FIN) takes a
    /// number, too.
    #[inline(always)]
    pub fn end(&self, place: Option<u32>) -> u64 {
        let unseen = match place {
            Some(place) => self.has_place() && place.wrapping_sub(self.place) > 1,
            None => false,
        };
        self.seq.wrapping_add(u64::from(unseen))
    }

    /// Whether bytes that pass unseen show in the place of the next I/O.
    #[inline(always)]
    pub fn has_place(&self) -> bool {
        matches!(self.placed, placed::ONCE | placed::MOVES)
    }
}
