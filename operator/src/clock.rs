//! Monotonic time since the process started, as a plain number, so that what decides by it can be tested.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Time since the first call. Goes on while the process is stopped by a signal, and never back.
pub fn now() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// A random number as a share of the whole, 0 to 1.
pub fn share(random: u64) -> f64 {
    // The upper half of the bits is exact in a float.
    let upper = u32::try_from(random >> 32).unwrap_or(u32::MAX);
    f64::from(upper) / f64::from(u32::MAX)
}

/// A random number, for jitter: the keys of std's hash maps come from the system's random source.
pub fn random() -> u64 {
    RandomState::new().hash_one(now())
}
