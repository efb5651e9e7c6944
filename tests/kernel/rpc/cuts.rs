//! Calls however they are cut into frames and system calls.

use super::*;

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
