//! Calls of gRPC: the kernel's records of HTTP/2 in, the fleets' series out.

use std::future::pending;

use fleetscope_core::metrics::{EVENTS_DEFERRED, EVENTS_LOST};
use fleetscope_core::rpc::{self, Event, RpcSeries};
use fleetscope_core::series::Registry;
use fleetscope_core::tasks::tracker::Tracker;
use fleetscope_ebpf::http2::{Http2Counters, unreadable};
use tokio::io::unix::AsyncFd;
use tracing::error;

use super::own::number;
use super::restart::{self, Report, Restart};
use crate::probes::Probes;
use crate::probes::maps::{Maps, MapsError, Records};

/// See the module.
#[derive(Debug)]
pub(super) struct Calls {
    ring: Option<AsyncFd<Records>>,
    tracker: rpc::Tracker,
    series: RpcSeries,
    /// What the kernel is known to have counted; `None` before the first look.
    counters: Option<Http2Counters>,
    /// Records that the kernel is known to have lost.
    lost: u64,
    /// The last note of I/Os that passed unseen.
    missed: u64,
    report: Report,
    /// Records that were read.
    read: usize,
}

/// Most drains of the ring buffer at the end: what comes faster than that is for the next agent.
const LAST_DRAINS: usize = 16;

// === impl Calls ===

impl Calls {
    /// Nothing is read before [`Self::watch`].
    pub(super) fn new(restart: Restart) -> Self {
        let Restart { report, tracker, missed, lost } = restart;
        let series = RpcSeries::new(rpc::SeriesLimits::default());
        Self { ring: None, tracker, series, counters: None, lost, missed, report, read: 0 }
    }

    /// Tells the series of the calls that another agent saw start. To be called once, when the groups are known.
    pub(super) fn begin(&mut self, tasks: &mut Tracker, now: u64) {
        Restart::show(&self.report, tasks.registry_mut());
        for call in self.tracker.in_flight() {
            self.series.handle(&Event::Started(call), tasks, now);
        }
    }

    /// Reads what is in the ring buffer for the last time, and leaves what is known for the next agent.
    pub(super) fn end(&mut self, probes: &mut Probes, tasks: &mut Tracker, now: u64) -> Result<(), MapsError> {
        if !probes.persists() {
            return Ok(());
        }
        let mut result = Ok(());
        for _ in 0..LAST_DRAINS {
            let Some(maps) = probes.maps() else { break };
            let before = self.read;
            result = self.drain(maps, tasks, now);
            if self.read == before {
                break;
            }
        }
        // What stays in the ring buffer is the next agent's.
        restart::leave(probes, &self.tracker, self.missed, self.lost);
        result
    }

    /// Reads the ring buffer from here on. Needs a runtime.
    pub(super) fn watch(&mut self, maps: Option<&mut Maps>) {
        self.ring = maps.and_then(Maps::frames).and_then(|records| {
            let ring = records.into_async();
            ring.inspect_err(|error| error!(%error, "Failed to watch the ring buffer of calls: none are read")).ok()
        });
    }

    /// Ends when the ring buffer has filled to the level at which the kernel wakes its reader.
    pub(super) async fn filled(&mut self) {
        let Some(ring) = &mut self.ring else { return pending().await };
        match ring.readable().await {
            Ok(mut guard) => guard.clear_ready(),
            Err(_) => pending().await,
        }
    }

    /// Handles what is in the ring buffer at `now`, nanoseconds of `CLOCK_BOOTTIME`. To be called after the records of cgroups were read, so that
    /// the groups of the calls are known.
    pub(super) fn drain(&mut self, maps: &mut Maps, tasks: &mut Tracker, now: u64) -> Result<(), MapsError> {
        let Self { ring, tracker, series, counters, lost, missed, read, .. } = self;
        // Before the records, as these may end calls that were lost.
        let closes = maps.http2_counters().and_then(|found| {
            let (lost_before, missed_before) = (*lost, *missed);
            // What was lost before the first look is of an agent before: what began then was begun before this one.
            let pieces = counters.map_or(0, |before| found.pieces_lost.saturating_sub(before.pieces_lost));
            (*lost, *missed, *counters) = (lost_of(&found), maps.missed()?, Some(found));
            if *lost > lost_before || *missed != missed_before {
                tracker.records_lost(now, pieces);
            }
            maps.deferred_closes(&found)
        });
        if let Some(ring) = ring {
            *read += ring.get_mut().drain(|bytes| match rpc::parse(bytes) {
                Ok(record) => tracker.handle(&record, now, &mut |event| series.handle(&event, tasks, now)),
                Err(error) => tasks.registry_mut().add(&EVENTS_LOST, None, &[error.reason()], 1.0),
            });
        }
        let result = closes.map(|closes| {
            for closed in &closes {
                tracker.handle(&rpc::from_deferred(closed), now, &mut |event| series.handle(&event, tasks, now));
            }
        });
        tracker.tick(now, &mut |event| series.handle(&event, tasks, now));
        result
    }

    /// Time has passed; to be called after it has for the tracker of tasks.
    pub(super) fn tick(&mut self, tasks: &mut Tracker, now: u64) {
        self.series.tick(tasks, now);
    }

    /// Brings the series of what was counted up to date.
    pub(super) fn show(&self, registry: &mut Registry) {
        self.tracker.counts().show(registry);
        let Http2Counters {
            pieces_lost,
            closes_deferred,
            closes_lost,
            storage_full,
            unix_full,
            missed,
            unreadable,
            ..
        } = self.counters.unwrap_or_default();
        registry.set(&EVENTS_DEFERRED, None, &["http2_close"], number(closes_deferred));
        let lost = [
            ("http2_frames", pieces_lost),
            ("http2_closes", closes_lost),
            ("http2_sockets_full", storage_full),
            ("http2_unix_full", unix_full),
            ("http2_missed", missed),
        ];
        for (reason, count) in lost.into_iter().chain(UNREADABLE.into_iter().zip(unreadable)) {
            registry.set(&EVENTS_LOST, None, &[reason], number(count));
        }
    }
}

/// Records that the ring buffer refused.
fn lost_of(counters: &Http2Counters) -> u64 {
    counters.records_lost + counters.closes_lost
}

/// Values of the label `reason` for I/Os whose bytes could not be read, in the order of [`unreadable::NAMES`].
const UNREADABLE: [&str; unreadable::NAMES.len()] = [
    "http2_unreadable_worker",
    "http2_unreadable_call",
    "http2_unreadable_compat",
    "http2_unreadable_messages",
    "http2_unreadable_fault",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_those_of_the_kernel() {
        assert_eq!(UNREADABLE, unreadable::NAMES.map(|name| format!("http2_unreadable_{name}")));
    }
}
