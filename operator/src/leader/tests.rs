//! Candidates with clocks of their own that are set forth and back, that sleep and whose requests are slow: never do two of them write.
//!
//! The world is one lease with a version, as the API server has it, and one true time. Each candidate knows the time that passes, and
//! nothing of the others but the lease.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::evaluate::renewal;
use super::{Decision, Gate, LEASE, Record, Seen, evaluate};

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// Time passes, in milliseconds.
    Pass(u64),
    /// A candidate reads the lease, and decides.
    Read(usize),
    /// A candidate that knows the lease as it last wrote it begins a renewal without a look.
    Renew(usize),
    /// Its write arrives, which it decided on before; the answer reaches it at once, or never.
    Write(usize, bool),
    /// Its wall clock is set, by seconds.
    Clock(usize, i64),
    /// Its process starts anew.
    Restart(usize),
}

#[derive(Default)]
struct Candidate {
    gate: Gate,
    seen: Seen,
    wall: i64,
    /// The version that it read, what it decided, and when the turn began.
    turn: Option<(u64, Decision, Duration)>,
    /// The version of its last write, if that was answered; forgotten when it is used.
    ours: Option<u64>,
}

#[derive(Default)]
struct World {
    now: Duration,
    lease: Record,
    version: u64,
    candidates: [Candidate; 3],
}

// === impl World ===

impl World {
    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Pass(ms) => self.now += Duration::from_millis(ms),
            Step::Read(who) => {
                let candidate = &mut self.candidates[who];
                let decision = evaluate(&self.lease, &who.to_string(), &mut candidate.seen, self.now);
                candidate.turn = Some((self.version, decision, self.now));
            }
            Step::Renew(who) => {
                let candidate = &mut self.candidates[who];
                if let Some(version) = candidate.ours.take() {
                    candidate.turn = Some((version, Decision::Renew, self.now));
                }
            }
            Step::Write(who, answered) => {
                let Some((version, decision, sent)) = self.candidates[who].turn.take() else { return };
                if decision == Decision::Yield || version != self.version {
                    return;
                }
                let clock = Timestamp::UNIX_EPOCH + SignedDuration::try_from(self.now).unwrap();
                let clock = clock + SignedDuration::from_secs(self.candidates[who].wall);
                self.lease = Record {
                    holder: Some(who.to_string()),
                    renewed: Some(renewal(self.lease.renewed, clock)),
                    duration: LEASE,
                    transitions: self.lease.transitions + i32::from(decision == Decision::Acquire),
                };
                self.version += 1;
                if answered {
                    self.candidates[who].gate.renewed(sent);
                    self.candidates[who].ours = Some(self.version);
                }
            }
            Step::Clock(who, seconds) => self.candidates[who].wall = seconds,
            Step::Restart(who) => self.candidates[who] = Candidate::default(),
        }
    }

    fn writers(&self) -> Vec<usize> {
        (0..self.candidates.len()).filter(|who| self.candidates[*who].gate.open(self.now)).collect()
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0..3_usize;
    let step = prop_oneof![
        4 => (0..6_000_u64).prop_map(Step::Pass),
        4 => who.clone().prop_map(Step::Read),
        3 => who.clone().prop_map(Step::Renew),
        4 => (who.clone(), any::<bool>()).prop_map(|(who, answered)| Step::Write(who, answered)),
        2 => (who.clone(), -100_000..100_000_i64).prop_map(|(who, seconds)| Step::Clock(who, seconds)),
        1 => who.prop_map(Step::Restart),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    #[test]
    fn check_08_never_do_two_write_whatever_their_clocks_say(steps in steps()) {
        let mut world = World::default();
        for (number, step) in steps.iter().enumerate() {
            world.apply(step);
            let writers = world.writers();
            prop_assert!(writers.len() <= 1, "{writers:?} after step {number}, {step:?}");
        }
    }

    #[test]
    fn a_leader_that_renews_keeps_the_lease_while_its_clock_is_set_every_time(clocks in prop::collection::vec(-100_000..100_000_i64, 1..100)) {
        let mut world = World::default();
        for clock in clocks {
            for step in [Step::Clock(0, clock), Step::Read(0), Step::Write(0, true), Step::Read(1), Step::Write(1, true), Step::Pass(2_000)] {
                world.apply(&step);
                prop_assert!(!world.writers().contains(&1));
            }
            prop_assert_eq!(world.writers(), [0]);
        }
    }
}

#[test]
fn another_leads_when_the_leader_is_gone_however_far_ahead_its_clock_was() {
    let mut world = World::default();
    for step in [Step::Clock(0, 100_000), Step::Read(0), Step::Write(0, true), Step::Read(1), Step::Write(1, true)] {
        world.apply(&step);
    }
    let mut led = Vec::new();
    for second in 1..=20 {
        for step in [Step::Pass(1_000), Step::Read(1), Step::Write(1, true)] {
            world.apply(&step);
        }
        led.push((second, world.writers()));
    }
    let first = |who: usize| led.iter().find(|(_, writers)| *writers == [who]).map(|(second, _)| *second);
    assert_eq!((first(0), first(1)), (Some(1), Some(15)));
}
