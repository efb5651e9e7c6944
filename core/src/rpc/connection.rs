//! One connection: two directions of frames, their header tables, and the calls that they carry.
//!
//! Each direction has a header table of its own (RFC 7541 section 2.2). What `SETTINGS_HEADER_TABLE_SIZE` says that one peer keeps bounds
//! the table of what the other peer sends (RFC 9113 section 6.5.2). When pieces of a direction are missing, its table is unknown
//! from there on, and the calls that may have begun or ended meanwhile are in doubt.

mod saved;

use fleetscope_ebpf::http2::frame::{flag, is_block, kind};
use fleetscope_ebpf::http2::reason;

use super::assembly::{Assembly, Frame, Head, Step};
use super::calls::{Calls, Context, Decoded, SETTLE, Seen};
use super::counts::{Counts, Loss, Opaque, Unnamed};
use super::frame::{Closed, Direction, Frames, Piece, STREAM_BITS, Start};
use super::header_block::{Gathered, HeaderBlocks, Torn};
use super::requests::UNKNOWN;
use super::tracker::Losses;
use crate::hpack::{Block, Decoder};

/// Identifier of `SETTINGS_HEADER_TABLE_SIZE` (RFC 9113 section 6.5.2).
const HEADER_TABLE_SIZE: u16 = 0x1;
/// Bytes of one setting: identifier and value.
const SETTING: usize = 6;

/// Records between two looks at how much memory the header tables take.
const MEASURE_EVERY: u8 = 32;

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    calls: Calls,
    /// By [`Direction::index`].
    ways: [Way; 2],
    closed: Option<End>,
    opaque: Option<Opaque>,
    /// Bytes of memory of the header tables, and how many records ago that was.
    tables: (usize, u8),
    /// Bytes of memory, as [`Connection::measure`] said last.
    bytes: usize,
}

/// That it was closed.
#[derive(Debug)]
struct End {
    /// When.
    time: u64,
    /// When its calls end for that.
    due: u64,
    /// When it was looked at `ends`.
    looked: u64,
    /// What [`Way::next`] is when nothing is missing.
    ends: [u64; 2],
    /// See [`Closed::streams`].
    streams: [u32; 2],
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    /// The sequence number of the next piece.
    next: u64,
    /// When its last record was read, nanoseconds of `CLOCK_BOOTTIME`.
    heard: u64,
    assembly: Assembly,
    headers: Headers,
    /// The kernel gave it up.
    given_up: Option<Opaque>,
}

/// The header blocks of one direction.
#[derive(Debug, Default)]
struct Headers {
    blocks: HeaderBlocks,
    /// Made for the first block, whose record tells whether the table is complete; most that is opened says nothing at all.
    decoder: Option<Box<Decoder>>,
    /// Why entries of its table are not known; `None` if it was seen from its beginning.
    unknown: Option<Unnamed>,
    /// The largest table that the other peer said it keeps.
    limit: Option<u32>,
    /// Pieces were missing, and no frame has begun since: it is no fault that the next one has no beginning.
    ragged: bool,
}

/// What a frame of one direction meets.
struct At<'c> {
    from: Direction,
    headers: &'c mut Headers,
    /// Those of the other direction.
    other: &'c mut Headers,
    calls: &'c mut Calls,
}

// === impl Connection ===

impl Connection {
    pub(super) fn new(frames: &Frames<'_>, now: u64, counts: &mut Counts) -> Self {
        let joined = frames.start != Start::Preface;
        let mut calls = Calls::new(frames.cookie, joined);
        if joined {
            // The kernel may not have found the frames of the other direction yet: those before its first record pass unseen.
            calls.set_blind(frames.direction.other(), Some(Loss::Joined));
        }
        Self::of(calls, now, counts)
    }

    /// One of which nothing was heard but that it was closed; `None` if there is nothing of it to lose: its calls were none, or its close was told before.
    /// Whether something was lost shows at the end of the wait for its last records ([`Connection::expire`]): the kernel's count of losses may have been
    /// read before they were.
    pub(super) fn unheard(closed: &Closed, now: u64, counts: &mut Counts) -> Option<Self> {
        let calls = closed.streams.iter().any(|stream| *stream > 0);
        (calls && !closed.again).then(|| Self::of(Calls::new(closed.cookie, false), now, counts))
    }

    fn of(calls: Calls, now: u64, counts: &mut Counts) -> Self {
        counts.open += 1;
        let ways = [(); 2].map(|()| Way { heard: now, ..Way::default() });
        Self { calls, ways, closed: None, opaque: None, tables: (0, 0), bytes: 0 }
    }

