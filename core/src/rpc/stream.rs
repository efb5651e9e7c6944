//! One stream: what was seen of its request and of its response, and what that says of the call's status.

use std::sync::Arc;

use super::counts::{Loss, Unnamed};
use super::status::Status;
use crate::checkpoint::{CheckpointError, Reader, Saved, saved_struct};
use crate::hpack::{Block, Field};

/// Nanoseconds by which a reset may come before the end of its call's grpc-timeout and still count as that end, beside a part of the
/// timeout ([`slack`]): a client takes the time that is left before it writes the request, and its clock runs from there. In between it may
/// stand still: a container that has used its quota of processor time does so for up to a period of 100 ms
/// (<https://docs.kernel.org/scheduler/sched-bwc.html>).
const TIMEOUT_SLACK: u64 = 100_000_000;

/// Most bytes of a method's name.
const NAME_MAX: usize = 256;

/// A call's request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) start: u64,
    /// Nanoseconds for which it had been in the server's socket by then, at least.
    pub(super) waited: u64,
    pub(super) cgroup: u64,
    /// Its `:path`, of which [`named`] says that it names a method.
    pub(super) path: Result<Arc<str>, Unnamed>,
    /// grpc-timeout in nanoseconds.
    pub(super) timeout: Field<u64>,
    /// It is a POST.
    pub(super) post: bool,
}

/// What ends a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The end of its response.
    Response(Status),
    /// A reset with this code (RFC 9113 section 7).
    Reset(u32),
    /// Its connection does not carry it any more.
    Gone,
    /// The end of its response, of which a part was lost for this reason.
    Torn(Loss),
}

/// What is to be thought of a call whose end may have been lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// Since when, nanoseconds of `CLOCK_BOOTTIME`.
    pub(super) since: u64,
    /// Why.
    pub(super) loss: Loss,
    /// What was lost was the client's: its reset may have been among that.
    pub(super) of_client: bool,
}

/// A stream that may carry a call.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// `None` while only its response was seen: two processors write their records in either order.
    pub(super) request: Option<Request>,
    pub(super) first_response: Option<u64>,
    http: Field<u16>,
    /// Its response is of another content type than gRPC's.
    pub(super) plain: bool,
    /// It was given out as started.
    pub(super) announced: bool,
    /// Its end may have been lost.
    pub(super) doubt: Option<Doubt>,
    /// Its end, when, and since when it waits for its request.
    pub(super) ended: Option<(Ending, u64, u64)>,
}

/// What a part of a response did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The response has begun.
    pub(super) first: bool,
    /// It has ended.
    pub(super) end: Option<Status>,
}

// === impl Stream ===

impl Stream {
    /// A header block of the response; `None` if it could not be decoded. `began` is when its first bytes came.
    pub(super) fn respond(&mut self, block: Option<&Block>, end_stream: bool, began: u64) -> Progress {
        let http = block.map_or(Field::Unknown(None), |block| block.status.clone());
        // Informational responses come before the response (RFC 9110 section 15.2); one that ends its stream is malformed.
        if !end_stream && matches!(http, Field::Known(100..=199)) {
            return Progress::default();
        }
        let mut progress = Progress::default();
        if self.http == Field::Absent && http != Field::Absent {
            // Where the status is not known it may be an informational one.
            progress.first = matches!(http, Field::Known(_));
            if progress.first {
                self.first_response = Some(began);
            }
            self.http = http;
        }
        if end_stream {
            progress.end = Some(match block.map(|block| &block.grpc_status) {
                Some(Field::Known(code)) => Status::from_code(*code),
                Some(Field::Absent) => self.without_status(),
                // What clients take for a malformed status differs from library to library.
                Some(Field::Unknown(_) | Field::Invalid(_)) | None => Status::Other,
            });
        } else {
            // What was lost of the server was not the end. Of the client's reset it need not know yet.
            self.doubt.take_if(|doubt| !doubt.of_client);
        }
        progress
    }

    /// Whether a response that ends with this block has the form that only gRPC gives to one, where no field says what it is: to a POST, 200,
    /// then trailers that may have a grpc-status. HTTP/2 has trailers for all, but nothing else that is in use ends responses with them.
    pub(super) fn has_form_of_grpc(&self, trailers: &Block) -> bool {
        self.request.as_ref().is_some_and(|request| request.post)
            && self.http == Field::Known(200)
            && !self.plain
            && matches!(trailers.grpc_status, Field::Unknown(_))
            && !matches!(trailers.status, Field::Known(_))
    }

    /// What a client takes for the status of a response that ended without grpc-status.
    pub(super) fn without_status(&self) -> Status {
        self.http.known().map_or(Status::Other, |http| Status::from_http(*http))
    }
}

// === impl Request ===

impl Request {
    /// The status of this call when it ends so at `time`.
    pub(super) fn status(&self, ending: Ending, time: u64) -> Status {
        match ending {
            Ending::Response(status) => status,
            Ending::Reset(code) => Status::from_reset(code, self.expired(time)),
            Ending::Gone => Status::Unavailable,
            Ending::Torn(_) => Status::Other,
        }
    }

    /// Whether its grpc-timeout has run out at `time`; `None` if it cannot be known. The clock that counts is the client's: a server that is busy, or
    /// stands still, reads the request late, and what it was late by is not left to the client.
    fn expired(&self, time: u64) -> Option<bool> {
        match self.timeout {
            Field::Absent => Some(false),
            Field::Known(timeout) => {
                let passed = time.saturating_sub(self.start).saturating_add(self.waited);
                Some(passed >= timeout - slack(timeout))
            }
            Field::Unknown(_) | Field::Invalid(_) => None,
        }
    }
}

/// By how much a reset may be early. C-core rounds the timeout up to three figures, so by at most a hundredth
/// (<https://github.com/grpc/grpc/blob/0592779ffe0c3b074a4b83bcc5f1721531f21d15/src/core/lib/transport/timeout_encoding.cc>). Never more than an eighth: a client that
/// gives up by itself, as one that hedges does, resets at any time, and short timeouts are where clients hedge.
fn slack(timeout: u64) -> u64 {
    (TIMEOUT_SLACK + timeout / 64).min(timeout / 8)
}

/// The name of the method that is called by this `:path`; `None` if it is no name.
pub(super) fn named(path: &str) -> Option<&str> {
    let name = path.strip_prefix('/')?;
    (!name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(|byte| byte.is_ascii_graphic())).then_some(name)
}

saved_struct!(Request { start, waited, cgroup, path, timeout, post });
saved_struct!(Doubt { since, loss, of_client });
saved_struct!(Stream { request, first_response, http, plain, announced, doubt, ended });

impl Saved for Ending {
    fn save(&self, out: &mut Vec<u8>) {
        match self {
            Self::Response(status) => {
                out.push(0);
                status.save(out);
            }
            Self::Reset(code) => {
                out.push(1);
                code.save(out);
            }
            Self::Gone => out.push(2),
            Self::Torn(loss) => {
                out.push(3);
                loss.save(out);
            }
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        Ok(match u8::load(from)? {
            0 => Self::Response(Saved::load(from)?),
            1 => Self::Reset(Saved::load(from)?),
            2 => Self::Gone,
            3 => Self::Torn(Saved::load(from)?),
            _ => return Err(CheckpointError::Invalid { what: "an ending" }),
        })
    }
}
