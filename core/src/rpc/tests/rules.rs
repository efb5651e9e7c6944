//! What starts a call, what it is called, who plays which role, and what is no call.

use super::wire::{
    Wire, block, data_end, flag, headers, indexed, kind, last, literal, request, request_with, response, table_size,
    trailers,
};
use super::{MS, Rig};
use crate::rpc::frame::Direction;
use crate::rpc::{Call, Event, Finished, Method, Opaque, Role, Status, Unnamed, parse};

#[test]
fn a_unary_call_of_a_client_is_told_whole() {
    let mut rig = Rig::new();
    rig.sent(10, &[headers(1, &request("/shop.Cart/Add")), data_end(1)]);
    rig.received(14, &[headers(1, &response())]);
    let mut seen = None;
    let sheet = super::wire::Sheet::new(1, Direction::Received, 15 * MS, 1, last(1, &trailers("0")).cut(&[]));
    rig.tracker.handle(&parse(&sheet.bytes()).unwrap(), 15 * MS, &mut |event| {
        let method = Method::Named("shop.Cart/Add");
        let (role, first_response) = (Role::Client, Some(14 * MS));
        let call = Call { cookie: 1, stream: 1, cgroup: 7, role, method, start: 10 * MS, first_response };
        let finished = Finished { call, end: 15 * MS, status: Status::Ok };
        assert_eq!(event, Event::Finished(finished));
        assert_eq!((finished.duration(), call.first_response_after()), (5 * MS, Some(4 * MS)));
        assert_eq!(finished.error_type(), None);
        seen = Some(());
    });
    assert_eq!(seen, Some(()));
    assert_eq!(rig.lines(), ["1 client shop.Cart/Add starts at 10", "1 answers at 14"]);
    let counts = rig.counts();
    assert_eq!((counts.started, counts.finished, counts.in_flight, counts.open), (1, 1, 0, 1));
    assert_eq!((counts.faults, counts.gaps, counts.lost.iter().sum::<u64>()), (0, 0, 0));
}

#[test]
fn who_receives_the_request_is_the_server() {
    let mut rig = Rig::new();
    rig.received(10, &[headers(1, &request("/a.B/C")), data_end(1)]).sent(12, &[last(1, &trailers("5"))]);
    assert_eq!(rig.lines(), ["1 server a.B/C starts at 10", "1 server a.B/C 10..12 NOT_FOUND"]);
}

#[test]
fn both_ends_on_one_node_are_one_call_each() {
    let mut rig = Rig::new();
    let (call, answer) = ([headers(1, &request("/a.B/C"))], [headers(1, &response()), last(1, &trailers("0"))]);
    rig.sent(10, &call);
    rig.cookie = 2;
    rig.seq = [0, 0];
    rig.received(11, &call).sent(12, &answer);
    rig.cookie = 1;
    rig.seq = [1, 0];
    rig.received(13, &answer);
    assert_eq!(
        rig.lines(),
        [
            "1 client a.B/C starts at 10",
            "1 server a.B/C starts at 11",
            "1 answers at 12",
            "1 server a.B/C 11..12 (12) OK",
            "1 answers at 13",
            "1 client a.B/C 10..13 (13) OK",
        ]
    );
}

#[test]
fn a_half_close_is_no_end() {
    let mut rig = Rig::new();
    rig.sent(10, &[headers(1, &request("/a.B/Watch")), data_end(1)]).received(11, &[headers(1, &response())]);
    rig.sent(12, &[last(3, &request("/a.B/Get"))]).tick(500_000);
    assert_eq!(rig.lines(), ["1 client a.B/Watch starts at 10", "1 answers at 11", "3 client a.B/Get starts at 12"]);
    assert_eq!(rig.counts().in_flight, 2);
}

#[test]
fn an_informational_response_is_not_the_response() {
    let mut rig = Rig::new();
    rig.sent(10, &[headers(1, &request("/a.B/C"))]);
    rig.received(11, &[headers(1, &block(&[(":status", "103"), ("link", "x")]))]);
    rig.received(12, &[headers(1, &response())]).received(13, &[last(1, &trailers("0"))]);
    assert_eq!(rig.lines(), ["1 client a.B/C starts at 10", "1 answers at 12", "1 client a.B/C 10..13 (12) OK"]);
}

