//! The operator: custom resources in; the objects that Prometheus, Alertmanager and Grafana follow, status and Events out.
//!
//! ```text
//! watch per kind of ours -----> Line -----> turn: decide (core) -> program (apply, prune) -> API server
//!      |                          ^           |                           ^
//!      +-> Claims (precedence) -> Requeue     +-> status, Events          Children (digests)
//! watch per kind of children ------^---------------------------------------^
//! watches of pods, namespaces, workloads
//! Elector -> Gate: asked before each write
//! ```
//!
//! # Layout
//! - [`args`], [`run`], [`server`], [`metrics`], [`installation`]: the process
//! - [`controllers`]: what is done about an object
//! - [`children`], [`pods`], [`fleets`], [`policies`], [`namespaces`], [`workloads`], [`secrets`]: what is known
//! - [`precedence`]: which policy decides which fleet, and whom a change concerns
//! - [`follow`], [`watched`], [`scope`]: a kind that may come and go, in all namespaces or in some
//! - [`leader`]: who may write
//! - [`backoff`], [`throttle`], [`requeue`], [`clock`], [`deadline`]: when, and how long
//!
//! What is decided is in pure functions with the time as an argument; the objects themselves are made in `fleetscope_core`.

pub mod args;
pub mod backoff;
pub mod children;
pub mod clock;
pub mod context;
pub mod controllers;
pub mod deadline;
pub mod error;
pub mod fleets;
pub mod fnv;
pub mod follow;
pub mod installation;
pub mod leader;
pub mod logging;
pub mod metrics;
pub mod namespaces;
pub mod owner;
pub mod places;
pub mod pods;
pub mod policies;
pub mod precedence;
pub mod requeue;
pub mod run;
pub mod scope;
pub mod secrets;
pub mod server;
pub mod throttle;
pub mod watched;
pub mod workloads;
