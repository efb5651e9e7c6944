//! Loading and attaching: states, capabilities.

use fleetscope_node_agent::probes::report::{State, table};
use fleetscope_node_agent::probes::{Options, Probes};

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn every_program_attaches() {
    let probes = Probes::load(&Options::default());
    let table = table(probes.report());
    println!("{table}");
    assert!(probes.report().iter().all(|row| row.state == State::Attached), "\n{table}");
    assert_eq!(probes.report().len(), 7);
    for stats in probes.program_stats() {
        println!("{} verified {} instructions", stats.program, stats.verified_insns);
        assert_ne!(stats.verified_insns, 0, "the kernel knows {}", stats.program);
    }
}
