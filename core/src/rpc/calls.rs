//! The calls of one connection: its streams, and which frame does what to them.
//!
//! # What a loss leaves
//! When frames of a connection may be missing, each call in flight is *in doubt*: its end may have been among them. The end of its
//! response resolves that, with what it says, and after a loss of the server's frames any part of the response does. A reset, a
//! GOAWAY or the close of the connection does not, as these come after a lost end too; then, and after [`Limits::doubt_for`], the
//! call is lost. So is a call that begins while nothing can be read of the server, or before the first frame of it is seen on a
//! connection that was joined in mid-life: the kernel may not have found its frames yet. A call whose request is missing counts as lost
//! when the next request is seen, as these are numbered, or when its response ends. The status that a response ends with is
//! what its server said, also where the client's reset was lost.

mod ends;
mod saved;

use std::collections::HashMap;

use super::call::{Call, Event, Method, Role};
use super::counts::{Counts, Loss, Unnamed};
use super::frame::Direction;
use super::header_block::{HeaderBlock, Torn};
use super::requests::Requests;
use super::stream::{Doubt, Ending, Request, Stream, named};
use super::tracker::Limits;
use crate::hpack::{Block, ContentType, Field};

/// Nanoseconds after which the record of a request that two processors wrote in the other order has surely come.
pub(super) const SETTLE: u64 = 1_000_000_000;
/// Codes of `RST_STREAM` (RFC 9113 section 7).
const NO_ERROR: u32 = 0;

/// What all connections share, for the handling of one record.
pub(super) struct Context<'c> {
    pub(super) now: u64,
    pub(super) limits: &'c Limits,
    pub(super) counts: &'c mut Counts,
    /// Records were lost somewhere, and nothing has come since that would show whether the last ones of this connection are among them.
    pub(super) tail_lost: bool,
    pub(super) emit: &'c mut dyn FnMut(Event<'_>),
}

/// When something came, for how long it had been there by then, and in which group's task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) time: u64,
    pub(super) waited: u64,
    pub(super) cgroup: u64,
}

/// A header block that was decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decoded<'a> {
    pub(super) block: &'a Block,
    /// Why fields of it are unknown, where they are.
    pub(super) unknown: Unnamed,
}

/// The calls of one connection.
#[derive(Debug)]
pub(super) struct Calls {
    cookie: u64,
    /// Which direction carries requests, once that is known.
    client: Option<Direction>,
    /// It was seen to carry gRPC.
    grpc: bool,
    streams: HashMap<u32, Stream>,
    requests: Requests,
    /// The last stream that the server takes, once it has said so.
    last_accepted: Option<u32>,
    /// Directions of which nothing can be read now, and why; by [`Direction::index`].
    blind: [Option<Loss>; 2],
    /// The last request's method could not be known, as it was named before the kernel came to the connection.
    nameless: bool,
    /// When to look for what has waited long enough.
    due: u64,
    /// Bytes of all paths.
    paths: usize,
}

// === impl Calls ===

impl Calls {
    pub(super) fn new(cookie: u64, joined: bool) -> Self {
        let mut requests = Requests::default();
        if joined {
            requests.in_doubt(Loss::Joined, 0);
        }
        Self {
            cookie,
            client: None,
            grpc: false,
            streams: HashMap::new(),
            requests,
            last_accepted: None,
            blind: [None; 2],
            nameless: false,
            due: u64::MAX,
            paths: 0,
        }
    }

    /// When [`Calls::expire`] is to be called, nanoseconds of `CLOCK_BOOTTIME`.
    pub(super) fn due(&self) -> u64 {
        self.due
    }

    /// Whether the last request's method could not be known, as it was named before the kernel came to the connection.
    pub(super) fn is_nameless(&self) -> bool {
        self.nameless
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        // hashbrown: an eighth of the places is kept free, each has a byte of its own.
        self.streams.capacity() * 8 / 7 * (size_of::<(u32, Stream)>() + 1) + self.paths
    }

    /// A header block has ended; `decoded` is what is in it, `None` if that cannot be known.
    pub(super) fn block(
        &mut self,
        from: Direction,
        block: &HeaderBlock<'_>,
        decoded: Option<Decoded<'_>>,
        seen: Seen,
        cx: &mut Context<'_>,
    ) {
        // Even streams are those of a server's own making (RFC 9113 section 5.1.1), which gRPC does not have.
        if block.promise || block.stream.is_multiple_of(2) {
            return;
        }
        if self.client.is_none() {
            let is_request = decoded.and_then(|decoded| is_request(decoded.block));
            self.client = is_request.map(|yes| if yes { from } else { from.other() });
        }
        match self.client {
            Some(client) if client == from => self.request(block, decoded, seen, cx),
            Some(_) => self.response(block, decoded.map(|decoded| decoded.block), seen.time, cx),
            None if decoded.is_none() => self.requests.in_doubt(Loss::Undecodable, 1),
            None => {}
        }
    }

