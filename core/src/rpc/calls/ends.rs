//! The ends of calls: how each leaves the table of streams, and as what it is counted.

use super::{Calls, Context, SETTLE, Stream, told};
use crate::rpc::call::{Event, Finished, Method};
use crate::rpc::counts::Loss;
use crate::rpc::requests::Lost;
use crate::rpc::status::Status;
use crate::rpc::stream::Ending;

/// Streams for which memory is kept while there are none.
const KEEP: usize = 16;

impl Calls {
    /// The connection was closed, and the highest streams of its directions are these: the requests up to there were made, and what was not seen of them
    /// was lost.
    pub(in super::super) fn begun(&mut self, streams: [u32; 2], cx: &mut Context<'_>) {
        // Of a connection whose requests were not seen it is not known which direction that is; a server's responses are on streams of requests.
        let last = match self.client {
            Some(client) => streams[client.index()],
            None => streams[0].max(streams[1]),
        };
        if let Some((lost, next)) = self.requests.ended(last) {
            self.count_missing(lost, next, cx);
        }
    }

    /// The connection was closed at `time`, and nothing more will come of it.
    pub(in super::super) fn close(&mut self, time: u64, cx: &mut Context<'_>) {
        for stream in self.sorted(|_, _| true) {
            let entry = self.streams.get(&stream);
            if entry.is_some_and(|entry| entry.request.is_some()) {
                self.end(stream, Ending::Gone, time, cx);
            } else {
                self.lose_response(stream, cx);
            }
        }
    }

    /// The connection is forgotten.
    pub(in super::super) fn evict(&mut self, cx: &mut Context<'_>) {
        for stream in self.sorted(|_, _| true) {
            self.lose(stream, Loss::Evicted, cx);
        }
    }

    /// Time has passed: gives up what has waited long enough.
    pub(in super::super) fn expire(&mut self, cx: &mut Context<'_>) {
        let (now, doubt_for) = (cx.now, cx.limits.doubt_for);
        let doubted = |entry: &Stream| entry.doubt.map(|doubt| doubt.since.saturating_add(doubt_for));
        let waits = |entry: &Stream| entry.ended.map(|(_, _, since)| since.saturating_add(SETTLE));
        for stream in self.sorted(|_, entry| waits(entry).is_some_and(|until| until <= now)) {
            self.lose_response(stream, cx);
        }
        for stream in self.sorted(|_, entry| doubted(entry).is_some_and(|until| until <= now)) {
            let loss = self.streams.get(&stream).and_then(|entry| entry.doubt).map_or(Loss::Gap, |doubt| doubt.loss);
            self.lose(stream, loss, cx);
        }
        self.due = self.streams.values().filter_map(|entry| waits(entry).or(doubted(entry))).min().unwrap_or(u64::MAX);
        if self.streams.is_empty() {
            self.streams.shrink_to(KEEP);
        }
    }

    /// The stream has ended so.
    pub(super) fn end(&mut self, stream: u32, ending: Ending, time: u64, cx: &mut Context<'_>) {
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        if entry.request.is_none() {
            if self.requests.can_come(stream) {
                self.wait(stream, ending, time, cx);
            } else {
                self.lose_response(stream, cx);
            }
            return;
        }
        let doubt = entry.doubt.map(|doubt| doubt.loss).or(cx.tail_lost.then_some(Loss::Gap));
        match doubt {
            Some(loss) if !matches!(ending, Ending::Response(_) | Ending::Torn(_)) => self.lose(stream, loss, cx),
            _ => self.finish(stream, ending, time, cx),
        }
    }

    /// The stream, whose request was not seen, has ended so; what belongs to it may still come, for a moment.
    pub(super) fn wait(&mut self, stream: u32, ending: Ending, time: u64, cx: &mut Context<'_>) {
        let Some(entry) = self.streams.get_mut(&stream).filter(|entry| entry.ended.is_none()) else { return };
        entry.ended = Some((ending, time, cx.now));
        self.due = self.due.min(cx.now.saturating_add(SETTLE));
    }

