//! When a series started, for scrapers that want to know what it held before they first saw it.
//!
//! A counter that a scraper first sees at 3 may have been 3 for years, so Prometheus' `rate` and `increase` begin to count there,
//! and what happened before is lost to them: all of it where a pod lives between two scrapes. A start says that it was 0 then.

use std::num::NonZeroU64;
use std::time::{Duration, SystemTime};

use super::value::Change;
use crate::metrics::Kind;

/// How long before its first observation a series is said to have started. A scraper stamps what it reads with the time, by its own
/// clock, at which it began to ask, and has no use for a start that is not before that (Prometheus, tsdb: `ErrSTNewerThanSample`).
const BEFORE: Duration = Duration::from_secs(1);

/// When a series of this kind that begins with this change was zero, in ms since the Unix epoch. None where nobody knows: what is read
/// as an absolute value was counted before by others.
pub(super) fn start(clock: fn() -> SystemTime, kind: Kind, first: &Change<'_>) -> Option<NonZeroU64> {
    let grows = matches!(kind, Kind::Counter | Kind::Histogram(_));
    if !grows || !first.is_seen() {
        return None;
    }
    let start = clock().checked_sub(BEFORE)?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    NonZeroU64::new(u64::try_from(start.as_millis()).ok()?)
}
