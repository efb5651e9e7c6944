//! Calls (`fleetscope_core::rpc`), out of records of any bytes and out of records whose fields are any.
//!
//! No panic; every call that is started is finished or lost, once, and nothing is told of one that is not running; the counts say
//! what the events say; connections, streams and bytes stay within their limits; and when all connections are closed nothing is
//! left. That work ends in bounded time is libFuzzer's to see (`-timeout`). What is told of calls is checked by [`life`].

use std::collections::BTreeSet;

use fleetscope_core::rpc::{Counts, Event, Finished, FrameError, Limits, Tracker, parse};
use fleetscope_ebpf::http2::frame::{flag, kind};
use fleetscope_ebpf::http2::{GIVEN_UP, PIECE_MAX};

use crate::input::Input;
use crate::life;
use crate::record::{Part, Sheet, closed};

/// Small, so that short inputs meet them.
const LIMITS: Limits = Limits { connections: 3, streams: 5, bytes: 40_000, doubt_for: 2_000_000_000 };
/// Connections that an input may speak of by number.
const COOKIES: u8 = 5;
/// Most steps of an input.
const STEPS_MAX: usize = 1000;
/// Blocks of a gRPC client and server: literals and static entries, and entries of the dynamic table that each inserts.
const BLOCKS: [&[u8]; 8] = [
    b"\x83\x86\x44\x06/a.B/C\x5f\x10application/grpc",
    b"\x83\x86\x04\x06/a.B/D\x0f\x10\x10application/grpc\x00\x0cgrpc-timeout\x031S",
    b"\x83\x86\xbf\xbe",
    b"\x88\x5f\x10application/grpc",
    b"\x40\x0bgrpc-status\x010",
    b"\x88\xbe\x40\x0bgrpc-status\x0214",
    b"\x88\x5f\x09text/html",
    b"\xbe",
];

/// The target.
pub fn fuzz(data: &[u8]) {
    let mut input = Input::new(data);
    if input.byte() & 1 == 0 { any_records(input) } else { life::fuzz(input) }
}

/// The tracker, and what its events add up to.
#[derive(Debug)]
pub struct Books {
    /// What is checked.
    pub tracker: Tracker,
    limits: Limits,
    running: BTreeSet<(u64, u32)>,
    /// Calls that were given out as started, as finished and as lost.
    told: [u64; 3],
}

fn any_records(mut input: Input<'_>) {
    let mut books = Books::new(LIMITS);
    let mut seq = [[0_u64; 2]; COOKIES as usize];
    let mut now = 0_u64;
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        match input.below(16) {
            0 => {
                let len = input.u16().into();
                books.handle(input.bytes(len), now);
            }
            1 => {
                let cookie = input.below(COOKIES);
                let streams = [input.below(24).into(), input.u16().into()];
                books.handle(&closed(cookie.into(), now, seq[usize::from(cookie)], streams), now);
            }
            2 => {
                now += u64::from(input.u16()) * 100_000;
                books.tick(now);
            }
            3 => books.tracker.records_lost(now, input.below(16).into()),
            4 => books.restart(),
            _ => {
                let (cookie, direction) = (input.below(COOKIES), input.byte() & 1);
                let (start, end, lost) = (input.byte(), input.byte(), input.byte());
                let parts: Vec<_> = (0..input.below(6)).map(|_| part(&mut input)).collect();
                let waited = u32::from(lost) << (start % 32);
                let next = &mut seq[usize::from(cookie)][usize::from(direction)];
                // Mostly nothing is lost, and mostly all goes on; rarely the numbers go back.
                *next = next.wrapping_add(u64::from(lost.saturating_sub(230))).wrapping_sub(u64::from(lost == 230));
                let mut sheet = Sheet::new(cookie.into(), direction, now, *next, parts);
                (sheet.start, sheet.end) = (if start < 200 { 1 } else { start % 4 }, end.saturating_sub(248));
                sheet.waited = waited;
                *next = next.wrapping_add(sheet.parts.len() as u64).wrapping_add(u64::from(sheet.end != 0));
                books.handle(&sheet.bytes(), now);
                now += 1_000_000;
            }
        }
    }
    for cookie in 0..COOKIES {
        books.handle(&closed(cookie.into(), now, seq[usize::from(cookie)], [0; 2]), now);
    }
    books.finish(now);
}