#[test]
fn the_path_is_the_name_only_if_it_can_be_one() {
    let long = format!("/{}", "m".repeat(256));
    let longer = format!("/{}", "m".repeat(257));
    let cases = [
        ("/pkg.Svc/Method", Ok("pkg.Svc/Method")),
        (&*long, Ok(&long[1..])),
        (&longer, Err(Unnamed::Invalid)),
        ("/", Err(Unnamed::Invalid)),
        ("", Err(Unnamed::Invalid)),
        ("*", Err(Unnamed::Invalid)),
        ("/a b", Err(Unnamed::Invalid)),
        ("/a.B/\u{e9}", Err(Unnamed::Invalid)),
        ("/a\nB", Err(Unnamed::Invalid)),
    ];
    for (path, expected) in cases {
        let mut rig = Rig::new();
        rig.sent(1, &[headers(1, &request(path))]).received(2, &[last(1, &response_end("0"))]);
        let name = expected.map_or_else(|why| format!("_OTHER={}", why.as_str()), str::to_owned);
        let lines = [
            format!("1 client {name} starts at 1"),
            "1 answers at 2".to_owned(),
            format!("1 client {name} 1..2 (2) OK"),
        ];
        assert_eq!(rig.lines(), lines, "{path:?}");
        let unnamed = rig.counts().unnamed[Unnamed::Invalid as usize];
        assert_eq!(unnamed, u64::from(expected.is_err()), "{path:?}");
    }
}

#[test]
fn other_http2_is_no_call() {
    let plain = |kind: &str| request_with("/index.html", &[("content-type", kind)]);
    for other in ["text/html", "application/json", "application/grpc-web", "application/grpcish"] {
        let mut rig = Rig::new();
        rig.sent(1, &[headers(1, &plain(other)), data_end(1)]);
        rig.received(2, &[headers(1, &block(&[(":status", "200")])), data_end(1)]).close(3).tick(5_000);
        assert_eq!((rig.lines(), rig.counts().other_requests), (vec![], 1), "{other}");
        assert_eq!(rig.counts().lost, [0; 8], "{other}");
    }
    for grpc in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] {
        let mut rig = Rig::new();
        rig.sent(1, &[headers(1, &plain(grpc))]);
        assert_eq!(rig.lines(), ["1 client index.html starts at 1"], "{grpc}");
    }
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request_with("/a", &[]))]);
    assert_eq!((rig.lines(), rig.counts().other_requests), (vec![], 1), "no content type");
}

#[test]
fn plain_requests_beside_calls_are_no_calls() {
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C")), headers(3, &request_with("/x", &[("content-type", "text/plain")]))]);
    rig.received(2, &[last(3, &block(&[(":status", "404")])), last(1, &response_end("0"))]);
    assert_eq!(rig.lines(), ["1 client a.B/C starts at 1", "1 answers at 2", "1 client a.B/C 1..2 (2) OK"]);
    assert_eq!(rig.counts().other_requests, 1);
}

#[test]
fn a_block_may_be_cut_anywhere_and_stand_in_padding_and_priority() {
    let whole = request("/pkg.Service/Method");
    for at in 0..=whole.len() {
        let (first, second) = whole.split_at(at);
        let padded = [&[4, 0x80, 0, 0, 9, 200], first, &[0; 4]].concat();
        let opening = Wire::new(kind::HEADERS, flag::PADDED | flag::PRIORITY | flag::END_STREAM, 1, &padded);
        let closing = Wire::new(kind::CONTINUATION, flag::END_HEADERS, 1, second);
        for cut in [1, 3, at.max(1), padded.len()] {
            let mut rig = Rig::new();
            for (ms, part) in (10..).zip(opening.cut(&[cut])) {
                rig.parts(Direction::Sent, ms, vec![part]);
            }
            rig.parts(Direction::Sent, 20, closing.cut(&[cut]));
            assert_eq!(rig.lines(), ["1 client pkg.Service/Method starts at 10"], "{at} {cut}");
            assert_eq!(rig.counts().faults, 0, "{at} {cut}");
        }
    }
}

#[test]
fn padding_that_does_not_fit_is_a_fault_and_no_name() {
    for payload in [&[][..], &[9, 1, 2], &[0, 0, 0]] {
        let mut rig = Rig::new();
        let flags = flag::END_HEADERS | flag::PADDED | flag::PRIORITY;
        rig.sent(1, &[headers(1, &request("/a.B/C")), Wire::new(kind::HEADERS, flags, 3, payload)]);
        rig.received(2, &[last(3, &response_end("0"))]);
        assert_eq!(
            rig.lines(),
            [
                "1 client a.B/C starts at 1",
                "3 client _OTHER=undecodable starts at 1",
                "3 answers at 2",
                "3 client _OTHER=undecodable 1..2 (2) OK"
            ]
        );
        assert_eq!((rig.counts().faults, rig.counts().unnamed), (1, [0, 0, 1, 0]));
    }
}

#[test]
fn a_response_that_is_written_first_waits_for_its_request() {
    let mut rig = Rig::new();
    rig.received(10, &[headers(1, &response()), last(1, &trailers("0"))]);
    assert_eq!(rig.lines(), [""; 0]);
    rig.sent(11, &[headers(1, &request("/a.B/C"))]);
    assert_eq!(rig.lines(), ["1 client a.B/C starts at 11", "1 answers at 10", "1 client a.B/C 11..10 (10) OK"]);
    let mut rig = Rig::new();
    rig.received(10, &[headers(1, &response())]).sent(11, &[headers(1, &request("/a.B/C"))]);
    rig.received(12, &[last(1, &trailers("0"))]);
    assert_eq!(rig.lines(), ["1 client a.B/C starts at 11", "1 answers at 10", "1 client a.B/C 11..12 (10) OK"]);
}

