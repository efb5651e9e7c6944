//! The watch of a kind: with pauses after errors, and of several namespaces as if it were one.
//!
//! - `listing`: the watch of one of them
//!
//! Several are listed one after the other and then watched together. A namespace whose list is refused (403: its role is gone, as it is while the
//! namespace is being deleted) counts as empty, and is tried again; so the others are not held up. When one has to be listed again, all are, for who
//! reads the stream takes a list to be all that there is.

mod listing;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::future;
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use self::listing::Told;
use self::listing::server::Asked;

/// A definition is served within fractions of a second after it appears; until then its objects are not found.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(30);

/// What a watch shows.
pub type Events<K> = BoxStream<'static, Result<Event<K>, watcher::Error>>;

/// Some of a kind's objects.
#[derive(Clone, Debug)]
pub struct Part<K> {
    /// Where they are.
    pub api: Api<K>,
    /// Which of them: selectors and page size.
    pub config: watcher::Config,
}

/// Is told of each page of a list that failed and is asked for again: that is no error of the watch.
pub type Failed = Arc<dyn Fn(&kube::Error) + Send + Sync>;

/// Watches the objects of all parts for ever. After an error it pauses, twice as long each time until something was listed or seen.
pub fn watch<K>(parts: Vec<Part<K>>, failed: Failed) -> Events<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let number = parts.len();
    merge(number, move |part| {
        let part = parts[part].clone();
        paused(listing::watch(Asked { part, failed: Arc::clone(&failed) }))
    })
}

/// Pauses after errors. kube's own pauses begin anew with each try of a list, as the event `Init` is a success to them: a list that fails is
/// tried ten times a second for ever.
fn paused<K: 'static>(told: impl Stream<Item = Result<Told<K>, watcher::Error>> + Send + 'static) -> Events<K> {
    let begin = (told.boxed(), RETRY_FIRST, None);
    let next = |(mut told, mut retry, mut pause): (BoxStream<'static, _>, Duration, Option<Duration>)| async move {
        loop {
            if let Some(pause) = pause.take() {
                tokio::time::sleep(pause).await;
            }
            let event = match told.next().await? {
                Ok(Told::CaughtUp) => {
                    retry = RETRY_FIRST;
                    continue;
                }
                Ok(Told::Event(event)) => {
                    if !matches!(event, Event::Init | Event::InitApply(_)) {
                        retry = RETRY_FIRST;
                    }
                    Ok(event)
                }
                Err(error) => {
                    pause = Some(retry);
                    retry = (retry * 2).min(RETRY_LONGEST);
                    Err(error)
                }
            };
            return Some((event, (told, retry, pause)));
        }
    };
    stream::unfold(begin, next).boxed()
}

/// Several streams as one; `open` begins the one of a part anew.
fn merge<K: Send + 'static>(parts: usize, open: impl Fn(usize) -> Events<K> + Send + 'static) -> Events<K> {
    if parts == 1 {
        return open(0);
    }
    let streams = (0..parts).map(|part| (part, open(part))).collect();
    let merged = Merged { open, streams, listing: Some(0), some: false, refused: BTreeSet::new(), first: 0 };
    stream::unfold(merged, |mut merged| async move { Some((merged.next().await?, merged)) }).boxed()
}

struct Merged<K, O> {
    open: O,
    streams: Vec<(usize, Events<K>)>,
    /// Whose list is being read; none when all were.
    listing: Option<usize>,
    /// Whether objects of that list were passed on.
    some: bool,
    /// Parts whose lists are refused: nothing of them is known.
    refused: BTreeSet<usize>,
    /// Who is asked first for what comes next, so that everybody's turn comes.
    first: usize,
}

// === impl Merged ===

impl<K, O: Fn(usize) -> Events<K>> Merged<K, O> {
    async fn next(&mut self) -> Option<Result<Event<K>, watcher::Error>> {
        loop {
            let told = match self.listing {
                Some(place) => self.list(place).await?,
                None => self.follow().await?,
            };
            if told.is_some() {
                return told;
            }
        }
    }

    /// One step of the lists.
    async fn list(&mut self, place: usize) -> Option<Option<Result<Event<K>, watcher::Error>>> {
        let Some((part, stream)) = self.streams.get_mut(place) else {
            if self.refused.len() == self.streams.len() {
                // Nothing at all can be seen: that is not the same as nothing.
                self.refused.clear();
                self.listing = Some(0);
                return Some(None);
            }
            self.listing = None;
            return Some(Some(Ok(Event::InitDone)));
        };
        let part = *part;
        Some(match stream.next().await? {
            // What was passed on of the list before may be gone.
            Ok(Event::Init) if self.some => Some(Ok(self.restart(place))),
            Ok(Event::Init) => (place == 0).then_some(Ok(Event::Init)),
            Ok(Event::InitDone) => {
                self.proceed(place);
                None
            }
            Err(error) if !self.some && is_refused(&error) => {
                self.refused.insert(part);
                self.proceed(place);
                Some(Err(error))
            }
            event => {
                self.some |= event.is_ok();
                Some(event)
            }
        })
    }

    /// One step after the lists.
    async fn follow(&mut self) -> Option<Option<Result<Event<K>, watcher::Error>>> {
        let (place, event) = self.any().await;
        let part = self.streams[place].0;
        Some(match event? {
            Ok(Event::Init) if self.refused.contains(&part) => None,
            Ok(Event::Init) => Some(Ok(self.restart(place))),
            Ok(Event::InitApply(object)) => {
                self.refused.remove(&part);
                Some(Ok(Event::Apply(object)))
            }
            Ok(Event::InitDone) => {
                self.refused.remove(&part);
                None
            }
            event => Some(event),
        })
    }

    fn proceed(&mut self, place: usize) {
        self.listing = Some(place + 1);
        self.some = false;
    }

    /// All lists anew, first the one that has just begun its own: its stream goes on, as it knows how long to pause.
    fn restart(&mut self, place: usize) -> Event<K> {
        self.streams.swap(0, place);
        for (part, stream) in self.streams.iter_mut().skip(1) {
            *stream = (self.open)(*part);
        }
        self.refused.clear();
        self.listing = Some(0);
        self.some = false;
        Event::Init
    }

    /// What comes next of any stream, and its place.
    async fn any(&mut self) -> (usize, Option<Result<Event<K>, watcher::Error>>) {
        let number = self.streams.len();
        let (streams, first) = (&mut self.streams, self.first);
        let (place, event) = future::poll_fn(move |cx| {
            for place in (first..number).chain(0..first) {
                if let Poll::Ready(event) = streams[place].1.poll_next_unpin(cx) {
                    return Poll::Ready((place, event));
                }
            }
            Poll::Pending
        })
        .await;
        self.first = (place + 1) % number;
        (place, event)
    }
}

/// The version of an object. It is a number, and a later one is greater (Kubernetes' KEP-5504); none where it is not.
pub(crate) fn number(object: &ObjectMeta) -> Option<u64> {
    object.resource_version.as_ref()?.parse().ok()
}

fn is_refused(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 403)
}

#[cfg(test)]
mod tests;
