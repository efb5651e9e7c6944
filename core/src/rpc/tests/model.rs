//! Many streams at once, in any order and cut anywhere: the calls are exactly those that were made; and when records are lost,
//! what is told of a call is true or `_OTHER`.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::wire::{Part, Sheet, Wire, closed, data_end, flag, indexed, kind, literal, reset};
use super::{MS, line};
use crate::rpc::frame::Direction;
use crate::rpc::{Event, Limits, Method, Role, Status, Tracker, parse};

/// Numbers from a seed (xorshift64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// One peer's encoder: fields that it sent before come by index, newest first.
#[derive(Default)]
struct Encoder(VecDeque<(String, String)>);

impl Encoder {
    fn field(&mut self, name: &str, value: &str, dice: &mut Dice) -> Vec<u8> {
        let field = (name.to_owned(), value.to_owned());
        if let Some(at) = self.0.iter().position(|known| *known == field) {
            return indexed(u8::try_from(62 + at).unwrap());
        }
        // 30 small entries stay far below the 4,096 bytes at which the first one would leave.
        if self.0.len() < 30 && dice.below(2) == 0 {
            self.0.push_front(field);
            return literal(0x40, name, value);
        }
        literal(0x10, name, value)
    }

    fn block(&mut self, fields: &[(&str, &str)], dice: &mut Dice) -> Vec<u8> {
        fields.iter().flat_map(|(name, value)| self.field(name, value, dice)).collect()
    }
}

/// What happens on a stream, in order.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Request,
    HalfClose,
    Answer,
    Trailers(usize),
    TrailersOnly(usize),
    Reset(bool),
}

/// What is true of a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Truth {
    method: String,
    start: u64,
    first: Option<u64>,
    /// Its response, also where that came after the end.
    answered: Option<u64>,
    end: Option<(u64, String)>,
}

/// A connection's life: records in the order in which the kernel writes them, and the calls.
pub(super) struct Life {
    pub(super) records: Vec<Sheet>,
    /// Where each direction ends.
    ends: [u64; 2],
    /// The highest stream with headers of each.
    streams: [u32; 2],
    calls: BTreeMap<u32, Truth>,
}

fn script(dice: &mut Dice) -> Vec<Step> {
    let mut steps = vec![Step::Request];
    let close_at = dice.below(4);
    let tail = match dice.below(7) {
        0 | 1 => vec![Step::Answer, Step::Trailers(dice.below(17))],
        2 => vec![Step::TrailersOnly(dice.below(17))],
        3 => vec![Step::Answer, Step::Reset(dice.below(2) == 0)],
        4 => vec![Step::Reset(dice.below(2) == 0)],
        // The server had not read the reset yet.
        5 => vec![Step::Reset(true), Step::Answer],
        _ => vec![Step::Answer],
    };
    for (at, step) in tail.into_iter().enumerate() {
        if at == close_at {
            steps.push(Step::HalfClose);
        }
        steps.push(step);
    }
    steps
}

/// Frames of a block: in one or in two, padded or not.
fn frames(stream: u32, flags: u8, block: &[u8], dice: &mut Dice) -> Vec<Wire> {
    let cut = dice.below(block.len() + 1);
    let (first, rest) = if dice.below(3) == 0 { block.split_at(cut) } else { (block, &[][..]) };
    let pad = dice.below(5);
    let (flags, payload) = if dice.below(3) == 0 {
        let pad_len = u8::try_from(pad).unwrap();
        (flags | flag::PADDED, [&[pad_len][..], first, &vec![0; pad]].concat())
    } else {
        (flags, first.to_vec())
    };
    if rest.is_empty() {
        return vec![Wire::new(kind::HEADERS, flags | flag::END_HEADERS, stream, &payload)];
    }
    vec![
        Wire::new(kind::HEADERS, flags, stream, &payload),
        Wire::new(kind::CONTINUATION, flag::END_HEADERS, stream, rest),
    ]
}

