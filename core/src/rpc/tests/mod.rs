//! What the tests share: a tracker with one connection, and its events as lines.

use super::{Counts, Event, Limits, Method, Role, Tracker, parse};
use crate::rpc::frame::Direction;
use wire::{Part, Sheet, Wire, closed};

mod bounds;
mod checkpoint;
mod ends;
mod gaps;
mod machine;
mod model;
mod records;
mod requests;
mod rules;
mod wire;

/// Nanoseconds of a millisecond, in which the tests count.
const MS: u64 = 1_000_000;

/// A tracker, and what it gave out. All times are milliseconds.
struct Rig {
    tracker: Tracker,
    cookie: u64,
    /// By direction.
    seq: [u64; 2],
    /// By direction, the highest stream with headers.
    streams: [u32; 2],
    start: u8,
    lines: Vec<String>,
}

impl Rig {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self { tracker: Tracker::new(limits), cookie: 1, seq: [0, 0], streams: [0, 0], start: 1, lines: Vec::new() }
    }

    /// One whose connection was joined in mid-life.
    fn joined() -> Self {
        Self { start: 2, ..Self::new() }
    }

    fn sent(&mut self, ms: u64, frames: &[Wire]) -> &mut Self {
        self.parts(Direction::Sent, ms, frames.iter().flat_map(|frame| frame.cut(&[])).collect())
    }

    fn received(&mut self, ms: u64, frames: &[Wire]) -> &mut Self {
        self.parts(Direction::Received, ms, frames.iter().flat_map(|frame| frame.cut(&[])).collect())
    }

    fn parts(&mut self, direction: Direction, ms: u64, parts: Vec<Part>) -> &mut Self {
        let seq = &mut self.seq[direction.index()];
        let mut sheet = Sheet::new(self.cookie, direction, ms * MS, *seq, parts);
        sheet.start = self.start;
        *seq += sheet.parts.len() as u64;
        let opened = sheet.opened();
        self.opened(direction, opened).sheet(&sheet)
    }

    /// The kernel gives a direction up: for that a piece counts that never comes.
    fn give_up(&mut self, direction: Direction, ms: u64, why: u8) -> &mut Self {
        let mut sheet = Sheet::new(self.cookie, direction, ms * MS, self.seq[direction.index()], Vec::new());
        (sheet.start, sheet.end) = (self.start, why);
        self.pass(direction, 1).sheet(&sheet)
    }

    /// Pieces that the ring buffer refused.
    fn lose(&mut self, direction: Direction, pieces: u64) -> &mut Self {
        self.tracker.records_lost(0, pieces);
        self.pass(direction, pieces)
    }

    /// Pieces that went to another tracker.
    fn pass(&mut self, direction: Direction, pieces: u64) -> &mut Self {
        self.seq[direction.index()] += pieces;
        self
    }

    /// The kernel has seen headers of this stream.
    fn opened(&mut self, direction: Direction, stream: u32) -> &mut Self {
        let opened = &mut self.streams[direction.index()];
        *opened = stream.max(*opened);
        self
    }

    fn sheet(&mut self, sheet: &Sheet) -> &mut Self {
        let bytes = sheet.bytes();
        self.bytes(&bytes, sheet.time)
    }

    fn bytes(&mut self, bytes: &[u8], now: u64) -> &mut Self {
        let (tracker, lines) = (&mut self.tracker, &mut self.lines);
        tracker.handle(&parse(bytes).unwrap(), now, &mut |event| lines.push(line(&event)));
        self
    }

    fn close(&mut self, ms: u64) -> &mut Self {
        self.bytes(&closed(self.cookie, ms * MS, self.seq, self.streams), ms * MS)
    }

    fn tick(&mut self, ms: u64) -> &mut Self {
        let (tracker, lines) = (&mut self.tracker, &mut self.lines);
        tracker.tick(ms * MS, &mut |event| lines.push(line(&event)));
        self
    }

    fn counts(&self) -> Counts {
        *self.tracker.counts()
    }

    /// What was given out since the last time.
    fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

/// An event in short; times are milliseconds.
fn line(event: &Event<'_>) -> String {
    let ms = |time: u64| if time.is_multiple_of(MS) { (time / MS).to_string() } else { format!("{time}ns") };
    match event {
        Event::Started(call) => {
            format!("{} {} {} starts at {}", call.stream, role(call.role), name(call.method), ms(call.start))
        }
        Event::FirstResponse(call) => format!("{} answers at {}", call.stream, ms(call.first_response.unwrap())),
        Event::Finished(finished) => {
            let call = &finished.call;
            let first = call.first_response.map_or(String::new(), |first| format!(" ({})", ms(first)));
            let (who, name) = (role(call.role), name(call.method));
            let (from, to) = (ms(call.start), ms(finished.end));
            format!("{} {who} {name} {from}..{to}{first} {}", call.stream, finished.status.as_str())
        }
        Event::Lost(call, loss) => format!("{} {} lost: {}", call.stream, name(call.method), loss.as_str()),
    }
}

fn name(method: Method<'_>) -> String {
    match method {
        Method::Named(name) => name.to_owned(),
        Method::Unnamed(why) => format!("{}={}", method.as_str(), why.as_str()),
    }
}

fn role(role: Role) -> &'static str {
    role.as_str()
}
