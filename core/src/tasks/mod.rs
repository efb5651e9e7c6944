//! Tasks: the processes of a fleet's pods, named by its rules and counted by how they ended.
//!
//! # Layout
//! - [`rules`]: a fleet's task rules, compiled
//! - [`exit`]: wait status to the labels `exit` and `result`
//! - [`label`]: names that come from processes, made fit to be label values
//! - [`tracker`]: records, pods and fleets in; series, verdicts and rows out
//! - [`rows`]: the JSON rows of the node agent's answers

pub mod exit;
pub mod label;
pub mod rows;
pub mod rules;
pub mod tracker;