/// A client's connection with so many calls.
pub(super) fn life(calls: usize, dice: &mut Dice) -> Life {
    let mut encoders = [Encoder::default(), Encoder::default()];
    let mut waiting: VecDeque<_> = (0..calls).map(|at| (u32::try_from(at).unwrap() * 2 + 1, script(dice))).collect();
    let mut open: Vec<(u32, VecDeque<Step>)> = Vec::new();
    let mut life = Life { records: Vec::new(), ends: [0; 2], streams: [0; 2], calls: BTreeMap::new() };
    let mut time = 0;
    while !waiting.is_empty() || !open.is_empty() {
        if !waiting.is_empty() && (open.is_empty() || dice.below(3) == 0) {
            let (stream, steps) = waiting.pop_front().unwrap();
            open.push((stream, steps.into()));
        }
        // A request may go out only before those of later streams: the newest one goes first.
        let newest = open.len() - 1;
        let at = if open[newest].1[0] == Step::Request { newest } else { dice.below(open.len()) };
        let stream = open[at].0;
        let step = open[at].1.pop_front().unwrap();
        if open[at].1.is_empty() {
            open.remove(at);
        }
        let truth = life.calls.entry(stream).or_default();
        let (direction, wires) = encode(step, stream, truth, &mut encoders, dice);
        let parts: Vec<Part> =
            wires.iter().flat_map(|wire| wire.cut(&[dice.below(9) + 1, dice.below(40) + 1])).collect();
        let (mut first, mut rest) = (None, &parts[..]);
        while !rest.is_empty() {
            // Now and then all are silent for longer than records of two processors can be apart.
            time += if dice.below(40) == 0 { 1_500 * MS } else { MS };
            first.get_or_insert(time);
            let (now, after) = rest.split_at(dice.below(rest.len()) + 1);
            let next = &mut life.ends[direction.index()];
            let sheet = Sheet::new(1, direction, time, *next, now.to_vec());
            *next += now.len() as u64;
            let opened = &mut life.streams[direction.index()];
            *opened = sheet.opened().max(*opened);
            life.records.push(sheet);
            rest = after;
        }
        let truth = life.calls.get_mut(&stream).unwrap();
        let first = first.unwrap();
        match step {
            Step::Request => truth.start = first,
            Step::Answer => {
                truth.answered = Some(first);
                truth.first = truth.answered.filter(|_| truth.end.is_none());
            }
            Step::TrailersOnly(code) => {
                (truth.first, truth.answered) = (Some(first), Some(first));
                truth.end = Some((time, text(code)));
            }
            Step::Trailers(code) => truth.end = Some((time, text(code))),
            Step::Reset(_) => truth.end = Some((time, "CANCELLED".to_owned())),
            Step::HalfClose => {}
        }
    }
    life
}

fn text(code: usize) -> String {
    Status::ALL[code].as_str().to_owned()
}

fn encode(
    step: Step,
    stream: u32,
    truth: &mut Truth,
    encoders: &mut [Encoder; 2],
    dice: &mut Dice,
) -> (Direction, Vec<Wire>) {
    let [client, server] = encoders;
    let grpc = ("content-type", "application/grpc");
    let ok = (":status", "200");
    let (direction, flags, block) = match step {
        Step::Request => {
            truth.method = format!("pkg.Service/Method{}", dice.below(6));
            let path = format!("/{}", truth.method);
            (Direction::Sent, 0, client.block(&[(":method", "POST"), (":path", &path), grpc], dice))
        }
        Step::Answer => (Direction::Received, 0, server.block(&[ok, grpc], dice)),
        Step::Trailers(code) => {
            let code = code.to_string();
            (Direction::Received, flag::END_STREAM, server.block(&[("grpc-status", &code)], dice))
        }
        Step::TrailersOnly(code) => {
            let code = code.to_string();
            (Direction::Received, flag::END_STREAM, server.block(&[ok, grpc, ("grpc-status", &code)], dice))
        }
        Step::HalfClose => return (Direction::Sent, vec![data_end(stream)]),
        Step::Reset(true) => return (Direction::Sent, vec![reset(stream, 8)]),
        Step::Reset(false) => return (Direction::Received, vec![reset(stream, 8)]),
    };
    (direction, frames(stream, flags, &block, dice))
}

