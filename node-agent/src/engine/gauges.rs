//! Figures of containers as series: what the sampler read, and the kernel's run-queue histograms.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use fleetscope_core::metrics::{
    AGENT_CPU, AGENT_LISTENING_SOCKETS, AGENT_MEMORY, AGENT_OPEN_FDS, AGENT_PROCESSES, AGENT_THREADS, AGENT_UPTIME,
    Metric, RUNQUEUE_LATENCY,
};
use fleetscope_core::series::{Identity, Registry};
use fleetscope_core::tasks::tracker::{Owner, Tracker};
use fleetscope_ebpf::{RUNQUEUE_BUCKETS, RunqueueHistogram};

use super::own::number;
use crate::sampler::Sample;

/// The gauges that end with their container; what it used (CPU) stays for the grace time, as all counters do.
const GAUGES: [&Metric; 6] =
    [&AGENT_MEMORY, &AGENT_THREADS, &AGENT_PROCESSES, &AGENT_OPEN_FDS, &AGENT_LISTENING_SOCKETS, &AGENT_UPTIME];

/// Keeps the gauges of sampled containers in step with which of them are there.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    shown: HashSet<Arc<Identity>>,
}

// === impl Gauges ===

impl Gauges {
    /// Sets the figures of one sampling, and removes the gauges of containers that it has no more.
    pub(super) fn set(&mut self, registry: &mut Registry, samples: Vec<Sample>) {
        let now: HashSet<Arc<Identity>> = samples.iter().map(|sample| Arc::clone(&sample.identity)).collect();
        for gone in self.shown.difference(&now) {
            for metric in GAUGES {
                registry.remove(metric, Some(gone), &[]);
            }
        }
        for sample in samples {
            let id = Some(&sample.identity);
            if let Some(cpu) = sample.cpu_seconds {
                registry.set(&AGENT_CPU, id, &[], cpu);
            }
            let uptime = sample.uptime_ns.map(|ns| std::time::Duration::from_nanos(ns).as_secs_f64());
            let figures = [
                (&AGENT_MEMORY, sample.memory_bytes.map(number)),
                (&AGENT_THREADS, sample.threads.map(number)),
                (&AGENT_PROCESSES, sample.processes.map(number)),
                (&AGENT_OPEN_FDS, sample.open_fds.map(number)),
                (&AGENT_LISTENING_SOCKETS, sample.listening_sockets.map(number)),
                (&AGENT_UPTIME, uptime),
            ];
            for (metric, figure) in figures {
                match figure {
                    Some(figure) => registry.set(metric, id, &[], figure),
                    None => {
                        registry.remove(metric, id, &[]);
                    }
                }
            }
        }
        self.shown = now;
    }
}

/// Sums the run-queue histograms of all groups of a container, also of those that are gone.
#[derive(Debug, Default)]
pub(super) struct Runqueues {
    gone: HashMap<Arc<Identity>, RunqueueHistogram>,
    /// Groups that the tracker did not know at the last look: their record may still come.
    strange: HashSet<u64>,
}

// === impl Runqueues ===

impl Runqueues {
    /// Sets the series by the kernel's histograms as of now, and gives back the groups that are gone: what they counted is kept
    /// here, the kernel's entries can go.
    pub(super) fn set(&mut self, tracker: &mut Tracker, histograms: Vec<(u64, RunqueueHistogram)>) -> Vec<u64> {
        let known: HashSet<&Arc<Identity>> = tracker.containers().map(|container| container.identity).collect();
        self.gone.retain(|identity, _| known.contains(identity));
        let (mut removed, mut strange) = (Vec::new(), HashSet::new());
        let mut sums: HashMap<Arc<Identity>, RunqueueHistogram> = HashMap::new();
        for (cgroup, histogram) in histograms {
            match tracker.owner(cgroup) {
                Owner::Known { identity, there: true } => {
                    add(sums.entry(Arc::clone(identity)).or_default(), &histogram);
                }
                Owner::Known { identity, there: false } => {
                    removed.push(cgroup);
                    sums.entry(Arc::clone(identity)).or_default();
                    add(self.gone.entry(Arc::clone(identity)).or_default(), &histogram);
                }
                Owner::Nobody => {}
                Owner::Unknown if self.strange.contains(&cgroup) => removed.push(cgroup),
                Owner::Unknown => {
                    strange.insert(cgroup);
                }
            }
        }
        self.strange = strange;
        for (identity, sum) in &mut sums {
            if let Some(kept) = self.gone.get(identity) {
                add(sum, kept);
            }
            let seconds = std::time::Duration::from_nanos(sum.sum).as_secs_f64();
            tracker.registry_mut().set_histogram(&RUNQUEUE_LATENCY, Some(identity), &[], &sum.buckets, seconds);
        }
        removed
    }
}

fn add(to: &mut RunqueueHistogram, more: &RunqueueHistogram) {
    for i in 0..RUNQUEUE_BUCKETS {
        to.buckets[i] = to.buckets[i].saturating_add(more.buckets[i]);
    }
    to.sum = to.sum.saturating_add(more.sum);
}
