//! The loop that takes, renews and releases the lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::{Api, Client};

use super::evaluate::renewal;
use super::{Decision, Gate, LEASE, RENEW_DEADLINE, RETRY, Record, Seen, evaluate};
use crate::clock;
use crate::error::told;

/// The loop must turn this often for the process to count as alive; one turn has at most a request of [`RENEW_DEADLINE`].
const ALIVE: Duration = Duration::from_secs(30);
/// Between two tries to release it.
const AGAIN: Duration = Duration::from_millis(100);

/// The lease was ours, and is not any more.
#[derive(Debug, thiserror::Error)]
#[error("failed to renew lease {lease} within {} s: another process may lead now", RENEW_DEADLINE.as_secs())]
pub struct Lost {
    /// Namespace and name.
    pub lease: String,
}

/// A candidate.
#[derive(Debug)]
pub struct Elector {
    api: Api<Lease>,
    namespace: String,
    name: String,
    identity: String,
    gate: Arc<Gate>,
    turned: AtomicU64,
}

// === impl Elector ===

impl Elector {
    /// A candidate `identity` for a lease; the gate opens while it leads.
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str, gate: Arc<Gate>) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity: identity.to_owned(),
            gate,
            turned: AtomicU64::new(clock::now().as_secs()),
        }
    }

    /// Whether the loop still turns.
    pub fn alive(&self) -> bool {
        let turned = Duration::from_secs(self.turned.load(Ordering::Acquire));
        clock::now().saturating_sub(turned) < ALIVE
    }

    /// Stands for election until it wins; then calls `won`, and renews until the lease is lost.
    pub async fn run(&self, won: impl FnOnce()) -> Lost {
        let mut won = Some(won);
        let (mut seen, mut ours) = (Seen::default(), None);
        let mut leading = false;
        let mut turns = tokio::time::interval(RETRY);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            self.turned.store(clock::now().as_secs(), Ordering::Release);
            let sent = clock::now();
            match tokio::time::timeout(RENEW_DEADLINE / 2, self.turn(&mut seen, &mut ours)).await {
                Ok(Ok(true)) => {
                    // A leader that slept past its deadline has stopped its work, even if nobody else came.
                    if leading && !self.gate.open(clock::now()) {
                        return self.lost();
                    }
                    self.gate.renewed(sent);
                    leading = true;
                    if let Some(won) = won.take() {
                        tracing::info!(lease = %self.name, identity = %self.identity, "Became leader");
                        won();
                    }
                }
                Ok(Ok(false)) if leading => return self.lost(),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(lease = %self.name, error = told(&error), "Lease not renewed"),
                Err(_) => tracing::warn!(lease = %self.name, "Lease not renewed: no answer in time"),
            }
            if leading && !self.gate.open(clock::now()) {
                return self.lost();
            }
        }
    }

    /// Gives the lease back if it is ours, so that the next leader need not wait. For after the last write.
    pub async fn release(&self) {
        if !self.gate.open(clock::now()) {
            return;
        }
        self.gate.close();
        let released = async {
            while let Err(error) = self.give_back().await {
                tracing::warn!(lease = %self.name, error = told(&error), "Lease not released");
                // The lease or the right to it went with the installation: it will not be otherwise.
                if matches!(&error, kube::Error::Api(status) if matches!(status.code, 401 | 403 | 404)) {
                    return;
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        if tokio::time::timeout(RETRY, released).await.is_err() {
            tracing::warn!(lease = %self.name, after_s = RETRY.as_secs(), "Lease not released: it runs out");
        }
    }

    async fn give_back(&self) -> Result<(), kube::Error> {
        let mut lease = self.api.get(&self.name).await?;
        if let Some(spec) = &mut lease.spec
            && spec.holder_identity.as_ref() == Some(&self.identity)
        {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            self.api.replace(&self.name, &PostParams::default(), &lease).await?;
            tracing::info!(lease = %self.name, "Released leadership");
        }
        Ok(())
    }

    /// Renews the lease, or looks at it and does what follows from it. Whether it is ours now.
    ///
    /// `ours` is the lease as this process last wrote it: as long as nobody else writes to it, a renewal needs no look. It is forgotten
    /// with every answer that is not plain, the one that never comes included.
    async fn turn(&self, seen: &mut Seen, ours: &mut Option<Lease>) -> Result<bool, kube::Error> {
        if let Some(lease) = ours.take() {
            let renewed = self.lease(Some(&lease), &Record::of(&lease, LEASE), false);
            match self.api.replace(&self.name, &PostParams::default(), &renewed).await {
                Ok(lease) => {
                    *ours = Some(lease);
                    return Ok(true);
                }
                // Somebody wrote to it, or removed it.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => return Err(error),
            }
        }
        let Some(lease) = self.api.get_opt(&self.name).await? else {
            let record = Record::default();
            let answer = self.api.create(&PostParams::default(), &self.lease(None, &record, true)).await;
            *ours = Self::written(answer)?;
            return Ok(ours.is_some());
        };
        let record = Record::of(&lease, LEASE);
        let takes = match evaluate(&record, &self.identity, seen, clock::now()) {
            Decision::Yield => return Ok(false),
            Decision::Acquire => true,
            Decision::Renew => false,
        };
        let answer =
            self.api.replace(&self.name, &PostParams::default(), &self.lease(Some(&lease), &record, takes)).await;
        // Our own lease that somebody wrote to, a label perhaps, is ours still, until a look at it says otherwise: the next one.
        *ours = if takes { Self::written(answer)? } else { Some(answer?) };
        Ok(ours.is_some())
    }

    /// None where somebody else was faster, which is no error.
    fn written(answer: Result<Lease, kube::Error>) -> Result<Option<Lease>, kube::Error> {
        match answer {
            Ok(lease) => Ok(Some(lease)),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn lease(&self, before: Option<&Lease>, record: &Record, takes: bool) -> Lease {
        let now = MicroTime(renewal(record.renewed, Timestamp::now()));
        let acquired = before.and_then(|lease| lease.spec.as_ref()?.acquire_time.clone()).filter(|_| !takes);
        let first = before.is_none();
        Lease {
            metadata: before.map_or_else(
                || ObjectMeta {
                    name: Some(self.name.clone()),
                    namespace: Some(self.namespace.clone()),
                    ..ObjectMeta::default()
                },
                |lease| lease.metadata.clone(),
            ),
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: Some(i32::try_from(LEASE.as_secs()).expect("a few seconds")),
                acquire_time: acquired.or_else(|| Some(now.clone())),
                renew_time: Some(now),
                lease_transitions: Some(record.transitions.saturating_add(i32::from(takes && !first))),
                ..LeaseSpec::default()
            }),
        }
    }

    fn lost(&self) -> Lost {
        self.gate.close();
        Lost { lease: format!("{}/{}", self.namespace, self.name) }
    }
}
