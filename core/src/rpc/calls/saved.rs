//! The calls of a connection as bytes.

use std::collections::HashMap;

use super::{Calls, Stream, told};
use crate::checkpoint::{CheckpointError, Reader, Saved, ensure, save_count};
use crate::rpc::call::Call;

impl Saved for Calls {
    fn save(&self, out: &mut Vec<u8>) {
        let Self { cookie, client, grpc, streams, requests, last_accepted, blind, nameless, due, paths: _ } = self;
        cookie.save(out);
        client.save(out);
        grpc.save(out);
        requests.save(out);
        last_accepted.save(out);
        blind.save(out);
        nameless.save(out);
        due.save(out);
        save_count(streams.len(), out);
        for stream in self.sorted(|_, _| true) {
            stream.save(out);
            if let Some(entry) = streams.get(&stream) {
                entry.save(out);
            }
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        let mut calls = Self {
            cookie: Saved::load(from)?,
            client: Saved::load(from)?,
            grpc: Saved::load(from)?,
            requests: Saved::load(from)?,
            last_accepted: Saved::load(from)?,
            blind: Saved::load(from)?,
            nameless: Saved::load(from)?,
            due: Saved::load(from)?,
            streams: HashMap::new(),
            paths: 0,
        };
        from.each(|(stream, entry): (u32, Stream)| {
            let path = entry.request.as_ref().and_then(|request| request.path.as_ref().ok());
            calls.paths += path.map_or(0, |path| path.len());
            ensure(calls.streams.insert(stream, entry).is_none(), "a stream that is there twice")
        })?;
        Ok(calls)
    }
}

impl Calls {
    /// The cookie of the socket.
    pub(in super::super) fn cookie(&self) -> u64 {
        self.cookie
    }

    /// How many streams are held.
    pub(in super::super) fn held(&self) -> usize {
        self.streams.len()
    }

    /// The calls that were given out as started and are not over, by stream.
    pub(in super::super) fn in_flight(&self) -> impl Iterator<Item = Call<'_>> {
        let role = self.role();
        let announced = self.sorted(|_, entry| entry.announced);
        announced.into_iter().filter_map(move |stream| told(self.cookie, stream, role, self.streams.get(&stream)?))
    }
}
