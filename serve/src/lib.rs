//! HTTP servers whose clients decide nothing: how many connections there are, how long they live, and how much memory they take is bounded.
//!
//! In: a router, and what is to be told of connections that are cut off. Out: answers. What operator and node agent both listen with.
//!
//! # Layout
//! - `listen`: the listening socket
//! - `server`: accepts connections, and makes room for them
//! - `connection`: what one is doing, and for how long it may

use std::sync::Arc;

mod connection;
mod listen;
mod server;

pub use listen::listen;
pub use server::{Bounds, serve, serve_within};

/// Why a connection was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The client did not take the answer in time.
    Unread,
    /// For a newer connection, with a request in progress.
    Evicted,
    /// For a newer connection, between two requests.
    EvictedIdle,
}

/// Is told of each connection that is cut off.
pub type Told = Arc<dyn Fn(Cut) + Send + Sync>;

// === impl Cut ===

impl Cut {
    /// All of them, in their order.
    pub const ALL: [Self; 3] = [Self::Unread, Self::Evicted, Self::EvictedIdle];

    /// Value of the label `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Evicted => "evicted",
            Self::EvictedIdle => "evicted_idle",
        }
    }
}
