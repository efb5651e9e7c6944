//! What of a Pod is kept, its agent's status, its workload, and what happened between two views of it.
//!
//! In: Pod objects of the API. Out: plain values. Nothing here knows fleets or series; [`crate::tasks`] puts those together.
//!
//! # Layout
//! - `view`: [`PodView`], trimmed and bounded; `containers`: its containers
//! - `status`: [`agent_status`]
//! - `changes`: [`changes`]: starts, stops, restarts and failures between two views
//! - `selector`: [`selects`], Kubernetes' label selectors, and [`takes`], a fleet's
//! - `overlap`: [`disjoint`], whether two selectors can take the same pod

mod changes;
mod containers;
mod overlap;
mod selector;
mod status;
mod view;

pub use changes::{Change, FailureReason, changes};
pub use overlap::disjoint;
pub use selector::{selects, takes};
pub use status::{AgentStatus, agent_status};
pub use view::{ContainerState, ContainerView, Ended, LeftOut, Owner, PodError, PodView, Role, TELEMETRY, workload};

#[cfg(test)]
mod tests;
