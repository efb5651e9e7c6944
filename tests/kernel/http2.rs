//! Bytes of HTTP/2 as peers send them, and a connection that speaks them.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use fleetscope_ebpf::http2::frame::{PREFACE, flag, kind};

use crate::group::Group;

/// A frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block: literals without indexing (RFC 7541, 6.2.2), names and values in plain text of at most 126 bytes.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// What a client sends first.
pub(crate) fn client_opens() -> Vec<u8> {
    [&PREFACE[..], &frame(kind::SETTINGS, 0, 0, &[]), &frame(kind::WINDOW_UPDATE, 0, 0, &[0, 1, 0, 0])].concat()
}

/// What a server sends first.
pub(crate) fn server_opens() -> Vec<u8> {
    [frame(kind::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]), frame(kind::SETTINGS, flag::ACK, 0, &[])].concat()
}

/// The request of a call, with a message of so many bytes.
pub(crate) fn request(stream: u32, path: &str, message: usize) -> Vec<u8> {
    request_with(stream, path, message, &[])
}

/// As [`request`], with more fields.
pub(crate) fn request_with(stream: u32, path: &str, message: usize, more: &[(&str, &str)]) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "peer"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let fields = [&fields[..], more].concat();
    let message = vec![0x5a; message];
    [
        frame(kind::HEADERS, flag::END_HEADERS, stream, &block(&fields)),
        frame(kind::DATA, flag::END_STREAM, stream, &message),
    ]
    .concat()
}

/// The request of a call whose path is a field of the header table: `None` refers to entry 62, which was inserted last (RFC 7541, 2.3.3).
pub(crate) fn indexed_request(stream: u32, path: Option<&str>) -> Vec<u8> {
    let mut path = match path {
        // Literal with incremental indexing, its name that of entry 4 of the static table.
        Some(path) => [&[0x44, u8::try_from(path.len()).unwrap()], path.as_bytes()].concat(),
        None => vec![0xbe],
    };
    path.extend(block(&[("content-type", "application/grpc")]));
    // :method POST, :scheme http.
    let block = [&[0x83, 0x86][..], &path].concat();
    frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &block)
}

/// The response to it, with a message of so many bytes and a status.
pub(crate) fn response(stream: u32, message: usize, status: &str) -> Vec<u8> {
    let message = vec![0xa5; message];
    [
        frame(
            kind::HEADERS,
            flag::END_HEADERS,
            stream,
            &block(&[(":status", "200"), ("content-type", "application/grpc")]),
        ),
        frame(kind::DATA, 0, stream, &message),
        frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &block(&[("grpc-status", status)])),
    ]
    .concat()
}

/// A process of `kernel-socket`.
pub(crate) struct Connection {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// How a connection is spoken on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) family: &'static str,
    pub(crate) sender: &'static str,
    pub(crate) receiver: &'static str,
    pub(crate) chunk: usize,
}

/// Of a connection by `write` and `read` of whole frames over IPv4.
pub(crate) const PLAIN: Manner = Manner { family: "inet", sender: "write", receiver: "read", chunk: 1 << 20 };

impl Connection {
    pub(crate) fn new(group: &Group, manner: Manner) -> Self {
        let Manner { family, sender, receiver, chunk } = manner;
        let mut command = Command::new(env!("CARGO_BIN_EXE_kernel-socket"));
        command.arg(group.folder()).args([family, sender, receiver, &chunk.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("kernel-socket runs");
        let (orders, answers) = (child.stdin.take(), BufReader::new(child.stdout.take().expect("it is piped")));
        let mut this = Self { child, orders, answers };
        assert_eq!(this.answer(), "ok\n", "the start");
        this
    }

    pub(crate) fn client(&mut self, bytes: &[u8]) -> &mut Self {
        self.order(&format!("client {}", hex(bytes)))
    }

    pub(crate) fn server(&mut self, bytes: &[u8]) -> &mut Self {
        self.order(&format!("server {}", hex(bytes)))
    }

    /// The first bytes of both ends.
    pub(crate) fn open(&mut self) -> &mut Self {
        self.client(&client_opens()).server(&server_opens())
    }

    /// A whole call.
    pub(crate) fn call(&mut self, stream: u32, path: &str, message: usize, status: &str) -> &mut Self {
        self.client(&request(stream, path, message)).server(&response(stream, message, status))
    }

    /// That end, `client` or `server`, sends in another way than the connection's, and the other end receives in another one.
    pub(crate) fn by(&mut self, sender: &str, receiver: &str, end: &str, bytes: &[u8]) -> &mut Self {
        self.order(&format!("by {sender} {receiver} {end} {}", hex(bytes)))
    }

    /// Why the process cannot use `io_uring`; none if it can.
    pub(crate) fn lacks_io_uring(&mut self) -> Option<String> {
        let answer = self.asked("ring");
        (answer != "ok\n").then(|| format!("io_uring: {}", answer.trim_end()))
    }

    pub(crate) fn order(&mut self, line: &str) -> &mut Self {
        assert_eq!(self.asked(line), "ok\n", "{}", line.chars().take(80).collect::<String>());
        self
    }

    fn asked(&mut self, line: &str) -> String {
        writeln!(self.orders.as_mut().expect("it takes orders"), "{line}").expect("it takes orders");
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("its output is text");
        line
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}

/// As orders take bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
