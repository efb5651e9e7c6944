//! When containers are sampled: before a scrape, if the figures are older than 5 s, and off the async threads.
//!
//! One pass at a time, which goes on when no scrape waits for it any more: on a node that is too slow for its scrapes the
//! figures get older, but they come.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::cgroups::Hierarchies;
use crate::clock::boot_ns;
use crate::engine::handle::{Degraded, Handle};
use crate::procfs::Procfs;
use crate::sampler::{Sample, Target, sample};

/// Age up to which figures are served again: several fleets' scrapes within it cost one pass over `/proc`.
const AGE_MAX: Duration = Duration::from_secs(5);
/// How long a scrape waits for new figures; then it has the last ones.
const WAIT: Duration = Duration::from_secs(2);

/// What is read, and how far that is.
#[derive(Clone, Debug)]
pub struct Sampling(Arc<Inner>);

/// Reads the figures of containers; blocks.
type Read = Box<dyn Fn(&[Target]) -> Vec<Sample> + Send + Sync>;

struct Inner {
    read: Option<Read>,
    passes: watch::Sender<Passes>,
}

/// How far the passes are.
#[derive(Clone, Copy, Debug, Default)]
struct Passes {
    running: bool,
    /// When the engine got figures last.
    last: Option<Instant>,
}

// === impl Sampling ===

impl Sampling {
    /// Reads from these mounts; without them there are no figures of containers.
    pub fn new(mounts: Option<(Hierarchies, Procfs)>) -> Self {
        match mounts {
            Some((hierarchies, procfs)) => {
                Self::of(Some(Box::new(move |targets| sample(&hierarchies, &procfs, targets, boot_ns()))))
            }
            None => Self::of(None),
        }
    }

    fn of(read: Option<Read>) -> Self {
        Self(Arc::new(Inner { read, passes: watch::Sender::default() }))
    }

    /// Hands new figures to the engine, unless the last are recent. Waits for a pass that is under way, for 2 s at most.
    pub async fn refresh(&self, engine: &Handle) {
        if self.0.read.is_none() {
            return;
        }
        let begins = self.0.passes.send_if_modified(|passes| {
            let due = !passes.running && passes.last.is_none_or(|last| last.elapsed() >= AGE_MAX);
            passes.running |= due;
            due
        });
        if begins {
            tokio::spawn(pass(Pass(Arc::clone(&self.0)), engine.clone()));
        }
        let mut passes = self.0.passes.subscribe();
        if timeout(WAIT, passes.wait_for(|passes| !passes.running)).await.is_err() {
            engine.degraded(Degraded::Stale);
        }
    }
}

async fn pass(pass: Pass, engine: Handle) {
    let Ok(targets) = engine.targets().await else { return };
    let inner = Arc::clone(&pass.0);
    let Ok(Some(samples)) = spawn_blocking(move || inner.read.as_ref().map(|read| read(&targets))).await else {
        return;
    };
    if engine.samples(samples).await.is_ok() {
        pass.0.passes.send_modify(|passes| passes.last = Some(Instant::now()));
    }
}

/// A pass that is under way; another may begin when it is dropped, however it ended.
struct Pass(Arc<Inner>);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.passes.send_modify(|passes| passes.running = false);
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("passes", &self.passes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, mpsc};

    use super::*;
    use crate::engine::handle::Question;

    /// Answers questions as an engine without containers, and tells when figures come.
    fn engine() -> (Handle, tokio::sync::mpsc::Receiver<()>) {
        let (handle, mut questions) = Handle::new();
        let (told, samples) = tokio::sync::mpsc::channel(8);
        tokio::spawn(async move {
            while let Some(question) = questions.recv().await {
                match question {
                    Question::Targets(answer) => drop(answer.send(Vec::new())),
                    Question::Samples(_) => told.send(()).await.expect("the test waits"),
                    other => panic!("{other:?}"),
                }
            }
        });
        (handle, samples)
    }

    #[tokio::test]
    async fn a_slow_pass_is_one_that_no_scrape_waits_for_long_and_its_figures_are_kept() {
        let (engine, mut samples) = engine();
        let (go, wait) = mpsc::channel();
        let wait = Mutex::new(wait);
        let begun = Arc::new(AtomicUsize::new(0));
        let begun_in = Arc::clone(&begun);
        let sampling = Sampling::of(Some(Box::new(move |_| {
            begun_in.fetch_add(1, Ordering::SeqCst);
            wait.lock().expect("one pass").recv().expect("the test goes on");
            Vec::new()
        })));
        // As a scrape whose time limit ends before.
        assert!(timeout(WAIT / 8, sampling.refresh(&engine)).await.is_err());
        let both = async { tokio::join!(sampling.refresh(&engine), sampling.refresh(&engine)) };
        timeout(2 * WAIT, both).await.expect("both wait at the same time, and not for the pass");
        assert_eq!(engine.take_degraded()[Degraded::Stale as usize], 2);
        assert_eq!(begun.load(Ordering::SeqCst), 1, "passes at the same time");
        go.send(()).expect("a pass waits");
        samples.recv().await.expect("figures of the pass that everybody gave up");
        sampling.refresh(&engine).await;
        assert_eq!((begun.load(Ordering::SeqCst), engine.take_degraded()), (1, [0; 6]), "its figures are recent");
    }

    #[tokio::test]
    async fn after_a_pass_that_failed_there_is_another() {
        let (engine, mut samples) = engine();
        let passes = AtomicUsize::new(0);
        let sampling = Sampling::of(Some(Box::new(move |_| {
            assert!(passes.fetch_add(1, Ordering::SeqCst) > 0, "the first pass fails");
            Vec::new()
        })));
        sampling.refresh(&engine).await;
        sampling.refresh(&engine).await;
        samples.recv().await.expect("figures of the second pass");
    }
}
