//! What a controller remembers of its objects between two turns, and what the watch tells it before any.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher::Event;
use kube::{Resource as _, ResourceExt as _};
use tokio::sync::Notify;

use super::guard::Guard;
use super::kind::Kind;
use crate::backoff::Backoffs;
use crate::clock;
use crate::context::{Context, lock};
use crate::owner::OwnerKey;
use crate::secrets;
use crate::watched::number;

/// An object as the watch gives it: one that cannot be read does not stop the others.
pub(crate) type Guarded<K> = Guard<<K as Kind>::Object>;

/// A controller: what is remembered between two turns.
pub(crate) struct Turns<K: Kind> {
    /// What all controllers share.
    pub ctx: Arc<Context>,
    pub(super) backoffs: Mutex<Backoffs<OwnerKey>>,
    pub(super) memory: Mutex<HashMap<OwnerKey, Memory<K::Status>>>,
    /// Objects of the list that is being read, to find those that are gone.
    listing: Mutex<Option<BTreeSet<OwnerKey>>>,
    /// Told of when the watch shows a new generation of some object, or that one is gone.
    renewed: Notify,
}

/// What is remembered of an object.
pub(super) struct Memory<S> {
    /// The version that the watch showed last.
    pub(super) shown: Option<u64>,
    /// The newest generation that the watch showed, and when.
    arrived: Option<(i64, Duration)>,
    /// Whether the lag of that generation was counted.
    counted: bool,
    /// The status that was written last, until the watch shows it.
    pub(super) written: Option<Written<S>>,
    /// One that was tried to be written afterwards, and of which it is not known whether it was; as long.
    pub(super) tried: Option<Written<S>>,
    /// When that was.
    pub(super) written_at: Option<Duration>,
    /// The generation of the last turn, and when it ended.
    turned: Option<(i64, Duration)>,
    /// What is known of its Secrets.
    pub(super) secrets: Option<secrets::Known>,
}

/// A status that was written, or may have been.
pub(super) struct Written<S> {
    /// The first version of the object that may have it; none when versions are no numbers.
    pub since: Option<u64>,
    /// The status.
    pub status: S,
}

/// What was said of an object that the watch has not shown yet.
pub(super) struct Said<S> {
    /// The status that was written last.
    pub last: Option<S>,
    /// One that was tried to be written afterwards, and of which it is not known whether it was.
    pub tried: Option<S>,
}

// === impl Written ===

impl<S> Written<S> {
    /// Whether an object of this version does not show it yet.
    pub(super) fn is_newer_than(&self, shown: Option<u64>) -> bool {
        self.since.zip(shown).is_some_and(|(since, shown)| shown < since)
    }
}

// === impl Memory ===

impl<S> Default for Memory<S> {
    fn default() -> Self {
        Self {
            shown: None,
            arrived: None,
            counted: false,
            written: None,
            tried: None,
            written_at: None,
            turned: None,
            secrets: None,
        }
    }
}

// === impl Turns ===

impl<K: Kind> Turns<K> {
    /// A controller that knows nothing yet.
    pub(crate) fn new(ctx: Arc<Context>) -> Self {
        Self {
            ctx,
            backoffs: Mutex::default(),
            memory: Mutex::default(),
            listing: Mutex::default(),
            renewed: Notify::new(),
        }
    }

    /// Takes in what the watch shows, before any turn about it.
    pub(crate) fn note(&self, event: &Event<Guarded<K>>) {
        match event {
            Event::Init => *lock(&self.listing) = Some(BTreeSet::new()),
            Event::InitApply(object) => {
                if let Some(listing) = &mut *lock(&self.listing) {
                    listing.insert(key::<K>(object));
                }
                self.enter(object);
            }
            Event::Apply(object) => self.enter(object),
            Event::Delete(object) => self.forget(&key::<K>(object)),
            Event::InitDone => {
                let listing = lock(&self.listing).take().unwrap_or_default();
                let known: Vec<OwnerKey> = lock(&self.memory).keys().cloned().collect();
                known.iter().filter(|key| !listing.contains(*key)).for_each(|key| self.forget(key));
                if self.ctx.list(K::KIND) {
                    // Who decides by these objects waited for them.
                    self.ctx.requeue_all();
                }
            }
        }
    }

