//! What could not be known, and why: reasons as label values, and their counts.

use crate::checkpoint::{CheckpointError, Reader, Saved, saved_enum};

/// Why a call is not among the finished ones: values of the label `reason` of calls that were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// Frames of its connection were lost on the way from the kernel: its begin or its end may have been among them.
    Gap,
    /// It began before the kernel came to its connection.
    Joined,
    /// The kernel lost its place in the byte stream of the connection.
    Desync,
    /// Bytes of the connection could not be read.
    Unreadable,
    /// The header block of its request could not be decoded.
    Undecodable,
    /// Its connection was forgotten, as too many were open or all of them took too much memory.
    Evicted,
    /// Its connection had too many open streams.
    StreamsFull,
    /// Its content type cannot be known, nor whether its connection carries gRPC: it may have been no call at all.
    Unclassified,
}

/// Why a finished call has no method: values of the label `reason` of calls under `_OTHER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unnamed {
    /// Its header refers to what was sent before the kernel came to the connection.
    Joined,
    /// Its header refers to what was lost on the way from the kernel.
    Gap,
    /// Its header block could not be decoded, or is larger than 64 KiB.
    Undecodable,
    /// It has no path, or one that is no name: too long, or not of printable ASCII.
    Invalid,
}

/// Why a connection, or one direction of it, cannot be read: values of the label `reason` of opaque connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opaque {
    /// It is encrypted.
    Tls,
    /// It was joined in mid-life, and its last request had no name that could be known.
    Joined,
    /// The kernel lost its place in the byte stream.
    Desync,
    /// Bytes could not be read.
    Unreadable,
}

/// Counts since the tracker was made; each only grows, except those of [`Counts::open`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that were given out as started.
    pub started: u64,
    /// Calls that were given out as finished.
    pub finished: u64,
    /// Calls that are not among the finished ones, by [`Loss`]. Those that were given out as started and those that were not.
    pub lost: [u64; Loss::ALL.len()],
    /// Finished calls without a method, by [`Unnamed`].
    pub unnamed: [u64; Unnamed::ALL.len()],
    /// Finished calls whose status cannot be known.
    pub unknown_status: u64,
    /// Requests over HTTP/2 that are not gRPC.
    pub other_requests: u64,
    /// Frames and blocks that HTTP/2 or the kernel's protocol does not allow, or that HPACK cannot decode. Each marks its
    /// direction's header table unknown.
    pub faults: u64,
    /// Records before which pieces were missing.
    pub gaps: u64,
    /// Connections that were forgotten while they may have been open.
    pub evicted_connections: u64,
    /// Streams that were forgotten, as their connection had too many.
    pub evicted_streams: u64,
    /// How often a connection became opaque, by [`Opaque`].
    pub opaque: [u64; Opaque::ALL.len()],
    /// Connections that are held now and can be read.
    pub open: u64,
    /// Connections that are held now and opaque, by [`Opaque`]; those of which nothing is seen are not held.
    pub open_opaque: [u64; Opaque::ALL.len()],
    /// Calls in flight, those that were given out as started.
    pub in_flight: u64,
    /// Bytes of memory of all connections.
    pub bytes: u64,
}

// === impl Loss ===

impl Loss {
    /// All.
    pub const ALL: [Self; 8] = [
        Self::Gap,
        Self::Joined,
        Self::Desync,
        Self::Unreadable,
        Self::Undecodable,
        Self::Evicted,
        Self::StreamsFull,
        Self::Unclassified,
    ];

    /// Value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Joined => "joined",
            Self::Desync => "desync",
            Self::Unreadable => "unreadable",
            Self::Undecodable => "undecodable",
            Self::Evicted => "evicted",
            Self::StreamsFull => "streams_full",
            Self::Unclassified => "unclassified",
        }
    }
}

// === impl Unnamed ===

impl Unnamed {
    /// All.
    pub const ALL: [Self; 4] = [Self::Joined, Self::Gap, Self::Undecodable, Self::Invalid];

    /// Value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Gap => "gap",
            Self::Undecodable => "undecodable",
            Self::Invalid => "invalid",
        }
    }
}

// === impl Opaque ===

impl Opaque {
    /// All.
    pub const ALL: [Self; 4] = [Self::Tls, Self::Joined, Self::Desync, Self::Unreadable];

    /// Value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Joined => "joined",
            Self::Desync => "desync",
            Self::Unreadable => "unreadable",
        }
    }

    /// Why calls of such a connection are lost.
    pub(super) fn loss(self) -> Loss {
        match self {
            Self::Tls | Self::Unreadable => Loss::Unreadable,
            Self::Joined => Loss::Joined,
            Self::Desync => Loss::Desync,
        }
    }
}

// === impl Counts ===

impl Counts {
    /// Calls that were lost for this reason.
    pub fn lost(&self, loss: Loss) -> u64 {
        self.lost[loss as usize]
    }

    /// Finished calls without a method for this reason.
    pub fn unnamed(&self, unnamed: Unnamed) -> u64 {
        self.unnamed[unnamed as usize]
    }

    /// How often a connection became opaque for this reason.
    pub fn opaque(&self, opaque: Opaque) -> u64 {
        self.opaque[opaque as usize]
    }
}

saved_enum!(Loss, Loss::ALL);
saved_enum!(Unnamed, Unnamed::ALL);
saved_enum!(Opaque, Opaque::ALL);

/// What is held now is not saved: it is counted again when it is there again.
impl Saved for Counts {
    fn save(&self, out: &mut Vec<u8>) {
        let Self { started, finished, lost, unnamed, unknown_status, other_requests, faults, gaps, .. } = self;
        for count in [started, finished, unknown_status, other_requests, faults, gaps] {
            count.save(out);
        }
        let Self {
            evicted_connections, evicted_streams, opaque, open: _, open_opaque: _, in_flight: _, bytes: _, ..
        } = self;
        evicted_connections.save(out);
        evicted_streams.save(out);
        lost.save(out);
        unnamed.save(out);
        opaque.save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        Ok(Self {
            started: Saved::load(from)?,
            finished: Saved::load(from)?,
            unknown_status: Saved::load(from)?,
            other_requests: Saved::load(from)?,
            faults: Saved::load(from)?,
            gaps: Saved::load(from)?,
            evicted_connections: Saved::load(from)?,
            evicted_streams: Saved::load(from)?,
            lost: Saved::load(from)?,
            unnamed: Saved::load(from)?,
            opaque: Saved::load(from)?,
            ..Self::default()
        })
    }
}
