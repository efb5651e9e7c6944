//! All that the controller and the watches share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetscope_core::api::AgentFleetStatus;
use fleetscope_core::resources::{MANAGER, Site};
use kube::Client;
use kube::runtime::events::{Recorder, Reporter};

use crate::backoff::Backoffs;
use crate::children::Children;
use crate::fleets::Fleets;
use crate::leader::Gate;
use crate::metrics::Metrics;
use crate::pods::Index;
use crate::requeue::{FleetKey, Requeue};

/// What is remembered of a fleet between two reconciles.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The newest generation that the watch showed, and when.
    pub arrived: Option<(i64, Duration)>,
    /// Whether the lag of that generation was counted.
    pub counted: bool,
    /// The status that was written last, with the resource version that it was based on: while the cache still shows that version, it is
    /// behind.
    pub written: Option<(String, AgentFleetStatus)>,
    /// When that was.
    pub written_at: Option<Duration>,
}

/// All that the controller and the watches share. Its locks are held for a look-up, never across an await.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Where and how Fleetscope is installed.
    pub site: Site,
    /// How often each fleet is looked at without cause; zero is never.
    pub resync: Duration,
    /// May this process write?
    pub gate: Arc<Gate>,
    /// What the operator made.
    pub children: Children,
    /// The pods of the cluster.
    pub pods: Mutex<Index>,
    /// The fleets of the cluster.
    pub fleets: Mutex<Fleets>,
    /// Fleets that something else than themselves changed for.
    pub requeue: Requeue,
    /// Failed attempts.
    pub backoffs: Mutex<Backoffs<FleetKey>>,
    /// What is remembered per fleet.
    pub memory: Mutex<HashMap<FleetKey, Memory>>,
    /// Own metrics.
    pub metrics: Metrics,
    /// Writes Events. One for all: it counts repetitions.
    pub recorder: Recorder,
}

// === impl Context ===

impl Context {
    /// With nothing known yet. `instance` is who the Events are from.
    pub fn new(client: Client, site: Site, resync: Duration, instance: &str, gate: Arc<Gate>) -> Self {
        let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(instance.to_owned()) };
        Self {
            pods: Mutex::new(Index::new(site.namespace.clone())),
            recorder: Recorder::new(client.clone(), reporter),
            client,
            site,
            resync,
            gate,
            children: Children::default(),
            fleets: Mutex::default(),
            requeue: Requeue::default(),
            backoffs: Mutex::default(),
            memory: Mutex::default(),
            metrics: Metrics::default(),
        }
    }

    /// Forgets a fleet that is gone; its neighbours may have its pods now.
    pub fn forget(&self, key: &FleetKey) {
        lock(&self.backoffs).forget(key);
        lock(&self.memory).remove(key);
        let neighbours = lock(&self.fleets).remove(key);
        self.requeue.push(neighbours);
    }
}

/// Locks. What a panic left behind is still whole: every critical section is a look-up or one change.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
