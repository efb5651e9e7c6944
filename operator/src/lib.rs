//! The operator: `AgentFleet` in; a monitor per fleet, its status and Events out.
//!
//! ```text
//! watch of fleets ----------> Controller -> reconcile -> program (apply, prune) -> API server
//! watch of definitions -+                     |    |
//!   watch per kind -----+-> Requeue ----------+    +---> status (observe, conditions) -> API server
//! watch of pods -> Index -> Throttle -^
//! Elector -> Gate: asked before each write
//! ```
//!
//! # Layout
//! - [`args`], [`run`], [`server`], [`metrics`]: the process
//! - [`controllers`]: what is done about a fleet
//! - [`children`], [`pods`], [`fleets`]: what is known, from watches
//! - [`leader`]: who may write
//! - [`backoff`], [`throttle`], [`requeue`], [`clock`], [`deadline`]: when, and how long
//!
//! What is decided is in pure functions with the time as an argument; the objects themselves are made in `fleetscope_core::resources`.

pub mod args;
pub mod backoff;
pub mod children;
pub mod clock;
pub mod context;
pub mod controllers;
pub mod deadline;
pub mod error;
pub mod fleets;
pub mod leader;
pub mod logging;
pub mod metrics;
pub mod pods;
pub mod requeue;
pub mod run;
pub mod server;
pub mod throttle;
