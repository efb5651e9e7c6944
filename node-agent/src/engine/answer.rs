//! What the engine answers, and what it brings up to date for that.

use std::sync::Arc;

use fleetscope_core::metrics::{HTTP_DEGRADED, SCRAPE_DURATION};
use fleetscope_core::series::{Filter, Snapshot};
use fleetscope_core::tasks::tracker::ContainerRef;
use tokio::io::unix::AsyncFd;

use super::handle::{Degraded, Question};
use super::{Engine, own};
use crate::probes::maps::Records;
use crate::sampler::Target;

impl Engine {
    /// Answers; whoever asked may be gone by now, which is no loss.
    pub(super) fn answer(&mut self, question: Question, ring: &mut Option<AsyncFd<Records>>) {
        match question {
            Question::Snapshot(filter, answer) => {
                self.drain(ring);
                let _ = answer.send(self.snapshot(&filter));
            }
            Question::Agents(answer) => {
                self.drain(ring);
                let _ = answer.send(self.tracker.agents());
            }
            Question::Targets(answer) => {
                let target = |container: ContainerRef<'_>| Target {
                    path: container.path.to_owned(),
                    identity: Arc::clone(container.identity),
                };
                let _ = answer.send(self.tracker.containers().map(target).collect());
            }
            Question::Samples(samples) => self.gauges.set(self.tracker.registry_mut(), samples),
            Question::Scraped(seconds) => {
                self.tracker.registry_mut().observe(&SCRAPE_DURATION, None, &[], seconds);
            }
            Question::Degraded(counts) => {
                for (why, count) in Degraded::ALL.into_iter().zip(counts) {
                    self.tracker.registry_mut().add(&HTTP_DEGRADED, None, &[why.name()], own::number(count));
                }
            }
        }
    }

    fn snapshot(&mut self, filter: &Filter) -> Snapshot {
        self.runqueue();
        let programs = self.probes.program_stats();
        let registry = self.tracker.registry_mut();
        own::programs(registry, &programs);
        own::usage(registry);
        self.calls.show(registry);
        registry.snapshot(filter)
    }

    /// Brings the run-queue series up to date, and takes what the kernel keeps of removed groups.
    pub(super) fn runqueue(&mut self) {
        let Some(maps) = self.probes.maps().filter(|_| self.settings.runqueue) else { return };
        let result = maps.runqueue().and_then(|histograms| {
            let removed = self.runqueues.set(&mut self.tracker, histograms);
            removed.into_iter().try_for_each(|cgroup| maps.remove_runqueue(cgroup))
        });
        self.note(result);
    }
}
