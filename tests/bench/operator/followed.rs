//! What is seen of fleets and children, by watches: how many fleets are Ready and with which scrape object, and when an edit shows in its child
//! and in the fleet's status.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fleetscope_core::api::AgentFleet;
use fleetscope_core::resources::{MANAGED_BY, MANAGER, scrape_name};
use fleetscope_tests::cluster::Cluster;
use fleetscope_tests::wait::until;
use futures::StreamExt as _;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt as _};

use crate::figures::percentile;
use crate::fleets::Fleet;

/// The label of a fleet's monitor that an edit changes.
pub(crate) const LABEL: &str = "bench";

/// See the module.
#[derive(Clone)]
pub(crate) struct Followed(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    /// The kind of a fleet's scrape object, while the fleet is Ready.
    ready: HashMap<Fleet, String>,
    /// When the first of them got Ready, and when one last changed.
    first: Option<Instant>,
    last: Option<Instant>,
    /// Edits, by the fleet, until they show in its monitor, and until its status is about them.
    applied: Awaited,
    told: Awaited,
}

/// Edits that are awaited somewhere.
#[derive(Default)]
struct Awaited {
    /// Those that do not show yet, by fleet, the oldest first, with when they were sent.
    edits: HashMap<Fleet, Vec<(String, Instant)>>,
    /// Microseconds that the others took.
    took: Vec<(u64, Fleet)>,
}

/// How long edits took, sorted, in microseconds, and how many do not show.
pub(crate) struct Took {
    pub(crate) edits: Vec<(u64, Fleet)>,
    pub(crate) left: usize,
}

// === impl Took ===

impl Took {
    /// Microseconds, by nearest rank; of the edits of some fleets.
    pub(crate) fn percentile(&self, percent: usize, of: impl Fn(&Fleet) -> bool) -> u64 {
        let times: Vec<u64> = self.edits.iter().filter(|(_, fleet)| of(fleet)).map(|(took, _)| *took).collect();
        percentile(&times, percent)
    }
}

// === impl Awaited ===

impl Awaited {
    fn shows(&mut self, fleet: &Fleet, value: &str) {
        let Some(edits) = self.edits.get_mut(fleet) else { return };
        let (now, shown) = (Instant::now(), edits.iter().position(|(awaited, _)| awaited == value));
        // One that a later edit of the same fleet overtook shows with that.
        for (_, sent) in edits.drain(..shown.map_or(0, |last| last + 1)) {
            self.took.push((u64::try_from((now - sent).as_micros()).unwrap(), fleet.clone()));
        }
        if edits.is_empty() {
            self.edits.remove(fleet);
        }
    }

    fn take(&mut self) -> Took {
        let mut edits = std::mem::take(&mut self.took);
        edits.sort_unstable_by_key(|(took, _)| *took);
        Took { edits, left: std::mem::take(&mut self.edits).values().map(Vec::len).sum() }
    }
}

// === impl Followed ===

