//! The HTTP/2 machine on the host, as the kernel runs it: bytes of I/Os in, records out.
//!
//! - `tap`: a connection, I/Os put into it, and its records taken apart again
//! - `wire`: frames and blocks, made and, by a straight parser of the whole byte string, read
//! - `walk`: the machine against that parser, however the bytes are cut
//! - `limits`: blocks, frames and I/Os at and beyond their bounds
//! - `place`: whether bytes passed unseen, by the kernel's numbers
//! - `sniff`: what is taken for HTTP/2 in mid-life, and what never is
//! - `hostile`: arbitrary bytes

mod hostile;
mod limits;
mod place;
mod sniff;
mod tap;
mod walk;
mod wire;
