//! The node agent: eBPF probes of one node in, Prometheus series out.
//!
//! # Layout
//! - [`args`], [`logging`]: options and environment; log lines

pub mod args;
pub mod logging;
