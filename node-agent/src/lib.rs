//! The node agent: eBPF probes of one node in, Prometheus series out.
//!
//! # Layout
//! - [`args`], [`logging`]: options and environment; log lines
//! - [`cgroups`], [`procfs`], [`clock`]: the host's groups, processes and time
//! - [`sampler`]: figures of containers that are read instead of traced
//! - [`pods`], [`fleets`], [`watches`]: what the Kubernetes API says
//! - [`readiness`]: what must be true before the figures are right

pub mod args;
pub mod cgroups;
pub mod clock;
#[cfg(test)]
mod fixture;
pub mod fleets;
pub mod logging;
pub mod pods;
pub mod procfs;
pub mod readiness;
pub mod sampler;
pub mod watches;
