//! The operator against a real API server: schema, children, status, kinds that come and go, leadership, requests that fail.
//!
//! Without a controller manager: nothing is garbage collected, and no pod runs. Pods are made with the status they would have.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(clippy::print_stderr, reason = "where the logs of a failed test are")]

mod behind;
mod dashboards;
mod faults;
mod fleets;
mod kinds;
mod leadership;
mod namespaced;
mod operator;
mod policies;
mod precedence;
mod schema;
mod secrets;
mod selected;
mod server;
mod unreadable;
mod unseen;
mod upgrade;
mod world;
