//! The watch of one part, which goes on while it lists again.
//!
//! As kube's watcher: a list, page by page, then the watch from the version that the list is of. When the API server does not know
//! that version any more (410 Gone), kube's begins anew. This one asks which objects have other versions than those that it knows, and for these alone
//! (`again`); it reads the list anew where that fails, where some are gone, and where many changed.
//!
//! Either is read while the watch from its version runs already: what is changed meanwhile is
//! told at once, and not when the last of a hundred pages is there. An object that the watch has shown is newer than the one of the list, which is
//! left out. (The first page says what version all pages are of: Kubernetes, "API concepts", "Retrieving large results sets in chunks".)
//! In a list that is read anew a changed object is told as one of the list, a deleted one as deleted.

mod again;
pub(super) mod server;

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use futures::future::{self, BoxFuture};
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use kube::Resource;
use kube::api::WatchEvent;
use kube::core::ObjectList;
use kube::runtime::watcher::{Error, Event};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::again::{Again, Versions};
use self::server::{Server, fetch};
use super::number;

/// How long the API server lets a watch live: kube asks for that where nothing else is said.
const LIFE: Duration = Duration::from_secs(290);
/// A watch that shows nothing for this much longer has lost its connection.
const MARGIN: Duration = Duration::from_secs(5);
/// A watch is opened again this long after the last time at the earliest: one that ends at once would keep the API server busy.
const REOPEN: Duration = Duration::from_secs(1);

type Events<K> = BoxStream<'static, kube::Result<WatchEvent<K>>>;

/// Namespace and name of an object, in little space.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key(Box<str>);

/// What comes out.
#[derive(Debug)]
pub(super) enum Told<K> {
    Event(Event<K>),
    /// All that changed since the last watch was told.
    CaughtUp,
}

/// Watches for ever. An error is told, and the next event tried for at once: who reads pauses.
pub(super) fn watch<K, S>(server: S) -> impl Stream<Item = Result<Told<K>, Error>> + Send + 'static
where
    K: Resource + Clone + Send + 'static,
    S: Server<K>,
{
    let watcher = Watcher {
        server,
        filled: false,
        known: HashMap::new(),
        whole: false,
        version: None,
        last: None,
        listing: None,
        again: None,
        watch: Watch::Closed,
        opened: None,
    };
    stream::unfold(watcher, |mut watcher| async move { Some((watcher.next().await, watcher)) })
}

struct Watcher<K: Clone, S> {
    server: S,
    /// Whether a list was read to its end.
    filled: bool,
    /// Objects with the versions that were told last. Where a version is not a number (it is one: Kubernetes' KEP-5504) it is taken for another one each time.
    known: HashMap<Key, Option<u64>>,
    /// Whether these are all that there were at `version`, or at `last`.
    whole: bool,
    /// What the watch goes on from; none before the first page of a list.
    version: Option<String>,
    /// What it went on from before that.
    last: Option<String>,
    listing: Option<Listing<K>>,
    again: Option<Again<K>>,
    watch: Watch<K>,
    /// When the watch was opened last.
    opened: Option<Instant>,
}

/// A list that is being read.
struct Listing<K: Clone> {
    /// What was read of it and not told yet.
    page: VecDeque<K>,
    /// The next page; none after the last one.
    fetching: Option<BoxFuture<'static, kube::Result<ObjectList<K>>>>,
    /// Objects that the watch has shown meanwhile.
    newer: HashSet<Key>,
}

enum Watch<K: Clone> {
    Closed,
    Opening(BoxFuture<'static, kube::Result<Events<K>>>),
    /// With the moment when it should have ended.
    Open(Events<K>, Instant),
}

/// What happens next.
enum Next<K: Clone> {
    Page(kube::Result<ObjectList<K>>),
    Again(again::Got<K>),
    /// The watch cannot be opened.
    Refused(kube::Error),
    /// It shows something, or that it failed; none when it ends.
    Shown(Option<kube::Result<WatchEvent<K>>>),
}

// === impl Key ===

impl Key {
    fn new(namespace: Option<&str>, name: &str) -> Self {
        // Neither has a slash in it: names are parts of paths (Kubernetes, "Object Names and IDs", "Path segment names").
        Self(format!("{}/{name}", namespace.unwrap_or_default()).into())
    }

    fn of<K: Resource>(object: &K) -> Self {
        let meta = object.meta();
        Self::new(meta.namespace.as_deref(), meta.name.as_deref().unwrap_or_default())
    }

