//! At most one turn per key and period: the first at once, what comes meanwhile together at the end of the period.
//!
//! A fleet whose pods churn gets its status written once a second, not once per pod event. Time is an argument.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::time::Duration;

/// Keys with their last turn, and those that wait for the next.
#[derive(Debug)]
pub struct Throttle<K> {
    period: Duration,
    last: HashMap<K, Duration>,
    waiting: HashSet<K>,
}

// === impl Throttle ===

impl<K: Clone + Eq + Hash> Throttle<K> {
    /// One turn per `period`.
    pub fn new(period: Duration) -> Self {
        Self { period, last: HashMap::new(), waiting: HashSet::new() }
    }

    /// Whether the key has its turn now; if not, it waits for [`Throttle::due`]. `now` is time since any fixed moment.
    pub fn offer(&mut self, key: &K, now: Duration) -> bool {
        if self.last.get(key).is_some_and(|last| now < *last + self.period) {
            self.waiting.insert(key.clone());
            return false;
        }
        self.last.insert(key.clone(), now);
        true
    }

    /// The waiting keys whose period is over: they have their turn now. Forgets who had none for long.
    pub fn due(&mut self, now: Duration) -> Vec<K> {
        let (period, last) = (self.period, &self.last);
        let over = |key: &K| last.get(key).is_none_or(|last| now >= *last + period);
        let due: Vec<K> = self.waiting.extract_if(|key| over(key)).collect();
        self.last.retain(|_, last| now < *last + period);
        self.last.extend(due.iter().map(|key| (key.clone(), now)));
        due
    }

    /// When [`Throttle::due`] has something to give at the earliest; none while nobody waits.
    pub fn next(&self) -> Option<Duration> {
        self.waiting.iter().map(|key| self.last.get(key).map_or(Duration::ZERO, |last| *last + self.period)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn churn_gives_one_turn_at_once_and_one_per_period() {
        let mut throttle = Throttle::new(ms(1_000));
        let mut turns = Vec::new();
        for now in (0..=3_000).step_by(10) {
            turns.extend(throttle.due(ms(now)).iter().map(|_| now));
            if now < 2_500 && throttle.offer(&"fleet", ms(now)) {
                turns.push(now);
            }
        }
        assert_eq!(turns, [0, 1_000, 2_000, 3_000]);
    }

    #[test]
    fn the_last_change_is_never_lost() {
        let mut throttle = Throttle::new(ms(1_000));
        assert!(throttle.offer(&1, ms(0)));
        assert!(!throttle.offer(&1, ms(999)));
        assert_eq!(throttle.next(), Some(ms(1_000)));
        assert_eq!(throttle.due(ms(1_000)), [1]);
        assert_eq!(throttle.next(), None);
    }

    #[test]
    fn keys_do_not_wait_for_each_other_and_are_forgotten() {
        let mut throttle = Throttle::new(ms(1_000));
        assert!(throttle.offer(&1, ms(0)) && throttle.offer(&2, ms(0)));
        assert_eq!(throttle.due(ms(5_000)), [0; 0]);
        assert!(throttle.last.is_empty());
    }
}