    fn enter(&self, object: &Guarded<K>) {
        let key = key::<K>(object);
        let generation = object.meta().generation.unwrap_or_default();
        {
            let mut memory = lock(&self.memory);
            let memory = memory.entry(key.clone()).or_default();
            if memory.arrived.is_none_or(|(known, _)| known != generation) {
                memory.arrived = Some((generation, clock::now()));
                memory.counted = false;
                self.renewed.notify_waiters();
            }
            memory.shown = number(object.meta());
            memory.written.take_if(|written| !written.is_newer_than(memory.shown));
            memory.tried.take_if(|tried| !tried.is_newer_than(memory.shown));
        }
        match &object.0 {
            _ if object.meta().deletion_timestamp.is_some() => K::enter(&self.ctx, &key, None),
            Ok(object) => K::enter(&self.ctx, &key, Some(object)),
            Err(unreadable) => K::enter_unreadable(&self.ctx, &key, unreadable),
        }
    }

    /// Forgets an object that is gone.
    pub(crate) fn forget(&self, key: &OwnerKey) {
        lock(&self.backoffs).forget(key);
        lock(&self.memory).remove(key);
        self.renewed.notify_waiters();
        K::enter(&self.ctx, key, None);
    }

    /// What was said of an object that is `shown` now. To be kept by whoever goes on with the object as it is shown: once the watch shows what was
    /// said, it is remembered no longer.
    pub(super) fn said(&self, key: &OwnerKey, shown: &ObjectMeta) -> Said<K::Status> {
        let memory = lock(&self.memory);
        let shown = number(shown);
        let newer = |written: &Option<Written<K::Status>>| {
            written.as_ref().filter(|written| written.is_newer_than(shown)).map(|written| written.status.clone())
        };
        let memory = memory.get(key);
        Said {
            last: memory.and_then(|memory| newer(&memory.written)),
            tried: memory.and_then(|memory| newer(&memory.tried)),
        }
    }

    /// Looks at what is remembered of an object, or changes it.
    pub(super) fn remember<T>(&self, key: &OwnerKey, change: impl FnOnce(&mut Memory<K::Status>) -> T) -> T {
        change(lock(&self.memory).entry(key.clone()).or_default())
    }

    /// Waits until the watch shows another generation of an object than this one, or that it is gone.
    pub(super) async fn superseded(&self, key: &OwnerKey, generation: i64) {
        loop {
            // Before the look: it hears of what comes from here on.
            let renewed = self.renewed.notified();
            let shown = lock(&self.memory).get(key).and_then(|memory| memory.arrived);
            if shown.is_none_or(|(shown, _)| shown != generation) {
                return;
            }
            renewed.await;
        }
    }

    /// How long the object still has to wait for its turn, if it did not change itself.
    pub(super) fn wait(&self, key: &OwnerKey, generation: i64) -> Option<Duration> {
        let (turned, at) = lock(&self.memory).get(key)?.turned?;
        let wait = (at + K::PERIOD).saturating_sub(clock::now());
        (turned == generation && !wait.is_zero()).then_some(wait)
    }

    /// Counts the lag of a generation that was worked on for the first time.
    pub(super) fn arrived(&self, key: &OwnerKey, generation: i64) {
        let lag = self.remember(key, |memory| {
            memory.turned = Some((generation, clock::now()));
            let (seen, since) = memory.arrived?;
            let first = seen == generation && !std::mem::replace(&mut memory.counted, seen == generation);
            first.then(|| clock::now().saturating_sub(since))
        });
        if let Some(lag) = lag {
            self.ctx.metrics.lag(K::KIND, lag);
        }
    }
}

/// Whose object it is.
pub(super) fn key<K: Kind>(object: &Guarded<K>) -> OwnerKey {
    OwnerKey::new(K::KIND, object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_news_until_the_watch_shows_a_version_that_may_have_it() {
        let written = |since| Written { since, status: () };
        let newer = |since, shown| written(since).is_newer_than(shown);
        assert!(newer(Some(8), Some(7)));
        assert!(!newer(Some(8), Some(8)));
        // Shown by a list between two watches, or with the edit of somebody else.
        assert!(!newer(Some(8), Some(12)));
        assert!(newer(Some(10), Some(9)), "by number, and not by text");
        assert!(!newer(None, Some(7)) && !newer(Some(8), None), "no numbers: the cache is believed");
    }
}
