//! Everything of Fleetscope that does no I/O: bytes and objects in, series and desired state out.
//!
//! ```text
//! ring-buffer bytes  -> records -> tasks::Tracker (rules, attribution) -> series::Registry -> expose (text, OpenMetrics, protobuf)
//! Pods, AgentFleets  -> pods, api -----------------^
//! custom resources   -> api (defaults, CEL, conditions) -> resources, alerting (objects for Prometheus and Alertmanager) -> operator, CLI
//! rows of data       -> catalogue, profiles, dashboards ---^
//! ```
//!
//! # Layout
//! - [`alerting`]: policies and fleets to rules of Prometheus, and what is wrong with them
//! - [`alertmanager`]: Alertmanager's configuration out of a policy's receivers and routes
//! - [`api`]: the custom resources: spec, status, CEL rules, defaults, conditions
//! - [`metrics`]: the one table of metrics: name, type, unit, help, labels, buckets
//! - [`catalogue`]: alerts and recording rules as data, their expressions, and the cases that prove them
//! - [`promql`]: which series an expression selects, and which labels its result has
//! - [`series`]: series under a cap: counters, gauges, histograms; expiry; snapshots
//! - [`expose`]: content negotiation and the encoders of Prometheus' exposition formats
//! - [`hpack`]: header blocks of HTTP/2, what gRPC needs of them, also when the connection was joined in mid-life
//! - [`rpc`]: calls of gRPC, out of the frames of HTTP/2 connections
//! - [`records`]: bytes of the ring buffer, parsed
//! - `checkpoint`: state as bytes, for the process that comes after this one
//! - [`cgroup`]: cgroup paths of container runtimes: which pod, which container
//! - `glob`: patterns with `*`
//! - [`profiles`]: what is known beforehand about a system whose agents a fleet observes: data, and what is made of it
//! - [`pods`]: what of a Pod is kept, its agents' status, its workload
//! - [`prices`]: what tokens of LLMs cost, by the cluster's price lists
//! - [`resources`]: the objects that are made of custom resources, and their names
//! - [`selected`]: whether a Prometheus or an Alertmanager takes them, and if not, why
//! - [`dashboards`]: Grafana dashboards, as JSON, and their queries
//! - [`tasks`]: task rules, exit classification, and the tracker that turns records into series
//!
//! Nothing here reads a clock, a file, a socket, the environment or a random source: they are arguments (`clippy.toml` holds it to that).

pub mod alerting;
pub mod alertmanager;
pub mod api;
pub mod catalogue;
pub mod cgroup;
mod checkpoint;
pub mod dashboards;
pub mod expose;
mod glob;
pub mod hpack;
pub mod metrics;
pub mod pods;
pub mod prices;
pub mod profiles;
pub mod promql;
pub mod records;
pub mod resources;
pub mod rpc;
pub mod selected;
pub mod series;
mod slab;
pub mod tasks;
