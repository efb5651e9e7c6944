//! Calls of one client's connection, whose methods, times and ends are known, with records that are lost: what is told of them is true or
//! `_OTHER`. Where nothing is lost all of them are told, with their methods and statuses.
//!
//! Both peers code their header blocks with a library's encoder, which puts every field into its table: so after a loss nearly every
//! block refers to what was not seen.

use std::collections::BTreeMap;

use fleetscope_core::rpc::{Event, Finished, Limits, Method, Role, Status};
use fleetscope_ebpf::http2::frame::{flag, kind};

use crate::input::Input;
use crate::record::{Part, Sheet, closed};
use crate::tracker::Books;

/// Nanoseconds between two records.
const STEP: u64 = 1_000_000;
/// Most steps of an input.
const STEPS_MAX: u32 = 500;
/// Timeouts, and their nanoseconds.
const TIMEOUTS: [(&str, u64); 3] = [("50m", 50_000_000), ("200000u", 200_000_000), ("1H", 3_600_000_000_000)];
/// The code of a reset by a client that does not want an answer any more (RFC 9113 section 7).
const CANCEL: u32 = 8;
/// So long and a 64th of its timeout before the end of that, but at most an eighth of it, a call that is reset counts as timed out (`rpc::stream`).
const SLACK: u64 = 100 * STEP;
/// So long may a server go on behind its client's reset, which it has not read yet. The tracker waits for a second.
const CROSSING: u64 = 900 * STEP;
/// The connection.
const COOKIE: u64 = 1;

/// What is true of a call.
#[derive(Clone, Debug, Default)]
struct Truth {
    method: String,
    start: u64,
    timeout: Option<u64>,
    /// When its response came, also where that was behind its end.
    answered: Option<u64>,
    /// The same, where it was not.
    first: Option<u64>,
    /// Its end; and behind a client's reset that of its response, which is what is seen where the reset is lost.
    ends: Vec<(u64, Status)>,
    /// The server says no more.
    closed: bool,
}

/// The connection.
struct Life<'l> {
    calls: BTreeMap<u32, Truth>,
    /// The client's and the server's, as all that goes by direction.
    encoders: [loona_hpack::Encoder<'l>; 2],
    seq: [u64; 2],
    now: u64,
    books: Books,
    heard: Vec<Heard>,
    lossless: bool,
    /// Pieces that were lost, of which the tracker was not told yet.
    unknown: u64,
}

/// What was told of a call.
#[derive(Clone, Debug)]
struct Heard {
    stream: u32,
    role: Role,
    method: Option<String>,
    start: u64,
    first: Option<u64>,
    news: News,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Began,
    Finished(u64, Status),
    Lost,
}

/// Fields of a block.
type Fields<'f> = Vec<(&'f str, &'f str)>;

/// The second half of the target.
pub fn fuzz(mut input: Input<'_>) {
    let mut life = Life::new();
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        life.step(&mut input);
    }
    life.close();
    life.compare();
}

fn answer() -> Fields<'static> {
    vec![(":status", "200"), ("content-type", "application/grpc")]
}

// === impl Life ===

