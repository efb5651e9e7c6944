//! How the rest of the agent asks the engine: short messages over a bounded channel, each answered once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fleetscope_core::series::{Filter, Snapshot};
use fleetscope_core::tasks::rows::AgentRow;
use fleetscope_serve::Cut;
use tokio::sync::{mpsc, oneshot};

use crate::sampler::{Sample, Target};

/// Most questions that wait: the scrapes that are served at once, and the figures of as many samplings.
const QUESTIONS_MAX: usize = 32;

/// The engine has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to ask the engine: the agent is stopping")]
pub struct Stopped;

/// Why a request over HTTP was not answered as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Degraded {
    /// Refused: there were too many.
    Busy,
    /// Refused: it took too long.
    Slow,
    /// Answered with older figures of containers, as reading new ones takes long.
    Stale,
    /// Cut off: the client did not take the answer in time.
    Unread,
    /// Cut off for a newer connection.
    Evicted,
    /// The connection was closed for a newer one between two requests.
    EvictedIdle,
}

// === impl Degraded ===

impl Degraded {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [Self::Busy, Self::Slow, Self::Stale, Self::Unread, Self::Evicted, Self::EvictedIdle];

    /// Value of the label `reason`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Slow => "slow",
            Self::Stale => "stale",
            Self::Unread => Cut::Unread.as_str(),
            Self::Evicted => Cut::Evicted.as_str(),
            Self::EvictedIdle => Cut::EvictedIdle.as_str(),
        }
    }
}

impl From<Cut> for Degraded {
    fn from(why: Cut) -> Self {
        match why {
            Cut::Unread => Self::Unread,
            Cut::Evicted => Self::Evicted,
            Cut::EvictedIdle => Self::EvictedIdle,
        }
    }
}

/// How often each of [`Degraded::ALL`] was.
pub type DegradedCounts = [u64; Degraded::ALL.len()];

/// A question to the engine.
#[derive(Debug)]
pub enum Question {
    /// What the series are, after all that the kernel has recorded so far.
    Snapshot(Filter, oneshot::Sender<Snapshot>),
    /// The agents of this node.
    Agents(oneshot::Sender<Vec<AgentRow>>),
    /// The containers to sample.
    Targets(oneshot::Sender<Vec<Target>>),
    /// What the sampler read, and of which containers.
    Samples(Vec<Sample>),
    /// How long it took to answer a scrape, in seconds.
    Scraped(f64),
    /// Requests that were not answered as asked, since this was told last.
    Degraded(DegradedCounts),
}

/// Asks the engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    questions: mpsc::Sender<Question>,
    /// Not told yet: counted without waiting for the engine, by those whom it may keep waiting.
    degraded: [AtomicU64; Degraded::ALL.len()],
}

// === impl Handle ===

impl Handle {
    /// A handle, and where its questions arrive.
    pub fn new() -> (Self, mpsc::Receiver<Question>) {
        let (questions, arriving) = mpsc::channel(QUESTIONS_MAX);
        (Self(Arc::new(Inner { questions, degraded: Default::default() })), arriving)
    }

    /// The series that `filter` picks, up to date.
    pub async fn snapshot(&self, filter: Filter) -> Result<Snapshot, Stopped> {
        let place = self.0.questions.reserve().await.map_err(|_| Stopped)?;
        place.send(Question::Degraded(self.take_degraded()));
        self.ask(|answer| Question::Snapshot(filter, answer)).await
    }

    /// The agents of this node.
    pub async fn agents(&self) -> Result<Vec<AgentRow>, Stopped> {
        self.ask(Question::Agents).await
    }

    /// The containers of fleets that are there now.
    pub async fn targets(&self) -> Result<Vec<Target>, Stopped> {
        self.ask(Question::Targets).await
    }

    /// Hands in figures: those of all containers of one sampling.
    pub async fn samples(&self, samples: Vec<Sample>) -> Result<(), Stopped> {
        self.0.questions.send(Question::Samples(samples)).await.map_err(|_| Stopped)
    }

    /// Hands in how long a scrape took, in seconds.
    pub async fn scraped(&self, seconds: f64) -> Result<(), Stopped> {
        self.0.questions.send(Question::Scraped(seconds)).await.map_err(|_| Stopped)
    }

    /// Counts a request that is not answered as asked; the next snapshot shows it.
    pub fn degraded(&self, why: Degraded) {
        self.0.degraded[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted since it was taken last.
    pub(crate) fn take_degraded(&self) -> DegradedCounts {
        self.0.degraded.each_ref().map(|count| count.swap(0, Ordering::Relaxed))
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Result<T, Stopped> {
        let (answer, answered) = oneshot::channel();
        self.0.questions.send(question(answer)).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }
}
