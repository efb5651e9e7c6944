//! One reconcile, of whichever kind: work, then tell.

use std::time::Duration;

use kube::Resource as _;
use tokio::time::timeout;

use super::dispatch::Again;
use super::kind::Kind;
use super::memory::{Guarded, Said, Turns};
use super::tell::tell;
use super::work::{End, work};
use crate::clock;
use crate::context::lock;
use crate::error::Error;
use crate::metrics::Outcome;
use crate::owner::OwnerKey;
use crate::places::{Place, Wait};

/// Work, or telling, that takes longer is given up and tried again: others wait for its place.
const LONGEST: Duration = Duration::from_mins(1);
/// Who has waited so long for a place to tell has another turn first: meanwhile something else may be to be done, and to be told.
const PATIENCE: Duration = Duration::from_secs(20);

/// One reconcile, and when there is to be another one whatever happens. Never fails: what went wrong is counted, shown, and tried again.
/// `said` is of the moment at which the object was as it is given.
pub(crate) async fn reconcile<K: Kind>(
    object: &Guarded<K>,
    key: &OwnerKey,
    said: Said<K::Status>,
    turns: &Turns<K>,
    place: Place<'_>,
) -> Again {
    let ctx = &turns.ctx;
    let generation = object.meta().generation.unwrap_or_default();
    if object.meta().deletion_timestamp.is_some() {
        return Again::default();
    }
    if let Some(wait) = turns.wait(key, generation) {
        return Again::after(wait);
    }
    let started = clock::now();
    let result = if ctx.gate.open(started) {
        let given_up = async {
            // It does not matter which of the two it was.
            let _ = timeout(PATIENCE, turns.superseded(key, generation)).await;
        };
        let Said { last, tried } = said;
        turn(place, work(object, key, last, turns), given_up, async |news| {
            tell(&object.object_ref(&()), object.meta(), key, &news.before, tried.as_ref(), news.next, turns).await
        })
        .await
    } else {
        Err(Error::NotLeading)
    };
    let (outcome, again) = match result {
        Ok((done @ (End::Done | End::Later(_)), told)) => {
            lock(&turns.backoffs).forget(key);
            turns.arrived(key, generation);
            let resync = resync(ctx.resync);
            let after =
                if let End::Later(wait) = done { Some(resync.map_or(wait, |next| next.min(wait))) } else { resync };
            (if told { Outcome::Ok } else { Outcome::StatusPending }, Again { after, untold: !told })
        }
        Err(Error::NotLeading) => (Outcome::Standby, Again::default()),
        failed => {
            let wait = lock(&turns.backoffs).failed(key.clone(), clock::random());
            if let Err(error) = failed {
                tracing::warn!(object = %key, %error, wait_s = wait.as_secs_f32(), "Reconcile failed");
            }
            // Also when it was not told: what failed is not to be tried again before its time.
            (Outcome::Error, Again::after(wait))
        }
    };
    let waiting = lock(&turns.backoffs).len();
    ctx.metrics.reconciled(K::KIND, outcome, clock::now().saturating_sub(started), waiting);
    again
}

/// Works, and tells what is news. Each has its own limit; between them there may be a wait for a place, which is neither's, until `given_up`. Whether
/// all is told.
async fn turn<N>(
    place: Place<'_>,
    work: impl Future<Output = Result<(End, Option<N>), Error>>,
    given_up: impl Future<Output = ()>,
    tell: impl AsyncFnOnce(N) -> Result<(), Error>,
) -> Result<(End, bool), Error> {
    let (end, news) = limited(work).await?;
    let Some(news) = news else { return Ok((end, true)) };
    let _place = match place.tell(given_up).await {
        Wait::Over(place) => place,
        Wait::GivenUp => return Ok((end, false)),
        Wait::Closed => return Err(Error::NotLeading),
    };
    limited(tell(news)).await?;
    Ok((end, true))
}

async fn limited<T>(part: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(LONGEST, part).await.unwrap_or(Err(Error::Slow { after_s: LONGEST.as_secs() }))
}

/// The next look without cause, up to a tenth earlier, so that objects that came together spread out.
fn resync(every: Duration) -> Option<Duration> {
    (!every.is_zero()).then(|| every.mul_f64(1.0 - 0.1 * clock::share(clock::random())))
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::places::Places;

    const SECOND: Duration = Duration::from_secs(1);

    /// A turn whose work and telling take so many seconds, while the place for statuses is taken for `held`: how it ended, what was told,
    /// and after how many seconds.
    async fn turned(
        work: u32,
        tell: u32,
        held: u32,
        given_up: impl Future<Output = ()>,
    ) -> (String, Vec<&'static str>, u64) {
        let (places, began, mut told) = (Places::new(2), Instant::now(), Vec::new());
        let fleets = places.fleets();
        let Wait::Over(taken) = places.work(&fleets).await.unwrap().tell(pending()).await else { panic!("it is free") };
        let release = async {
            sleep(held * SECOND).await;
            drop(taken);
        };
        let working = async {
            sleep(work * SECOND).await;
            Ok((End::Done, Some("news")))
        };
        let telling = async |news| {
            sleep(tell * SECOND).await;
            told.push(news);
            Ok(())
        };
        let turn = async {
            turn(places.work(&fleets).await.unwrap(), working, given_up, telling)
                .await
                .map_err(|error| error.to_string())
        };
        let (end, ()) = tokio::join!(async { (turn.await, began.elapsed().as_secs()) }, release);
        (format!("{:?}", end.0), told, end.1)
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_a_place_is_in_no_limit() {
        let slow = "Err(\"failed to finish within 60 s: the API server answers slowly\")".to_owned();
        assert_eq!(turned(59, 59, 0, pending()).await, ("Ok((Done, true))".to_owned(), vec!["news"], 118));
        assert_eq!(turned(59, 59, 300, pending()).await, ("Ok((Done, true))".to_owned(), vec!["news"], 359));
        assert_eq!(turned(61, 0, 0, pending()).await, (slow.clone(), vec![], 60));
        assert_eq!(turned(0, 61, 0, pending()).await, (slow, vec![], 60));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_has_done_his_work_and_is_to_look_again() {
        let again = ("Ok((Done, false))".to_owned(), vec![], 30);
        assert_eq!(turned(10, 0, 300, sleep(30 * SECOND)).await, again, "from the start on");
        assert_eq!(turned(10, 0, 20, sleep(30 * SECOND)).await, ("Ok((Done, true))".to_owned(), vec!["news"], 20));
    }
}