fn part(input: &mut Input<'_>) -> Part {
    const KINDS: [u8; 8] = [
        kind::HEADERS,
        kind::HEADERS,
        kind::HEADERS,
        kind::CONTINUATION,
        kind::RST_STREAM,
        kind::DATA,
        kind::GOAWAY,
        kind::SETTINGS,
    ];
    let (kind, flags, stream) = (input.byte(), input.byte(), u32::from(input.below(24)));
    let kind = if kind < 240 { KINDS[usize::from(kind % 8)] } else { kind % 16 };
    let flags = match flags {
        0..=99 => flag::END_HEADERS,
        100..=199 => flag::END_HEADERS | flag::END_STREAM,
        other => other,
    };
    let data = match input.byte() {
        known @ 0..=159 => BLOCKS[usize::from(known % 8)].to_vec(),
        160..=199 => input.u32().to_be_bytes().to_vec(),
        200..=239 => input.string().to_vec(),
        _ => vec![0; usize::from(input.u16()).min(PIECE_MAX as usize)],
    };
    let len = u32::try_from(data.len()).expect("at most PIECE_MAX bytes");
    match input.byte() {
        0..=199 => Part { kind, flags, stream, length: len, offset: 0, data },
        200..=219 => Part { kind, flags, stream, length: len + u32::from(input.u16()), offset: 0, data },
        220..=239 => {
            let offset = input.u16().into();
            Part { kind, flags, stream, length: len + offset + u32::from(input.byte()), offset, data }
        }
        240..=249 => Part { kind, flags, stream, length: input.u32() >> 8, offset: GIVEN_UP, data: Vec::new() },
        // No piece at all: the record is refused.
        _ => Part { kind, flags, stream: u32::MAX, length: input.u32(), offset: input.u32(), data },
    }
}

// === impl Books ===

impl Books {
    /// A tracker of these limits.
    pub fn new(limits: Limits) -> Self {
        Self { tracker: Tracker::new(limits), limits, running: BTreeSet::new(), told: [0; 3] }
    }

    /// Handles a record, if the bytes are one.
    pub fn handle(&mut self, bytes: &[u8], now: u64) {
        self.handle_with(bytes, now, &mut |_| ());
    }

    /// The same; `see` gets the events.
    pub fn handle_with(&mut self, bytes: &[u8], now: u64, see: &mut dyn FnMut(Event<'_>)) {
        match parse(bytes) {
            Ok(record) => {
                let Self { tracker, running, told, .. } = self;
                tracker.handle(&record, now, &mut |event| {
                    note(running, told, event);
                    see(event);
                });
            }
            Err(error) => assert!(FrameError::REASONS.contains(&error.reason())),
        }
        self.check();
    }

    /// Another process goes on with what this one leaves, and with all of it.
    fn restart(&mut self) {
        let held = self.tracker.connections();
        let left = self.tracker.checkpoint(usize::MAX);
        self.tracker = Tracker::restore(self.limits, &left).expect("what was left can be read");
        assert_eq!((self.tracker.connections(), self.tracker.checkpoint(usize::MAX) == left), (held, true));
        self.check();
    }

    /// Time passes.
    pub fn tick(&mut self, now: u64) {
        self.tick_with(now, &mut |_| ());
    }

    /// The same; `see` gets the events.
    pub fn tick_with(&mut self, now: u64, see: &mut dyn FnMut(Event<'_>)) {
        let Self { tracker, running, told, .. } = self;
        tracker.tick(now, &mut |event| {
            note(running, told, event);
            see(event);
        });
        self.check();
    }

    /// All connections that records spoke of by number are closed, and more may be left that records of any bytes made: the tracker's
    /// limits hold those, and all others are gone.
    fn finish(&mut self, now: u64) {
        self.tick(now.saturating_add(10_000_000_000));
        let made: BTreeSet<u64> = self.running.iter().map(|(cookie, _)| *cookie).collect();
        assert!(made.iter().all(|cookie| *cookie >= COOKIES.into()), "calls of closed connections run");
        if self.tracker.connections() == 0 {
            assert_eq!((self.counts().in_flight, self.counts().bytes), (0, 0));
        }
    }

    /// What was counted.
    pub fn counts(&self) -> &Counts {
        self.tracker.counts()
    }

    fn check(&self) {
        let (counts, [started, finished, lost]) = (self.counts(), self.told);
        assert_eq!((counts.started, counts.finished), (started, finished));
        assert_eq!((counts.in_flight, self.running.len() as u64), (started - finished - lost, counts.in_flight));
        assert!(counts.lost.iter().sum::<u64>() >= lost);
        let held = self.tracker.connections();
        assert_eq!(counts.open + counts.open_opaque.iter().sum::<u64>(), held as u64);
        assert!(held <= self.limits.connections && self.running.len() <= held * self.limits.streams);
        // One connection alone may have more: a table, a block and its frame, each bounded.
        let most = if held > 1 { self.limits.bytes } else { 1 << 20 };
        assert!(counts.bytes <= most as u64, "{} bytes of {held} connections", counts.bytes);
    }
}

fn note(running: &mut BTreeSet<(u64, u32)>, told: &mut [u64; 3], event: Event<'_>) {
    let (fine, count) = match event {
        Event::Started(call) => (running.insert((call.cookie, call.stream)), Some(0)),
        Event::FirstResponse(call) => (running.contains(&(call.cookie, call.stream)), None),
        Event::Finished(Finished { call, .. }) => (running.remove(&(call.cookie, call.stream)), Some(1)),
        Event::Lost(call, _) => (running.remove(&(call.cookie, call.stream)), Some(2)),
    };
    assert!(fine, "out of turn: {event:?}");
    if let Some(count) = count {
        told[count] += 1;
    }
}
