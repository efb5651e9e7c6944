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
        // As long as the series is there it must not fall, also after the container's own group has gone.
        self.gone.retain(|identity, _| tracker.registry().knows(identity));
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

#[cfg(test)]
mod tests {
    use fleetscope_core::records::{CgroupGone, Record};
    use fleetscope_core::series::{Limits, Value};
    use fleetscope_core::tasks::tracker::{FleetView, TrackerLimits};

    use super::*;

    fn identity() -> Arc<Identity> {
        Arc::new(Identity { fleet: "f".into(), pod: "p".into(), ..Identity::default() })
    }

    #[test]
    fn figures_of_a_container_are_set_and_its_gauges_end_with_it() {
        let mut registry = Registry::new(Limits::default());
        let (mut gauges, identity) = (Gauges::default(), identity());
        let full = Sample {
            identity: Arc::clone(&identity),
            cpu_seconds: Some(1.5),
            memory_bytes: Some(1),
            threads: Some(2),
            processes: Some(3),
            open_fds: Some(4),
            listening_sockets: Some(5),
            uptime_ns: Some(6_000_000_000),
        };
        gauges.set(&mut registry, vec![full.clone()]);
        let shown = |registry: &Registry| GAUGES.map(|metric| registry.get(metric, Some(&identity), &[]));
        assert_eq!(shown(&registry), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0].map(|number| Some(Value::Number(number))));

        gauges.set(&mut registry, vec![Sample { open_fds: None, ..full }]);
        assert_eq!(registry.get(&AGENT_OPEN_FDS, Some(&identity), &[]), None, "what cannot be read is not shown");
        assert_eq!(registry.get(&AGENT_THREADS, Some(&identity), &[]), Some(Value::Number(2.0)));

        gauges.set(&mut registry, Vec::new());
        assert_eq!(shown(&registry), [const { None }; 6]);
        assert_eq!(registry.get(&AGENT_CPU, Some(&identity), &[]), Some(Value::Number(1.5)), "what was used stays");
    }

    #[test]
    fn waits_of_nested_groups_count_for_their_container_also_when_they_are_gone() {
        let limits = TrackerLimits { runqueue: true, ..TrackerLimits::default() };
        let mut tracker = Tracker::standalone(limits, FleetView { name: "f".to_owned(), ..FleetView::default() });
        tracker.scan_started(1);
        tracker.cgroup_found(5, 1, "/a.service");
        tracker.cgroup_found(6, 5, "/a.service/nested");
        tracker.scan_finished(2);
        let identity = tracker.containers().next().map(|container| Arc::clone(container.identity)).expect("a.service");
        let waits = |count: u64| {
            let mut histogram = RunqueueHistogram { sum: count * 1_000_000_000, ..RunqueueHistogram::default() };
            histogram.buckets[0] = count;
            histogram
        };
        let mut runqueues = Runqueues::default();
        let mut count = |tracker: &mut Tracker, histograms| {
            let removed = runqueues.set(tracker, histograms);
            let Some(Value::Histogram { counts, sum, .. }) =
                tracker.registry().get(&RUNQUEUE_LATENCY, Some(&identity), &[])
            else {
                panic!("no histogram")
            };
            (removed, counts[0], sum.to_string())
        };
        assert_eq!(count(&mut tracker, vec![(5, waits(3)), (6, waits(4))]), (vec![], 7, "7".to_owned()));
        tracker.handle(Record::CgroupGone(CgroupGone { time: 3, cgroup: 6, parent: 5 }), 3);
        assert_eq!(count(&mut tracker, vec![(5, waits(3)), (6, waits(5))]), (vec![6], 8, "8".to_owned()));
        assert_eq!(count(&mut tracker, vec![(5, waits(4))]), (vec![], 9, "9".to_owned()));
        // Its own group goes last: what it had in all stays until its series go.
        tracker.handle(Record::CgroupGone(CgroupGone { time: 4, cgroup: 5, parent: 1 }), 4);
        assert_eq!(count(&mut tracker, vec![(5, waits(4))]), (vec![5], 9, "9".to_owned()));
        assert_eq!(count(&mut tracker, vec![]), (vec![], 9, "9".to_owned()));
    }

    #[test]
    fn histograms_of_groups_that_nobody_knows_go_at_the_second_look() {
        let mut tracker = Tracker::new(TrackerLimits::default());
        let mut runqueues = Runqueues::default();
        let strange = || vec![(77, RunqueueHistogram::default())];
        assert_eq!(runqueues.set(&mut tracker, strange()), Vec::<u64>::new());
        assert_eq!(runqueues.set(&mut tracker, strange()), [77]);
    }
}
