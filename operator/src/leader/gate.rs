//! May this process write now? Asked before every write.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::RENEW_DEADLINE;

/// Until when writes are allowed, in milliseconds of the process's monotonic clock; 0 is never.
#[derive(Debug, Default)]
pub struct Gate {
    until: AtomicU64,
}

// === impl Gate ===

impl Gate {
    /// Whether writes are allowed at `now`.
    pub fn open(&self, now: Duration) -> bool {
        millis(now) < self.until.load(Ordering::Acquire)
    }

    /// The lease was renewed by a request that was sent at `sent`. Counted from then, for the answer may have been late.
    pub(crate) fn renewed(&self, sent: Duration) {
        self.until.store(millis(sent + RENEW_DEADLINE), Ordering::Release);
    }

    /// The lease was given up.
    pub(crate) fn close(&self) {
        self.until.store(0, Ordering::Release);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_open_for_ten_seconds_after_a_renewal_was_sent() {
        let gate = Gate::default();
        assert!(!gate.open(Duration::ZERO));
        gate.renewed(Duration::from_secs(3));
        assert!(gate.open(Duration::from_millis(12_999)));
        assert!(!gate.open(Duration::from_secs(13)));
        gate.close();
        assert!(!gate.open(Duration::from_secs(4)));
    }
}