#[test]
fn a_duration_is_never_negative() {
    let call = Call {
        cookie: 1,
        stream: 1,
        cgroup: 1,
        role: Role::Client,
        method: Method::Named("a"),
        start: 11,
        first_response: Some(10),
    };
    let finished = Finished { call, end: 10, status: Status::Ok };
    assert_eq!((finished.duration(), call.first_response_after()), (0, Some(0)));
}

#[test]
fn names_of_the_dynamic_table_are_followed_and_its_size_is_the_other_peers() {
    let path = literal(0x44, "", "/a.B/C")[..1].to_vec();
    let insert = [path, literal(0, "", "/a.B/C")[2..].to_vec()].concat();
    let rest = block(&[("content-type", "application/grpc")]);
    let post = vec![0x83];
    // The client raises its table to 8,192 bytes, which only the server's SETTINGS allow.
    let raise = vec![0x3f, 0xe1, 0x3f];
    for (announced, named) in [(8192, true), (4096, false)] {
        let mut rig = Rig::new();
        rig.received(1, &[table_size(announced)]);
        rig.sent(2, &[headers(1, &[raise.clone(), post.clone(), insert.clone(), rest.clone()].concat())]);
        rig.sent(3, &[headers(3, &[post.clone(), indexed(62), rest.clone()].concat())]);
        let expected: &[&str] = if named {
            &["1 client a.B/C starts at 2", "3 client a.B/C starts at 3"]
        } else {
            &["3 client _OTHER=gap starts at 3"]
        };
        assert_eq!(rig.lines(), expected, "{announced}");
        assert_eq!(rig.counts().faults, u64::from(!named), "{announced}");
    }
}

#[test]
fn a_promise_changes_the_table_and_is_no_call() {
    let mut rig = Rig::new();
    rig.sent(1, &[headers(1, &request("/a.B/C"))]);
    let pushed = [vec![0x83], literal(0x40, "grpc-status", "9")].concat();
    let promise = [&[2, 0, 0, 0, 2][..], &pushed, &[0; 2]].concat();
    rig.received(2, &[Wire::new(kind::PUSH_PROMISE, flag::END_HEADERS | flag::PADDED, 1, &promise)]);
    rig.received(3, &[headers(2, &response()), headers(1, &response()), last(1, &indexed(62))]);
    assert_eq!(
        rig.lines(),
        ["1 client a.B/C starts at 1", "1 answers at 3", "1 client a.B/C 1..3 (3) FAILED_PRECONDITION"]
    );
}

#[test]
fn the_group_of_a_call_is_that_of_the_task_that_has_its_request() {
    let mut rig = Rig::new();
    let mut groups = Vec::new();
    for (seq, cgroup) in [(0, 7), (1, 8)] {
        let stream = u32::try_from(seq).unwrap() * 2 + 1;
        let parts = headers(stream, &request("/a.B/C")).cut(&[]);
        let mut sheet = super::wire::Sheet::new(1, Direction::Received, 1, seq, parts);
        sheet.cgroup = cgroup;
        rig.tracker.handle(&parse(&sheet.bytes()).unwrap(), 1, &mut |event| {
            if let Event::Started(call) = event {
                groups.push((call.stream, call.cgroup));
            }
        });
    }
    assert_eq!(groups, [(1, 7), (3, 8)]);
}

#[test]
fn a_connection_of_which_nothing_is_seen_is_counted_once_and_not_held() {
    nothing_is_seen(fleetscope_ebpf::http2::reason::TLS, Opaque::Tls);
    nothing_is_seen(fleetscope_ebpf::http2::reason::UNREADABLE, Opaque::Unreadable);
}

fn nothing_is_seen(why: u8, opaque: Opaque) {
    let mut rig = Rig::new();
    let mut tell = |cookie: u64, direction: Direction| {
        let mut sheet = super::wire::Sheet::new(cookie, direction, 1, 0, Vec::new());
        (sheet.start, sheet.end) = (0, why);
        rig.sheet(&sheet);
        (rig.counts().opaque(opaque), rig.tracker.connections())
    };
    assert_eq!(tell(5, Direction::Sent), (1, 0));
    assert_eq!(tell(6, Direction::Received), (2, 0), "another end of it is another socket");
    assert_eq!(tell(5, Direction::Received), (2, 0), "seen by two processors at the same moment");
    // What others open meanwhile does not make it a new one.
    for other in 7..69 {
        tell(other, Direction::Sent);
    }
    assert_eq!(tell(5, Direction::Received), (64, 0));
    assert_eq!(tell(6, Direction::Sent), (64, 0));
}

/// A response that is its own trailers.
fn response_end(status: &str) -> Vec<u8> {
    [response(), trailers(status)].concat()
}