    /// Handles one record of it. `losses` are those of all connections; `scratch` is any block.
    pub(super) fn handle(
        &mut self,
        frames: &Frames<'_>,
        losses: &mut Losses,
        scratch: &mut Block,
        cx: &mut Context<'_>,
    ) {
        let from = frames.direction;
        // A loss in this direction shows in the sequence number; one in the other may not have shown yet.
        cx.tail_lost = losses.at >= Some(self.ways[from.other().index()].heard);
        self.ways[from.index()].heard = cx.now;
        if frames.count() > 0 {
            self.ways[from.index()].given_up = None;
            self.calls.set_blind(from, None);
        }
        let expected = std::mem::replace(&mut self.ways[from.index()].next, frames.next());
        let missing = frames.seq.saturating_sub(expected);
        if expected == 0 && missing > losses.pieces {
            // More than was lost: the connection was forgotten, or another agent saw them, and counted their calls.
            self.gap(from, Loss::Joined, 0, cx);
        } else if frames.seq != expected {
            losses.pieces = losses.pieces.saturating_sub(missing);
            cx.counts.gaps += 1;
            let missing = match frames.start {
                // How many it were is not known of what the kernel itself did not see.
                Start::Joined => UNKNOWN,
                Start::Preface | Start::Never => u32::try_from(missing).unwrap_or(UNKNOWN),
            };
            self.gap(from, Loss::Gap, missing, cx);
        }
        for piece in frames.pieces() {
            self.piece(&piece, frames, scratch, cx);
        }
        let given_up = match frames.end {
            reason::NONE => None,
            reason::TLS => Some(Opaque::Tls),
            reason::UNREADABLE => Some(Opaque::Unreadable),
            // Among them that one I/O had more frames than the kernel walks: its place in the byte stream is lost then.
            _ => Some(Opaque::Desync),
        };
        if let Some(opaque) = given_up {
            self.ways[from.index()].given_up = given_up;
            self.calls.set_blind(from, Some(opaque.loss()));
            self.gap(from, opaque.loss(), UNKNOWN, cx);
        }
        self.show(cx.counts);
    }

    fn piece(&mut self, piece: &Piece<'_>, frames: &Frames<'_>, scratch: &mut Block, cx: &mut Context<'_>) {
        let (assembly, mut at) = self.split(frames.direction);
        if piece.offset == 0 && piece.kind != kind::CONTINUATION {
            at.headers.ragged = false;
        }
        if let Some(head) = assembly.interrupted(piece) {
            at.fault(torn(head), cx);
        }
        match assembly.push(piece, frames.time) {
            Step::More => {}
            Step::Tail(head) => at.fault(torn(head), cx),
            Step::Whole(frame) => at.frame(&frame, frames, scratch, cx),
        }
    }

    /// Pieces of this direction are missing, so many at most.
    fn gap(&mut self, from: Direction, loss: Loss, missing: u32, cx: &mut Context<'_>) {
        let (assembly, mut at) = self.split(from);
        let torn = [assembly.abandon().and_then(torn), at.headers.blocks.abandon()];
        at.lose(loss, missing, cx);
        for torn in torn.into_iter().flatten() {
            at.calls.torn(from, torn, loss, cx);
        }
    }

    fn split(&mut self, from: Direction) -> (&mut Assembly, At<'_>) {
        let [sent, received] = &mut self.ways;
        let (way, other) = match from {
            Direction::Sent => (sent, received),
            Direction::Received => (received, sent),
        };
        let at = At { from, headers: &mut way.headers, other: &mut other.headers, calls: &mut self.calls };
        (&mut way.assembly, at)
    }

    /// It was closed. Records of its last frames that other processors write may still come, for a moment; and of I/O that was under way the end
    /// is told once more.
    pub(super) fn close(&mut self, closed: &Closed, now: u64) {
        let Closed { time, ends, streams, .. } = *closed;
        let end = self.closed.get_or_insert(End { time, due: now.saturating_add(SETTLE), looked: time, ends, streams });
        // They may come in either order: of one that waited in the kernel, or of two processors.
        end.time = end.time.min(time);
        if time >= end.looked {
            (end.looked, end.ends, end.streams) = (time, ends, streams);
        }
    }

    /// Whether it was.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// It is gone, and so are its calls.
    pub(super) fn end(&mut self, time: u64, cx: &mut Context<'_>) {
        self.calls.close(time, cx);
    }

