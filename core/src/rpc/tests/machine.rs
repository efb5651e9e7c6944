//! The kernel's machine and the tracker together: what one leaves out the other must not take for nothing.

use fleetscope_ebpf::http2::io::PEEK_BYTES;
use fleetscope_ebpf::http2::{Batch, Connection, FrameHead, Io, Next, STRIKES_MAX, Walk, course};

use super::gaps::lost;
use super::wire::{Part, Sheet, Wire, headers, indexed, kind, last, literal, request, response, trailers};
use super::{MS, Rig};
use crate::rpc::frame::Direction;
use crate::rpc::{Loss, Opaque};

/// A client's connection under observation; `rig` gets the records that the ring buffer takes.
struct Machine {
    rig: Rig,
    connection: Connection,
    full: bool,
}

/// One I/O in one piece of memory.
struct Memory<'b> {
    bytes: &'b [u8],
    parts: Vec<Part>,
    sent: Vec<(Batch, Vec<Part>)>,
}

// === impl Machine ===

impl Machine {
    /// Both peers are in mid-life.
    fn new() -> Self {
        Self { rig: Rig::new(), connection: Connection::default(), full: false }
    }

    /// Both have said hello.
    fn open() -> Self {
        let mut machine = Self::new();
        let settings = Wire::new(kind::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]);
        machine.io(
            Direction::Sent,
            1,
            &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), settings.on_the_wire()].concat(),
        );
        machine.io(Direction::Received, 1, &settings.on_the_wire());
        machine
    }

    fn frames(&mut self, direction: Direction, ms: u64, frames: &[Wire]) {
        self.io(direction, ms, &frames.iter().flat_map(Wire::on_the_wire).collect::<Vec<u8>>());
    }

    fn io(&mut self, direction: Direction, ms: u64, bytes: &[u8]) {
        let Connection { shared, sent, received } = &mut self.connection;
        let one = if direction == Direction::Sent { sent } else { received };
        let mut memory = Memory { bytes, parts: Vec::new(), sent: Vec::new() };
        course::observe(shared, one, len_u32(bytes.len()), &mut memory);
        self.tell(direction, ms, memory.sent);
    }

    /// An I/O whose bytes are nowhere.
    fn unreadable(&mut self, direction: Direction, ms: u64, len: u32) {
        let Connection { shared, sent, received } = &mut self.connection;
        let one = if direction == Direction::Sent { sent } else { received };
        let mut memory = Memory { bytes: &[], parts: Vec::new(), sent: Vec::new() };
        let mut walk = Walk::new(len);
        assert_ne!(course::begin(shared, one), Next::Skip);
        course::unreadable(&mut walk, shared, one, &mut memory);
        course::finish(&mut walk, shared, one, &mut memory);
        self.tell(direction, ms, memory.sent);
    }

    fn tell(&mut self, direction: Direction, ms: u64, sent: Vec<(Batch, Vec<Part>)>) {
        for (Batch { seq, pieces, start, end, .. }, parts) in sent {
            if self.full {
                self.rig.tracker.records_lost(ms * MS, pieces.into());
                continue;
            }
            let mut sheet = Sheet::new(self.rig.cookie, direction, ms * MS, seq, parts);
            (sheet.start, sheet.end) = (start, end);
            self.rig.sheet(&sheet);
        }
    }
}

fn len_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap()
}

impl Io for Memory<'_> {
    fn run(&mut self, at: u32) -> Option<u32> {
        (at < len_u32(self.bytes.len())).then(|| len_u32(self.bytes.len()) - at)
    }

    fn peek(&mut self, at: u32, len: u32) -> Option<[u8; PEEK_BYTES as usize]> {
        let (at, len) = (at as usize, len as usize);
        let mut bytes = [0; PEEK_BYTES as usize];
        bytes[..len].copy_from_slice(&self.bytes[at..at + len]);
        Some(bytes)
    }

    fn put(&mut self, _fill: u32, head: FrameHead, at: u32) -> bool {
        let FrameHead { stream, length, offset, captured, kind, flags } = head;
        let data = if captured == 0 { Vec::new() } else { self.bytes[at as usize..][..captured.into()].to_vec() };
        self.parts.push(Part { kind, flags, stream, length, offset, data });
        true
    }

    fn send(&mut self, batch: Batch) {
        self.sent.push((batch, std::mem::take(&mut self.parts)));
    }
}

