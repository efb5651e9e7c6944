//! Who selects what the operator makes: Prometheus, PrometheusAgent, ThanosRuler and Alertmanager objects of prometheus-operator.
//!
//! In: a watch per kind, while it is installed. Out: what of them `fleetscope_core::selected` looks at, and that everybody looks again when it
//! changes.

mod store;
mod watch;

pub use store::Workloads;
pub use watch::watch;