    fn request(&mut self, block: &HeaderBlock<'_>, decoded: Option<Decoded<'_>>, seen: Seen, cx: &mut Context<'_>) {
        let stream = block.stream;
        // Any other block ends a request, which no call of gRPC does; or the peer is just wrong.
        if decoded.is_some_and(|Decoded { block, .. }| !block.is_request && !block.maybe_request) {
            return;
        }
        if !self.requests.can_come(stream) {
            // The second block of a stream, or a number that goes back, which is an error of the connection.
            cx.counts.faults += u64::from(self.streams.get(&stream).is_none_or(|stream| stream.request.is_none()));
            return;
        }
        let lost = self.requests.seen(stream);
        let content_type = decoded.map(|decoded| &decoded.block.content_type);
        if content_type == Some(&Field::Known(ContentType::Grpc)) {
            self.prove_grpc(cx);
        }
        if let Some(lost) = lost {
            self.count_missing(lost, stream, cx);
        }
        match content_type {
            Some(Field::Known(ContentType::Other) | Field::Absent) => {
                cx.counts.other_requests += 1;
                self.streams.remove(&stream);
                return;
            }
            Some(Field::Known(ContentType::Grpc) | Field::Unknown(_) | Field::Invalid(_)) | None => {}
        }
        let path = match decoded.map(|decoded| (&decoded.block.method, decoded.unknown)) {
            Some((Field::Known(path), _)) if named(path).is_some() => Ok(path.clone()),
            Some((Field::Known(_) | Field::Absent | Field::Invalid(_), _)) => Err(Unnamed::Invalid),
            Some((Field::Unknown(_), why)) => Err(why),
            None => Err(Unnamed::Undecodable),
        };
        self.nameless = path == Err(Unnamed::Joined);
        self.make_room(stream, cx);
        self.paths += path.as_ref().map_or(0, |path| path.len());
        let timeout = decoded.map_or(Field::Unknown(None), |decoded| decoded.block.grpc_timeout.clone());
        // While nothing can be read of the server, the end of this call may come unseen.
        let blind = self.client.and_then(|client| self.blind[client.other().index()]);
        let entry = self.streams.entry(stream).or_default();
        let post = decoded.is_some_and(|decoded| decoded.block.is_post);
        // Of a block in several records the wait of the first one is not known any more.
        let waited = if block.began == seen.time { seen.waited } else { 0 };
        entry.request = Some(Request { start: block.began, waited, cgroup: seen.cgroup, path, timeout, post });
        if let Some(loss) = blind {
            entry.doubt.get_or_insert(Doubt { since: cx.now, loss, of_client: false });
            self.due = self.due.min(cx.now.saturating_add(cx.limits.doubt_for));
        }
        if self.grpc {
            self.announce(stream, cx);
        }
        if let Some((ending, time, _)) = self.streams.get(&stream).and_then(|entry| entry.ended) {
            self.finish(stream, ending, time, cx);
        } else if self.last_accepted.is_some_and(|last| stream > last) {
            self.finish(stream, Ending::Gone, block.began, cx);
        }
    }

    fn response(&mut self, block: &HeaderBlock<'_>, decoded: Option<&Block>, time: u64, cx: &mut Context<'_>) {
        let stream = block.stream;
        if !self.streams.contains_key(&stream) {
            if !self.requests.can_come(stream) && self.requests.missing(stream).is_none() {
                // Its call is over: the client had reset it, or it is no call.
                return;
            }
            self.make_room(stream, cx);
            self.streams.insert(stream, Stream::default());
        }
        let has_form = |block: &Block| self.streams.get(&stream).is_some_and(|entry| entry.has_form_of_grpc(block));
        if decoded.is_some_and(|decoded| proves_grpc(decoded) || (block.end_stream && has_form(decoded))) {
            self.prove_grpc(cx);
        }
        let (cookie, role, grpc) = (self.cookie, self.role(), self.grpc);
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        if entry.ended.is_some() {
            return;
        }
        if decoded.is_some_and(|block| block.content_type == Field::Known(ContentType::Other)) {
            entry.plain = true;
            if entry.request.is_some() && !grpc {
                self.drop_other(stream, cx);
                return;
            }
        }
        let progress = entry.respond(decoded, block.end_stream, block.began);
        if progress.first
            && entry.announced
            && let Some(call) = told(cookie, stream, role, entry)
        {
            (cx.emit)(Event::FirstResponse(call));
        }
        if let Some(status) = progress.end {
            self.end(stream, Ending::Response(status), time, cx);
        }
    }

    /// A DATA frame ended the sender's half of the stream. Of a client it is no end of a call.
    pub(super) fn data_ended(&mut self, from: Direction, stream: u32, time: u64, cx: &mut Context<'_>) {
        if self.client == Some(from.other())
            && let Some(entry) = self.streams.get(&stream)
        {
            let status = entry.without_status();
            self.end(stream, Ending::Response(status), time, cx);
        }
    }

