//! What seeing gRPC calls costs: markdown tables on standard output, one section per argument, or all without any.
//!
//! - `kernel`: nanoseconds per run of the programs, and of system calls that have nothing to do with sockets
//! - `application`: what a server and its clients notice: requests per second, processor time, latency
//! - `loss`: calls that were made beside those that were counted and those that are known to be lost
//! - `connections`: memory and processor time of the node agent with 10,000 connections
//! - `decode`: the figures of criterion's benches `hpack` and `rpc`, out of `CRITERION_HOME`
//!
//! The peers are those of `tests/peers`, the load is nghttp2's h2load, the node agent is `FLEETSCOPE_NODE_AGENT`. Nothing here asserts a time:
//! the figures are the machine's.
#![expect(clippy::print_stdout, reason = "the tables are what it is for")]
#![expect(clippy::unwrap_used, reason = "all of it is test code")]
#![expect(clippy::print_stderr, reason = "how far it is")]

#[path = "../../kernel/bpffs.rs"]
#[expect(dead_code, reason = "the kernel suite uses more of it")]
mod bpffs;
#[path = "../../kernel/group.rs"]
#[expect(dead_code, reason = "the kernel suite uses more of it")]
mod group;
#[path = "../../kernel/http2.rs"]
#[expect(dead_code, reason = "the kernel suite uses more of it")]
mod http2;
#[path = "../statistics.rs"]
mod statistics;

mod application;
mod connections;
mod decode;
mod figures;
mod kernel;
mod load;
mod loss;
mod node_agent;
mod scene;

use std::time::Instant;

/// A section of the page.
type Section = (&'static str, &'static str, fn());

const SECTIONS: [Section; 5] = [
    ("kernel", "Programs in the kernel", kernel::print),
    ("application", "What the application notices", application::print),
    ("loss", "Calls that are lost", loss::print),
    ("connections", "10,000 connections", connections::print),
    ("decode", "Decoding", decode::print),
];

fn main() {
    // cargo adds `--bench`.
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    for name in &asked {
        assert!(SECTIONS.iter().any(|section| section.0 == name), "unknown section {name}");
    }
    println!("Kernel {}, {} processors.", statistics::kernel(), std::thread::available_parallelism().unwrap());
    for (name, title, print) in SECTIONS {
        if asked.is_empty() || asked.iter().any(|other| other == name) {
            let start = Instant::now();
            println!("\n### {title}\n");
            print();
            eprintln!("grpc: {name} after {:.0} s", start.elapsed().as_secs_f64());
        }
    }
}
