//! Tests that run beside each other: each has a namespace of its own, takes the installation as it is, and mostly waits for what the cluster
//! does by itself.

mod alerting;
pub(crate) mod capabilities;
mod cli;
mod dashboards;
mod formats;
mod lifecycle;
mod monitors;
mod nodes;
mod refusals;
mod rules;
mod short_lived;
mod status;
