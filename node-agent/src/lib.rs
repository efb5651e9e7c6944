//! The node agent: eBPF probes of one node in, Prometheus series out.
//!
//! # Layout
//! - [`args`], [`logging`]: options and environment; log lines
//! - [`agent`]: puts the parts together, and takes them apart at the end
//! - [`mounts`], [`cgroups`], [`procfs`], [`clock`]: the host's groups, processes and time
//! - [`probes`]: the eBPF programs: loaded, attached, read
//! - [`pods`], [`fleets`], [`watches`]: what the Kubernetes API says
//! - [`engine`]: owns the tracker and the series; records and changes in, verdicts and snapshots out
//! - [`sampler`], [`sampling`]: figures of containers that are read instead of traced
//! - [`http`], [`info`], [`readiness`]: what is served

pub mod agent;
pub mod args;
pub mod cgroups;
pub mod clock;
pub mod engine;
#[cfg(test)]
mod fixture;
pub mod fleets;
pub mod http;
pub mod info;
pub mod logging;
pub mod mounts;
pub mod pods;
pub mod probes;
pub mod procfs;
pub mod readiness;
pub mod sampler;
pub mod sampling;
pub mod watches;
