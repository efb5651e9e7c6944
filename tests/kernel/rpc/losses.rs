//! What passes unseen, and what the ring buffer refuses: counted, and nothing wrong is said.

use super::closes::look_for_closed;
use super::*;

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
        calls.tracker.records_lost(0, counters.pieces_lost);
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
fn calls_that_the_ring_refuses_until_their_connection_is_closed_are_counted_exactly() {
    for options in &ways() {
        let (mut session, mut calls, group) = observed(&Options { frames_bytes: 4096, ..options.clone() });
        let (made, of_short) = (400, 2);
        let mut long = Connection::new(&group, PLAIN);
        long.open();
        for number in 0..made {
            long.call(2 * number + 1, "/a.B/C", 5, "0");
        }
        // Of this one the ring takes nothing at all.
        let mut short = Connection::new(&group, PLAIN);
        short.open().call(1, "/a.B/D", 5, "0").call(3, "/a.B/D", 5, "0").order("close");
        long.order("close");
        let counters = session.maps().http2_counters().unwrap();
        assert!(
            counters.records_lost > 0 && counters.closes_deferred == 4 && counters.closes_lost == 0,
            "{counters:?}"
        );
        calls.tracker.records_lost(0, counters.pieces_lost);
        calls.take_deferred(&mut session);
        calls.after(120 * SECOND);
        let counts = *calls.tracker.counts();
        assert_eq!(
            (counts.finished + counts.lost(Loss::Gap), counts.lost(Loss::Unclassified)),
            (2 * u64::from(made), 2 * of_short),
            "{:?} {counts:?}",
            options.rpc
        );
        assert_eq!((counts.in_flight, calls.tracker.connections()), (0, 0));
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_response_that_passes_unseen_before_the_close_is_lost_and_no_error() {
    for options in &ways() {
        for family in ["inet", "inet6", "mptcp", "unix"] {
            if family == "mptcp" && options.rpc != Rpc::Sockets {
                // Without numbers for its bytes only the end of a system call tells that the group was not looked at, and none tells of this.
                continue;
            }
            let (mut session, mut calls, group) = observed(options);
            let mut connection = Connection::new(&group, Manner { family, ..PLAIN });
            connection.open().call(1, "/a.B/C", 5, "0").client(&request(3, "/a.B/D", 5));
            assert_eq!(calls.ended(), both(1, "a.B/C", "OK"), "{family}");
            session.verdict(&group, verdict::TASKS);
            connection.server(&response(3, 5, "0"));
            session.verdict(&group, verdict::RPC);
            connection.order("close");
            drop(connection);
            look_for_closed(&mut session);
            let ended = calls.after(120 * SECOND).ended();
            assert_eq!(
                ended,
                ["1 x client a.B/D lost: gap", "1 x server a.B/D lost: gap"],
                "{:?} {family}",
                options.rpc
            );
            assert_eq!((calls.tracker.connections(), calls.tracker.counts().in_flight), (0, 0), "{family}");
        }
        // When all of it was seen, nobody answered.
        let (_session, mut calls, group) = observed(options);
        let mut connection = Connection::new(&group, PLAIN);
        connection.open().client(&request(1, "/a.B/C", 5)).order("close");
        assert_eq!(calls.after(120 * SECOND).ended(), both(1, "a.B/C", "UNAVAILABLE"), "{:?}", options.rpc);
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn what_passes_while_nobody_looks_makes_later_names_unknown_and_none_wrong() {
    for options in &ways() {
        for family in ["inet", "inet6", "mptcp", "unix"] {
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
