//! Calls of gRPC on sockets of the test's own: every system call that carries them, every way to cut them, and what is none.

mod closes;
mod cuts;
mod losses;
mod unread;

use fleetscope_core::rpc::{Loss, Opaque, Unnamed};
use fleetscope_ebpf::http2::Http2Counters;
use fleetscope_ebpf::http2::frame::{flag, kind};
use fleetscope_ebpf::verdict;
use fleetscope_node_agent::probes::programs::RPC;
use fleetscope_node_agent::probes::report;
use fleetscope_node_agent::probes::{Options, Rpc};

use crate::calls::Calls;
use crate::group::Group;
use crate::http2::{
    Connection, Manner, PLAIN, client_opens, frame, hex, indexed_request, request, request_with, response, server_opens,
};
use crate::session::Session;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// Probes of one test, with a tracked group.
fn observed(options: &Options) -> (Session, Calls, Group) {
    let (mut session, group) = (Session::with(options), Group::new());
    assert!(session.probes.attached(RPC), "\n{}", report::table(session.probes.report()));
    session.verdict(&group, verdict::RPC);
    let calls = Calls::new(&mut session);
    (session, calls, group)
}

/// Every way to see calls: behind the socket's I/O; at the end of system calls; the same on kernels without `bpf_loop`.
fn ways() -> [Options; 3] {
    let options = |rpc, bpf_loop| Options { runqueue: false, rpc, bpf_loop, ..Options::default() };
    [options(Rpc::Sockets, true), options(Rpc::Syscalls, true), options(Rpc::Syscalls, false)]
}

/// Both ends of as many calls.
fn both(count: usize, path: &str, status: &str) -> Vec<String> {
    ["client", "server"].map(|role| format!("{count} x {role} {path} {status}")).to_vec()
}