    fn namespace(&self) -> Option<&str> {
        self.0.split_once('/').map(|(namespace, _)| namespace).filter(|namespace| !namespace.is_empty())
    }

    fn name(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(_, name)| name)
    }
}

// === impl Watcher ===

impl<K: Resource + Clone + Send + 'static, S: Server<K>> Watcher<K, S> {
    async fn next(&mut self) -> Result<Told<K>, Error> {
        loop {
            if self.listing.is_none() && self.version.is_none() && self.again.is_none() {
                match self.last.take().filter(|_| self.whole && self.known.len() <= again::MOST_KNOWN) {
                    Some(last) => self.again = Some(Again::begin(self.server.clone(), last)),
                    None => return Ok(Told::Event(self.begin())),
                }
            }
            if let Some(told) = self.told() {
                return told.map(Told::Event);
            }
            let version = self.version.as_ref().filter(|_| self.filled || self.listing.is_none());
            let next = tokio::select! {
                biased;
                page = page(self.listing.as_mut()) => Next::Page(page),
                told = next(self.again.as_mut()) => Next::Again(told),
                next = self.watch.next(&self.server, version, &mut self.opened) => next,
            };
            match next {
                Next::Page(page) => self.take(page)?,
                Next::Again(told) => {
                    if let Some(told) = self.compared(told)? {
                        return Ok(told);
                    }
                }
                Next::Refused(error) => return Err(self.failed(gone(&error), Error::WatchStartFailed(error))),
                Next::Shown(shown) => {
                    if let Some(event) = self.shown(shown)? {
                        return Ok(Told::Event(event));
                    }
                }
            }
        }
    }

    /// Begins a list from its first page.
    fn begin(&mut self) -> Event<K> {
        self.known.clear();
        self.whole = false;
        let fetching = Some(fetch(self.server.clone(), None));
        self.listing = Some(Listing { page: VecDeque::new(), fetching, newer: HashSet::new() });
        Event::Init
    }

    /// Takes in what differs from what is known.
    fn compared(&mut self, told: again::Got<K>) -> Result<Option<Told<K>>, Error> {
        let object = match told {
            again::Got::Versions(Ok(versions)) => {
                self.differ(versions);
                return Ok(None);
            }
            // Where this way is barred the other one may be open, and tells if it is not.
            again::Got::Versions(Err(error)) => {
                self.server.failed(&error);
                self.again = None;
                return Ok(None);
            }
            again::Got::Object(None) => {
                self.again = None;
                return Ok(Some(Told::CaughtUp));
            }
            again::Got::Object(Some(Err(error))) => {
                self.whole = false;
                return Err(self.failed(true, Error::InitialListFailed(error)));
            }
            again::Got::Object(Some(Ok(object))) => object,
        };
        let newer = |object: &K| self.again.as_ref().is_some_and(|again| again.newer.contains(&Key::of(object)));
        let Some(object) = object.filter(|object| !newer(object)) else { return Ok(None) };
        self.known.insert(Key::of(&object), number(object.meta()));
        Ok(Some(Told::Event(Event::Apply(object))))
    }

    /// Asks for those that have other versions than those known; where some are gone, or many are others, for all.
    fn differ(&mut self, versions: Versions) {
        let objects = &versions.objects;
        let there = objects.iter().filter(|(key, _)| self.known.contains_key(key)).count();
        let differs = |(key, version): &&(Key, String)| {
            let known = self.known.get(key).copied().flatten();
            known.is_none_or(|known| version.parse() != Ok(known))
        };
        let changed: Vec<Key> = objects.iter().filter(differs).map(|(key, _)| key.clone()).collect();
        if there < self.known.len() || changed.len() > again::MOST || versions.version.is_empty() {
            self.again = None;
            return;
        }
        self.version = Some(versions.version);
        if let Some(again) = &mut self.again {
            again.ask(&self.server, changed);
        }
    }

    /// The next object of the list that is there, and its end.
    fn told(&mut self) -> Option<Result<Event<K>, Error>> {
        let listing = self.listing.as_mut()?;
        while let Some(object) = listing.page.pop_front() {
            let key = Key::of(&object);
            if !listing.newer.contains(&key) {
                self.known.insert(key, number(object.meta()));
                return Some(Ok(Event::InitApply(object)));
            }
        }
        if listing.fetching.is_some() {
            return None;
        }
        if self.version.is_none() {
            return Some(Err(self.failed(true, Error::NoResourceVersion)));
        }
        (self.listing, self.filled, self.whole) = (None, true, true);
        Some(Ok(Event::InitDone))
    }

    /// Takes in a page.
    fn take(&mut self, page: kube::Result<ObjectList<K>>) -> Result<(), Error> {
        let page = page.map_err(|error| self.failed(true, Error::InitialListFailed(error)))?;
        // Later pages are of the same version, and the watch may be further.
        if self.version.is_none() {
            self.version = page.metadata.resource_version.filter(|version| !version.is_empty());
        }
        let continued = page.metadata.continue_.filter(|token| !token.is_empty());
        if let Some(listing) = &mut self.listing {
            listing.fetching = continued.map(|token| fetch(self.server.clone(), Some(token)));
            listing.page = page.items.into();
        }
        Ok(())
    }

    /// Takes in what the watch shows.
    fn shown(&mut self, shown: Option<kube::Result<WatchEvent<K>>>) -> Result<Option<Event<K>>, Error> {
        let (object, deleted) = match shown {
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => (object, false),
            Some(Ok(WatchEvent::Deleted(object))) => (object, true),
            Some(Ok(WatchEvent::Bookmark(bookmark))) => {
                self.version = Some(bookmark.metadata.resource_version);
                return Ok(None);
            }
            Some(Ok(WatchEvent::Error(status))) => {
                return Err(self.failed(status.code == 410, Error::WatchError(status.boxed())));
            }
            Some(Err(error)) => return Err(self.failed(false, Error::WatchFailed(error))),
            None => {
                self.watch = Watch::Closed;
                return Ok(None);
            }
        };
        match object.meta().resource_version.as_ref().filter(|version| !version.is_empty()) {
            Some(version) => self.version = Some(version.clone()),
            None => return Err(self.failed(true, Error::NoResourceVersion)),
        }
        let (key, number) = (Key::of(&object), number(object.meta()));
        if let (Some(Some(known)), Some(number)) = (self.known.get(&key), number)
            && *known > number
        {
            // It was told as it became later, or the one was that came after it.
            return Ok(None);
        }
        if deleted {
            self.known.remove(&key);
        } else {
            self.known.insert(key.clone(), number);
        }
        if let Some(again) = &mut self.again {
            again.newer.insert(key.clone());
        }
        let listed = self.listing.as_mut().is_some_and(|listing| {
            listing.newer.insert(key);
            true
        });
        Ok(Some(match (deleted, listed) {
            (true, _) => Event::Delete(object),
            (false, true) => Event::InitApply(object),
            (false, false) => Event::Apply(object),
        }))
    }

    /// An error is told; after some of them all has to be listed again. Others are of one event, or the end of the watch follows.
    fn failed(&mut self, list: bool, error: Error) -> Error {
        if list {
            self.last = self.version.take().or(self.last.take());
            (self.listing, self.again, self.watch) = (None, None, Watch::Closed);
        }
        error
    }
}

