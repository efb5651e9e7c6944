//! A small HTTP/1.1 client for the tests: one request per connection, the answer as it came.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// By lower-case name.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Asks with GET and these further headers.
pub(crate) fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(address, "GET", path, headers)
}

/// Asks with any method.
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("the agent listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    let further: String = headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{further}\r\n");
    stream.write_all(request.as_bytes()).expect("request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answer");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("headers end");
    let head = String::from_utf8(answer[..end].to_vec()).expect("ASCII");
    let mut lines = head.lines();
    let status =
        lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).expect("status line");
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Answer { status, headers, body: answer[end + 4..].to_vec() }
}

/// Tries until `done` gives a value, at most for `limit`.
pub(crate) fn eventually<T>(limit: Duration, what: &str, mut done: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + limit;
    loop {
        match done() {
            Ok(value) => return value,
            Err(last) => assert!(Instant::now() < end, "{what} did not happen within {limit:?}: {last}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
