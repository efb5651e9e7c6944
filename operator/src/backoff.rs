//! How long an object waits after its reconcile failed: exponential with full jitter, per object.
//!
//! kube's error policy has no count of attempts; here it is. Randomness and keys are arguments.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::clock;

/// Wait after the first failure, at most.
pub const FIRST: Duration = Duration::from_secs(1);
/// Wait after many failures, at most.
pub const LONGEST: Duration = Duration::from_mins(5);

/// Attempts per object.
#[derive(Debug)]
pub struct Backoffs<K> {
    failures: HashMap<K, u32>,
}

// === impl Backoffs ===

impl<K> Default for Backoffs<K> {
    fn default() -> Self {
        Self { failures: HashMap::new() }
    }
}

impl<K: Eq + Hash> Backoffs<K> {
    /// Counts a failure and gives the wait until the next try: between none and the ceiling, by `random`. Never under a
    /// twentieth of the ceiling, so that no draw makes a busy loop.
    pub fn failed(&mut self, key: K, random: u64) -> Duration {
        let failures = self.failures.entry(key).or_default();
        let ceiling = FIRST.saturating_mul(1 << (*failures).min(16)).min(LONGEST);
        *failures = failures.saturating_add(1);
        ceiling.mul_f64(clock::share(random).max(0.05))
    }

    /// Whether the object's last reconcile failed.
    pub fn waits(&self, key: &K) -> bool {
        self.failures.contains_key(key)
    }

    /// Forgets an object: its reconcile succeeded, or it is gone.
    pub fn forget(&mut self, key: &K) {
        self.failures.remove(key);
    }

    /// Objects that wait.
    pub fn len(&self) -> usize {
        self.failures.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.failures.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_from_one_second_to_five_minutes() {
        let mut backoffs = Backoffs::default();
        let waits: Vec<u64> = (0..12).map(|_| backoffs.failed("a", u64::MAX).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    }

    #[test]
    fn jitter_reaches_down_to_a_twentieth() {
        let mut backoffs = Backoffs::default();
        assert_eq!(backoffs.failed("a", 0), Duration::from_millis(50));
        assert_eq!(backoffs.failed("a", 1 << 63).as_millis(), 1_000);
    }

    #[test]
    fn objects_are_apart_and_success_starts_again() {
        let mut backoffs = Backoffs::default();
        backoffs.failed("a", u64::MAX);
        backoffs.failed("a", u64::MAX);
        assert_eq!(backoffs.failed("b", u64::MAX), FIRST);
        assert_eq!((backoffs.len(), backoffs.waits(&"a")), (2, true));
        backoffs.forget(&"a");
        assert!(!backoffs.waits(&"a"));
        assert_eq!((backoffs.failed("a", u64::MAX), backoffs.len()), (FIRST, 2));
    }

    #[test]
    fn endless_failures_never_overflow() {
        let mut backoffs = Backoffs { failures: HashMap::from([("a", u32::MAX)]) };
        assert_eq!(backoffs.failed("a", u64::MAX), LONGEST);
    }
}
