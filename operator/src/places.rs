//! How much is done at the same time: places for objects that are worked on, and fewer and others for statuses that are written.
//!
//! A status costs the API server about as much as an object that a fleet is scraped by, and nobody waits for it as much. With places in
//! common a load that the API server just cannot take makes all wait alike; with its own, statuses have their share and no more, so that they
//! wait and what they are about is in place. Measured: docs/performance.md, 30 edits a second.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Of so many places for work there is one for a status.
const WORK_PER_STATUS: usize = 4;
/// Objects of one controller that have or wait for a place, at most, for each place for work: what is to be said of an object is held until it is. When so
/// many wait to be told about, who comes next waits for them before anything is done: at 30 edits a second that the API server cannot take, some 300 do.
const BEGUN_PER_PLACE: usize = 32;

/// All places, of all controllers together.
#[derive(Debug)]
pub struct Places {
    count: usize,
    work: Semaphore,
    status: Semaphore,
}

/// A place for work.
#[derive(Debug)]
pub struct Place<'a> {
    places: &'a Places,
    _permit: SemaphorePermit<'a>,
}

/// A place for a status.
#[derive(Debug)]
pub struct Telling<'a>(#[expect(dead_code, reason = "held for its end")] SemaphorePermit<'a>);

/// How the wait for a place for a status ended.
#[derive(Debug)]
pub enum Wait<'a> {
    /// Here it is.
    Over(Telling<'a>),
    /// Something else came before.
    GivenUp,
    /// There are no more places: see [`Places::close`].
    Closed,
}

// === impl Places ===

impl Places {
    /// With so many for work, at least one.
    pub fn new(count: u16) -> Self {
        let count = usize::from(count.max(1));
        Self { count, work: Semaphore::new(count), status: Semaphore::new(count.div_ceil(WORK_PER_STATUS)) }
    }

    /// How many turns a controller may have begun at the same time.
    pub fn begun(&self) -> usize {
        self.count * BEGUN_PER_PLACE
    }

    /// Waits for a place, first come, first served. None after [`Places::close`].
    pub async fn work(&self) -> Option<Place<'_>> {
        Some(Place { places: self, _permit: self.work.acquire().await.ok()? })
    }

    /// Gives no more places: who waits for one is told so, and who has one keeps it.
    pub fn close(&self) {
        self.work.close();
        self.status.close();
    }
}

// === impl Place ===

impl<'a> Place<'a> {
    /// Gives it up for a place for a status, as soon as there is one, unless `given_up` comes first.
    pub async fn tell(self, given_up: impl Future<Output = ()>) -> Wait<'a> {
        let places = self.places;
        drop(self);
        tokio::select! {
            // Who has a place does not give it up.
            biased;
            permit = places.status.acquire() => permit.map_or(Wait::Closed, |permit| Wait::Over(Telling(permit))),
            () = given_up => Wait::GivenUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn statuses_that_wait_keep_nobody_from_work() {
        let places = Places::new(4);
        let first = places.work().await.unwrap().tell(pending()).await;
        assert!(matches!(first, Wait::Over(_)), "{first:?}");
        let mut others = Vec::new();
        for _ in 0..3 {
            let mut waits = Box::pin(places.work().await.unwrap().tell(pending()));
            assert!(waits.as_mut().now_or_never().is_none(), "one of four is for statuses");
            others.push(waits);
        }
        let work: Vec<Option<Place<'_>>> = (0..4).map(|_| places.work().now_or_never().flatten()).collect();
        assert!(work.iter().all(Option::is_some), "all four are free");
        assert!(places.work().now_or_never().is_none(), "and no more than four");
        drop(first);
        let told: Vec<bool> =
            others.iter_mut().map(|waits| matches!(waits.now_or_never(), Some(Wait::Over(_)))).collect();
        assert_eq!(told, [true, true, true], "one after the other, the first one first");
    }

    #[tokio::test]
    async fn after_the_end_nobody_waits() {
        let places = Places::new(1);
        let place = places.work().await.unwrap();
        let mut waits = Box::pin(places.work());
        assert!(waits.as_mut().now_or_never().is_none());
        places.close();
        assert!(waits.await.is_none() && places.work().await.is_none());
        assert!(matches!(place.tell(pending()).await, Wait::Closed));
    }
}
