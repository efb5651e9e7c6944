//! The harness of the suites: what it takes to drive a real cluster, and to compare what was measured with the truth.
//!
//! - [`cluster`]: the cluster that `KUBECONFIG` names, its API server's proxy, `kubectl`.
//! - [`namespace`]: a namespace for one test, removed at its end; what was in it is printed when the test fails.
//! - [`release`]: the chart in that cluster, installed as the test wants it.
//! - [`node_agents`]: the node agents, and what they serve.
//! - [`prometheus`]: what Prometheus answers.
//! - [`image`]: images of the suite's own programs, in the cluster.
//! - [`workload`]: pods that start a known mix of processes and say what they started.
//! - [`peers`]: real gRPC servers and clients with their own account of their calls; [`pod_peer`]: the same in pods.
//! - [`webhook`]: a receiver of webhooks in a pod, which says what Alertmanager told it.
//! - [`faults`]: a proxy before the API server at which requests fail; [`audit`]: what the API server was asked, and by which right.
//! - [`signed_rank`]: by how much two things differ that were measured in pairs.
//! - [`exposition`], [`command`], [`wait`], [`skip`]: text format, programs, waiting with a limit, tests that cannot run here.

pub mod alertmanager;
pub mod audit;
pub mod cluster;
pub mod command;
pub mod exposition;
pub mod faults;
pub mod image;
pub mod namespace;
pub mod node_agents;
pub mod peers;
pub mod pod_peer;
pub mod prometheus;
pub mod release;
pub mod signed_rank;
pub mod skip;
pub mod versions;
pub mod wait;
pub mod webhook;
pub mod workload;
