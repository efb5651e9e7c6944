//! The namespaces of the cluster: their labels, by which policies and Prometheus select, and which of them are being deleted.
//!
//! In: a watch of their metadata. Out: the owners that a change concerns.

mod store;
mod watch;

pub use store::{Namespaces, Relabelled};
pub use watch::watch;
