//! What ends a call, and with which status.

use super::wire::{
    Sheet, Wire, block, data_end, found_closed, go_away, headers, kind, last, request, request_with, reset, response,
    trailers,
};
use super::{MS, Rig};
use crate::rpc::frame::Direction;
use crate::rpc::{Loss, Role, Status};

/// Codes of `RST_STREAM` (RFC 9113 section 7).
const NO_ERROR: u32 = 0;
const CANCEL: u32 = 8;

/// Texts of OpenTelemetry's `rpc.status_code`, by code (grpc/doc/statuscodes.md).
const TEXTS: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The last line of a call of a client that starts at 1 with a timeout, if any, and sees these frames at 1000 ms.
fn ending(timeout: Option<&str>, sent: &[Wire], received: &[Wire]) -> String {
    let mut rig = Rig::new();
    let timeout: Vec<_> = timeout.iter().map(|timeout| ("grpc-timeout", *timeout)).collect();
    let fields = [&[("content-type", "application/grpc")][..], &timeout].concat();
    rig.sent(1, &[headers(1, &request_with("/a.B/C", &fields))]);
    if !sent.is_empty() {
        rig.sent(1000, sent);
    }
    if !received.is_empty() {
        rig.received(1000, received);
    }
    assert_eq!((rig.counts().in_flight, rig.counts().finished), (0, 1));
    rig.lines().pop().unwrap()
}

#[test]
fn the_calls_of_a_connection_that_was_found_closed_are_lost_as_nobody_knows_how_long_they_took() {
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]).lines();
    let found = found_closed(rig.cookie, 900 * MS);
    rig.bytes(&found, 1000 * MS);
    assert_eq!(rig.lines(), ["1 a.B/C lost: gap"]);
    assert_eq!((rig.tracker.connections(), rig.counts().in_flight, rig.counts().open), (0, 0, 0));
    // Of one whose close was told, and of one that is not held, it says nothing.
    rig.bytes(&found, 1000 * MS);
    let mut told = Rig::new();
    told.sent(1, &[headers(1, &request("/a.B/C"))]).close(500).bytes(&found, 600 * MS).tick(60_000);
    assert_eq!(told.lines().last().unwrap(), "1 client a.B/C 1..500 UNAVAILABLE");
    assert_eq!((rig.lines(), told.tracker.connections()), (vec![], 0));
}

#[test]
fn every_status_has_its_text_in_trailers_and_in_trailers_only() {
    for (code, text) in TEXTS.iter().enumerate() {
        let code = code.to_string();
        let usual = [headers(1, &response()), last(1, &trailers(&code))];
        assert_eq!(ending(None, &[], &usual), format!("1 client a.B/C 1..1000 (1000) {text}"));
        let only = [last(1, &[response(), trailers(&code)].concat())];
        assert_eq!(ending(None, &[], &only), format!("1 client a.B/C 1..1000 (1000) {text}"));
    }
    for (code, text) in [("17", "UNKNOWN"), ("4294967295", "UNKNOWN"), ("", "_OTHER"), ("zero", "_OTHER")] {
        let usual = [headers(1, &response()), last(1, &trailers(code))];
        assert_eq!(ending(None, &[], &usual), format!("1 client a.B/C 1..1000 (1000) {text}"), "{code}");
    }
}

#[test]
fn a_response_without_grpc_status_has_what_its_http_status_stands_for() {
    let cases = [
        ("200", "UNKNOWN"),
        ("400", "INTERNAL"),
        ("401", "UNAUTHENTICATED"),
        ("403", "PERMISSION_DENIED"),
        ("404", "UNIMPLEMENTED"),
        ("429", "UNAVAILABLE"),
        ("431", "INTERNAL"),
        ("502", "UNAVAILABLE"),
        ("503", "UNAVAILABLE"),
        ("504", "UNAVAILABLE"),
        ("500", "UNKNOWN"),
        ("302", "UNKNOWN"),
    ];
    for (http, text) in cases {
        let line = format!("1 client a.B/C 1..1000 (1000) {text}");
        let answer = block(&[(":status", http), ("content-type", "text/html")]);
        assert_eq!(ending(None, &[], &[last(1, &answer)]), line);
        assert_eq!(ending(None, &[], &[headers(1, &answer), data_end(1)]), line);
        assert_eq!(ending(None, &[], &[headers(1, &answer), last(1, &block(&[("x", "y")]))]), line);
    }
}