    /// The stream was reset.
    pub(super) fn reset(&mut self, from: Direction, stream: u32, code: u32, time: u64, cx: &mut Context<'_>) {
        // A server's reset may be written before the request is. Otherwise one of an unknown stream comes after its end.
        let early = self.client == Some(from.other())
            && code != NO_ERROR
            && !stream.is_multiple_of(2)
            && self.requests.can_come(stream);
        if early && !self.streams.contains_key(&stream) {
            self.make_room(stream, cx);
            self.streams.insert(stream, Stream::default());
        }
        let unseen = self.streams.get(&stream).is_some_and(|entry| entry.request.is_none());
        if unseen && self.client == Some(from) {
            // A server that has not read it yet goes on: with that the call would count as lost once more.
            self.wait(stream, Ending::Reset(code), time, cx);
        } else if self.streams.contains_key(&stream) {
            self.end(stream, Ending::Reset(code), time, cx);
        }
    }

    /// The sender takes no stream above `last`. A client's says nothing of calls.
    pub(super) fn go_away(&mut self, from: Direction, last: u32, time: u64, cx: &mut Context<'_>) {
        if self.client != Some(from.other()) {
            return;
        }
        let last = self.last_accepted.map_or(last, |before| before.min(last));
        self.last_accepted = Some(last);
        for stream in self.sorted(|stream, entry| stream > last && entry.request.is_some()) {
            self.end(stream, Ending::Gone, time, cx);
        }
    }

    /// A header block was torn by a loss.
    pub(super) fn torn(&mut self, from: Direction, torn: Torn, loss: Loss, cx: &mut Context<'_>) {
        if self.client == Some(from.other()) {
            // The call has ended, and neither how nor when is known.
            if torn.end_stream {
                self.end(torn.stream, Ending::Torn(loss), cx.now, cx);
            }
        } else {
            self.requests.in_doubt(loss, 1);
        }
    }

    /// Frames of this direction may be missing from here on, so many at most.
    pub(super) fn in_doubt(&mut self, from: Direction, loss: Loss, frames: u32, cx: &Context<'_>) {
        if self.client != Some(from.other()) {
            self.requests.in_doubt(loss, frames);
        }
        let of_client = self.client == Some(from);
        for entry in self.streams.values_mut().filter(|entry| entry.request.is_some()) {
            let doubt = entry.doubt.get_or_insert(Doubt { since: cx.now, loss, of_client });
            doubt.of_client |= of_client;
            self.due = self.due.min(cx.now.saturating_add(cx.limits.doubt_for));
        }
    }

    /// Nothing can be read of this direction from here on, for this reason; `None`: it can again.
    pub(super) fn set_blind(&mut self, from: Direction, loss: Option<Loss>) {
        self.blind[from.index()] = loss;
    }

    /// The connection carries gRPC: calls that were not known to be any are.
    fn prove_grpc(&mut self, cx: &mut Context<'_>) {
        if self.grpc {
            return;
        }
        self.grpc = true;
        for stream in self.sorted(|_, entry| entry.request.is_some()) {
            self.announce(stream, cx);
        }
    }

    fn announce(&mut self, stream: u32, cx: &mut Context<'_>) {
        let role = self.role();
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        entry.announced = true;
        if let Some(call) = told(self.cookie, stream, role, entry) {
            cx.counts.started += 1;
            cx.counts.in_flight += 1;
            (cx.emit)(Event::Started(Call { first_response: None, ..call }));
            if call.first_response.is_some() {
                (cx.emit)(Event::FirstResponse(call));
            }
        }
    }

    fn sorted(&self, pick: impl Fn(u32, &Stream) -> bool) -> Vec<u32> {
        let picked = self.streams.iter().filter(|(stream, entry)| pick(**stream, entry));
        let mut streams: Vec<u32> = picked.map(|(stream, _)| *stream).collect();
        streams.sort_unstable();
        streams
    }

    /// The task's end of the calls. To be asked only once requests were seen.
    fn role(&self) -> Role {
        match self.client {
            Some(Direction::Received) => Role::Server,
            Some(Direction::Sent) | None => Role::Client,
        }
    }
}

/// The call as it is given out, once its request was seen.
fn told(cookie: u64, stream: u32, role: Role, entry: &Stream) -> Option<Call<'_>> {
    let Request { start, cgroup, path, .. } = entry.request.as_ref()?;
    let method = match path {
        Ok(path) => named(path).map_or(Method::Unnamed(Unnamed::Invalid), Method::Named),
        Err(why) => Method::Unnamed(*why),
    };
    let (start, cgroup) = (*start, *cgroup);
    Some(Call { cookie, stream, cgroup, role, method, start, first_response: entry.first_response })
}

/// Whether the block is a request, if it says so: a response has :status, and only servers send grpc-status.
fn is_request(block: &Block) -> Option<bool> {
    if block.is_request {
        return Some(true);
    }
    let response = matches!(block.status, Field::Known(_)) || matches!(block.grpc_status, Field::Known(_));
    response.then_some(false)
}

/// Whether a response with this block is gRPC's.
fn proves_grpc(block: &Block) -> bool {
    block.content_type == Field::Known(ContentType::Grpc) || matches!(block.grpc_status, Field::Known(_))
}
