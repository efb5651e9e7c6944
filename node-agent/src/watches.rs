//! Follows one kind of object in the Kubernetes API and passes on what is kept of it.
//!
//! In: list and watch of the API server. Out: [`Change`]s over a bounded channel; when the receiver is slow the watch
//! waits. It never ends by itself: errors are counted and tried again, an object that cannot be read is counted and its
//! last good form stays, and a kind that is not installed is waited for.

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::Resource;
use kube::core::{DeserializeGuard, Status};
use kube::runtime::watcher::{self, DefaultBackoff, Event, watcher};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::SendError;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::probes::report::chain;
use crate::readiness::{Part, Readiness};

/// How often it is looked whether a kind that is not installed has come.
const ABSENT_POLL: Duration = Duration::from_secs(2);

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<I, V> {
    /// An object is there, or is different.
    Upsert(V),
    /// It is gone.
    Remove(I),
    /// Everything that is there was passed on.
    Synced,
    /// The API refused or an object could not be read: one more of `fleetscope_watch_errors_total`.
    Error,
}

/// What is followed, and what is kept of it.
pub struct Watch<K, I, V, E> {
    /// Name of the kind, for the log and for the label `kind`.
    pub kind: &'static str,
    /// Which part of the readiness depends on it.
    pub part: Part,
    /// What identifies an object; `None` leaves it out.
    pub key: fn(&ObjectMeta) -> Option<I>,
    /// What is kept of it.
    pub view: fn(&K) -> Result<V, E>,
}

// === impl Watch ===

impl<K, I, V, E> Watch<K, I, V, E>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    K::DynamicType: Default + Clone + Eq + std::hash::Hash,
    I: Ord + Clone + Debug,
    E: Display,
{
    /// Follows until the receiver is gone.
    pub async fn follow(
        self,
        api: Api<DeserializeGuard<K>>,
        config: watcher::Config,
        readiness: Arc<Readiness>,
        out: Sender<Change<I, V>>,
    ) {
        let mut events = pin!(watcher(api, config));
        let (mut known, mut listed) = (BTreeSet::new(), BTreeSet::new());
        let mut backoff = DefaultBackoff::default();
        while let Some(event) = events.next().await {
            let sent = match event {
                Ok(Event::Init) => {
                    listed = BTreeSet::new();
                    Ok(())
                }
                Ok(Event::InitApply(object)) => {
                    listed.extend((self.key)(object.meta()));
                    known.extend((self.key)(object.meta()));
                    self.pass(object, &out).await
                }
                Ok(Event::Apply(object)) => {
                    known.extend((self.key)(object.meta()));
                    self.pass(object, &out).await
                }
                Ok(Event::Delete(object)) => match (self.key)(object.meta()) {
                    Some(key) if known.remove(&key) => out.send(Change::Remove(key)).await,
                    _ => Ok(()),
                },
                Ok(Event::InitDone) => {
                    // What was deleted while the watch was interrupted is in no event.
                    let gone: Vec<I> = known.difference(&listed).cloned().collect();
                    known = std::mem::take(&mut listed);
                    readiness.set(self.part, true, format!("{} objects are listed and followed", self.kind));
                    info!(kind = self.kind, objects = known.len(), "Listed");
                    match self.forget(gone, &out).await {
                        Ok(()) => out.send(Change::Synced).await,
                        error => error,
                    }
                }
                Err(error) => self.failed(&error, &mut known, &readiness, &mut backoff, &out).await,
            };
            if sent.is_err() {
                return;
            }
        }
    }

    async fn pass(
        &self,
        object: DeserializeGuard<K>,
        out: &Sender<Change<I, V>>,
    ) -> Result<(), SendError<Change<I, V>>> {
        let name = object.meta().name.clone().unwrap_or_default();
        let namespace = object.meta().namespace.clone().unwrap_or_default();
        let view = match object.0 {
            Ok(object) => (self.view)(&object).map_err(|error| E::to_string(&error)),
            Err(invalid) => Err(invalid.error),
        };
        match view {
            Ok(view) => out.send(Change::Upsert(view)).await,
            Err(error) => {
                warn!(kind = self.kind, %namespace, %name, %error, "Object is left out; what was known of it stays");
                out.send(Change::Error).await
            }
        }
    }

    async fn forget(
        &self,
        gone: impl IntoIterator<Item = I>,
        out: &Sender<Change<I, V>>,
    ) -> Result<(), SendError<Change<I, V>>> {
        for key in gone {
            out.send(Change::Remove(key)).await?;
        }
        Ok(())
    }

    /// Says what is wrong, once per reason, and waits before the next try. Once listed, the agent stays ready: what it
    /// knows still holds.
    async fn failed(
        &self,
        error: &watcher::Error,
        known: &mut BTreeSet<I>,
        readiness: &Readiness,
        backoff: &mut DefaultBackoff,
        out: &Sender<Change<I, V>>,
    ) -> Result<(), SendError<Change<I, V>>> {
        // By code: while the whole group is not installed the answer is plain text, which has no reason.
        if status(error).is_some_and(|status| status.code == 404) {
            let reason = format!("waiting for the kind {}: install Fleetscope's chart or its crds/", self.kind);
            if readiness.set(self.part, false, reason.clone()) {
                info!(kind = self.kind, reason, "Kind is not installed");
            }
            self.forget(std::mem::take(known), out).await?;
            // Without the kind there are none: that is as good as an empty list.
            out.send(Change::Synced).await?;
            sleep(ABSENT_POLL).await;
            return Ok(());
        }
        let reason = match status(error) {
            Some(status) if status.is_forbidden() => {
                format!(
                    "failed to follow {}: {}; allow the service account to get, list and watch it",
                    self.kind, status.message
                )
            }
            Some(status) => format!("failed to follow {}: {}", self.kind, status.message),
            None => format!("failed to follow {}: {}; can this pod reach the API server?", self.kind, chain(error)),
        };
        if readiness.explain(self.part, reason.clone()) {
            warn!(kind = self.kind, reason, "Watch failed; it is tried again");
        }
        out.send(Change::Error).await?;
        sleep(backoff.next().unwrap_or(ABSENT_POLL)).await;
        Ok(())
    }
}

/// What the API server answered, if the error is an answer of it.
fn status(error: &watcher::Error) -> Option<&Status> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status),
        _ => None,
    }
}
