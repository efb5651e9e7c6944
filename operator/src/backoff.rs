//! How long an object waits after its reconcile failed: exponential with full jitter, per object.
//!
//! kube's error policy has no count of attempts; here it is. Randomness and keys are arguments.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::clock;

/// Wait after the first failure, at most. Short, as most failures are one request's; that the API server itself is in trouble shows in the next ones.
pub const FIRST: Duration = Duration::from_millis(200);
/// Failures in a row that are no news: until the next one some 0.7 s have passed.
pub const PASSING: u32 = 3;
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

    /// Whether the object's last reconciles failed, more of them than one now and then does: there was time for what passes by itself.
    pub fn keeps_failing(&self, key: &K) -> bool {
        self.failures.get(key).is_some_and(|failures| *failures >= PASSING)
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
    fn the_ceiling_doubles_from_a_fifth_of_a_second_to_five_minutes() {
        let mut backoffs = Backoffs::default();
        let waits: Vec<u128> = (0..13).map(|_| backoffs.failed("a", u64::MAX).as_millis()).collect();
        let doubled = (0..11).map(|failures| 200 << failures);
        assert_eq!(waits, doubled.chain([300_000; 2]).collect::<Vec<_>>());
    }

    #[test]
    fn jitter_reaches_down_to_a_twentieth() {
        let mut backoffs = Backoffs::default();
        assert_eq!(backoffs.failed("a", 0), Duration::from_millis(10));
        assert_eq!(backoffs.failed("a", 1 << 63).as_millis(), 200);
    }

    #[test]
    fn objects_are_apart_and_success_starts_again() {
        let mut backoffs = Backoffs::default();
        backoffs.failed("a", u64::MAX);
        backoffs.failed("a", u64::MAX);
        assert_eq!(backoffs.failed("b", u64::MAX), FIRST);
        assert_eq!((backoffs.len(), backoffs.keeps_failing(&"a")), (2, false));
        backoffs.failed("a", u64::MAX);
        assert!(backoffs.keeps_failing(&"a") && !backoffs.keeps_failing(&"b"));
        backoffs.forget(&"a");
        assert!(!backoffs.keeps_failing(&"a"));
        assert_eq!((backoffs.failed("a", u64::MAX), backoffs.len()), (FIRST, 2));
    }

    #[test]
    fn endless_failures_never_overflow() {
        let mut backoffs = Backoffs { failures: HashMap::from([("a", u32::MAX)]) };
        assert_eq!(backoffs.failed("a", u64::MAX), LONGEST);
    }
}