#[test]
fn a_reset_has_what_its_code_stands_for_whoever_sends_it() {
    let cases = [
        (NO_ERROR, "INTERNAL"),
        (1, "INTERNAL"),
        (2, "INTERNAL"),
        (3, "INTERNAL"),
        (4, "INTERNAL"),
        (5, "INTERNAL"),
        (6, "INTERNAL"),
        (7, "UNAVAILABLE"),
        (CANCEL, "CANCELLED"),
        (9, "INTERNAL"),
        (10, "INTERNAL"),
        (11, "RESOURCE_EXHAUSTED"),
        (12, "PERMISSION_DENIED"),
        (13, "INTERNAL"),
        (0xdead_beef, "INTERNAL"),
    ];
    for (code, text) in cases {
        let line = format!("1 client a.B/C 1..1000 {text}");
        assert_eq!(ending(None, &[reset(1, code)], &[]), line, "{code}");
        assert_eq!(ending(None, &[], &[reset(1, code)]), line, "{code}");
    }
}

#[test]
fn a_cancel_after_the_timeout_is_the_deadline() {
    // The reset comes 999 ms after the request; 100 ms and a 64th of the timeout are the way from the client's clock to the wire.
    let cases = [
        ("1S", "DEADLINE_EXCEEDED"),
        ("999m", "DEADLINE_EXCEEDED"),
        ("1116m", "DEADLINE_EXCEEDED"),
        ("1117m", "CANCELLED"),
        ("2S", "CANCELLED"),
        ("1M", "CANCELLED"),
        ("99999999H", "CANCELLED"),
        ("998000u", "DEADLINE_EXCEEDED"),
        ("1n", "DEADLINE_EXCEEDED"),
        ("soon", "_OTHER"),
    ];
    for (timeout, text) in cases {
        let line = format!("1 client a.B/C 1..1000 {text}");
        assert_eq!(ending(Some(timeout), &[reset(1, CANCEL)], &[]), line, "{timeout}");
        assert_eq!(ending(Some(timeout), &[], &[reset(1, CANCEL)]), line, "{timeout}");
        let other = ending(Some(timeout), &[reset(1, 7)], &[]);
        assert_eq!(other, "1 client a.B/C 1..1000 UNAVAILABLE", "{timeout}");
    }
}

#[test]
fn of_a_short_timeout_seven_eighths_have_to_pass() {
    // A client that hedges resets the slower call at any time: here 76 ms, and 88 ms, after its request.
    for (at, text) in [(77, "CANCELLED"), (88, "CANCELLED"), (89, "DEADLINE_EXCEEDED")] {
        let mut rig = Rig::new();
        let timed = request_with("/a.B/C", &[("content-type", "application/grpc"), ("grpc-timeout", "100m")]);
        rig.sent(1, &[headers(1, &timed)]).sent(at, &[reset(1, CANCEL)]);
        assert_eq!(rig.lines(), ["1 client a.B/C starts at 1".to_owned(), format!("1 client a.B/C 1..{at} {text}")]);
    }
}

#[test]
fn a_request_that_waited_in_the_servers_socket_had_come_by_then() {
    // The server reads of the call 60 ms after it came; its reset comes 40 ms later.
    for (waited, text) in [(0, "CANCELLED"), (60_000, "DEADLINE_EXCEEDED"), (u32::MAX, "DEADLINE_EXCEEDED")] {
        let mut rig = Rig::new();
        let timed = request_with("/a.B/C", &[("content-type", "application/grpc"), ("grpc-timeout", "100m")]);
        let request = headers(1, &timed).cut(&[]);
        rig.sheet(&Sheet { waited, ..Sheet::new(1, Direction::Received, 61 * MS, 0, request) });
        rig.pass(Direction::Received, 1).received(101, &[reset(1, CANCEL)]);
        assert_eq!(
            rig.lines(),
            ["1 server a.B/C starts at 61".to_owned(), format!("1 server a.B/C 61..101 {text}")],
            "how long it took is told as the server knows it"
        );
    }
}