    /// When [`Connection::expire`] is to be called, nanoseconds of `CLOCK_BOOTTIME`.
    pub(super) fn due(&self) -> u64 {
        self.closed.as_ref().map_or(u64::MAX, |end| end.due).min(self.calls.due())
    }

    /// Time has passed: gives up what has waited long enough. Whether the connection is gone. `losses` as of [`Connection::handle`].
    pub(super) fn expire(&mut self, losses: &mut Losses, cx: &mut Context<'_>) -> bool {
        if let Some(end) = self.closed.take_if(|end| end.due <= cx.now) {
            self.settle(&end, losses, cx);
            return true;
        }
        self.calls.expire(cx);
        false
    }

    /// It was closed, and nothing of it comes any more.
    fn settle(&mut self, end: &End, losses: &mut Losses, cx: &mut Context<'_>) {
        let End { time, ends, streams, .. } = *end;
        if !self.is_heard() && !ends.iter().any(|end| (1..=losses.pieces).contains(end)) {
            // Another agent heard it, or it was forgotten, and its calls are counted.
            return;
        }
        for from in [Direction::Sent, Direction::Received] {
            let (end, next) = (ends[from.index()], self.ways[from.index()].next);
            let missing = end.saturating_sub(next);
            // More than was lost of a direction of which nothing was heard is what another agent heard.
            if missing > 0 && (next > 0 || missing <= losses.pieces.max(1)) {
                // How its last calls ended is among what is missing, and that they were made.
                losses.pieces = losses.pieces.saturating_sub(missing);
                cx.counts.gaps += 1;
                self.gap(from, Loss::Gap, u32::try_from(missing).unwrap_or(UNKNOWN), cx);
            }
        }
        self.calls.begun(streams, cx);
        self.calls.close(time, cx);
    }

    /// Whether more is known of it than its close.
    fn is_heard(&self) -> bool {
        self.ways.iter().any(|way| way.next > 0)
    }

    /// It is forgotten. Of one that only its close told of, what was lost is said now. `losses` as of [`Connection::handle`].
    pub(super) fn evict(&mut self, losses: &mut Losses, cx: &mut Context<'_>) {
        match self.closed.take() {
            Some(end) if !self.is_heard() => self.settle(&end, losses, cx),
            _ => self.calls.evict(cx),
        }
    }

    /// It is no longer held: takes it out of what is counted now.
    pub(super) fn leave(&self, counts: &mut Counts) {
        *held(counts, self.opaque) -= 1;
        counts.bytes -= self.bytes as u64;
    }

    /// Counts its memory anew.
    pub(super) fn measure(&mut self, counts: &mut Counts) {
        let (tables, age) = &mut self.tables;
        if *age == 0 {
            let decoders = self.ways.iter().filter_map(|way| way.headers.decoder.as_ref());
            *tables = decoders.map(|decoder| decoder.memory()).sum();
        }
        *age = (*age + 1) % MEASURE_EVERY;
        let buffers: usize = self.ways.iter().map(|way| way.assembly.memory() + way.headers.blocks.memory()).sum();
        let bytes = size_of::<Self>() + *tables + buffers + self.calls.memory();
        counts.bytes = counts.bytes - self.bytes as u64 + bytes as u64;
        self.bytes = bytes;
    }

    /// Counts whether it can be read.
    fn show(&mut self, counts: &mut Counts) {
        let given_up = self.ways.iter().find_map(|way| way.given_up);
        let opaque = given_up.or(self.calls.is_nameless().then_some(Opaque::Joined));
        if opaque != self.opaque {
            *held(counts, self.opaque) -= 1;
            *held(counts, opaque) += 1;
            self.opaque = opaque;
            if let Some(opaque) = opaque {
                counts.opaque[opaque as usize] += 1;
            }
        }
    }
}

// === impl Headers ===

