//! Monotonic time since the process started, as a plain number, so that what decides by it can be tested.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Time since the first call. Goes on while the process is stopped by a signal, and never back.
pub fn now() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// A random number, for jitter: the keys of std's hash maps come from the system's random source.
pub fn random() -> u64 {
    RandomState::new().hash_one(now())
}