#[test]
fn the_first_end_counts() {
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]);
    rig.received(2, &[headers(1, &response()), last(1, &trailers("0")), reset(1, NO_ERROR)]);
    rig.sent(3, &[reset(1, CANCEL), data_end(1)]).received(4, &[last(1, &trailers("2"))]).close(5).tick(5_000);
    assert_eq!(rig.lines(), ["1 client a.B/C starts at 1", "1 answers at 2", "1 client a.B/C 1..2 (2) OK"]);
    rig.sent(6_000, &[]);
    assert_eq!(rig.counts().lost, [0; 8]);
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C")), reset(1, CANCEL)]).received(2, &[last(1, &trailers("0"))]);
    assert_eq!(rig.lines(), ["1 client a.B/C starts at 1", "1 client a.B/C 1..1 CANCELLED"]);
}

#[test]
fn a_go_away_ends_what_its_server_does_not_take() {
    let mut rig = Rig::new();
    let calls: Vec<_> = [1, 3, 5].map(|stream| headers(stream, &request("/a.B/C"))).into();
    rig.sent(1, &calls).received(2, &[go_away(0x7fff_ffff)]);
    rig.lines();
    assert_eq!(rig.counts().in_flight, 3);
    rig.received(3, &[go_away(1)]).sent(4, &[headers(7, &request("/a.B/C"))]).sent(5, &[go_away(0)]);
    rig.received(6, &[last(1, &[response(), trailers("0")].concat())]);
    assert_eq!(
        rig.lines(),
        [
            "3 client a.B/C 1..3 UNAVAILABLE",
            "5 client a.B/C 1..3 UNAVAILABLE",
            "7 client a.B/C starts at 4",
            "7 client a.B/C 4..4 UNAVAILABLE",
            "1 answers at 6",
            "1 client a.B/C 1..6 (6) OK",
        ]
    );
}

#[test]
fn a_close_ends_all_calls_but_those_whose_end_was_on_the_way() {
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C")), headers(3, &request("/a.B/D"))]).close(10).close(20).tick(300);
    rig.received(301, &[last(1, &[response(), trailers("0")].concat())]);
    rig.lines();
    rig.tick(1_009);
    assert_eq!((rig.lines(), rig.counts().in_flight), (vec![], 1));
    rig.tick(1_300);
    assert_eq!(rig.lines(), ["3 client a.B/D 1..10 UNAVAILABLE"]);
    let counts = rig.counts();
    assert_eq!((rig.tracker.connections(), counts.bytes, counts.open, counts.in_flight), (0, 0, 0, 0));
}

#[test]
fn a_reset_that_is_torn_ends_with_its_last_byte() {
    for cut in 1..4 {
        let mut rig = Rig::new();
        rig.sent(1, &[headers(1, &request("/a.B/C"))]);
        for (ms, part) in (2..).zip(reset(1, CANCEL).cut(&[cut])) {
            rig.parts(Direction::Sent, ms, vec![part]);
        }
        assert_eq!(rig.lines(), ["1 client a.B/C starts at 1", "1 client a.B/C 1..3 CANCELLED"]);
    }
}

#[test]
fn frames_that_are_no_frames_change_nothing() {
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]);
    let odd = [
        Wire::new(kind::RST_STREAM, 0, 1, &[0, 0, 8]),
        Wire::new(kind::RST_STREAM, 0, 1, &[]),
        Wire::new(kind::GOAWAY, 0, 0, &[0, 0]),
        Wire::new(kind::SETTINGS, 0, 0, &[0, 1, 2]),
        Wire::new(200, 255, 1, &[1; 100]),
        reset(0, CANCEL),
        reset(2, CANCEL),
        data_end(0),
    ];
    rig.received(2, &odd).sent(3, &odd);
    assert_eq!(rig.lines(), ["1 client a.B/C starts at 1"]);
    assert_eq!((rig.counts().in_flight, rig.counts().lost(Loss::Gap)), (1, 0));
}

#[test]
fn errors_are_those_of_the_role() {
    let server = [2, 4, 12, 13, 14, 15];
    for (code, status) in Status::ALL.into_iter().enumerate() {
        let text = status.as_str();
        assert_eq!(text, TEXTS.get(code).copied().unwrap_or("_OTHER"));
        let is_other = status == Status::Other;
        assert_eq!(status.error_type(Role::Client), (code != 0).then_some(text), "{text}");
        assert_eq!(status.error_type(Role::Server), (server.contains(&code) || is_other).then_some(text), "{text}");
    }
}
