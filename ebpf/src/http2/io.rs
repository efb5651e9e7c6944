//! What the machine needs of its surroundings: bytes of the I/O, and a place for pieces.

use super::FrameHead;

/// Bytes that [`Io::peek`] gives: a frame header, and what a sniff wants of the payload behind it.
pub const PEEK_BYTES: u32 = 16;

/// What a record says of its pieces; the rest of [`super::Http2Record`] the machine does not know.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// [`super::Http2Record::seq`]
    pub seq: u64,
    /// [`super::Http2Record::bytes`]
    pub bytes: u32,
    /// [`super::Http2Record::pieces`]
    pub pieces: u16,
    /// [`super::Http2Record::start`]
    pub start: u8,
    /// [`super::Http2Record::end`]
    pub end: u8,
}
const _: () = assert!(size_of::<Batch>() == 16);

/// One I/O, addressed by the position of a byte in it, and the record that is put together of it.
///
/// Positions never decrease from call to call, within one sniff and within one walk; a sniff is followed by a walk from 0.
pub trait Io {
    /// How many bytes from `at` on lie in one piece of memory. `Some(0)`: not known yet, the caller asks again in its next step;
    /// an implementation gives it a bounded number of times. `None`: they cannot be read.
    fn run(&mut self, at: u32) -> Option<u32>;

    /// The `len` bytes from `at` on, anything behind them; `None` when they cannot be read. `len` is between 1 and
    /// [`PEEK_BYTES`] and within what [`Io::run`] gave.
    fn peek(&mut self, at: u32, len: u32) -> Option<[u8; PEEK_BYTES as usize]>;

    /// Writes a piece to the record, `fill` bytes behind its head: `head`, the `head.captured` bytes from `at` on, zeros up to a
    /// multiple of 8. `fill` is at most [`super::FLUSH_BYTES`], `head.captured` at most [`super::PIECE_MAX`] and within what
    /// [`Io::run`] gave; when it is 0, nothing is read. False when the bytes cannot be read: the piece does not count then.
    fn put(&mut self, fill: u32, head: FrameHead, at: u32) -> bool;

    /// Sends the record. Whether that succeeds is not the machine's concern: [`Batch::seq`] shows what is missing.
    fn send(&mut self, batch: Batch);
}
