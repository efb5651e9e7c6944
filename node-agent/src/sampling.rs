//! When containers are sampled: before a scrape, if the figures are older than 5 s, and off the async threads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::cgroups::Hierarchies;
use crate::clock::boot_ns;
use crate::engine::handle::Handle;
use crate::procfs::Procfs;
use crate::sampler::sample;

/// Age up to which figures are served again: several fleets' scrapes within it cost one pass over `/proc`.
const AGE_MAX: Duration = Duration::from_secs(5);

/// The mounts to read, and when they were read last.
#[derive(Clone, Debug)]
pub struct Sampling(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    mounts: Option<(Hierarchies, Procfs)>,
    last: Mutex<Option<Instant>>,
}

// === impl Sampling ===

impl Sampling {
    /// Reads from these mounts; without them there are no figures of containers.
    pub fn new(mounts: Option<(Hierarchies, Procfs)>) -> Self {
        Self(Arc::new(Inner { mounts, last: Mutex::new(None) }))
    }

    /// Hands new figures to the engine, unless the last are recent. A second caller waits for the first.
    pub async fn refresh(&self, engine: &Handle) {
        let mut last = self.0.last.lock().await;
        if self.0.mounts.is_none() || last.is_some_and(|last| last.elapsed() < AGE_MAX) {
            return;
        }
        let Ok(targets) = engine.targets().await else { return };
        let inner = Arc::clone(&self.0);
        let sampled = spawn_blocking(move || {
            let (hierarchies, procfs) = inner.mounts.as_ref()?;
            Some(sample(hierarchies, procfs, &targets, boot_ns()))
        });
        if let Ok(Some(samples)) = sampled.await
            && engine.samples(samples).await.is_ok()
        {
            *last = Some(Instant::now());
        }
    }
}
