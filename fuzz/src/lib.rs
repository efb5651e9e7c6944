//! What the fuzz targets check. Each module has one function over the bytes of an input, which panics on a finding; the programs in
//! `fuzz_targets/` give it to libFuzzer, and `tests/corpus.rs` gives it the committed inputs.
//!
//! # Layout
//! - [`input`]: an input, read as numbers and byte strings
//! - [`walker`]: the kernel's walk over HTTP/2, with [`memory`] as its surroundings and [`frames`] as what it must find
//! - [`hpack`]: the decoder of header blocks, beside a library's, with [`fields`] as what header lists mean
//! - [`tracker`]: calls, out of any records; and [`life`], out of those of connections whose calls are known
//! - [`record`]: records of HTTP/2, as the kernel lays them out
//! - [`records`], [`cgroup`]: the parsers of other records and of cgroup paths
//!
//! An input is read front to back by plain rules and not through the crate `arbitrary`, which takes lengths from the end: so a
//! change in one place changes what is made of that place alone, and seeds can be written by hand.

pub mod cgroup;
pub mod fields;
pub mod frames;
pub mod hpack;
pub mod input;
pub mod life;
pub mod memory;
pub mod record;
pub mod records;
pub mod tracker;
pub mod walker;
