//! Follows one kind of object in the Kubernetes API and passes on what is kept of it.
//!
//! In: list and watch of the API server, one of all namespaces, or one per namespace. Out: [`Change`]s over a bounded channel; when the receiver is slow the watch
//! waits. It never ends by itself: errors are counted and tried again, an object that cannot be read is counted and its
//! last good form stays, and a kind that is not installed is waited for. Of several namespaces one that is refused (its role goes with it) counts as
//! empty, as long as another can be seen.

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::Resource;
use kube::core::{DeserializeGuard, NamespaceScope, Status};
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

/// What is known of the objects of one API.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    /// Not yet what there is.
    Waiting,
    /// All that there is.
    Listed,
    /// The API server refuses it.
    Refused,
    /// The kind is not installed.
    Absent,
}

/// The work on one kind.
struct Following<'a, K, I, V, E> {
    watch: &'a Watch<K, I, V, E>,
    readiness: &'a Readiness,
    out: &'a Sender<Change<I, V>>,
    /// One for each API.
    seen: Mutex<Vec<Seen>>,
}

// === impl Watch ===

impl<K, I, V, E> Watch<K, I, V, E>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    K::DynamicType: Default + Clone + Eq + std::hash::Hash,
    I: Ord + Clone + Debug,
    E: Display,
{
    /// Follows the objects of all these until the receiver is gone.
    pub async fn follow(
        self,
        apis: Vec<Api<DeserializeGuard<K>>>,
        config: watcher::Config,
        readiness: &Readiness,
        out: Sender<Change<I, V>>,
    ) {
        let seen = Mutex::new(vec![Seen::Waiting; apis.len()]);
        let following = Following { watch: &self, readiness, out: &out, seen };
        let (following, config) = (&following, &config);
        join_all(apis.into_iter().enumerate().map(|(at, api)| following.one(at, api, config.clone()))).await;
    }
}

// === impl Following ===