    pub(super) fn finish(&mut self, stream: u32, ending: Ending, time: u64, cx: &mut Context<'_>) {
        if let Ending::Torn(loss) = ending {
            self.lose(stream, loss, cx);
            return;
        }
        if !self.streams.get(&stream).is_some_and(|entry| entry.announced) {
            // Nothing has shown that it is a call.
            self.lose(stream, Loss::Unclassified, cx);
            return;
        }
        let role = self.role();
        let Some(entry) = self.take(stream) else { return };
        let Some(request) = &entry.request else { return };
        let status = request.status(ending, time);
        cx.counts.in_flight -= 1;
        cx.counts.finished += 1;
        cx.counts.unknown_status += u64::from(status == Status::Other);
        if let Some(call) = told(self.cookie, stream, role, &entry) {
            if let Method::Unnamed(why) = call.method {
                cx.counts.unnamed[why as usize] += 1;
            }
            (cx.emit)(Event::Finished(Finished { call, end: time, status }));
        }
    }

    /// A response whose request is missing is not waited for any more.
    fn lose_response(&mut self, stream: u32, cx: &mut Context<'_>) {
        let loss = self.requests.missing(stream).unwrap_or(Loss::Gap);
        self.lose(stream, loss, cx);
    }

    /// Counts the calls before `stream` whose requests were lost, all at once: nothing else of them needs to be seen. Those whose
    /// responses have begun count when these end.
    pub(super) fn count_missing(&mut self, lost: Lost, stream: u32, cx: &mut Context<'_>) {
        let in_hole = |(id, entry): &(&u32, &Stream)| **id > lost.after && **id < stream && entry.request.is_none();
        let begun = u64::try_from(self.streams.iter().filter(in_hole).count()).unwrap_or(u64::MAX);
        let reason = if self.grpc { lost.loss } else { Loss::Unclassified };
        cx.counts.lost[reason as usize] += u64::from(lost.calls).saturating_sub(begun);
    }

    /// The call's end, or its begin, cannot be known.
    pub(super) fn lose(&mut self, stream: u32, loss: Loss, cx: &mut Context<'_>) {
        let role = self.role();
        let Some(entry) = self.take(stream) else { return };
        if entry.request.is_none() {
            self.requests.counted(stream);
            match (self.grpc, entry.plain) {
                (true, false) => cx.counts.lost[loss as usize] += 1,
                (false, true) => cx.counts.other_requests += 1,
                _ => cx.counts.lost[Loss::Unclassified as usize] += 1,
            }
            return;
        }
        let loss = if entry.announced { loss } else { Loss::Unclassified };
        cx.counts.lost[loss as usize] += 1;
        if entry.announced {
            cx.counts.in_flight -= 1;
            if let Some(call) = told(self.cookie, stream, role, &entry) {
                (cx.emit)(Event::Lost(call, loss));
            }
        }
    }

    /// The stream's response shows that it is no call.
    pub(super) fn drop_other(&mut self, stream: u32, cx: &mut Context<'_>) {
        cx.counts.other_requests += 1;
        self.take(stream);
    }

    fn take(&mut self, stream: u32) -> Option<Stream> {
        let entry = self.streams.remove(&stream)?;
        self.paths -=
            entry.request.as_ref().and_then(|request| request.path.as_ref().ok()).map_or(0, |path| path.len());
        Some(entry)
    }

    /// Makes room for `stream`. An eighth of all streams goes at a time, the lowest and so oldest ones: a peer whose streams
    /// never end must not make each new one cost a walk.
    pub(super) fn make_room(&mut self, stream: u32, cx: &mut Context<'_>) {
        let max = cx.limits.streams.max(1);
        if self.streams.len() < max || self.streams.contains_key(&stream) {
            return;
        }
        let streams = self.sorted(|_, _| true);
        for stream in &streams[..streams.len().div_ceil(8)] {
            cx.counts.evicted_streams += 1;
            self.lose(*stream, Loss::StreamsFull, cx);
        }
    }
}