// === impl Watch ===

impl<K: Clone + Send + 'static> Watch<K> {
    /// What happens to it next; nothing without a version. May be dropped at any time.
    async fn next<S: Server<K>>(
        &mut self,
        server: &S,
        version: Option<&String>,
        opened: &mut Option<Instant>,
    ) -> Next<K> {
        let Some(version) = version else { return future::pending().await };
        loop {
            match self {
                Self::Closed => {
                    if let Some(opened) = opened {
                        sleep_until(*opened + REOPEN).await;
                    }
                    *opened = Some(Instant::now());
                    *self = Self::Opening(server.watch(version.clone()));
                }
                Self::Opening(opening) => match opening.await {
                    Ok(events) => *self = Self::Open(events, Instant::now() + LIFE + MARGIN),
                    Err(error) => {
                        *self = Self::Closed;
                        return Next::Refused(error);
                    }
                },
                Self::Open(events, until) => {
                    return Next::Shown(timeout_at(*until, events.next()).await.unwrap_or_default());
                }
            }
        }
    }
}

async fn page<K: Clone>(listing: Option<&mut Listing<K>>) -> kube::Result<ObjectList<K>> {
    match listing.and_then(|listing| listing.fetching.as_mut()) {
        Some(fetching) => fetching.await,
        None => future::pending().await,
    }
}

async fn next<K: Clone + Send + 'static>(again: Option<&mut Again<K>>) -> again::Got<K> {
    match again {
        Some(again) => again.next().await,
        None => future::pending().await,
    }
}

fn gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 410)
}

#[cfg(test)]
mod tests;
