//! The clock of the kernel's records.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since the machine booted, suspended time included (`CLOCK_BOOTTIME`), as in every record.
pub fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    u64::try_from(now.tv_sec)
        .unwrap_or(0)
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}
