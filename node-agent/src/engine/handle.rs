//! How the rest of the agent asks the engine: short messages over a bounded channel, each answered once.

use std::sync::Arc;

use fleetscope_core::series::{Filter, Snapshot};
use fleetscope_core::tasks::rows::AgentRow;
use tokio::sync::{mpsc, oneshot};

use crate::sampler::{Sample, Target};

/// Most questions that wait: the scrapes that are served at once, and the figures of as many samplings.
const QUESTIONS_MAX: usize = 32;

/// The engine has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to ask the engine: the agent is stopping")]
pub struct Stopped;

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
}

/// Asks the engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle(Arc<mpsc::Sender<Question>>);

// === impl Handle ===

impl Handle {
    /// A handle, and where its questions arrive.
    pub fn new() -> (Self, mpsc::Receiver<Question>) {
        let (questions, arriving) = mpsc::channel(QUESTIONS_MAX);
        (Self(Arc::new(questions)), arriving)
    }

    /// The series that `filter` picks, up to date.
    pub async fn snapshot(&self, filter: Filter) -> Result<Snapshot, Stopped> {
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
        self.0.send(Question::Samples(samples)).await.map_err(|_| Stopped)
    }

    /// Hands in how long a scrape took, in seconds.
    pub async fn scraped(&self, seconds: f64) -> Result<(), Stopped> {
        self.0.send(Question::Scraped(seconds)).await.map_err(|_| Stopped)
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Result<T, Stopped> {
        let (answer, answered) = oneshot::channel();
        self.0.send(question(answer)).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }
}
