//! The sockets that the kernel suite measures: `kernel-socket FOLDER FAMILY SENDER RECEIVER CHUNK`. It moves itself into the cgroup whose
//! folder is the first argument (`-`: stays), opens a connection to itself, and does what it is told on standard input, one line at a time;
//! it answers `ok` when that is done.
//!
//! - `client HEX`, `server HEX`: that end sends these bytes, CHUNK at a time, and the other end receives them
//! - `repeat COUNT client HEX`: as often as that
//! - `race COUNT SERVER CLIENT CALL ANSWER`: so many connections of their own; on each the server sends the first bytes, which the client receives
//!   while it sends its own first bytes, at the same moment; then a call and its answer
//! - `by SENDER RECEIVER client HEX`: as `client`, in another way than by the arguments; also of `server`
//! - `behind client HEX DECOY`: the other end's receive is `io_uring`'s, armed before the bytes are sent, and done while its thread is in a read of an eventfd,
//!   whose buffer has the decoy; also of `server`
//! - `late MILLISECONDS client HEX`: as `client`, and the other end receives so long after all was sent; also of `server`
//! - `refused`: an end receives where nothing is, and is told EAGAIN
//! - `close`: both ends are closed, the client's first, and neither has read that the other one is; `close client`: that end alone
//! - `ring`: answers `ok` if `io_uring` can be used, else why not
//!
//! FAMILY: `inet`, `inet6`, `mptcp` (of IPv4), `unix`, `datagram` (of Unix, which is no stream). SENDER: `write`, `writev`, `sendto`, `sendmsg`, `sendmmsg` (one message), `messages` (sendmmsg of two),
//! `many` (writev of up to 200 pieces of one byte and the rest), `sendfile`, `splice` (from a pipe), `uring` (`io_uring` in the thread's own call), `worker` (`io_uring` in a
//! worker of the kernel), `fault` (of memory that is not there any more when all is sent). RECEIVER: `read`, `readv`, `recvfrom`, `recvmsg`, `recvmmsg` (one message),
//! `messages` (recvmmsg with room for two), `peek` (each before it is received), `trunc` (taken from the stream, thrown away), `splice` (to a pipe), `uring`, `worker`.
#![expect(
    unsafe_code,
    reason = "system calls that no library has in safe form: recvmmsg, sendmmsg, io_uring, and iovecs of one's own"
)]
#![expect(clippy::print_stdout, reason = "the suite reads standard output")]

mod io_uring;

use std::io::{BufRead as _, Write as _};
use std::mem::zeroed;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use io_uring::Ring;

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
    // What is left when the client's end is closed.
    let mut alone = None;
    say("ok");
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input can be read");
        let (times, line) = match line.strip_prefix("repeat ").and_then(|rest| rest.split_once(' ')) {
            Some((times, line)) => (times.parse().expect("a number"), line),
            None => (1, &*line),
        };
        let words: Vec<&str> = line.split(' ').collect();
        let (sender, receiver, words) = match words[..] {
            ["by", sender, receiver, ref rest @ ..] => (sender, receiver, rest),
            _ => (&**sender, &**receiver, &words[..]),
        };
        let of = |end: &str| {
            let (client, server) = ends.as_ref().expect("the connection is open");
            if end == "client" { (client, server) } else { (server, client) }
        };
        match *words {
            [end @ ("client" | "server"), hex] => {
                let ((from, to), bytes) = (of(end), bytes(hex));
                for _ in 0..times {
                    carry(from, to, sender, receiver, &bytes, chunk);
                }
            }
            ["behind", end, hex, decoy] => {
                let (from, to) = of(end);
                receive_behind(from, to, &bytes(hex), bytes(decoy));
            }
            ["late", milliseconds, end, hex] => {
                let ((from, to), bytes) = (of(end), bytes(hex));
                send(from.as_raw_fd(), sender, &bytes);
                let sent = std::time::Instant::now();
                while sent.elapsed().as_millis() < milliseconds.parse().expect("a number") {
                    std::thread::yield_now();
                }
                receive(to.as_raw_fd(), receiver, &bytes);
            }
            ["race", ref orders @ ..] => race(family, orders),
            ["refused"] => {
                let mut byte = [0_u8];
                let client = of("client").0.as_raw_fd();
                // SAFETY: the buffer has the byte.
                let got = unsafe { libc::recv(client, byte.as_mut_ptr().cast(), 1, libc::MSG_DONTWAIT) };
                assert_eq!(got, -1, "nothing is there to be received");
            }
            ["ring"] => {
                if let Err(error) = Ring::new() {
                    say(&error.to_string());
                    continue;
                }
            }
            ["reset", hex] => {
                let (client, server) = ends.take().expect("the connection is open");
                drop(server);
                // The answer, that nobody is there, comes while the call is under way.
                send(client.as_raw_fd(), sender, &bytes(hex));
            }
            ["close", "client"] => alone = ends.take().map(|(_, server)| server),
            ["close"] => (ends, alone) = (None, None),
            _ => panic!("unknown line {line:?}"),
        }
        say("ok");
    }
    drop(alone);
}

