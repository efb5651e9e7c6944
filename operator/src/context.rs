//! All that the controllers and the watches share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetscope_core::resources::{MANAGER, Site};
use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use tokio::sync::watch;

use crate::children::Children;
use crate::leader::Gate;
use crate::metrics::Metrics;
use crate::owner::OwnerKind;
use crate::places::Places;
use crate::pods::Index;
use crate::precedence::Claims;
use crate::requeue::Requeue;
use crate::scope::Scope;
use crate::workloads::Workloads;

/// All that the controllers and the watches share. Its locks are held for a look-up, never across an await; who needs several takes
/// `claims` before `pods` and `workloads`.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Where and how Fleetscope is installed.
    pub site: Site,
    /// The namespaces that are looked at.
    pub scope: Scope,
    /// How often each object is looked at without cause; zero is never.
    pub resync: Duration,
    /// May this process write?
    pub gate: Arc<Gate>,
    /// How much is done at the same time.
    pub places: Places,
    /// What the operator made.
    pub children: Children,
    /// The pods of the cluster.
    pub pods: Mutex<Index>,
    /// The fleets, policies and namespaces of the cluster.
    pub claims: Mutex<Claims>,
    /// Who selects what the operator makes.
    pub workloads: Mutex<Workloads>,
    /// Objects that something else than themselves changed for.
    pub requeue: Requeue,
    /// Own metrics.
    pub metrics: Metrics,
    /// Writes Events. One for all: it counts repetitions.
    pub recorder: Recorder,
    everybody: watch::Sender<u64>,
    listed: [AtomicBool; OwnerKind::ALL.len()],
}

// === impl Context ===

impl Context {
    /// With nothing known yet. `instance` is who the Events are from.
    pub fn new(
        client: Client,
        site: Site,
        scope: Scope,
        resync: Duration,
        concurrency: u16,
        instance: &str,
        gate: Arc<Gate>,
    ) -> Self {
        let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(instance.to_owned()) };
        Self {
            pods: Mutex::new(Index::new(site.namespace.clone())),
            recorder: Recorder::new(client.clone(), reporter),
            client,
            site,
            scope,
            resync,
            gate,
            places: Places::new(concurrency),
            children: Children::default(),
            claims: Mutex::default(),
            workloads: Mutex::default(),
            requeue: Requeue::default(),
            metrics: Metrics::default(),
            everybody: watch::Sender::new(0),
            listed: Default::default(),
        }
    }

    /// Wakes all objects of all kinds: something changed that each of them may look at.
    pub fn requeue_all(&self) {
        self.everybody.send_modify(|times| *times += 1);
    }

    /// Changes each time that all objects are to look again.
    pub fn everybody(&self) -> watch::Receiver<u64> {
        self.everybody.subscribe()
    }

    /// All objects of a kind were listed, or the kind is not installed. True for the first time.
    pub fn list(&self, kind: OwnerKind) -> bool {
        !self.listed[kind as usize].swap(true, Ordering::AcqRel)
    }

    /// Whether all objects of a kind were listed once.
    pub fn listed(&self, kind: OwnerKind) -> bool {
        self.listed[kind as usize].load(Ordering::Acquire)
    }

    /// Whether all caches hold what the cluster holds.
    pub fn synced(&self) -> bool {
        OwnerKind::ALL.into_iter().all(|kind| self.listed(kind))
            && self.children.known()
            && lock(&self.claims).namespaces.known()
            && lock(&self.workloads).known()
            && lock(&self.pods).synced()
    }
}

/// Locks. What a panic left behind is still whole: every critical section is a look-up or one change.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
