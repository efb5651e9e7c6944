//! Connections whose end is hard to see: those of Unix sockets, and those whose record the ring buffer refuses.

use super::*;

/// A socket of TCP changes its state, and the programs look for what the agent asked for.
pub(super) fn look_for_closed(session: &mut Session) {
    session.maps().beat().unwrap();
    drop(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn unix_connections_end_whoever_closes_first() {
    for options in &ways() {
        let (mut session, mut calls, group) = observed(options);
        let mut connection = Connection::new(&group, Manner { family: "unix", ..PLAIN });
        connection.open().call(1, "/a.B/C", 5, "0").client(&request(3, "/a.B/D", 5));
        assert_eq!(calls.ended(), both(1, "a.B/C", "OK"));
        look_for_closed(&mut session);
        assert_eq!((calls.after(60 * SECOND).ended(), calls.tracker.connections()), (vec![], 2), "both ends are open");
        // Its own end, which nobody reads of, and then the other one, by the end of the process.
        connection.order("close client");
        look_for_closed(&mut session);
        // When it was closed is not known, and so how long the call took is not either.
        assert_eq!(calls.after(60 * SECOND).ended(), ["1 x client a.B/D lost: gap"]);
        assert_eq!(calls.tracker.connections(), 1);
        drop(connection);
        look_for_closed(&mut session);
        assert_eq!(calls.after(60 * SECOND).ended(), ["1 x server a.B/D lost: gap"]);
        assert_eq!((calls.tracker.connections(), calls.tracker.counts().in_flight), (0, 0));
        let counters = session.maps().http2_counters().unwrap();
        assert_eq!(counters, Http2Counters { records: counters.records, ..Http2Counters::default() });
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_close_while_bytes_are_sent_loses_nothing() {
    for options in &ways() {
        for family in ["inet", "inet6"] {
            let (_session, mut calls, group) = observed(options);
            let mut connection = Connection::new(&group, Manner { family, ..PLAIN });
            let mut begun = indexed_request(3, Some("/a.B/D"));
            begun[4] &= !flag::END_STREAM;
            connection.open().call(1, "/a.B/C", 5, "0").client(&begun);
            assert_eq!(calls.ended(), both(1, "a.B/C", "OK"), "{family}");
            // Of this nothing is told but that the connection is where it ends.
            connection.order(&format!("reset {}", hex(&frame(kind::DATA, 0, 3, &[0x5a; 999]))));
            let ended = calls.after(60 * SECOND).ended();
            assert_eq!(ended, both(1, "a.B/D", "UNAVAILABLE"), "{:?} {family}", options.rpc);
            assert_eq!((calls.tracker.connections(), calls.tracker.counts().gaps), (0, 0), "{family}");
        }
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn closes_that_the_ring_refuses_are_told_later() {
    for options in &ways() {
        let (mut session, mut calls, group) = observed(&Options { frames_bytes: 4096, ..options.clone() });
        let mut connections: Vec<Connection> = (0..3)
            .map(|_| {
                let mut connection = Connection::new(&group, PLAIN);
                connection.open().call(1, "/a.B/C", 5, "0").client(&request(3, "/a.B/D", 5));
                calls.take();
                connection
            })
            .collect();
        assert_eq!((calls.ended(), calls.tracker.counts().in_flight), (both(3, "a.B/C", "OK"), 6));
        // Fills the ring.
        let mut busy = Connection::new(&group, PLAIN);
        busy.open();
        for number in 0..100 {
            busy.call(2 * number + 1, "/a.B/E", 5, "0");
        }
        for connection in &mut connections {
            connection.order("close");
        }
        // The first ones may find room that was too small for frames.
        let counters = session.maps().http2_counters().unwrap();
        assert!(counters.closes_deferred >= 3 && counters.closes_lost == 0, "{counters:?}");
        calls.take_deferred(&mut session);
        let ended = calls.after(60 * SECOND).ended();
        // The calls end as if the record had come by the ring.
        assert!(both(3, "a.B/D", "UNAVAILABLE").iter().all(|line| ended.contains(line)), "{ended:?}");
        assert_eq!(calls.tracker.connections(), 2, "those that are open");
        busy.order("close");
        let ended = calls.after(120 * SECOND).ended();
        let counts = calls.tracker.counts();
        assert_eq!((calls.tracker.connections(), counts.in_flight), (0, 0), "{ended:?}");
        // Nothing waits twice.
        calls.take_deferred(&mut session);
        assert_eq!(calls.after(0).ended(), Vec::<String>::new());
    }
}
