//! How much is done at the same time: places for objects that are worked on, and fewer and others for statuses that are written.
//!
//! A status costs the API server about as much as an object that a fleet is scraped by, and nobody waits for it as much. With places in
//! common a load that the API server just cannot take makes all wait alike; with its own, statuses have their share and no more, so that they
//! wait and what they are about is in place. Measured: docs/performance.md, 30 edits a second.
//!
//! A policy's turn may be some hundred requests, where a fleet's is some: a hundred policies that come first, as at a start, would have all fleets wait for them.
//! So each kind has its own [`Queue`] before the places that all have in common, and of policies fewer come through at the same time.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Of so many places for work there is one for a status.
const WORK_PER_STATUS: usize = 4;
/// Of so many places for work one kind of policies has or waits for one.
const WORK_PER_POLICY: usize = 4;
/// Objects of one kind that wait to be told about, at most, for each place for work: what is to be said of an object is held meanwhile.
const WAITING_PER_PLACE: usize = 8;
/// Other turns of one kind that may have begun at the same time, for each place for work.
const BEGUN_PER_PLACE: usize = 2;

/// All places, of all controllers together.
#[derive(Debug)]
pub struct Places {
    count: usize,
    work: Semaphore,
    status: Semaphore,
}

/// The objects of one kind that want to be worked on, and those that wait to be told about.
#[derive(Debug)]
pub struct Queue {
    work: Semaphore,
    waiting: Semaphore,
}

/// A place for work.
#[derive(Debug)]
pub struct Place<'a> {
    places: &'a Places,
    queue: &'a Queue,
    _permits: [SemaphorePermit<'a>; 2],
}

/// A place for a status.
#[derive(Debug)]
pub struct Telling<'a>(#[expect(dead_code, reason = "held for its end")] SemaphorePermit<'a>);

/// How the wait for a place for a status ended.
#[derive(Debug)]
pub enum Wait<'a> {
    /// Here it is.
    Over(Telling<'a>),
    /// Something else came before, or too many wait already.
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

    /// How many turns a controller may have begun at the same time: more than can wait to be told about, so that those never keep others from work.
    pub fn begun(&self) -> usize {
        self.count * (WAITING_PER_PLACE + BEGUN_PER_PLACE)
    }

    /// How many it may have begun when it comes back to those that were not told about: so few that there is room for them to wait.
    pub fn quiet(&self) -> usize {
        self.count * WAITING_PER_PLACE / 2
    }

    /// That of fleets: all places may be theirs.
    pub fn fleets(&self) -> Queue {
        self.queue(self.count)
    }

    /// That of one kind of policies.
    pub fn policies(&self) -> Queue {
        self.queue(self.count.div_ceil(WORK_PER_POLICY))
    }

    fn queue(&self, work: usize) -> Queue {
        Queue { work: Semaphore::new(work), waiting: Semaphore::new(self.count * WAITING_PER_PLACE) }
    }

    /// Waits for a place, in the queue of its kind and then among all that came through theirs, first come, first served. None after [`Places::close`].
    pub async fn work<'a>(&'a self, queue: &'a Queue) -> Option<Place<'a>> {
        let through = queue.work.acquire().await.ok()?;
        Some(Place { places: self, queue, _permits: [through, self.work.acquire().await.ok()?] })
    }

    /// Gives no more places: who waits for one is told so, and who has one keeps it.
    pub fn close(&self) {
        self.work.close();
        self.status.close();
    }
}

// === impl Place ===

