//! The watch of one part, which goes on while it lists again.
//!
//! As kube's watcher: a list, page by page, then the watch from the version that the list is of; and all of that anew when the API server does not know
//! that version any more (410 Gone). Other than kube's, a list that is not the first is read while the watch from its version runs already: what is changed meanwhile is
//! told at once, and not when the last of a hundred pages is there. An object that the watch has shown is newer than the one of the list, which is
//! left out. (The first page says what version all pages are of: Kubernetes, "API concepts", "Retrieving large results sets in chunks".)
//!
//! In such a list a changed object is told as one of the list, a deleted one as deleted.

use std::collections::{HashSet, VecDeque};
use std::fmt::Debug;
use std::time::Duration;

use futures::future::{self, BoxFuture};
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use kube::Resource;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::ObjectList;
use kube::runtime::watcher::{Error, Event};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::{Failed, Part};

/// How long the API server lets a watch live: kube asks for that where nothing else is said.
const LIFE: Duration = Duration::from_secs(290);
/// A watch that shows nothing for this much longer has lost its connection.
const MARGIN: Duration = Duration::from_secs(5);
/// A watch is opened again this long after the last time at the earliest: one that ends at once would keep the API server busy.
const REOPEN: Duration = Duration::from_secs(1);

type Events<K> = BoxStream<'static, kube::Result<WatchEvent<K>>>;
/// Namespace and name.
type Place = (Option<String>, Option<String>);

/// How often a page is asked for in all.
const TRIES: u32 = 5;
/// The pause after its first failure; it doubles.
const PAUSE: Duration = Duration::from_millis(50);

/// Who is asked.
pub(super) trait Server<K: Clone>: Clone + Send + Sync + 'static {
    /// A page of the list: the first one, or the one after.
    fn list(&self, continued: Option<String>) -> BoxFuture<'static, kube::Result<ObjectList<K>>>;

    /// What happens after a version.
    fn watch(&self, version: String) -> BoxFuture<'static, kube::Result<Events<K>>>;

    /// A page failed, and is asked for again.
    fn failed(&self, error: &kube::Error);
}

/// The API server, about one part.
#[derive(Clone)]
pub(super) struct Asked<K> {
    pub(super) part: Part<K>,
    pub(super) failed: Failed,
}

// === impl Asked ===

impl<K: Clone + DeserializeOwned + Debug + Send + 'static> Server<K> for Asked<K> {
    fn list(&self, continued: Option<String>) -> BoxFuture<'static, kube::Result<ObjectList<K>>> {
        let api = self.part.api.clone();
        let params = ListParams {
            label_selector: self.part.config.label_selector.clone(),
            field_selector: self.part.config.field_selector.clone(),
            limit: self.part.config.page_size,
            continue_token: continued,
            ..ListParams::default()
        };
        Box::pin(async move { api.list(&params).await })
    }

    fn watch(&self, version: String) -> BoxFuture<'static, kube::Result<Events<K>>> {
        let api = self.part.api.clone();
        let params = WatchParams {
            label_selector: self.part.config.label_selector.clone(),
            field_selector: self.part.config.field_selector.clone(),
            ..WatchParams::default()
        };
        Box::pin(async move { api.watch(&params, &version).await.map(stream::StreamExt::boxed) })
    }

    fn failed(&self, error: &kube::Error) {
        (self.failed)(error);
    }
}

/// Watches for ever. An error is told, and the next event tried for at once: who reads pauses.
pub(super) fn watch<K, S>(server: S) -> impl Stream<Item = Result<Event<K>, Error>> + Send + 'static
where
    K: Resource + Clone + Send + 'static,
    S: Server<K>,
{
    let watcher = Watcher { server, filled: false, version: None, listing: None, watch: Watch::Closed, opened: None };
    stream::unfold(watcher, |mut watcher| async move { Some((watcher.next().await, watcher)) })
}

struct Watcher<K: Clone, S> {
    server: S,
    /// Whether a list was read to its end.
    filled: bool,
    /// What the watch goes on from; none before the first page of a list.
    version: Option<String>,
    listing: Option<Listing<K>>,
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
    newer: HashSet<Place>,
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
    /// The watch cannot be opened.
    Refused(kube::Error),
    /// It shows something, or that it failed; none when it ends.
    Shown(Option<kube::Result<WatchEvent<K>>>),
}

// === impl Watcher ===

impl<K: Resource + Clone + Send + 'static, S: Server<K>> Watcher<K, S> {
    async fn next(&mut self) -> Result<Event<K>, Error> {
        loop {
            if self.listing.is_none() && self.version.is_none() {
                let fetching = Some(fetch(self.server.clone(), None));
                self.listing = Some(Listing { page: VecDeque::new(), fetching, newer: HashSet::new() });
                return Ok(Event::Init);
            }
            if let Some(told) = self.told() {
                return told;
            }
            let version = self.version.as_ref().filter(|_| self.filled || self.listing.is_none());
            let next = tokio::select! {
                biased;
                page = page(self.listing.as_mut()) => Next::Page(page),
                next = self.watch.next(&self.server, version, &mut self.opened) => next,
            };
            match next {
                Next::Page(page) => self.take(page)?,
                Next::Refused(error) => return Err(self.failed(gone(&error), Error::WatchStartFailed(error))),
                Next::Shown(shown) => {
                    if let Some(event) = self.shown(shown)? {
                        return Ok(event);
                    }
                }
            }
        }
    }

    /// The next object of the list that is there, and its end.
    fn told(&mut self) -> Option<Result<Event<K>, Error>> {
        let listing = self.listing.as_mut()?;
        while let Some(object) = listing.page.pop_front() {
            if !listing.newer.contains(&place(&object)) {
                return Some(Ok(Event::InitApply(object)));
            }
        }
        if listing.fetching.is_some() {
            return None;
        }
        if self.version.is_none() {
            return Some(Err(self.failed(true, Error::NoResourceVersion)));
        }
        (self.listing, self.filled) = (None, true);
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
        let listing = self.listing.as_mut();
        let listed = listing.is_some_and(|listing| {
            listing.newer.insert(place(&object));
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
            (self.listing, self.version, self.watch) = (None, None, Watch::Closed);
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

/// Asks for a page until it comes, or the failure is one that lasts, or [`TRIES`] are over: where one request in thirty fails, a list of a hundred pages
/// that began anew each time would hardly ever end.
fn fetch<K, S>(server: S, continued: Option<String>) -> BoxFuture<'static, kube::Result<ObjectList<K>>>
where
    K: Clone + Send + 'static,
    S: Server<K>,
{
    Box::pin(async move {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match server.list(continued.clone()).await {
                Err(error) if passing(&error) => server.failed(&error),
                answer => return answer,
            }
            sleep(pause).await;
            pause *= 2;
        }
        server.list(continued).await
    })
}

/// 429, 503 and 504 were tried again by kube's client: once more would be five times its many.
fn passing(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 500 | 502),
        kube::Error::Service(_) | kube::Error::HyperError(_) => true,
        _ => false,
    }
}

async fn page<K: Clone>(listing: Option<&mut Listing<K>>) -> kube::Result<ObjectList<K>> {
    match listing.and_then(|listing| listing.fetching.as_mut()) {
        Some(fetching) => fetching.await,
        None => future::pending().await,
    }
}

fn place<K: Resource>(object: &K) -> Place {
    let meta = object.meta();
    (meta.namespace.clone(), meta.name.clone())
}

fn gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 410)
}

#[cfg(test)]
mod tests;
