//! The sockets that the kernel suite measures: `kernel-socket FOLDER FAMILY SENDER RECEIVER CHUNK`. It moves itself into the cgroup whose
//! folder is the first argument (`-`: stays), opens a connection to itself, and does what it is told on standard input, one line at a time;
//! it answers `ok` when that is done.
//!
//! - `client HEX`, `server HEX`: that end sends these bytes, CHUNK at a time, and the other end receives them
//! - `repeat COUNT client HEX`: as often as that
//! - `race COUNT SERVER CLIENT CALL ANSWER`: so many connections of their own; on each the server sends the first bytes, which the client receives
//!   while it sends its own first bytes, at the same moment; then a call and its answer
//! - `refused`: an end receives where nothing is, and is told EAGAIN
//! - `close`: both ends are closed
//!
//! FAMILY: `inet`, `inet6`, `unix`, `datagram` (of Unix, which is no stream). SENDER: `write`, `writev`, `sendto`, `sendmsg`, `sendmmsg` (one message), `messages` (sendmmsg of two),
//! `many` (writev of up to 200 pieces of one byte and the rest), `sendfile`. RECEIVER: `read`, `readv`, `recvfrom`, `recvmsg`, `recvmmsg`, `peek` (each before
//! it is received), `trunc` (taken from the stream, thrown away).
#![expect(
    unsafe_code,
    reason = "system calls that no library has in safe form: recvmmsg, sendmmsg, and iovecs of one's own"
)]
#![expect(clippy::print_stdout, reason = "the suite reads standard output")]

use std::io::{BufRead as _, Write as _};
use std::mem::zeroed;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes in each of the pieces of memory of one I/O, but the last.
const PIECE: usize = 7;
/// Pieces of memory of one I/O.
const PIECES: usize = 16;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, family, sender, receiver, chunk] = &arguments[..] else {
        panic!("FOLDER FAMILY SENDER RECEIVER CHUNK")
    };
    if folder != "-" {
        std::fs::write(format!("{folder}/cgroup.procs"), std::process::id().to_string())
            .expect("the group takes the process");
    }
    let chunk: usize = chunk.parse().expect("a number of bytes");
    let mut ends = Some(pair(family));
    say("ok");
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input can be read");
        let (times, line) = match line.strip_prefix("repeat ").and_then(|rest| rest.split_once(' ')) {
            Some((times, line)) => (times.parse().expect("a number"), line),
            None => (1, &*line),
        };
        let (verb, hex) = line.split_once(' ').unwrap_or((line, ""));
        if let Some(rest) = line.strip_prefix("race ") {
            race(family, rest);
            say("ok");
            continue;
        }
        let bytes = bytes(hex);
        for _ in 1..times {
            let (client, server) = ends.as_ref().expect("the connection is open");
            let (from, to) = if verb == "client" { (client, server) } else { (server, client) };
            carry(from, to, sender, receiver, &bytes, chunk);
        }
        match (verb, &ends) {
            ("client", Some((client, server))) => carry(client, server, sender, receiver, &bytes, chunk),
            ("server", Some((client, server))) => carry(server, client, sender, receiver, &bytes, chunk),
            ("refused", Some((client, _))) => {
                let mut byte = [0_u8];
                // SAFETY: the buffer has the byte.
                let got = unsafe { libc::recv(client.as_raw_fd(), byte.as_mut_ptr().cast(), 1, libc::MSG_DONTWAIT) };
                assert_eq!(got, -1, "nothing is there to be received");
            }
            ("close", _) => ends = None,
            _ => panic!("unknown line {line:?}"),
        }
        say("ok");
    }
}

fn race(family: &str, orders: &str) {
    let orders: Vec<&str> = orders.split(' ').collect();
    let [count, server_opens, client_opens, call, answer] = orders[..] else { panic!("COUNT and four times bytes") };
    let count: usize = count.parse().expect("a number");
    let [server_opens, client_opens, call, answer] = [server_opens, client_opens, call, answer].map(bytes);
    // Both threads spin, so that neither has to be woken when it is time.
    let (turn, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let reads = std::sync::atomic::AtomicI32::new(-1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=count {
                while turn.load(Ordering::Acquire) != number {
                    std::hint::spin_loop();
                }
                // A send takes longer than a receive of what is there: by how much is tried out.
                for _ in 0..number % 600 {
                    std::hint::spin_loop();
                }
                receive(reads.load(Ordering::Acquire), "read", &server_opens);
                done.store(number, Ordering::Release);
            }
        });
        for number in 1..=count {
            let (client, server) = pair(family);
            send(server.as_raw_fd(), "write", &server_opens);
            reads.store(client.as_raw_fd(), Ordering::Release);
            turn.store(number, Ordering::Release);
            send(client.as_raw_fd(), "write", &client_opens);
            while done.load(Ordering::Acquire) != number {
                std::hint::spin_loop();
            }
            receive(server.as_raw_fd(), "read", &client_opens);
            carry(&client, &server, "write", "read", &call, usize::MAX);
            carry(&server, &client, "write", "read", &answer, usize::MAX);
        }
    });
}

fn say(what: &str) {
    println!("{what}");
    std::io::stdout().flush().expect("standard output takes it");
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("text"), 16).expect("hexadecimal"))
        .collect()
}

/// A connection: the end that opened it, and the other.
fn pair(family: &str) -> (OwnedFd, OwnedFd) {
    let address = match family {
        "unix" => {
            let (client, server) = UnixStream::pair().expect("a pair of sockets");
            return (client.into(), server.into());
        }
        "datagram" => {
            let (client, server) = UnixDatagram::pair().expect("a pair of sockets");
            return (client.into(), server.into());
        }
        "inet" => "127.0.0.1:0",
        "inet6" => "[::1]:0",
        _ => panic!("unknown family {family}"),
    };
    let listener = TcpListener::bind(address).expect("a port is free");
    let client = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
    let (server, _) = listener.accept().expect("it was connected to");
    for end in [&client, &server] {
        end.set_nodelay(true).expect("an option of TCP");
    }
    (client.into(), server.into())
}