/// Lines of several kinds of calls, in the order of [`Calls::ended`].
fn sorted(lines: &[Vec<String>]) -> Vec<String> {
    let mut lines = lines.concat();
    lines.sort_by(|a, b| a.split_once(" x ").map(|(_, line)| line).cmp(&b.split_once(" x ").map(|(_, line)| line)));
    lines
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn every_system_call_of_every_family_carries_calls_exactly() {
    for options in &ways() {
        let (mut session, mut calls, group) = observed(options);
        let ways = [
            ("write", "read"),
            ("writev", "readv"),
            ("sendto", "recvfrom"),
            ("sendmsg", "recvmsg"),
            ("sendmmsg", "recvmmsg"),
            ("write", "peek"),
            ("many", "readv"),
        ];
        for family in ["inet", "inet6", "unix"] {
            for (sender, receiver) in ways {
                let mut connection = Connection::new(&group, Manner { family, sender, receiver, ..PLAIN });
                connection.open().order("refused");
                for stream in (1..=19).step_by(2) {
                    connection.call(stream, "/a.B/C", 100, "0");
                }
                connection.order("refused").call(21, "/a.B/D", 40_000, "5").order("close");
                let expected = [both(10, "a.B/C", "OK"), both(1, "a.B/D", "NOT_FOUND")].concat();
                let (mut ended, mut expected) = (calls.ended(), expected);
                ended.sort();
                expected.sort();
                assert_eq!(ended, expected, "{family} {sender} {receiver}");
            }
        }
        let counters = session.maps().http2_counters().unwrap();
        assert_eq!(counters, Http2Counters { records: counters.records, ..Http2Counters::default() });
        assert_eq!(
            (calls.tracker.counts().faults, calls.tracker.counts().gaps, calls.tracker.counts().in_flight),
            (0, 0, 0)
        );
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn durations_are_from_the_request_to_the_end_of_the_stream() {
    for options in &ways() {
        let (_session, mut calls, group) = observed(options);
        let mut connection = Connection::new(&group, PLAIN);
        connection.open();
        let start = std::time::Instant::now();
        connection.client(&request(1, "/a.B/Stream", 5));
        // The request has been seen by now, however long this thread did not run meanwhile.
        let sent = std::time::Instant::now();
        let whole = response(1, 10, "0");
        // Everything but the trailers; the stream goes on while the test waits for the clock.
        let trailers = whole.len() - (9 + 1 + 1 + 11 + 1 + 1);
        connection.server(&whole[..trailers]);
        while sent.elapsed() < std::time::Duration::from_millis(50) {
            std::thread::yield_now();
        }
        connection.server(&whole[trailers..]);
        let most = u64::try_from(start.elapsed().as_nanos()).unwrap();
        assert_eq!(calls.ended(), both(1, "a.B/Stream", "OK"));
        assert!(
            calls.durations.iter().all(|took| (50_000_000..=most).contains(took)),
            "{:?} of {most}",
            calls.durations
        );
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn what_a_server_reads_late_is_no_time_that_its_client_had_less() {
    let timeout = std::time::Duration::from_millis(800);
    for options in &ways() {
        for family in ["inet", "inet6"] {
            let (_session, mut calls, group) = observed(options);
            let mut connection = Connection::new(&group, Manner { family, ..PLAIN });
            connection.open();
            let request = |stream| hex(&request_with(stream, "/a.B/C", 5, &[("grpc-timeout", "800m")]));
            let reset = |stream| frame(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes());
            // The client's clock runs out, half a second after the server has read of the call.
            let start = std::time::Instant::now();
            connection.order(&format!("late 300 client {}", request(1)));
            while start.elapsed() < timeout {
                std::thread::yield_now();
            }
            connection.client(&reset(1));
            assert_eq!(calls.ended(), both(1, "a.B/C", "DEADLINE_EXCEEDED"), "{:?} {family}", options.rpc);
            // It does not.
            connection.order(&format!("late 300 client {}", request(3))).client(&reset(3));
            assert_eq!(calls.ended(), both(1, "a.B/C", "CANCELLED"), "{:?} {family}", options.rpc);
        }
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn the_close_of_a_connection_ends_its_calls() {
    for options in &ways() {
        let (_session, mut calls, group) = observed(options);
        let mut connection = Connection::new(&group, PLAIN);
        connection.open().client(&request(1, "/a.B/C", 5)).client(&request(3, "/a.B/C", 5)).order("close");
        assert_eq!(calls.after(0).ended(), Vec::<String>::new(), "the last bytes may still come");
        assert_eq!(calls.after(60 * SECOND).ended(), both(2, "a.B/C", "UNAVAILABLE"));
        assert_eq!(calls.tracker.connections(), 0);
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn connections_that_were_open_before_the_probes_are_joined() {
    for options in &ways() {
        let group = Group::new();
        let mut connection = Connection::new(&group, PLAIN);
        connection.open().call(1, "/a.B/C", 5, "0").client(&request(3, "/a.B/C", 5));
        let mut session = Session::with(options);
        session.verdict(&group, verdict::RPC);
        let mut calls = Calls::new(&mut session);
        connection.call(5, "/a.B/D", 5, "0").server(&response(3, 5, "0"));
        // The response to a request that was not seen: counted as lost, once per end.
        assert_eq!(calls.after(60 * SECOND).ended(), both(1, "a.B/D", "OK"));
        let counts = calls.tracker.counts();
        assert_eq!((counts.started, counts.in_flight, counts.lost(Loss::Joined)), (2, 0, 2), "{counts:?}");
        assert_eq!(counts.unnamed(Unnamed::Joined), 0);
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn groups_without_the_verdict_are_not_looked_at() {
    for options in &ways() {
        let (mut session, mut calls, group) = observed(options);
        let (other, ignored) = (Group::new(), Group::new());
        session.verdict(&ignored, verdict::TASKS);
        for group in [&other, &ignored] {
            Connection::new(group, PLAIN).open().call(1, "/a.B/C", 5, "0").order("close");
        }
        assert_eq!((calls.ended(), calls.records), (vec![], 0));
        Connection::new(&group, PLAIN).open().call(1, "/a.B/C", 5, "0").order("close");
        assert_eq!(calls.ended(), both(1, "a.B/C", "OK"));
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn other_protocols_give_nothing() {
    for options in &ways() {
        let (mut session, mut calls, group) = observed(options);
        let redis = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n".repeat(40);
        let http1 = b"GET /a.B/C HTTP/1.1\r\nhost: peer\r\ncontent-type: application/grpc\r\n\r\n".repeat(40);
        // yamux: version 0, type 0 to 3, flags, stream, length.
        let yamux: Vec<u8> = (0..200_u8).flat_map(|i| [0, i % 3, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]).collect();
        let noise: Vec<u8> = (0..20_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for bytes in [&redis[..], &http1, &yamux, &noise] {
            for chunk in [9, 512, 1 << 20] {
                let mut connection = Connection::new(&group, Manner { chunk, ..PLAIN });
                connection.client(bytes).server(bytes).order("close");
            }
        }
        assert_eq!((calls.ended(), calls.records), (vec![], 0));
        // A client's first record of TLS 1.3.
        let mut hello = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
        hello.resize(512 + 5, 7);
        let mut connection = Connection::new(&group, PLAIN);
        connection.client(&hello).server(&hello).order("close");
        assert_eq!((calls.ended(), calls.records), (vec![], 2), "one word per end that it is encrypted");
        assert_eq!(calls.tracker.counts().opaque(Opaque::Tls), 2);
        assert_eq!(session.maps().http2_counters().unwrap(), Http2Counters { records: 2, ..Http2Counters::default() });
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn the_first_bytes_of_both_directions_may_come_at_the_same_moment() {
    for options in &ways() {
        let (mut session, mut calls, group) = observed(options);
        let mut connection = Connection::new(&group, PLAIN);
        let [server_opens, client_opens, call, answer] =
            [server_opens(), client_opens(), indexed_request(1, Some("/a.B/C")), response(1, 5, "0")]
                .map(|bytes| hex(&bytes));
        for _ in 0..2 {
            connection.order(&format!("race 1200 {server_opens} {client_opens} {call} {answer}"));
            assert_eq!(calls.ended(), both(1200, "a.B/C", "OK"));
        }
        let counters = session.maps().http2_counters().unwrap();
        assert_eq!(counters, Http2Counters { records: counters.records, ..Http2Counters::default() });
        assert_eq!((calls.tracker.counts().gaps, calls.tracker.counts().opaque(Opaque::Joined)), (0, 0));
    }
}
