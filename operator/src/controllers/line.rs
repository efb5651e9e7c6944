//! Who waits for a turn, and whose is next: first come, first served.
//!
//! An object is in line once, however often it is asked for, at the place of the earliest demand. One whose turn is on keeps the place of what is
//! asked meanwhile, and has it when the turn ends. So nobody waits behind somebody who came later: with a backlog all wait for about
//! as long as it takes to work off. (kube's controller takes any of those who wait: some wait for as long as there is a backlog.)

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use tokio::time::Instant;

/// When it is due, and among those due at the same time who was asked for first.
type Place = (Instant, u64);

/// The line. At most one entry per key, and one per turn that is on.
#[derive(Debug)]
pub(super) struct Line<K> {
    /// Who waits, in order.
    waiting: BTreeMap<Place, K>,
    /// The places of those.
    places: HashMap<K, Place>,
    /// Whose turn is on, with the place for the next one if it is asked for.
    on: HashMap<K, Option<Place>>,
    /// Demands so far.
    asked: u64,
}

// === impl Line ===

impl<K> Default for Line<K> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), places: HashMap::new(), on: HashMap::new(), asked: 0 }
    }
}

impl<K: Clone + Eq + Hash> Line<K> {
    /// Asks for a turn, not before `due`.
    pub(super) fn ask(&mut self, key: K, due: Instant) {
        let place = (due, self.asked);
        self.asked += 1;
        if let Some(next) = self.on.get_mut(&key) {
            *next = Some(next.map_or(place, |next| next.min(place)));
        } else {
            self.place(key, place);
        }
    }

    fn place(&mut self, key: K, place: Place) {
        match self.places.get(&key) {
            Some(known) if *known <= place => return,
            Some(known) => {
                self.waiting.remove(known);
            }
            None => {}
        }
        self.places.insert(key.clone(), place);
        self.waiting.insert(place, key);
    }

    /// Begins the turn of the first one that is due; `end` has to be told when it ends.
    pub(super) fn begin(&mut self, now: Instant) -> Option<K> {
        let first = self.waiting.first_entry().filter(|first| first.key().0 <= now)?;
        let key = first.remove();
        self.places.remove(&key);
        self.on.insert(key.clone(), None);
        Some(key)
    }

    /// The turn of a key is over.
    pub(super) fn end(&mut self, key: &K) {
        if let Some((key, Some(place))) = self.on.remove_entry(key) {
            self.place(key, place);
        }
    }

    /// Turns that are on.
    pub(super) fn on(&self) -> usize {
        self.on.len()
    }

    /// When the first one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        Some(self.waiting.first_key_value()?.0.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Those whose turn can begin, all at once.
    fn all(line: &mut Line<&'static str>, now: Instant) -> Vec<&'static str> {
        std::iter::from_fn(|| line.begin(now)).collect()
    }

    #[test]
    fn who_came_first_is_first_however_often_others_ask() {
        let (mut line, now) = (Line::default(), Instant::now());
        for key in ["c", "a", "b", "a", "c", "b"] {
            line.ask(key, now);
        }
        assert_eq!(all(&mut line, now), ["c", "a", "b"]);
        assert_eq!((line.on(), line.next()), (3, None));
    }

    #[test]
    fn who_is_to_wait_is_not_early_and_takes_his_place_by_time() {
        let (mut line, now) = (Line::default(), Instant::now());
        line.ask("later", now + 20 * MS);
        line.ask("soon", now + 10 * MS);
        assert_eq!((all(&mut line, now), line.next()), (vec![], Some(now + 10 * MS)));
        line.ask("now", now + 11 * MS);
        assert_eq!(all(&mut line, now + 30 * MS), ["soon", "now", "later"]);
    }

    #[test]
    fn an_earlier_demand_moves_forward_and_a_later_one_changes_nothing() {
        let (mut line, now) = (Line::default(), Instant::now());
        line.ask("a", now + 10 * MS);
        line.ask("b", now + 5 * MS);
        line.ask("a", now);
        line.ask("b", now + 50 * MS);
        assert_eq!(all(&mut line, now + 10 * MS), ["a", "b"]);
        assert_eq!(line.next(), None);
    }

    #[test]
    fn what_is_asked_during_a_turn_has_its_place_when_the_turn_ends() {
        let (mut line, now) = (Line::default(), Instant::now());
        line.ask("a", now);
        assert_eq!(line.begin(now), Some("a"));
        line.ask("a", now + MS);
        line.ask("b", now + 2 * MS);
        line.ask("a", now + 3 * MS);
        assert_eq!(line.next(), Some(now + 2 * MS), "one turn of an object at a time");
        line.end(&"a");
        assert_eq!(all(&mut line, now + 3 * MS), ["a", "b"]);
        line.end(&"a");
        line.end(&"b");
        assert_eq!((line.on(), line.next()), (0, None));
    }

    proptest! {
        /// Against a plain list: the turn is always of the key with the earliest demand that is not met, of those that may have one.
        #[test]
        fn turns_are_those_of_a_plain_list(steps in prop::collection::vec((0_u8..3, 0_u8..6, 0_u32..20), 1..200)) {
            let start = Instant::now();
            let (mut line, mut now) = (Line::default(), start);
            let (mut demands, mut on): (Vec<(Instant, u64, u8)>, Vec<u8>) = (Vec::new(), Vec::new());
            for (number, (step, key, wait)) in (0..).zip(steps) {
                match step {
                    0 => {
                        line.ask(key, now + wait * MS);
                        demands.push((now + wait * MS, number, key));
                    }
                    1 => {
                        now += wait * MS;
                        let may = demands.iter().filter(|(due, _, key)| *due <= now && !on.contains(key));
                        let expected = may.min().map(|(_, _, key)| *key);
                        prop_assert_eq!(line.begin(now), expected);
                        demands.retain(|(_, _, key)| Some(*key) != expected);
                        on.extend(expected);
                    }
                    _ => {
                        line.end(&key);
                        on.retain(|other| *other != key);
                    }
                }
                prop_assert_eq!(line.on(), on.len());
                let next = demands.iter().filter(|(_, _, key)| !on.contains(key)).min();
                prop_assert_eq!(line.next(), next.map(|(due, _, _)| *due));
            }
        }
    }
}
