//! Calls as they are given out.

use super::counts::{Loss, Unnamed};
use super::status::Status;
use crate::metrics::OTHER;

/// Which end of the call the task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// It sends the request.
    Client,
    /// It receives the request.
    Server,
}

/// The method that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method<'a> {
    /// `package.Service/Method`: printable ASCII, at most 256 bytes.
    Named(&'a str),
    /// It cannot be known.
    Unnamed(Unnamed),
}

/// A call as far as it has come. All times are nanoseconds of `CLOCK_BOOTTIME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call<'a> {
    /// The cookie of its socket. With `stream`, the call's identity.
    pub cookie: u64,
    /// Its stream.
    pub stream: u32,
    /// The cgroup2 id of the task that sent or received its request.
    pub cgroup: u64,
    /// Which end the task is.
    pub role: Role,
    /// What is called.
    pub method: Method<'a>,
    /// When the first bytes of its request were sent or received.
    pub start: u64,
    /// When the first bytes of its response were sent or received; `None` before that, and where they were not seen.
    pub first_response: Option<u64>,
}

/// A call that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Finished<'a> {
    /// The call.
    pub call: Call<'a>,
    /// When it ended, nanoseconds of `CLOCK_BOOTTIME`.
    pub end: u64,
    /// How.
    pub status: Status,
}

/// What happens to calls. Each that is started is either finished or lost later, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event<'a> {
    /// It is in flight from now on.
    Started(Call<'a>),
    /// Its response has begun.
    FirstResponse(Call<'a>),
    /// It is over.
    Finished(Finished<'a>),
    /// Its end cannot be known any more: it is in flight no longer, and neither its duration nor its status is known.
    Lost(Call<'a>, Loss),
}

// === impl Role ===

impl Role {
    /// Value of the label `role`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

// === impl Method ===

impl<'a> Method<'a> {
    /// Value of the label `rpc_method`.
    pub fn as_str(self) -> &'a str {
        match self {
            Self::Named(name) => name,
            Self::Unnamed(_) => OTHER,
        }
    }
}

// === impl Call ===

impl Call<'_> {
    /// Nanoseconds from the request to the response, if that was seen. 0 where the records of both came in the other order, which
    /// they do when two processors write them.
    pub fn first_response_after(&self) -> Option<u64> {
        self.first_response.map(|at| at.saturating_sub(self.start))
    }
}

// === impl Finished ===

impl Finished<'_> {
    /// Nanoseconds from the request to the end; 0 where the records of both came in the other order.
    pub fn duration(&self) -> u64 {
        self.end.saturating_sub(self.call.start)
    }

    /// Value of the label `error_type`; `None` if the call did not fail, as seen from the task's end of it.
    pub fn error_type(&self) -> Option<&'static str> {
        self.status.error_type(self.call.role)
    }
}
