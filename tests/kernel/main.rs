//! The eBPF programs on the running kernel: attached by the agent's own loader, driven by real processes in cgroups of the test's own.
//!
//! - `attach`: loading, states, capabilities
//! - `tasks`, `exits`: exec and exit, and how processes end
//! - `groups`: cgroups that come and go
//! - `overflow`: full maps
//! - `arguments`: bad input
//! - `storm`: many at once
//! - `runqueue`: run-queue latency
//! - `rpc`: calls of gRPC; `peers`: those of real servers and clients
//! - `restart`, `pins`: what outlives an agent
//! - `group`, `session`, `http2`, `calls`, `bpffs`, `agent`: the harness; `process.rs` and `socket.rs` (with `io_uring.rs`) are programs of their own, `kernel-process` and `kernel-socket`
//!
//! Needs root, or `CAP_BPF`, `CAP_PERFMON` and writable cgroups. Tests share nothing but the kernel.
#![expect(clippy::unwrap_used, reason = "all of it is test code, the functions without #[test] too")]

mod agent;
mod arguments;
mod attach;
mod bpffs;
mod calls;
mod exits;
mod group;
mod groups;
mod http2;
mod overflow;
mod peers;
mod pins;
mod restart;
mod rpc;
mod runqueue;
mod session;
mod storm;
mod tasks;