impl Life<'_> {
    fn new() -> Self {
        Self {
            calls: BTreeMap::new(),
            encoders: [loona_hpack::Encoder::new(), loona_hpack::Encoder::new()],
            seq: [0; 2],
            now: 0,
            books: Books::new(Limits { streams: 600, ..Limits::default() }),
            heard: Vec::new(),
            lossless: true,
            unknown: 0,
        }
    }

    /// Something happens on a stream.
    fn step(&mut self, input: &mut Input<'_>) {
        let (what, which) = (input.below(8), input.byte());
        let begun = u32::try_from(self.calls.len()).expect("at most STEPS_MAX calls");
        let stream = u32::from(which).checked_rem(begun).unwrap_or(0) * 2 + 1;
        let truth = self.calls.get(&stream).cloned().unwrap_or_default();
        let serves = begun > 0 && !truth.closed && truth.ends.first().is_none_or(|(at, _)| self.now - at < CROSSING);
        match what {
            0 | 1 => self.request(begun * 2 + 1, input),
            2 if serves && truth.answered.is_none() => {
                let at = self.block(1, stream, 0, &answer(), input);
                self.tell(stream, |truth| truth.answer(at.0));
            }
            3 if serves && truth.answered.is_some() => {
                let code = input.below(17);
                let text = code.to_string();
                let at = self.block(1, stream, flag::END_STREAM, &vec![("grpc-status", &text)], input);
                self.tell(stream, |truth| truth.end(at.1, Status::ALL[usize::from(code)], true));
            }
            4 if serves && truth.answered.is_none() => {
                let code = input.below(17);
                let text = code.to_string();
                let fields = [answer(), vec![("grpc-status", &text)]].concat();
                let at = self.block(1, stream, flag::END_STREAM, &fields, input);
                self.tell(stream, |truth| {
                    truth.answer(at.0);
                    truth.end(at.1, Status::ALL[usize::from(code)], true);
                });
            }
            5 if begun > 0 && truth.ends.is_empty() => {
                let way = usize::from(input.byte() & 1);
                let at = self.record(way, Part::of(kind::RST_STREAM, 0, stream, &CANCEL.to_be_bytes(), 0), input);
                // A client's clock has run a little when its request is seen.
                let slack = |timeout: u64| (SLACK + timeout / 64).min(timeout / 8);
                let expired = truth.timeout.is_some_and(|timeout| at - truth.start >= timeout - slack(timeout));
                let status = if expired { Status::DeadlineExceeded } else { Status::Cancelled };
                self.tell(stream, |truth| truth.end(at, status, way == 1));
            }
            6 if begun > 0 && truth.ends.is_empty() => {
                self.record(0, Part::of(kind::DATA, flag::END_STREAM, stream, &[], 0), input);
            }
            _ => {
                self.now += u64::from(which) * STEP;
                let now = self.now;
                self.hear(|books, see| books.tick_with(now, see));
            }
        }
    }

    fn request(&mut self, stream: u32, input: &mut Input<'_>) {
        let (method, timeout) = (input.below(6), TIMEOUTS.get(usize::from(input.below(8))));
        let method = format!("pkg.Service/Method{method}");
        let path = format!("/{method}");
        let mut fields =
            vec![(":method", "POST"), (":scheme", "http"), (":path", &path[..]), ("content-type", "application/grpc")];
        fields.extend(timeout.map(|(text, _)| ("grpc-timeout", *text)));
        let start = self.now + STEP;
        let timeout = timeout.map(|(_, nanoseconds)| *nanoseconds);
        self.calls.insert(stream, Truth { method, start, timeout, ..Truth::default() });
        self.block(0, stream, 0, &fields, input);
    }

    /// Sends a header block, in one frame or two and in one record or several. When its first and its last record came.
    fn block(&mut self, way: usize, stream: u32, flags: u8, fields: &Fields<'_>, input: &mut Input<'_>) -> (u64, u64) {
        let block = self.encoders[way].encode(fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        let (shape, cut) = (input.byte(), usize::from(input.byte()) % (block.len() + 1));
        let mut parts = match shape % 4 {
            0 => {
                let (first, rest) = block.split_at(cut);
                let mut parts = Part::of(kind::HEADERS, flags, stream, first, 3);
                parts.extend(Part::of(kind::CONTINUATION, flag::END_HEADERS, stream, rest, 2));
                parts
            }
            1 => {
                let payload = [&[3], &block[..], &[0; 3]].concat();
                Part::of(kind::HEADERS, flags | flag::END_HEADERS | flag::PADDED, stream, &payload, cut)
            }
            2 => Part::of(kind::HEADERS, flags | flag::END_HEADERS, stream, &block, cut),
            _ => Part::of(kind::HEADERS, flags | flag::END_HEADERS, stream, &block, 0),
        };
        let (first, mut last) = (self.now + STEP, 0);
        while !parts.is_empty() {
            let now = if shape & 64 == 0 { parts.len() } else { 1 };
            let rest = parts.split_off(now);
            last = self.record(way, parts, input);
            parts = rest;
        }
        (first, last)
    }

    /// A record of these pieces, which may be lost. When it came.
    fn record(&mut self, way: usize, parts: Vec<Part>, input: &mut Input<'_>) -> u64 {
        self.now += STEP;
        let (now, count) = (self.now, parts.len() as u64);
        let direction = u8::from(way == 1);
        let sheet = Sheet::new(COOKIE, direction, now, self.seq[way], parts);
        self.seq[way] += count;
        if input.byte() >= 224 {
            self.lossless = false;
            self.unknown += count;
        } else {
            self.learn();
            self.hear(|books, see| books.handle_with(&sheet.bytes(), now, see));
        }
        now
    }

    /// The count of what was lost is read before the records of a drain are: what is lost after that is known at the next one.
    fn learn(&mut self) {
        if self.unknown > 0 {
            self.books.tracker.records_lost(self.now, std::mem::take(&mut self.unknown));
        }
    }

    /// Calls that have not ended do with their connection.
    fn close(&mut self) {
        self.now += STEP;
        let (now, ends) = (self.now, self.seq);
        let streams = [self.calls.last_key_value().map_or(0, |(stream, _)| *stream), 0];
        self.hear(|books, see| books.handle_with(&closed(COOKIE, now, ends, streams), now, see));
        self.learn();
        for truth in self.calls.values_mut().filter(|truth| truth.ends.is_empty()) {
            truth.end(now, Status::Unavailable, true);
        }
        self.hear(|books, see| books.tick_with(now + 1000 * STEP, see));
    }

    fn tell(&mut self, stream: u32, change: impl FnOnce(&mut Truth)) {
        self.calls.entry(stream).and_modify(change);
    }

    fn hear(&mut self, act: impl FnOnce(&mut Books, &mut dyn FnMut(Event<'_>))) {
        let heard = &mut self.heard;
        act(&mut self.books, &mut |event| heard.push(Heard::of(event)));
    }

    /// Compares what was told with what is true.
    fn compare(&self) {
        for heard in &self.heard {
            let truth = self.calls.get(&heard.stream).expect("what is told of a call is told of one that was made");
            assert!(heard.fits(truth), "{heard:?} of {truth:?}");
        }
        let counts = self.books.counts();
        assert_eq!((counts.in_flight, counts.bytes, counts.open), (0, 0, 0));
        let known = counts.finished + counts.lost.iter().sum::<u64>();
        // The books balance.
        assert!(known == self.calls.len() as u64, "of {:?}: {:?}, {counts:?}", self.calls, self.heard);
        if !self.lossless {
            return;
        }
        assert_eq!((counts.faults, counts.gaps, counts.lost, counts.unknown_status), (0, 0, [0; 8], 0));
        let finished = self.heard.iter().filter(|heard| matches!(heard.news, News::Finished(..)));
        let finished: BTreeMap<_, _> = finished.map(|heard| (heard.stream, heard)).collect();
        assert_eq!((finished.len(), counts.finished), (self.calls.len(), self.calls.len() as u64));
        for (stream, truth) in &self.calls {
            let heard = finished[stream];
            let end = matches!((heard.news, truth.ends[0]), (News::Finished(at, status), end) if (at, status) == end);
            let named = heard.method.as_ref() == Some(&truth.method);
            assert!(end && named && heard.first == truth.first, "{heard:?} of {truth:?}");
        }
    }
}

// === impl Truth ===

impl Truth {
    fn answer(&mut self, at: u64) {
        self.answered = Some(at);
        self.first = self.answered.filter(|_| self.ends.is_empty());
    }

    fn end(&mut self, at: u64, status: Status, closed: bool) {
        self.ends.push((at, status));
        self.closed |= closed;
    }
}

// === impl Heard ===

impl Heard {
    fn of(event: Event<'_>) -> Self {
        let (call, news) = match event {
            Event::Started(call) | Event::FirstResponse(call) => (call, News::Began),
            Event::Finished(Finished { call, end, status }) => (call, News::Finished(end, status)),
            Event::Lost(call, _) => (call, News::Lost),
        };
        assert_eq!(call.cookie, COOKIE);
        let method = match call.method {
            Method::Named(name) => Some(name.to_owned()),
            Method::Unnamed(_) => None,
        };
        let (stream, role, start, first) = (call.stream, call.role, call.start, call.first_response);
        Self { stream, role, method, start, first, news }
    }

    fn fits(&self, truth: &Truth) -> bool {
        let ends =
            |at, status| truth.ends.iter().any(|(end, is)| at == *end && (status == *is || status == Status::Other));
        self.role == Role::Client
            && self.start == truth.start
            && self.method.as_ref().is_none_or(|method| *method == truth.method)
            && (self.first.is_none() || self.first == truth.answered)
            && match self.news {
                News::Finished(at, status) => ends(at, status),
                News::Began | News::Lost => true,
            }
    }
}
