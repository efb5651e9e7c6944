//! Leader election on a Lease: one process writes, the others keep their caches warm.
//!
//! As in client-go, a lease has run out when its `renewTime` did not *change* for its duration by this process's own
//! monotonic clock; clocks of machines are never compared. Each write carries the resource version that it is based on, so of two
//! candidates one loses. The leader may write for 10 s after it last renewed, the others wait 15 s: they never overlap, even
//! when the leader was stopped in between.

mod elector;
mod evaluate;
mod gate;
#[cfg(test)]
mod tests;

pub use elector::{Elector, Lost};
pub use evaluate::{Decision, Record, Seen, evaluate};
pub use gate::Gate;

use std::time::Duration;

/// After how long without a change a lease is free.
pub const LEASE: Duration = Duration::from_secs(15);
/// How long after the last renewal the leader may write; then it gives up.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often the leader renews and a candidate looks.
pub const RETRY: Duration = Duration::from_secs(2);
