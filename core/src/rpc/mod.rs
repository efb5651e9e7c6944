//! Calls of gRPC, out of the frames that the kernel sends of HTTP/2 connections: a state machine without I/O, clock or lock.
//!
//! ```text
//! bytes of the ring buffer -> parse -> Record -> Tracker::handle -> Event: started, first response, finished, lost
//!                                                Tracker::tick   -^
//!                                                Tracker::counts -> what could not be known, and why
//! ```
//! All times are nanoseconds of `CLOCK_BOOTTIME`: those of events come from the records, so that when a record is read does not matter.
//!
//! # What a call is
//! A stream of HTTP/2 whose request is of the content type `application/grpc*`, or of one that cannot be known on a connection that
//! was seen to carry gRPC. Who sends the request is the client. It starts with the first bytes of the request's header block; its first response is the
//! header block of the response that is not an informational one. It ends with whichever is first:
//! - the end of the response (`END_STREAM` on HEADERS or DATA): the status is grpc-status, else what the HTTP status stands for;
//! - `RST_STREAM` from either end: the status that its code stands for; CANCEL after the end of the grpc-timeout is `DEADLINE_EXCEEDED`;
//! - GOAWAY of the server that leaves the stream out, or the close of the connection: `UNAVAILABLE`.
//!
//! The client's own `END_STREAM` ends its request, and no call. Each try of a call that is retried is a call.
//!
//! # What cannot be known
//! A method or a status that refers to what was not seen is told as `_OTHER`, never guessed ([`Unnamed`], [`Status::Other`]). A call
//! whose begin or end may have been lost is counted by reason ([`Loss`]) instead of being told a duration: see [`Event::Lost`].
//! So every request that was seen is in flight, finished, lost or no call, exactly once.
//!
//! # Bounds
//! [`Limits`] bounds connections, streams and bytes; what has to go is counted. Header blocks are bounded by 64 KiB, names by 256 bytes.
//!
//! # Layout
//! - `frame`: records and pieces, parsed
//! - `assembly`: pieces to frames; `header_block`: frames to header blocks
//! - `status`: statuses; `call`: what is given out; `counts`: reasons and counts
//! - `stream`: one stream; `requests`: which streams had a request; `calls`: the streams of a connection
//! - `connection`: directions and header tables; `tracker`, `lru`: all connections
//! - `saved` in several of them: what another process needs to go on ([`Tracker::checkpoint`], [`Tracker::restore`])
//! - `series`: from calls to series
//! - `settings`: what a fleet says about its calls
//! - `rows`: what the CLI reads of the series

mod assembly;
mod call;
mod calls;
mod connection;
mod counts;
mod frame;
mod header_block;
mod lru;
mod requests;
pub mod rows;
mod series;
mod settings;
mod status;
mod stream;
mod tracker;

#[cfg(test)]
mod tests;

pub use crate::checkpoint::CheckpointError;
pub use call::{Call, Event, Finished, Method, Role};
pub use counts::{Counts, Loss, Opaque, Unnamed};
pub use frame::{Closed, Direction, FrameError, Frames, Piece, Record, Start, from_deferred, is_record, parse};
pub use series::{RpcSeries, SeriesLimits};
pub(crate) use settings::Settings;
pub use status::Status;
pub use tracker::{Limits, Tracker};
