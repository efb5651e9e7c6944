//! I/O whose bytes cannot be read: counted, nothing guessed, and the connection is found again.

use fleetscope_ebpf::http2::unreadable;

use super::*;

/// Ways to send, and to receive, that leave nothing to be read; by which reason it is counted behind the socket's I/O and at the end of system
/// calls, where it is counted at all there.
const WAYS: [(&str, &str, Option<usize>, Option<usize>); 12] = [
    ("messages", "read", Some(unreadable::MESSAGES), Some(unreadable::MESSAGES)),
    ("sendfile", "read", Some(unreadable::CALL), Some(unreadable::CALL)),
    ("splice", "read", Some(unreadable::CALL), Some(unreadable::CALL)),
    ("fault", "read", Some(unreadable::FAULT), Some(unreadable::FAULT)),
    ("uring", "read", Some(unreadable::CALL), None),
    ("worker", "read", Some(unreadable::WORKER), None),
    ("write", "messages", Some(unreadable::MESSAGES), Some(unreadable::MESSAGES)),
    ("write", "trunc", Some(unreadable::CALL), Some(unreadable::CALL)),
    // A splice from a socket passes by the tracepoints of its I/O; what it took shows in the place of the next one.
    ("write", "splice", None, Some(unreadable::CALL)),
    ("write", "uring", Some(unreadable::CALL), None),
    ("write", "worker", Some(unreadable::WORKER), None),
    ("write", "behind", Some(unreadable::CALL), None),
];

/// A request as [`indexed_request`], with a message that is large enough for a sender that has to wait.
fn large_request(stream: u32, path: &str) -> Vec<u8> {
    let mut request = indexed_request(stream, Some(path));
    request[4] &= !flag::END_STREAM;
    request.extend(frame(kind::DATA, flag::END_STREAM, stream, &vec![0x5a; 1 << 20]));
    request
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn bytes_that_cannot_be_read_are_counted_and_the_connection_is_found_again() {
    let without = Connection::new(&Group::new(), PLAIN).lacks_io_uring();
    if let Some(reason) = &without {
        fleetscope_tests::skip::skip("bytes_that_cannot_be_read_are_counted: io_uring", reason);
    }
    for options in &ways() {
        let (mut session, mut calls, group) = observed(options);
        for ((sender, receiver, by_socket, by_call), number) in WAYS.into_iter().zip(1..) {
            if without.is_some() && [sender, receiver].iter().any(|way| ["uring", "worker", "behind"].contains(way)) {
                continue;
            }
            let case = format!("{:?} {sender} {receiver}", options.rpc);
            let (before, lost) = (session.maps().http2_counters().unwrap(), lost(&calls));
            let mut connection = Connection::new(&group, PLAIN);
            connection.open().client(&indexed_request(1, Some("/a.B/One"))).server(&response(1, 5, "0"));
            assert_eq!(calls.ended(), both(1, "a.B/One", "OK"), "{case}");
            // One end of this request cannot be read, and inserts another name.
            match (sender, receiver) {
                ("fault", _) => connection.by(sender, receiver, "client", &large_request(3, "/a.B/Two")),
                (_, "behind") => {
                    let [bytes, decoy] = ["/a.B/Two", "/b.A/Owt"].map(|path| indexed_request(3, Some(path)));
                    connection.order(&format!("behind client {} {}", hex(&bytes), hex(&decoy)))
                }
                _ => connection.by(sender, receiver, "client", &indexed_request(3, Some("/a.B/Two"))),
            };
            connection.server(&response(3, 5, "0"));
            // Refers to the name that was inserted last.
            connection.client(&indexed_request(5, None)).server(&response(5, 5, "0"));
            connection.client(&indexed_request(7, Some("/a.B/Three"))).server(&response(7, 5, "0")).order("close");
            let ended = calls.after(number * 120 * SECOND).ended();
            // The end that was read knows all; the other one misses a call, and knows no name that it was not told.
            let (seen, blind) = if receiver == "read" { ("server", "client") } else { ("client", "server") };
            let mut expected = vec![
                format!("1 x {blind} _OTHER OK"),
                format!("1 x {blind} a.B/Three OK"),
                format!("1 x {seen} a.B/Three OK"),
                format!("2 x {seen} a.B/Two OK"),
            ];
            expected.sort_by(|a, b| a[4..].cmp(&b[4..]));
            assert_eq!(ended, expected, "{case}");
            assert_eq!(self::lost(&calls) - lost, 1, "{case}");
            assert_eq!((calls.tracker.counts().in_flight, calls.tracker.connections()), (0, 0), "{case}");
            let counters = session.maps().http2_counters().unwrap();
            let why = if options.rpc == Rpc::Sockets { by_socket } else { by_call };
            for (other, (now, before)) in counters.unreadable.into_iter().zip(before.unreadable).enumerate() {
                assert_eq!(now > before, Some(other) == why, "{case}: {counters:?}");
            }
            // What is seen nowhere else shows in the place of the next I/O.
            assert!(why.is_some() || counters.missed > before.missed, "{case}: {counters:?}");
        }
    }
}

/// Calls that are counted as lost.
fn lost(calls: &Calls) -> u64 {
    Loss::ALL.into_iter().map(|loss| calls.tracker.counts().lost(loss)).sum()
}
#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn connections_of_which_nothing_can_be_read_are_counted() {
    for (sender, receiver) in [("sendfile", "trunc"), ("uring", "worker")] {
        let options = &ways()[0];
        let (mut session, mut calls, group) = observed(options);
        let mut connection = Connection::new(&group, Manner { sender, receiver, ..PLAIN });
        if let Some(reason) = connection.lacks_io_uring().filter(|_| sender == "uring") {
            fleetscope_tests::skip::skip("connections_of_which_nothing_can_be_read_are_counted: io_uring", &reason);
            continue;
        }
        connection.open();
        for stream in (1..=199).step_by(2) {
            connection.call(stream, "/a.B/C", 5, "0");
        }
        connection.order("close");
        assert_eq!(calls.ended(), Vec::<String>::new(), "{sender} {receiver}");
        let counts = calls.tracker.counts();
        assert_eq!((counts.opaque(Opaque::Unreadable), calls.tracker.connections()), (2, 0), "{sender} {receiver}");
        // What can be read and is something else is not counted.
        let mut other = Connection::new(&group, PLAIN);
        for number in 0..100 {
            let way = if number % 9 == 0 { "write" } else { "sendfile" };
            other.by(way, "read", "client", b"GET / HTTP/1.1\r\n\r\n").by(
                way,
                "read",
                "server",
                b"HTTP/1.1 200 OK\r\n\r\n",
            );
        }
        other.order("close");
        assert_eq!((calls.take().tracker.counts().opaque(Opaque::Unreadable), calls.records), (2, 2));
        let counters = session.maps().http2_counters().unwrap();
        assert_eq!(counters, Http2Counters { records: 2, ..Http2Counters::default() });
    }
}
