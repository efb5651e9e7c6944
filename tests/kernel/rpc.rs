//! Calls of gRPC on sockets of the test's own: every system call that carries them, every way to cut them, and what is none.

use fleetscope_core::rpc::{Loss, Opaque, Unnamed};
use fleetscope_ebpf::http2::frame::{flag, kind};
use fleetscope_ebpf::http2::{Http2Counters, unreadable};
use fleetscope_ebpf::verdict;
use fleetscope_node_agent::probes::programs::RPC;
use fleetscope_node_agent::probes::report;
use fleetscope_node_agent::probes::{Options, Rpc};

use crate::calls::Calls;
use crate::group::Group;
use crate::http2::{
    Connection, Manner, PLAIN, client_opens, frame, hex, indexed_request, request, response, server_opens,
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
fn a_call_may_be_cut_anywhere() {
    for options in &ways() {
        let (_session, mut calls, group) = observed(options);
        let whole = client_opens().len() + request(1, "/a.B/C", 20).len();
        for chunk in 1..=whole {
            let (sender, receiver) = if chunk % 2 == 0 { ("write", "read") } else { ("sendmsg", "recvmsg") };
            let mut connection = Connection::new(&group, Manner { sender, receiver, chunk, ..PLAIN });
            connection.client(&[client_opens(), request(1, "/a.B/C", 20)].concat());
            connection.server(&[server_opens(), response(1, 20, "13")].concat()).order("close");
            assert_eq!(calls.ended(), both(1, "a.B/C", "INTERNAL"), "{chunk} bytes at a time");
        }
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn hundreds_of_calls_in_one_write_are_all_seen() {
    for options in &ways() {
        let (_session, mut calls, group) = observed(options);
        let mut connection = Connection::new(&group, PLAIN);
        connection.open();
        // A chain of programs goes some 300 frames far.
        let last = if options.bpf_loop { 1601 } else { 201 };
        let streams = || (1..=last).step_by(2);
        connection.client(&streams().flat_map(|stream| request(stream, "/a.B/C", 0)).collect::<Vec<u8>>());
        connection.server(&streams().flat_map(|stream| response(stream, 0, "0")).collect::<Vec<u8>>());
        assert_eq!(calls.ended(), both(streams().count(), "a.B/C", "OK"));
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn blocks_of_every_length_are_read_wherever_they_lie() {
    for options in &ways() {
        let (_session, mut calls, group) = observed(options);
        let mut connection = Connection::new(&group, PLAIN);
        connection.open();
        // Short ones, such as are copied out of what was read for their headers, and longer ones; at its end, across it, behind it.
        let names: Vec<String> = (1..=120).map(|length| format!("p.S/{}", "m".repeat(length))).collect();
        let streams = || (1..).step_by(2).zip(&names);
        connection.client(&streams().flat_map(|(id, name)| request(id, &format!("/{name}"), 3)).collect::<Vec<u8>>());
        connection.server(&streams().flat_map(|(id, _)| response(id, 0, "0")).collect::<Vec<u8>>());
        let mut expected: Vec<String> = names.iter().flat_map(|name| both(1, name, "OK")).collect();
        expected.sort_by_key(|line| line[4..].to_owned());
        assert_eq!(calls.ended(), expected);
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn blocks_may_go_over_many_frames_and_many_reads() {
    for options in &ways() {
        let (_session, mut calls, group) = observed(options);
        let mut connection = Connection::new(&group, Manner { chunk: 1000, ..PLAIN });
        let whole = request(1, "/a.B/C", 0);
        let block = &whole[9..whole.len() - 9];
        // A field of 20,000 bytes: a literal without indexing, its name `x`, the length as an integer of four bytes (RFC 7541, 5.1).
        let mut long = [&[0, 1, b'x'][..], &[0x7f, 0xa1, 0x9b, 0x01]].concat();
        long.resize(long.len() + 20_000, b'v');
        let rest = [block, &long].concat();
        let mut frames = Vec::new();
        for (at, part) in rest.chunks(7000).enumerate() {
            let last = if (at + 1) * 7000 >= rest.len() { flag::END_HEADERS } else { 0 };
            let of = if at == 0 { kind::HEADERS } else { kind::CONTINUATION };
            frames.extend(frame(of, last | if at == 0 { flag::END_STREAM } else { 0 }, 1, part));
        }
        connection.open().client(&frames).server(&response(1, 0, "0"));
        assert_eq!(calls.ended(), both(1, "a.B/C", "OK"));
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
        let whole = response(1, 10, "0");
        // Everything but the trailers; the stream goes on while the test waits for the clock.
        let trailers = whole.len() - (9 + 1 + 1 + 11 + 1 + 1);
        connection.server(&whole[..trailers]);
        while start.elapsed() < std::time::Duration::from_millis(50) {
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
fn bytes_that_cannot_be_read_are_counted_and_the_connection_is_found_again() {
    for options in &ways() {
        let reasons = [
            ("messages", "read", unreadable::MESSAGES),
            ("sendfile", "read", unreadable::CALL),
            ("write", "trunc", unreadable::CALL),
        ];
        for (sender, receiver, why) in reasons {
            let (mut session, mut calls, group) = observed(options);
            // The other system calls first, so that there is a connection that can be lost.
            let mut before = Connection::new(&group, PLAIN);
            before.open().call(1, "/a.B/C", 5, "0");
            assert_eq!(calls.ended(), both(1, "a.B/C", "OK"));
            let mut connection = Connection::new(&group, Manner { sender, receiver, ..PLAIN });
            connection.open().call(1, "/a.B/C", 50, "0").order("close");
            let ended = calls.after(120 * SECOND).ended();
            // Of the end that was read all is known, of the other one nothing is invented.
            assert!(
                ended.iter().all(|line| line.contains("a.B/C OK") || line.contains("lost")),
                "{sender} {receiver}: {ended:?}"
            );
            assert_eq!(calls.tracker.counts().in_flight, 0, "{sender} {receiver}");
            let counters = session.maps().http2_counters().unwrap();
            println!("{sender} {receiver}: {counters:?}, {ended:?}");
            if receiver == "trunc" {
                // The first I/O of a connection that cannot be read proves nothing; whether it counts depends on what was known by then.
                continue;
            }
            assert!(
                counters.unreadable.iter().enumerate().all(|(other, count)| other == why || *count == 0),
                "{counters:?}"
            );
        }
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn what_the_ring_refuses_is_counted_exactly() {
    for options in &ways() {
        let (mut session, mut calls, group) = observed(&Options { frames_bytes: 4096, ..options.clone() });
        let made = 400;
        let mut connection = Connection::new(&group, PLAIN);
        connection.open();
        for number in 0..made {
            connection.call(2 * number + 1, "/a.B/C", 5, "0");
        }
        // The ring holds the first ones; the rest was refused while nobody read.
        calls.take();
        let counters = session.maps().http2_counters().unwrap();
        assert_eq!(u64::try_from(calls.records).unwrap(), counters.records);
        assert!(counters.records_lost > 0, "{counters:?}");
        calls.tracker.records_lost(0);
        // The next records show the gap; what began and ended inside it is not known to have been.
        connection.call(2 * made + 1, "/a.B/D", 5, "0").order("close");
        let ended = calls.after(120 * SECOND).ended();
        assert!(
            ended.contains(&"1 x client a.B/D OK".to_owned()) && ended.contains(&"1 x server a.B/D OK".to_owned()),
            "{ended:?}"
        );
        let counts = *calls.tracker.counts();
        // The books balance: each call was seen to its end, at each end of it, or is counted as lost.
        let calls_made = 2 * u64::from(made + 1);
        assert_eq!((counts.in_flight, counts.finished + counts.lost(Loss::Gap)), (0, calls_made), "{counts:?}");
        assert!(counts.gaps >= 2, "{counts:?}");
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn what_passes_while_nobody_looks_makes_later_names_unknown_and_none_wrong() {
    for options in &ways() {
        for family in ["inet", "inet6", "unix"] {
            // System calls on Unix sockets have nothing by which a time without verdict could be told afterwards.
            if family == "unix" && options.rpc == Rpc::Syscalls {
                continue;
            }
            let (mut session, mut calls, group) = observed(options);
            let mut connection = Connection::new(&group, Manner { family, ..PLAIN });
            connection.open();
            let call = |connection: &mut Connection, stream, path| {
                connection.client(&indexed_request(stream, path)).server(&response(stream, 5, "0"));
            };
            call(&mut connection, 1, Some("/a.B/One"));
            call(&mut connection, 3, None);
            assert_eq!(calls.ended(), both(2, "a.B/One", "OK"), "{family}");
            // The entry that was inserted last is another one, and nobody saw that.
            session.verdict(&group, verdict::TASKS);
            call(&mut connection, 5, Some("/a.B/Two"));
            session.verdict(&group, verdict::RPC);
            call(&mut connection, 7, None);
            call(&mut connection, 9, Some("/a.B/Three"));
            call(&mut connection, 11, None);
            let ended = calls.after(120 * SECOND).ended();
            assert_eq!(ended, sorted(&[both(2, "a.B/Three", "OK"), both(1, "_OTHER", "OK")]), "{family}");
        }
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
