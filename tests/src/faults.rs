//! A proxy before the API server at which requests fail as a plan says: what a client makes of an API server in trouble.
//!
//! In: a client's requests, over plain HTTP on loopback, without credentials. Out: the same requests with the credentials of a
//! configuration, and the answers; or a [`Fault`] in their place. [`seeded`] draws faults at random, the same ones for the same
//! seed; a test that wants one at a certain request writes its own [`Plan`].

mod answer;
mod proxy;

pub use proxy::{Counts, Proxy};

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::sync::watch;

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: String,
    /// The query, without its question mark; empty without one.
    pub query: String,
}

/// Shut until it is opened.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<bool>>);

/// What goes wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// 429 with `Retry-After: 1`; the request is not done.
    TooManyRequests,
    /// 500; the request is not done.
    Internal,
    /// 409 without a cause, as when the object changed meanwhile; the request is not done.
    Conflict,
    /// The connection is closed without an answer; the request is not done.
    Closed,
    /// The request is done, and the answer is 500.
    DoneInternal,
    /// The request is done, and the connection is closed without an answer.
    DoneClosed,
    /// There is no answer for as long as the client waits; the request is not done.
    Silent,
    /// Of a watch: its events for so long, then 410 Gone in the stream, and its end.
    Expired(Duration),
    /// The request is done, and of the answer nothing comes for so long, then all of it. Of a watch: of its events.
    Held(Duration),
    /// The same until the gate is opened.
    Barred(Gate),
}

/// What becomes of watches in a [`seeded`] plan.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Watches {
    /// They fail as often as other requests; one of their ways to fail is [`Fault::Expired`], after 10 to 50 s.
    AsOthers,
    /// Each that starts ends with [`Fault::Expired`] after 10 to 50 s: what it shows has to be listed again and again.
    AllExpire,
}

/// What goes wrong with a request; asked once for each, in the order of their arrival.
pub type Plan = Box<dyn FnMut(&Asked) -> Option<Fault> + Send>;

// === impl Asked ===

impl Asked {
    /// Whether it watches.
    pub fn is_watch(&self) -> bool {
        self.query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1")
    }

    /// Whether it writes.
    pub fn is_write(&self) -> bool {
        self.method != Method::GET
    }
}

// === impl Gate ===

impl Gate {
    /// A shut one.
    pub fn shut() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Opens it, for ever.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it is open.
    async fn opened(self) {
        // The sender is here.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

impl Eq for Gate {}

impl PartialEq for Gate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

// === impl Fault ===

impl Fault {
    /// Its name, for counts.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::TooManyRequests => "429",
            Self::Internal => "500",
            Self::Conflict => "409",
            Self::Closed => "closed",
            Self::DoneInternal => "done, 500",
            Self::DoneClosed => "done, closed",
            Self::Silent => "no answer",
            Self::Expired(_) => "410 in a watch",
            Self::Held(_) | Self::Barred(_) => "held back",
        }
    }
}

/// A plan by which `percent` of the requests fail, each way as often as the others that make sense for it: 429, 500, a closed connection, for
/// writes also 409, and 500 or a closed connection after the request was done.
pub fn seeded(seed: u64, percent: u64, watches: Watches) -> Plan {
    const READ: [Fault; 3] = [Fault::TooManyRequests, Fault::Internal, Fault::Closed];
    const WRITE: [Fault; 6] = [
        Fault::TooManyRequests,
        Fault::Internal,
        Fault::Closed,
        Fault::Conflict,
        Fault::DoneInternal,
        Fault::DoneClosed,
    ];
    let mut random = Random(seed);
    Box::new(move |asked| {
        // Drawn for each request, whatever becomes of it: the same sequence for the same requests.
        let (fails, which, life) = (random.below(100) < percent, random.next(), 10_000 + random.below(40_001));
        let expired = Fault::Expired(Duration::from_millis(life));
        let faults = match (asked.is_watch(), asked.is_write()) {
            (true, _) => &[Fault::TooManyRequests, Fault::Internal, Fault::Closed, expired.clone()][..],
            (false, true) => &WRITE,
            (false, false) => &READ,
        };
        let count = u64::try_from(faults.len()).unwrap_or(1);
        let fault = usize::try_from(which % count).ok().and_then(|index| faults.get(index).cloned());
        let in_time = (asked.is_watch() && watches == Watches::AllExpire).then_some(expired);
        if fails { fault } else { in_time }
    })
}

/// `SplitMix64`: small, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

// === impl Random ===

impl Random {
    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number, under `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn asked(method: Method, query: &str) -> Asked {
        Asked { method, path: "/api/v1/pods".to_owned(), query: query.to_owned() }
    }

    fn drawn(seed: u64, asked: &Asked, watches: Watches) -> Vec<Option<Fault>> {
        let mut plan = seeded(seed, 5, watches);
        (0..20_000).map(|_| plan(asked)).collect()
    }

    fn names(faults: &[Option<Fault>]) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for fault in faults.iter().flatten() {
            *counts.entry(fault.as_str()).or_default() += 1;
        }
        counts
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_and_another_one_others() {
        let read = asked(Method::GET, "");
        assert_eq!(drawn(7, &read, Watches::AsOthers), drawn(7, &read, Watches::AsOthers));
        assert_ne!(drawn(7, &read, Watches::AsOthers), drawn(8, &read, Watches::AsOthers));
    }

    #[test]
    fn five_percent_of_the_reads_fail_in_three_ways() {
        let counts = names(&drawn(1, &asked(Method::GET, "limit=500"), Watches::AllExpire));
        assert_eq!(counts.keys().copied().collect::<Vec<_>>(), ["429", "500", "closed"]);
        let all: usize = counts.values().sum();
        assert!((900..1_100).contains(&all), "{counts:?}");
        assert!(counts.values().all(|count| *count > 250), "{counts:?}");
    }

    #[test]
    fn writes_fail_also_by_conflicts_and_by_answers_that_are_lost() {
        let counts = names(&drawn(2, &asked(Method::PATCH, "force=true"), Watches::AllExpire));
        assert_eq!(
            counts.keys().copied().collect::<Vec<_>>(),
            ["409", "429", "500", "closed", "done, 500", "done, closed"]
        );
    }

    /// After how many seconds watches end with 410 Gone.
    fn ends(faults: &[Option<Fault>]) -> Vec<u64> {
        let ends = faults.iter().flatten().filter_map(|fault| match fault {
            Fault::Expired(after) => Some(after.as_secs()),
            _ => None,
        });
        ends.collect()
    }

    #[test]
    fn every_watch_that_starts_ends_with_gone_where_all_expire() {
        let watch = asked(Method::GET, "allowWatchBookmarks=true&watch=true");
        let faults = drawn(3, &watch, Watches::AllExpire);
        assert!(faults.iter().all(Option::is_some));
        let ends = ends(&faults);
        assert!(ends.len() > 18_000 && ends.iter().all(|seconds| (10..=50).contains(seconds)), "{}", ends.len());
    }

    #[test]
    fn watches_fail_as_often_as_other_requests_where_they_are_as_others() {
        let watch = asked(Method::GET, "allowWatchBookmarks=true&watch=true");
        let faults = drawn(3, &watch, Watches::AsOthers);
        let counts = names(&faults);
        assert_eq!(counts.keys().copied().collect::<Vec<_>>(), ["410 in a watch", "429", "500", "closed"]);
        let all: usize = counts.values().sum();
        assert!((900..1_100).contains(&all), "{counts:?}");
        assert!(ends(&faults).iter().all(|seconds| (10..=50).contains(seconds)));
    }
}