fn race(family: &str, orders: &[&str]) {
    let [count, server_opens, client_opens, call, answer] = *orders else { panic!("COUNT and four times bytes") };
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
        "mptcp" => return of_mptcp(),
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

/// As [`pair`] over IPv4, of Multipath TCP.
fn of_mptcp() -> (OwnedFd, OwnedFd) {
    const IPPROTO_MPTCP: i32 = 262;
    // SAFETY: new descriptors, and an address that lives across the calls.
    unsafe {
        let socket = || match libc::socket(libc::AF_INET, libc::SOCK_STREAM, IPPROTO_MPTCP) {
            -1 => panic!("{}", std::io::Error::last_os_error()),
            fd => OwnedFd::from_raw_fd(fd),
        };
        let (listener, client) = (socket(), socket());
        let mut address: libc::sockaddr_in = zeroed();
        address.sin_family = libc::AF_INET.cast_unsigned().try_into().expect("small");
        address.sin_addr.s_addr = libc::INADDR_LOOPBACK.to_be();
        let mut bytes = libc::socklen_t::try_from(size_of_val(&address)).expect("small");
        let to = (&raw mut address).cast::<libc::sockaddr>();
        assert_eq!(libc::bind(listener.as_raw_fd(), to, bytes), 0, "a port is free");
        assert_eq!(libc::listen(listener.as_raw_fd(), 1), 0);
        assert_eq!(libc::getsockname(listener.as_raw_fd(), to, &raw mut bytes), 0);
        assert_eq!(libc::connect(client.as_raw_fd(), to, bytes), 0, "it listens");
        let server = libc::accept(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut());
        assert!(server >= 0, "it was connected to");
        (client, OwnedFd::from_raw_fd(server))
    }
}

/// Sends `all` in chunks, each received before the next is sent.
fn carry(from: &OwnedFd, to: &OwnedFd, sender: &str, receiver: &str, all: &[u8], chunk: usize) {
    if sender == "fault" {
        send_from_what_goes(from, to, receiver, all);
        return;
    }
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
            "splice" => {
                let (read, write) = pipe(part.len());
                assert_eq!(libc::write(write.as_raw_fd(), part.as_ptr().cast(), part.len()), part.len().cast_signed());
                let none = std::ptr::null_mut();
                libc::splice(read.as_raw_fd(), none, fd, none, part.len(), 0)
            }
            "uring" => by_ring(io_uring::SEND, 0, fd, part.as_ptr().cast_mut(), part.len()),
            "worker" => by_ring(io_uring::SEND, io_uring::BY_WORKER, fd, part.as_ptr().cast_mut(), part.len()),
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
                "messages" => {
                    let more = [0_u8];
                    let mut more = [iovec(&more)];
                    let mut two = [of_many(message(&mut pieces)), of_many(message(&mut more))];
                    let flags = libc::MSG_DONTWAIT;
                    assert_eq!(libc::recvmmsg(fd, two.as_mut_ptr(), 2, flags, std::ptr::null_mut()), 1);
                    isize::try_from(two[0].msg_len).expect("small")
                }
                "splice" => {
                    let (read, write) = pipe(part.len());
                    let none = std::ptr::null_mut();
                    let got = libc::splice(fd, none, write.as_raw_fd(), none, part.len(), 0);
                    assert_eq!(libc::read(read.as_raw_fd(), part.as_mut_ptr().cast(), part.len()), got);
                    got
                }
                "uring" => by_ring(io_uring::RECV, 0, fd, part.as_mut_ptr(), part.len()),
                "worker" => by_ring(io_uring::RECV, io_uring::BY_WORKER, fd, part.as_mut_ptr(), part.len()),
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

/// One operation of `io_uring`, by a ring of its own.
///
/// # Safety
/// The buffer has `len` bytes, which may be written if it is a receive.
unsafe fn by_ring(operation: u8, flags: u8, socket: RawFd, buffer: *mut u8, len: usize) -> isize {
    let mut ring = Ring::new().expect("the suite has asked for one");
    // SAFETY: it is over when this function returns.
    unsafe { ring.begin(operation, flags, socket, buffer, len) };
    ring.end()
}

/// The other end's thread has a receive in `io_uring`'s hands when the bytes are sent, and is in a read of an eventfd or before it: that `io_uring`'s
/// work is done in. What is read of the eventfd goes where the decoy is.
fn receive_behind(from: &OwnedFd, to: &OwnedFd, all: &[u8], mut decoy: Vec<u8>) {
    let mut buffer = vec![0_u8; all.len()];
    // SAFETY: a new descriptor.
    let event = unsafe { OwnedFd::from_raw_fd(libc::eventfd(0, 0)) };
    let mut ring = Ring::new().expect("the suite has asked for one");
    // SAFETY: the buffer lives until `end`.
    unsafe { ring.begin(io_uring::RECV, 0, to.as_raw_fd(), buffer.as_mut_ptr(), buffer.len()) };
    let reader = std::thread::scope(|scope| {
        let (task, event) = (thread_id(), &event);
        scope.spawn(move || {
            // Until the reader sleeps in its read, so that it is woken for the ring's work, and goes on with the read behind it.
            while !std::fs::read_to_string(format!("/proc/self/task/{task}/syscall"))
                .is_ok_and(|call| call.starts_with(&format!("{} {:#x} ", libc::SYS_read, event.as_raw_fd())))
            {
                std::thread::yield_now();
            }
            send(from.as_raw_fd(), "write", all);
            let one = 1_u64.to_ne_bytes();
            // SAFETY: an eventfd takes eight bytes.
            assert_eq!(unsafe { libc::write(event.as_raw_fd(), one.as_ptr().cast(), 8) }, 8);
        });
        // SAFETY: the buffer has as many bytes.
        unsafe { libc::read(event.as_raw_fd(), decoy.as_mut_ptr().cast(), decoy.len()) }
    });
    assert_eq!((reader, ring.end()), (8, all.len().cast_signed()));
    assert_eq!(buffer, all);
}

fn thread_id() -> i32 {
    // SAFETY: it has no arguments.
    unsafe { libc::gettid() }
}

/// Sends memory whose first page is taken away while the call waits for the other end to receive: the kernel has its bytes by then, and when the
/// call is over there is nothing to be read.
fn send_from_what_goes(from: &OwnedFd, to: &OwnedFd, receiver: &str, all: &[u8]) {
    const PAGE: usize = 4096;
    let bytes = all.len().next_multiple_of(PAGE);
    for (end, option) in [(from, libc::SO_SNDBUF), (to, libc::SO_RCVBUF)] {
        let (size, len) = (65_536_i32, libc::socklen_t::try_from(size_of::<i32>()).expect("small"));
        // The kernel takes twice as much; both together are still less than what is sent.
        assert!(all.len() > 8 * 65_536, "{} bytes do not make the sender wait", all.len());
        // SAFETY: the option is a number, which lives across the call.
        let set = unsafe { libc::setsockopt(end.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const size).cast(), len) };
        assert_eq!(set, 0);
    }
    // SAFETY: a new mapping, filled within its bounds, unmapped when nothing uses it any more.
    unsafe {
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let memory = libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, kind, -1, 0);
        assert_ne!(memory, libc::MAP_FAILED, "there is memory");
        // Of pages of their own, as of a large one nothing is given back.
        assert_eq!(libc::madvise(memory, bytes, libc::MADV_NOHUGEPAGE), 0);
        std::ptr::copy_nonoverlapping(all.as_ptr(), memory.cast(), all.len());
        let (address, len, fd) = (memory.expose_provenance(), all.len(), from.as_raw_fd());
        std::thread::scope(|scope| {
            let sender = scope.spawn(move || libc::write(fd, std::ptr::with_exposed_provenance(address), len));
            let (first, rest) = all.split_at(2 * PAGE);
            receive(to.as_raw_fd(), receiver, first);
            assert_eq!(libc::madvise(memory, PAGE, libc::MADV_DONTNEED), 0);
            assert!(!sender.is_finished(), "it waits");
            receive(to.as_raw_fd(), receiver, rest);
            assert_eq!(sender.join().expect("it does not panic"), len.cast_signed());
        });
        libc::munmap(memory, bytes);
    }
}

/// A pipe with room for so many bytes.
fn pipe(bytes: usize) -> (OwnedFd, OwnedFd) {
    let (read, write) = std::io::pipe().expect("a pipe");
    let size = i32::try_from(bytes.max(4096)).expect("small");
    // SAFETY: of the process's own pipe.
    assert!(unsafe { libc::fcntl(write.as_raw_fd(), libc::F_SETPIPE_SZ, size) } >= size);
    (read.into(), write.into())
}
