//! What to do about a lease. Pure: the lease, what was seen of it before, and the time in; a decision out.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;

/// What of a lease decides.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Record {
    /// Who has it; none or empty when it was released.
    pub holder: Option<String>,
    /// The holder's clock at its last renewal. Only whether it changes is of interest.
    pub renewed: Option<Timestamp>,
    /// How long it lasts from a renewal on.
    pub duration: Duration,
    /// How often it changed hands.
    pub transitions: i32,
}

/// What was seen of a lease before: the last record, and since when it is as it is, by the own clock.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    last: Option<(Record, Duration)>,
}

/// What to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// It is free, or has run out: take it.
    Acquire,
    /// It is ours: renew it.
    Renew,
    /// Somebody else has it.
    Yield,
}

// === impl Record ===

impl Record {
    /// Of a Lease. A duration that is missing or not positive is `default`.
    pub fn of(lease: &Lease, default: Duration) -> Self {
        let spec = lease.spec.clone().unwrap_or_default();
        let duration = spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok()).filter(|s| *s > 0);
        Self {
            holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
            renewed: spec.renew_time.map(|time| time.0),
            duration: duration.map_or(default, Duration::from_secs),
            transitions: spec.lease_transitions.unwrap_or_default(),
        }
    }
}

/// Decides for `identity` at `now`, time since any fixed moment, and remembers the record.
pub fn evaluate(record: &Record, identity: &str, seen: &mut Seen, now: Duration) -> Decision {
    let since = match &seen.last {
        Some((last, since)) if last == record => *since,
        _ => now,
    };
    seen.last = Some((record.clone(), since));
    match &record.holder {
        None => Decision::Acquire,
        Some(holder) if holder == identity => Decision::Renew,
        Some(_) if now.saturating_sub(since) >= record.duration => Decision::Acquire,
        Some(_) => Decision::Yield,
    }
}

/// The `renewTime` of a renewal: the clock's, and never the one before, which would be no change. A clock that was set back may come by it.
pub(super) fn renewal(before: Option<Timestamp>, clock: Timestamp) -> Timestamp {
    let (first, next) = (Timestamp::UNIX_EPOCH, SignedDuration::from_micros(1));
    // As the API server keeps it.
    let clock = Timestamp::from_microsecond(clock.as_microsecond()).unwrap_or(first);
    if before == Some(clock) { clock.checked_add(next).unwrap_or(first) } else { clock }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn record(holder: &str, renewed: i64) -> Record {
        Record {
            holder: Some(holder.to_owned()),
            renewed: Some(Timestamp::from_second(renewed).unwrap()),
            duration: secs(15),
            transitions: 0,
        }
    }

    #[test]
    fn a_released_lease_is_taken() {
        let free = Record { holder: None, ..record("", 0) };
        assert_eq!(evaluate(&free, "me", &mut Seen::default(), secs(0)), Decision::Acquire);
    }

    #[test]
    fn an_own_lease_is_renewed_however_old() {
        assert_eq!(evaluate(&record("me", 0), "me", &mut Seen::default(), secs(900)), Decision::Renew);
    }

    #[test]
    fn a_lease_runs_out_when_it_did_not_change_for_its_duration() {
        let mut seen = Seen::default();
        assert_eq!(evaluate(&record("you", 5), "me", &mut seen, secs(100)), Decision::Yield);
        assert_eq!(evaluate(&record("you", 5), "me", &mut seen, secs(114)), Decision::Yield);
        assert_eq!(evaluate(&record("you", 5), "me", &mut seen, secs(115)), Decision::Acquire);
    }

    #[test]
    fn every_renewal_starts_the_wait_again_whatever_its_clock_says() {
        let mut seen = Seen::default();
        for (now, renewed) in [(0, 9_999_999), (14, 3), (28, 2), (42, -8)] {
            assert_eq!(evaluate(&record("you", renewed), "me", &mut seen, secs(now)), Decision::Yield);
        }
        assert_eq!(evaluate(&record("you", -8), "me", &mut seen, secs(56)), Decision::Yield);
        assert_eq!(evaluate(&record("you", -8), "me", &mut seen, secs(57)), Decision::Acquire);
    }

    #[test]
    fn a_renewal_is_a_change_also_when_the_clock_comes_by_the_same_moment_again() {
        let (at, end) = (Timestamp::from_second(77).unwrap(), Timestamp::MAX);
        assert_eq!(renewal(None, at), at);
        assert_eq!(renewal(Some(Timestamp::MAX), at), at);
        assert_eq!(renewal(Some(at), at).as_microsecond(), 77_000_001);
        assert_ne!(renewal(Some(renewal(None, end)), end), renewal(None, end));
        // The API server keeps microseconds: less is no change to it.
        let nanos = at + SignedDuration::from_nanos(3);
        assert_eq!(renewal(Some(at), nanos).as_microsecond(), 77_000_001);
    }

    #[test]
    fn a_lease_without_a_duration_lasts_as_long_as_ours() {
        let read = Record::of(&Lease::default(), secs(15));
        assert_eq!(read, Record { duration: secs(15), ..Record::default() });
    }
}
