//! Calls of gRPC: the kernel's records of HTTP/2 in, the fleets' series out.

use std::future::pending;

use fleetscope_core::metrics::EVENTS_LOST;
use fleetscope_core::rpc::{self, Limits, RpcSeries};
use fleetscope_core::series::Registry;
use fleetscope_core::tasks::tracker::Tracker;
use fleetscope_ebpf::http2::{Http2Counters, unreadable};
use tokio::io::unix::AsyncFd;
use tracing::error;

use super::own::number;
use crate::probes::maps::{Maps, MapsError, Records};

/// See the module.
#[derive(Debug)]
pub(super) struct Calls {
    ring: Option<AsyncFd<Records>>,
    tracker: rpc::Tracker,
    series: RpcSeries,
    /// What the kernel is known to have counted.
    counters: Http2Counters,
}

// === impl Calls ===

impl Calls {
    /// Nothing is read before [`Self::watch`].
    pub(super) fn new() -> Self {
        let (tracker, counters) = (rpc::Tracker::new(Limits::default()), Http2Counters::default());
        Self { ring: None, tracker, series: RpcSeries::new(rpc::SeriesLimits::default()), counters }
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
    pub(super) fn drain(&mut self, maps: &Maps, tasks: &mut Tracker, now: u64) -> Result<(), MapsError> {
        let Self { ring, tracker, series, counters } = self;
        // Before the records, as these may end calls that were lost.
        let result = maps.http2_counters().map(|found| {
            if lost(&found) > lost(counters) {
                tracker.records_lost(now);
            }
            *counters = found;
        });
        if let Some(ring) = ring {
            ring.get_mut().drain(|bytes| match rpc::parse(bytes) {
                Ok(record) => tracker.handle(&record, now, &mut |event| series.handle(&event, tasks, now)),
                Err(error) => tasks.registry_mut().add(&EVENTS_LOST, None, &[error.reason()], 1.0),
            });
        }
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
        let Http2Counters { pieces_lost, closes_lost, storage_full, missed, unreadable, .. } = self.counters;
        let lost = [
            ("http2_frames", pieces_lost),
            ("http2_closes", closes_lost),
            ("http2_sockets_full", storage_full),
            ("http2_missed", missed),
        ];
        for (reason, count) in lost.into_iter().chain(UNREADABLE.into_iter().zip(unreadable)) {
            registry.set(&EVENTS_LOST, None, &[reason], number(count));
        }
    }
}

/// Records that the ring buffer refused.
fn lost(counters: &Http2Counters) -> u64 {
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
