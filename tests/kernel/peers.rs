//! Real gRPC servers and clients: what the kernel's records tell of their calls is what both ends have counted themselves.
//!
//! A short version of `make bench-accuracy`: pairs of one language, and grpc-go with C-core in both directions.

use fleetscope_core::rpc::Loss;
use fleetscope_ebpf::verdict;
use fleetscope_node_agent::probes::programs::RPC;
use fleetscope_node_agent::probes::report;
use fleetscope_node_agent::probes::{Options, Rpc};
use fleetscope_tests::peers::{Account, Client, Language, Role, Server};
use fleetscope_tests::skip::skip;

use crate::calls::Calls;
use crate::group::Group;
use crate::session::Session;

/// All kinds of calls; all statuses, with and without headers before them; header blocks from one frame to many.
const ROUNDS: [&str; 2] = [
    "--kind unary,client,server,bidi --calls 51 --concurrency 8 --connections 2 --status mix --messages 3 --bytes 20000 --metadata-bytes 300",
    "--kind unary,bidi --calls 4 --concurrency 2 --metadata-bytes 16384",
];

#[test]
#[ignore = "needs CAP_BPF and gRPC peers: make test-kernel"]
fn go() {
    pair("go", Language::Go, Language::Go);
}

#[test]
#[ignore = "needs CAP_BPF and gRPC peers: make test-kernel"]
fn python() {
    pair("python", Language::Python, Language::Python);
}

#[test]
#[ignore = "needs CAP_BPF and gRPC peers: make test-kernel"]
fn java() {
    pair("java", Language::Java, Language::Java);
}

#[test]
#[ignore = "needs CAP_BPF and gRPC peers: make test-kernel"]
fn node() {
    pair("node", Language::Node, Language::Node);
}

#[test]
#[ignore = "needs CAP_BPF and gRPC peers: make test-kernel"]
fn rust() {
    pair("rust", Language::Rust, Language::Rust);
}

#[test]
#[ignore = "needs CAP_BPF and gRPC peers: make test-kernel"]
fn a_go_client_and_a_python_server() {
    pair("a_go_client_and_a_python_server", Language::Go, Language::Python);
}

#[test]
#[ignore = "needs CAP_BPF and gRPC peers: make test-kernel"]
fn a_python_client_and_a_go_server() {
    pair("a_python_client_and_a_go_server", Language::Python, Language::Go);
}

/// Both ends of all calls are seen as both peers count them, in each way to see calls.
fn pair(test: &str, client: Language, server: Language) {
    for language in [client, server] {
        if let Err(reason) = language.program() {
            return skip(&format!("peers::{test}"), &reason);
        }
    }
    for rpc in [Rpc::Sockets, Rpc::Syscalls] {
        let mut session = Session::with(&Options { runqueue: false, rpc, ..Options::default() });
        assert!(session.probes.attached(RPC), "\n{}", report::table(session.probes.report()));
        let group = Group::new();
        session.verdict(&group, verdict::RPC);
        let mut calls = Calls::new(&mut session);
        let serving = Server::start(server, Some(group.folder()), &[]).unwrap();
        let mut expected = Vec::new();
        for round in ROUNDS {
            let arguments: Vec<&str> = round.split(' ').collect();
            let account = Client::run(client, Some(group.folder()), serving.address(), &arguments).unwrap();
            // Read between the rounds, as the ring buffer holds what nobody reads only up to its size.
            calls.take();
            add(&mut expected, &account);
        }
        add(&mut expected, &serving.stop().unwrap());
        let mut ended = calls.ended();
        let mut expected: Vec<String> = lines(expected);
        ended.sort();
        expected.sort();
        let counters = session.maps().http2_counters().unwrap();
        assert_eq!(ended, expected, "{rpc:?}: {counters:?}");
        let counts = *calls.tracker.counts();
        let lost: u64 = Loss::ALL.iter().map(|loss| counts.lost(*loss)).sum();
        assert_eq!((counts.faults, counts.gaps, counts.in_flight, lost), (0, 0, 0, 0), "{rpc:?}: {counts:?}");
    }
}

/// Adds what a peer counted: role, method, status, and how many.
fn add(all: &mut Vec<(String, u64)>, account: &Account) {
    for ((role, method, status), calls) in account {
        let role = if *role == Role::Client { "client" } else { "server" };
        let what = format!("{role} {method} {status}");
        match all.iter_mut().find(|(known, _)| *known == what) {
            Some((_, count)) => *count += calls.count,
            None => all.push((what, calls.count)),
        }
    }
}

/// As [`Calls::ended`] writes it.
fn lines(all: Vec<(String, u64)>) -> Vec<String> {
    all.into_iter().map(|(what, count)| format!("{count} x {what}")).collect()
}