#[test]
fn an_encoder_of_the_model_uses_its_table() {
    let (mut encoder, mut dice) = (Encoder::default(), Dice(1));
    let blocks: Vec<Vec<u8>> = (0..9).map(|_| encoder.block(&[("grpc-status", "0")], &mut dice)).collect();
    assert_eq!(blocks[8], indexed(62));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn calls_are_those_that_were_made(seed in 1..u64::MAX, calls in 1..60_usize) {
        let life = life(calls, &mut Dice(seed));
        let mut tracker = Tracker::new(Limits::default());
        let mut told: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        let mut note = |event: Event<'_>| {
            let (Event::Started(call) | Event::FirstResponse(call) | Event::Lost(call, _)) = event else {
                let Event::Finished(finished) = event else { unreachable!("the other three are above") };
                told.entry(finished.call.stream).or_default().push(line(&event));
                return;
            };
            told.entry(call.stream).or_default().push(line(&event));
        };
        let mut now = 0;
        for sheet in &life.records {
            now = sheet.time;
            tracker.tick(now, &mut note);
            tracker.handle(&parse(&sheet.bytes()).unwrap(), now, &mut note);
        }
        tracker.handle(&parse(&closed(1, now, life.ends, life.streams)).unwrap(), now, &mut note);
        tracker.tick(now + 1_000 * MS, &mut note);
        let expected: BTreeMap<u32, Vec<String>> = life.calls.iter().map(|(stream, truth)| {
            let Truth { method, start, first, end, .. } = truth;
            let (end, status) = end.clone().unwrap_or((now, "UNAVAILABLE".to_owned()));
            let mut lines = vec![format!("{stream} client {method} starts at {}", start / MS)];
            lines.extend(first.map(|first| format!("{stream} answers at {}", first / MS)));
            let first = first.map_or(String::new(), |first| format!(" ({})", first / MS));
            lines.push(format!("{stream} client {method} {}..{}{first} {status}", start / MS, end / MS));
            (*stream, lines)
        }).collect();
        prop_assert_eq!(told, expected);
        let counts = tracker.counts();
        prop_assert_eq!((counts.faults, counts.gaps, counts.lost, counts.bytes), (0, 0, [0; 8], 0));
        prop_assert_eq!((counts.started, counts.finished), (calls as u64, calls as u64));
    }

    #[test]
    fn what_is_told_after_losses_is_true(seed in 1..u64::MAX, calls in 1..60_usize, one_in in 1..40_usize) {
        let mut dice = Dice(seed);
        let life = life(calls, &mut dice);
        let mut tracker = Tracker::new(Limits::default());
        let (mut wrong, mut lost_events) = (Vec::new(), 0);
        let mut note = |event: Event<'_>| {
            let (Event::Started(call) | Event::FirstResponse(call) | Event::Lost(call, _)
                | Event::Finished(crate::rpc::Finished { call, .. })) = event;
            let truth = &life.calls[&call.stream];
            let mut fine = match call.method {
                Method::Named(name) => name == truth.method,
                Method::Unnamed(_) => true,
            };
            fine &= call.role == Role::Client && call.start == truth.start;
            fine &= call.first_response.is_none_or(|first| Some(first) == truth.answered);
            match event {
                Event::Finished(finished) => {
                    let status = finished.status.as_str();
                    fine &= match &truth.end {
                        Some((end, text)) => finished.end == *end && (status == text || status == "_OTHER"),
                        None => status == "UNAVAILABLE",
                    };
                }
                Event::Lost(..) => lost_events += 1,
                Event::Started(_) | Event::FirstResponse(_) => {}
            }
            if !fine {
                wrong.push(format!("{} {truth:?}", line(&event)));
            }
        };
        let gone: Vec<bool> = life.records.iter().map(|_| dice.below(one_in) == 0).collect();
        // Of what is lost after the last record that is heard the kernel's count may be read after the close was.
        let last = gone.iter().rposition(|gone| !gone).map_or(0, |last| last + 1);
        let (mut now, mut late) = (0, 0);
        for (at, sheet) in life.records.iter().enumerate() {
            now = sheet.time;
            tracker.tick(now, &mut note);
            match (gone[at], sheet.parts.len() as u64) {
                (false, _) => tracker.handle(&parse(&sheet.bytes()).unwrap(), now, &mut note),
                (true, pieces) if at >= last && dice.below(2) == 0 => late += pieces,
                (true, pieces) => tracker.records_lost(now, pieces),
            }
        }
        tracker.handle(&parse(&closed(1, now, life.ends, life.streams)).unwrap(), now, &mut note);
        if late > 0 {
            tracker.records_lost(now, late);
        }
        tracker.tick(now + 1_000 * MS, &mut note);
        prop_assert_eq!(wrong, Vec::<String>::new(), "lost: {:?}", gone);
        let counts = tracker.counts();
        prop_assert_eq!(counts.started, counts.finished + lost_events);
        prop_assert_eq!((counts.in_flight, counts.bytes), (0, 0));
        // The books balance: a call is told, or counted as lost.
        prop_assert_eq!(counts.finished + counts.lost.iter().sum::<u64>(), calls as u64);
    }
}