impl Followed {
    /// Begins to follow.
    pub(crate) fn start(cluster: &Cluster) -> Self {
        let this = Self(Arc::default());
        let seen = this.clone();
        let fleets = Api::<AgentFleet>::all(cluster.client.clone());
        tokio::spawn(async move {
            let mut events = std::pin::pin!(watcher(fleets, watcher::Config::default()).default_backoff());
            while let Some(event) = events.next().await {
                if let Ok(Event::Apply(fleet) | Event::InitApply(fleet)) = event {
                    seen.note(&fleet);
                }
            }
        });
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("monitoring.coreos.com", "v1", "PodMonitor"));
        let seen = this.clone();
        let monitors = Api::<PartialObjectMeta<DynamicObject>>::all_with(cluster.client.clone(), &resource);
        let config = watcher::Config::default().labels(&format!("{MANAGED_BY}={MANAGER}"));
        tokio::spawn(async move {
            // While its kind is not installed there are errors, and it is looked for every now and then.
            let mut events = std::pin::pin!(watcher(monitors, config).default_backoff());
            while let Some(event) = events.next().await {
                if let Ok(Event::Apply(monitor) | Event::InitApply(monitor)) = event {
                    seen.shown(&monitor);
                }
            }
        });
        this
    }

    fn note(&self, fleet: &AgentFleet) {
        let key = Fleet { namespace: fleet.namespace().unwrap_or_default(), name: fleet.name_any() };
        let current = fleet.status.as_ref().filter(|status| status.observed_generation == fleet.metadata.generation);
        let ready = current.filter(|status| status.conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True"));
        let kind = ready.map(|status| status.scrape.as_ref().map_or(String::new(), |object| object.kind.clone()));
        let mut seen = self.0.lock().unwrap();
        if let (Some(_), Some(value)) = (current, fleet.spec.scrape.labels.get(LABEL)) {
            seen.told.shows(&key, &value.0);
        }
        let now = Instant::now();
        let changed = match kind {
            Some(kind) => seen.ready.insert(key, kind.clone()) != Some(kind),
            None => seen.ready.remove(&key).is_some(),
        };
        if changed {
            seen.first.get_or_insert(now);
            seen.last = Some(now);
        }
    }

    fn shown(&self, monitor: &PartialObjectMeta<DynamicObject>) {
        let Some(owner) = monitor.owner_references().iter().find(|owner| owner.controller == Some(true)) else {
            return;
        };
        let fleet = Fleet { namespace: monitor.namespace().unwrap_or_default(), name: owner.name.clone() };
        // A policy's monitor for it has another owner.
        if let Some(value) = monitor.labels().get(LABEL).filter(|_| monitor.name_any() == scrape_name(&fleet.name)) {
            self.0.lock().unwrap().applied.shows(&fleet, value);
        }
    }

    /// An edit is about to be sent: this value of [`LABEL`] is awaited from now on.
    pub(crate) fn awaits(&self, fleet: &Fleet, value: &str) {
        let (edit, mut seen) = ((value.to_owned(), Instant::now()), self.0.lock().unwrap());
        seen.applied.edits.entry(fleet.clone()).or_default().push(edit.clone());
        seen.told.edits.entry(fleet.clone()).or_default().push(edit);
    }

    /// Waits until all edits show, at most so long. How long they took until they were in the monitor, and until the status said so.
    pub(crate) async fn took(&self, limit: Duration) -> (Took, Took) {
        let none = async || Ok(!self.waits());
        // What does not come in time is a figure, not a failure.
        let _ = until(limit, "all edits show", none).await;
        let mut seen = self.0.lock().unwrap();
        (seen.applied.take(), seen.told.take())
    }

    /// Whether an edit is not shown yet.
    pub(crate) fn waits(&self) -> bool {
        let seen = self.0.lock().unwrap();
        !seen.applied.edits.is_empty() || !seen.told.edits.is_empty()
    }

    /// Forgets when fleets got Ready until now.
    pub(crate) fn begin(&self) {
        let mut seen = self.0.lock().unwrap();
        (seen.first, seen.last) = (None, None);
    }

    /// Waits until just so many fleets are Ready: since `begin`, when the first changed and when the last.
    pub(crate) async fn ready(&self, count: usize, limit: Duration) -> (Option<Instant>, Option<Instant>) {
        let there = async || Ok(self.0.lock().unwrap().ready.len() == count);
        until(limit, &format!("{count} fleets are Ready"), there).await.unwrap();
        let seen = self.0.lock().unwrap();
        (seen.first, seen.last)
    }

    /// Waits until just so many fleets are Ready with a scrape object of this kind; when the last one changed.
    pub(crate) async fn scraped_by(&self, kind: &str, count: usize, limit: Duration) -> Option<Instant> {
        let there = async || Ok(self.0.lock().unwrap().ready.values().filter(|have| *have == kind).count() == count);
        until(limit, &format!("{count} fleets have a {kind}"), there).await.unwrap();
        self.0.lock().unwrap().last
    }
}