impl<K, I, V, E> Following<'_, K, I, V, E>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    K::DynamicType: Default + Clone + Eq + std::hash::Hash,
    I: Ord + Clone + Debug,
    E: Display,
{
    async fn one(&self, at: usize, api: Api<DeserializeGuard<K>>, config: watcher::Config) {
        let mut events = pin!(watcher(api, config));
        let (mut known, mut listed) = (BTreeSet::new(), BTreeSet::new());
        let mut backoff = DefaultBackoff::default();
        let key = self.watch.key;
        while let Some(event) = events.next().await {
            let sent = match event {
                Ok(Event::Init) => {
                    listed = BTreeSet::new();
                    Ok(())
                }
                Ok(Event::InitApply(object)) => {
                    listed.extend(key(object.meta()));
                    known.extend(key(object.meta()));
                    self.pass(object).await
                }
                Ok(Event::Apply(object)) => {
                    known.extend(key(object.meta()));
                    self.pass(object).await
                }
                Ok(Event::Delete(object)) => match key(object.meta()) {
                    Some(key) if known.remove(&key) => self.out.send(Change::Remove(key)).await,
                    _ => Ok(()),
                },
                Ok(Event::InitDone) => {
                    // What was deleted while the watch was interrupted is in no event.
                    let gone: Vec<I> = known.difference(&listed).cloned().collect();
                    known = std::mem::take(&mut listed);
                    match self.forget(gone).await {
                        Ok(()) => self.note(at, Seen::Listed).await.map(drop),
                        error => error,
                    }
                }
                Err(error) => self.failed(at, &error, &mut known, &mut backoff).await,
            };
            if sent.is_err() {
                return;
            }
        }
    }

    async fn pass(&self, object: DeserializeGuard<K>) -> Result<(), SendError<Change<I, V>>> {
        let name = object.meta().name.clone().unwrap_or_default();
        let namespace = object.meta().namespace.clone().unwrap_or_default();
        let view = match object.0 {
            Ok(object) => (self.watch.view)(&object).map_err(|error| E::to_string(&error)),
            Err(invalid) => Err(invalid.error),
        };
        match view {
            Ok(view) => self.out.send(Change::Upsert(view)).await,
            Err(error) => {
                let kind = self.watch.kind;
                warn!(kind, %namespace, %name, %error, "Object is left out; what was known of it stays");
                self.out.send(Change::Error).await
            }
        }
    }

    async fn forget(&self, gone: impl IntoIterator<Item = I>) -> Result<(), SendError<Change<I, V>>> {
        for key in gone {
            self.out.send(Change::Remove(key)).await?;
        }
        Ok(())
    }

    /// Notes what is known of one API, and passes on when that is all that there is to know; whether it is.
    async fn note(&self, at: usize, now: Seen) -> Result<bool, SendError<Change<I, V>>> {
        let Watch { kind, part, .. } = *self.watch;
        let whole = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen[at] = now;
            whole(&seen)
        };
        let Some(whole) = whole else { return Ok(false) };
        let (ready, reason) = match whole {
            Whole::Absent => (false, format!("waiting for the kind {kind}: install Fleetscope's chart or its crds/")),
            Whole::Seen { refused: 0, .. } => (true, format!("{kind} objects are listed and followed")),
            Whole::Seen { refused, .. } => (
                true,
                format!(
                    "{kind} objects are listed and followed, but those of {refused} namespaces: the service account may not list them there"
                ),
            ),
        };
        if self.readiness.set(part, ready, reason.clone()) {
            info!(kind, reason, "Kind is followed");
        }
        self.out.send(Change::Synced).await?;
        Ok(true)
    }

    /// Says what is wrong, once per reason, and waits before the next try. Once listed, the agent stays ready: what it
    /// knows still holds.
    async fn failed(
        &self,
        at: usize,
        error: &watcher::Error,
        known: &mut BTreeSet<I>,
        backoff: &mut DefaultBackoff,
    ) -> Result<(), SendError<Change<I, V>>> {
        let kind = self.watch.kind;
        // By code: while the whole group is not installed the answer is plain text, which has no reason.
        if status(error).is_some_and(|status| status.code == 404) {
            self.forget(std::mem::take(known)).await?;
            // Without the kind there are none: that is as good as an empty list.
            self.note(at, Seen::Absent).await?;
            sleep(ABSENT_POLL).await;
            return Ok(());
        }
        let reason = match status(error) {
            Some(status) if status.is_forbidden() => {
                format!(
                    "failed to follow {kind}: {}; allow the service account to get, list and watch it",
                    status.message
                )
            }
            Some(status) => format!("failed to follow {kind}: {}", status.message),
            None => format!("failed to follow {kind}: {}; can this pod reach the API server?", chain(error)),
        };
        let refused =
            matches!(error, watcher::Error::InitialListFailed(_)) && status(error).is_some_and(|s| s.code == 403);
        // What was known of it stays until it can be seen again.
        if refused && self.note(at, Seen::Refused).await? {
            warn!(kind, reason, "One namespace cannot be followed; it is tried again");
        } else if self.readiness.explain(self.watch.part, reason.clone()) {
            warn!(kind, reason, "Watch failed; it is tried again");
        }
        self.out.send(Change::Error).await?;
        sleep(backoff.next().unwrap_or(ABSENT_POLL)).await;
        Ok(())
    }
}

/// What is known of a kind as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Whole {
    /// It is not installed.
    Absent,
    /// Everything is known that may be.
    Seen { refused: usize },
}

/// None while something is not known yet, or nothing can be seen at all.
fn whole(seen: &[Seen]) -> Option<Whole> {
    let count = |wanted: fn(&Seen) -> bool| seen.iter().filter(|seen| wanted(seen)).count();
    let refused = count(|seen| *seen == Seen::Refused);
    match () {
        () if seen.contains(&Seen::Waiting) || refused == seen.len() => None,
        () if seen.contains(&Seen::Absent) => Some(Whole::Absent),
        () => Some(Whole::Seen { refused }),
    }
}

/// The objects of a kind in each of these namespaces; all at once if none is named.
pub fn within<K: Resource<Scope: NamespaceScope> + Clone>(api: Api<K>, namespaces: &[String]) -> Vec<Api<K>> {
    if namespaces.is_empty() {
        return vec![api];
    }
    namespaces.iter().map(|namespace| api.clone().constrain(namespace)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_known_when_each_namespace_is_listed_or_refused_but_not_when_all_are() {
        use Seen::{Absent, Listed, Refused, Waiting};
        for (seen, wanted) in [
            (vec![Waiting], None),
            (vec![Listed], Some(Whole::Seen { refused: 0 })),
            (vec![Refused], None),
            (vec![Absent], Some(Whole::Absent)),
            (vec![Listed, Waiting], None),
            (vec![Listed, Refused, Refused], Some(Whole::Seen { refused: 2 })),
            (vec![Refused, Refused], None),
            (vec![Absent, Absent], Some(Whole::Absent)),
            (vec![Absent, Refused], Some(Whole::Absent)),
        ] {
            assert_eq!(whole(&seen), wanted, "{seen:?}");
        }
    }
}
