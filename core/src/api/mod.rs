//! The custom resources of the group `fleetscope.io`, version `v1alpha1`.
//!
//! One kind per file: its spec with defaults and CEL rules, and its status. Limits that CEL can see are in the schema, so
//! that the API server refuses a faulty object; what it cannot see becomes a condition (see [`conditions`]).

pub mod agent_fleet;
pub mod conditions;

pub use agent_fleet::{AgentFleet, AgentFleetSpec, AgentFleetStatus};

/// API group of all kinds.
pub const GROUP: &str = "fleetscope.io";
/// API version of all kinds.
pub const VERSION: &str = "v1alpha1";
