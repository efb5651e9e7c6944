//! Tests that have the cluster to themselves: they change the installation, the kinds of the cluster or what Prometheus selects, or they
//! compare durations and load that others would disturb.

mod exactness;
pub(crate) mod grpc;
mod namespaced;
mod optional_kinds;
mod overload;
mod policies;
mod restart;
mod rollout;
mod second_cluster;
mod selected;
mod uninstall;