/// Sends `all` in chunks, each received before the next is sent.
fn carry(from: &OwnedFd, to: &OwnedFd, sender: &str, receiver: &str, all: &[u8], chunk: usize) {
    for part in all.chunks(chunk) {
        send(from.as_raw_fd(), sender, part);
        receive(to.as_raw_fd(), receiver, part);
    }
}

fn iovec(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

/// `bytes` in at most `most` pieces.
fn iovecs(bytes: &[u8], piece: usize, most: usize) -> Vec<libc::iovec> {
    let mut pieces: Vec<libc::iovec> = bytes.chunks(piece).take(most - 1).map(iovec).collect();
    let taken = bytes.len().min(piece * (most - 1));
    pieces.push(iovec(&bytes[taken..]));
    pieces
}

fn message(iovecs: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: all zeros are a message without anything.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = iovecs.as_mut_ptr();
    message.msg_iovlen = iovecs.len();
    message
}

fn of_many(message: libc::msghdr) -> libc::mmsghdr {
    libc::mmsghdr { msg_hdr: message, msg_len: 0 }
}

fn send(fd: RawFd, how: &str, part: &[u8]) {
    let mut pieces = iovecs(part, PIECE, PIECES);
    let count = i32::try_from(pieces.len()).expect("a few");
    // SAFETY: everything that the kernel reads lives across the call.
    let sent = unsafe {
        match how {
            "write" => libc::write(fd, part.as_ptr().cast(), part.len()),
            "writev" => libc::writev(fd, pieces.as_ptr(), count),
            "sendto" => libc::sendto(fd, part.as_ptr().cast(), part.len(), 0, std::ptr::null(), 0),
            "sendmsg" => libc::sendmsg(fd, &raw const *Box::new(message(&mut pieces)), 0),
            "sendmmsg" => {
                let mut one = [of_many(message(&mut pieces))];
                assert_eq!(libc::sendmmsg(fd, one.as_mut_ptr(), 1, 0), 1, "the message is sent");
                isize::try_from(one[0].msg_len).expect("small")
            }
            "messages" => {
                let (head, tail) = part.split_at(part.len() / 2);
                let (mut head, mut tail) = ([iovec(head)], [iovec(tail)]);
                let mut two = [of_many(message(&mut head)), of_many(message(&mut tail))];
                assert_eq!(libc::sendmmsg(fd, two.as_mut_ptr(), 2, 0), 2, "both messages are sent");
                isize::try_from(two[0].msg_len + two[1].msg_len).expect("small")
            }
            "many" => {
                let pieces = iovecs(part, 1, 200);
                libc::writev(fd, pieces.as_ptr(), i32::try_from(pieces.len()).expect("512 at most"))
            }
            "sendfile" => {
                let file = libc::memfd_create(c"bytes".as_ptr(), 0);
                assert_eq!(libc::write(file, part.as_ptr().cast(), part.len()), part.len().cast_signed());
                let mut offset = 0;
                let sent = libc::sendfile(fd, file, &raw mut offset, part.len());
                libc::close(file);
                sent
            }
            _ => panic!("unknown sender {how}"),
        }
    };
    assert_eq!(sent, part.len().cast_signed(), "all is sent at once: {}", std::io::Error::last_os_error());
}

fn receive(fd: RawFd, how: &str, expected: &[u8]) {
    let mut buffer = vec![0_u8; expected.len()];
    let mut at = 0;
    while at < buffer.len() {
        let part = &mut buffer[at..];
        let mut pieces = iovecs(part, PIECE, PIECES);
        let count = i32::try_from(pieces.len()).expect("a few");
        // SAFETY: everything that the kernel reads or writes lives across the call.
        let got = unsafe {
            match how {
                "read" => libc::read(fd, part.as_mut_ptr().cast(), part.len()),
                "readv" => libc::readv(fd, pieces.as_mut_ptr(), count),
                "recvfrom" => receive_flags(fd, part, 0),
                "recvmsg" => libc::recvmsg(fd, &raw mut *Box::new(message(&mut pieces)), 0),
                "recvmmsg" => {
                    let mut one = [of_many(message(&mut pieces))];
                    assert_eq!(libc::recvmmsg(fd, one.as_mut_ptr(), 1, 0, std::ptr::null_mut()), 1);
                    isize::try_from(one[0].msg_len).expect("small")
                }
                "peek" => {
                    for _ in 0..3 {
                        assert!(receive_flags(fd, part, libc::MSG_PEEK) > 0, "what was sent can be looked at");
                    }
                    libc::read(fd, part.as_mut_ptr().cast(), part.len())
                }
                "trunc" => {
                    let got = receive_flags(fd, part, libc::MSG_TRUNC);
                    part.copy_from_slice(&expected[at..]); // nothing came
                    got
                }
                _ => panic!("unknown receiver {how}"),
            }
        };
        assert!(got > 0, "{how}: {}", std::io::Error::last_os_error());
        at += got.cast_unsigned();
    }
    assert_eq!(buffer, expected);
}

/// # Safety
/// None but those of the system call, which gets a buffer that lives.
unsafe fn receive_flags(fd: RawFd, part: &mut [u8], flags: i32) -> isize {
    // SAFETY: the buffer is as long as is said.
    unsafe {
        libc::recvfrom(fd, part.as_mut_ptr().cast(), part.len(), flags, std::ptr::null_mut(), std::ptr::null_mut())
    }
}