/// A request that puts its path into the table; behind it that is entry 62.
fn inserting(stream: u32, path: &str) -> Wire {
    headers(
        stream,
        &[vec![0x83], literal(0x40, ":path", path), literal(0x00, "content-type", "application/grpc")].concat(),
    )
}

/// A request whose path is entry 62.
fn by_index(stream: u32) -> Wire {
    headers(stream, &[vec![0x83], indexed(62), literal(0x00, "content-type", "application/grpc")].concat())
}

#[test]
fn a_loss_of_the_record_that_gives_a_direction_up_shows_in_the_next_one() {
    for gaps in 0..2 {
        let mut machine = Machine::open();
        if gaps == 1 {
            // Of a table that had a gap already nothing but the sequence number can tell that it has another.
            machine.unreadable(Direction::Sent, 2, 30);
        }
        machine.frames(Direction::Sent, 3, &[inserting(3, "/a.B/Old"), by_index(5)]);
        let before = machine.rig.counts().lost(Loss::Gap);
        // The ring buffer is full while an I/O cannot be read; the table changes while the place is lost.
        machine.full = true;
        machine.unreadable(Direction::Sent, 4, 30);
        machine.io(Direction::Sent, 4, b"a part of the requests that insert /a.B/New and others");
        machine.full = false;
        machine.frames(Direction::Sent, 5, &[by_index(11)]);
        assert_eq!(
            machine.rig.lines(),
            ["3 client a.B/Old starts at 3", "5 client a.B/Old starts at 3", "11 client _OTHER=gap starts at 5"]
        );
        // Of the calls in between there is no trace but the numbers of the requests.
        assert_eq!(machine.rig.counts().lost(Loss::Gap) - before, 2);
    }
}

#[test]
fn a_call_that_ended_before_its_server_was_found_is_lost_and_gets_no_status() {
    let mut machine = Machine::new();
    machine.frames(Direction::Sent, 1, &[headers(7, &request("/a.B/C"))]);
    // A read that begins inside of a frame proves nothing, so that the end of the call passes with it.
    let answer = [headers(7, &response()), last(7, &trailers("0"))].map(|frame| frame.on_the_wire()).concat();
    machine.io(Direction::Received, 2, &[&[0x61; 40][..], &answer].concat());
    machine.frames(Direction::Sent, 3, &[headers(9, &request("/a.B/D"))]);
    machine.frames(Direction::Received, 4, &[last(9, &[response(), trailers("0")].concat())]);
    // What begins from here on ends as always.
    machine.frames(Direction::Sent, 5, &[headers(11, &request("/a.B/E"))]);
    machine.rig.close(3_600_000).tick(3_602_000);
    assert_eq!(
        machine.rig.lines(),
        [
            "7 client a.B/C starts at 1",
            "9 client a.B/D starts at 3",
            "9 answers at 4",
            "9 client a.B/D 3..4 (4) OK",
            "11 client a.B/E starts at 5",
            "7 a.B/C lost: joined",
            "11 client a.B/E 5..3600000 UNAVAILABLE",
        ]
    );
    assert_eq!(lost(&machine.rig.counts()), [(Loss::Joined, 1)]);
}

#[test]
fn a_server_that_is_never_found_makes_its_connection_opaque_and_its_calls_lost() {
    for nowhere in [false, true] {
        let mut machine = Machine::new();
        machine.frames(Direction::Sent, 1, &[headers(7, &request("/a.B/C"))]);
        for _ in 0..STRIKES_MAX {
            if nowhere {
                machine.unreadable(Direction::Received, 2, 4096);
            } else {
                machine.io(Direction::Received, 2, &[0x61; 4096]);
            }
        }
        let why = if nowhere { Opaque::Unreadable } else { Opaque::Desync };
        let counts = machine.rig.counts();
        assert_eq!((counts.opaque(why), counts.open, counts.open_opaque.iter().sum::<u64>()), (1, 0, 1));
        machine.frames(Direction::Sent, 3, &[headers(9, &request("/a.B/D"))]);
        machine.rig.lines();
        machine.rig.tick(59_999);
        assert_eq!(machine.rig.counts().in_flight, 2);
        machine.rig.tick(60_500);
        let second = format!("9 a.B/D lost: {}", why.as_str());
        assert_eq!(machine.rig.lines(), ["7 a.B/C lost: joined".to_owned(), second]);
    }
}