impl<'a> Place<'a> {
    /// Gives it up for a place for a status, as soon as there is one, unless `given_up` comes first. Where too many of its kind wait for one it waits not
    /// at all: what is done for others is worth more than to keep what is to be said, which can be found out again.
    pub async fn tell(self, given_up: impl Future<Output = ()>) -> Wait<'a> {
        let (places, queue) = (self.places, self.queue);
        drop(self);
        let Ok(_waiting) = queue.waiting.try_acquire() else { return Wait::GivenUp };
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
        let fleets = places.fleets();
        let first = places.work(&fleets).await.unwrap().tell(pending()).await;
        assert!(matches!(first, Wait::Over(_)), "{first:?}");
        let mut others = Vec::new();
        for _ in 0..3 {
            let mut waits = Box::pin(places.work(&fleets).await.unwrap().tell(pending()));
            assert!(waits.as_mut().now_or_never().is_none(), "one of four is for statuses");
            others.push(waits);
        }
        let work: Vec<Option<Place<'_>>> = (0..4).map(|_| places.work(&fleets).now_or_never().flatten()).collect();
        assert!(work.iter().all(Option::is_some), "all four are free");
        assert!(places.work(&fleets).now_or_never().is_none(), "and no more than four");
        drop(first);
        let told: Vec<bool> =
            others.iter_mut().map(|waits| matches!(waits.now_or_never(), Some(Wait::Over(_)))).collect();
        assert_eq!(told, [true, true, true], "one after the other, the first one first");
    }

    #[tokio::test]
    async fn policies_that_came_first_keep_no_fleet_waiting() {
        let places = Places::new(8);
        let (fleets, policies, others) = (places.fleets(), places.policies(), places.policies());
        let mut waits: Vec<_> = [&policies, &policies, &policies, &others, &others, &others]
            .map(|queue| Box::pin(places.work(queue)))
            .into_iter()
            .collect();
        let mut through: Vec<_> = waits.iter_mut().map(|waits| waits.as_mut().now_or_never().flatten()).collect();
        let there: Vec<bool> = through.iter().map(Option::is_some).collect();
        assert_eq!(there, [true, true, false, true, true, false], "two of each kind");
        let work: Vec<Option<Place<'_>>> = (0..4).map(|_| places.work(&fleets).now_or_never().flatten()).collect();
        assert!(work.iter().all(Option::is_some), "four are left");
        through[0] = None;
        assert!(waits[2].as_mut().now_or_never().flatten().is_some(), "the next one of its kind");
    }

    #[tokio::test]
    async fn who_would_wait_behind_too_many_gives_up_at_once_and_keeps_nobody_from_work() {
        let places = Places::new(1);
        let (fleets, others) = (places.fleets(), places.policies());
        let Wait::Over(first) = places.work(&fleets).await.unwrap().tell(pending()).await else { panic!("it is free") };
        let mut waits = Vec::new();
        for _ in 0..WAITING_PER_PLACE {
            let mut wait = Box::pin(places.work(&fleets).await.unwrap().tell(pending()));
            assert!(wait.as_mut().now_or_never().is_none());
            waits.push(wait);
        }
        assert!(waits.len() < places.begun() && places.quiet() < waits.len());
        let more = places.work(&fleets).await.unwrap();
        assert!(matches!(more.tell(pending()).await, Wait::GivenUp));
        let mut other = Box::pin(places.work(&others).await.unwrap().tell(pending()));
        assert!(other.as_mut().now_or_never().is_none(), "another kind's wait is its own");
        drop(first);
        assert!(matches!(waits.remove(0).await, Wait::Over(_)));
        let mut next = Box::pin(places.work(&fleets).await.unwrap().tell(pending()));
        assert!(next.as_mut().now_or_never().is_none(), "there is room again");
    }

    #[tokio::test]
    async fn after_the_end_nobody_waits() {
        let places = Places::new(1);
        let fleets = places.fleets();
        let place = places.work(&fleets).await.unwrap();
        let mut waits = [Box::pin(places.work(&fleets)), Box::pin(places.work(&fleets))];
        assert!(waits.iter_mut().all(|waits| waits.as_mut().now_or_never().is_none()));
        places.close();
        assert!(matches!(place.tell(pending()).await, Wait::Closed));
        for waits in waits {
            assert!(waits.await.is_none());
        }
    }
}