impl Headers {
    /// What a block says; `None` if it cannot be decoded.
    fn decode<'s>(&mut self, bytes: Option<&[u8]>, start: Start, scratch: &'s mut Block) -> Option<Decoded<'s>> {
        if self.decoder.is_none() && start != Start::Preface {
            self.unknown.get_or_insert(Unnamed::Joined);
        }
        let (unknown, limit) = (self.unknown, self.limit);
        let decoder = self.decoder.get_or_insert_with(|| {
            let mut decoder = Box::new(if unknown.is_none() { Decoder::new() } else { Decoder::joined() });
            if let Some(limit) = limit {
                decoder.set_limit(limit);
            }
            decoder
        });
        if bytes.is_some_and(|bytes| decoder.decode(bytes, scratch).is_ok()) {
            return Some(Decoded { block: scratch, unknown: unknown.unwrap_or(Unnamed::Gap) });
        }
        decoder.gap();
        self.unknown = Some(Unnamed::Gap);
        None
    }

    /// The other peer keeps a table of so many bytes.
    fn allow(&mut self, bytes: u32) {
        self.limit = self.limit.max(Some(bytes));
        if let Some(decoder) = &mut self.decoder {
            decoder.set_limit(bytes);
        }
    }

    /// What the other peer says that it keeps may have been lost: any size is allowed.
    fn limit_lost(&mut self) {
        self.limit = Some(u32::MAX);
        if let Some(decoder) = &mut self.decoder {
            decoder.settings_lost();
        }
    }
}

// === impl At ===

impl At<'_> {
    /// Handles a frame that is whole.
    fn frame(&mut self, frame: &Frame<'_>, frames: &Frames<'_>, scratch: &mut Block, cx: &mut Context<'_>) {
        let (from, head, time) = (self.from, frame.head, frames.time);
        if let Some(torn) = self.headers.blocks.interrupted(head) {
            self.fault(Some(torn), cx);
        }
        match (head.kind, frame.payload) {
            (kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION, _) => {
                // The buffer of the blocks is lent out while the block is decoded.
                let mut blocks = std::mem::take(&mut self.headers.blocks);
                match blocks.push(frame) {
                    Gathered::More => {}
                    Gathered::Orphan => self.fault(None, cx),
                    Gathered::Block(block) => {
                        let decoded = self.headers.decode(block.bytes, frames.start, scratch);
                        cx.counts.faults += u64::from(decoded.is_none());
                        self.calls.block(
                            from,
                            &block,
                            decoded,
                            Seen { time, waited: frames.waited, cgroup: frames.cgroup },
                            cx,
                        );
                    }
                }
                self.headers.blocks = blocks;
            }
            (kind::DATA, _) if head.has(flag::END_STREAM) => self.calls.data_ended(from, head.stream, time, cx),
            (kind::RST_STREAM, Some(payload)) => match payload.try_into().map(u32::from_be_bytes) {
                Ok(code) => self.calls.reset(from, head.stream, code, time, cx),
                Err(_) => cx.counts.faults += 1,
            },
            (kind::GOAWAY, Some(payload)) => match payload.first_chunk().copied().map(u32::from_be_bytes) {
                Some(last) => self.calls.go_away(from, last & STREAM_BITS, time, cx),
                None => cx.counts.faults += 1,
            },
            (kind::SETTINGS, Some(payload)) if !head.has(flag::ACK) => {
                for [a, b, value @ ..] in payload.as_chunks::<SETTING>().0 {
                    if u16::from_be_bytes([*a, *b]) == HEADER_TABLE_SIZE {
                        self.other.allow(u32::from_be_bytes(*value));
                    }
                }
                if payload.len() < head.length as usize {
                    self.other.limit_lost();
                }
            }
            _ => {}
        }
    }

    /// The frames do not go together.
    fn fault(&mut self, torn: Option<Torn>, cx: &mut Context<'_>) {
        let expected = std::mem::replace(&mut self.headers.ragged, true);
        cx.counts.faults += u64::from(!expected);
        self.lose(Loss::Gap, 1, cx);
        if let Some(torn) = torn {
            self.calls.torn(self.from, torn, Loss::Gap, cx);
        }
    }

    /// Frames of this direction are missing.
    fn lose(&mut self, loss: Loss, missing: u32, cx: &mut Context<'_>) {
        self.headers.ragged = true;
        self.headers.unknown = Some(if loss == Loss::Joined { Unnamed::Joined } else { Unnamed::Gap });
        if let Some(decoder) = &mut self.headers.decoder {
            decoder.gap();
        }
        // What this peer keeps may have been among them.
        self.other.limit_lost();
        self.calls.in_doubt(self.from, loss, missing, cx);
    }
}

/// What is known of a frame that was torn, if it is one of headers.
fn torn(head: Head) -> Option<Torn> {
    is_block(head.kind).then(|| Torn::of(head))
}

/// Where connections of this state are counted.
fn held(counts: &mut Counts, opaque: Option<Opaque>) -> &mut u64 {
    match opaque {
        None => &mut counts.open,
        Some(opaque) => &mut counts.open_opaque[opaque as usize],
    }
}
