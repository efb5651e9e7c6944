//! The pods of the cluster, trimmed: the fleets' agents, and the node agents.
//!
//! In: a watch of all pods. Out: what the status of a fleet counts, and which fleets a change concerns.

mod index;
mod watch;

pub use index::{Agent, Index, Labels, Touched};
pub use watch::watch;
