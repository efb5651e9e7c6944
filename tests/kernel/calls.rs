//! The calls that the kernel's records tell of.

use fleetscope_core::rpc::{Event, FrameError, Limits, Tracker, from_deferred, parse};
use fleetscope_node_agent::probes::maps::Records;

use crate::session::Session;

/// The records of HTTP/2, and the calls that they tell of.
pub(crate) struct Calls {
    ring: Records,
    pub(crate) tracker: Tracker,
    /// One line per event that ends a call: role, method, status or `lost` and why; sorted.
    ended: Vec<String>,
    /// Nanoseconds of `CLOCK_BOOTTIME` that the calls took, in the order in which they ended.
    pub(crate) durations: Vec<u64>,
    pub(crate) records: usize,
}

impl Calls {
    pub(crate) fn new(session: &mut Session) -> Self {
        let ring = session.maps().frames().expect("nobody took the reader");
        Self { ring, tracker: Tracker::new(Limits::default()), ended: Vec::new(), durations: Vec::new(), records: 0 }
    }

    /// As [`Self::new`], with what an agent before knew.
    pub(crate) fn with(session: &mut Session, tracker: Tracker) -> Self {
        Self { tracker, ..Self::new(session) }
    }

    /// Reads what is there.
    pub(crate) fn take(&mut self) -> &mut Self {
        let Self { ring, tracker, ended, durations, records } = self;
        ring.drain(|bytes| {
            *records += 1;
            let record = parse(bytes).unwrap_or_else(|error: FrameError| panic!("{error}"));
            tracker.handle(&record, now(), &mut |event| note(ended, durations, &event));
        });
        self
    }

    /// Reads the closes that the ring had no room for, and what is in it.
    pub(crate) fn take_deferred(&mut self, session: &mut Session) {
        let counters = session.maps().http2_counters().unwrap();
        let closes = session.maps().deferred_closes(&counters).unwrap();
        self.take();
        let Self { tracker, ended, durations, .. } = self;
        for closed in &closes {
            tracker.handle(&from_deferred(closed), now(), &mut |event| note(ended, durations, &event));
        }
    }

    /// As if nothing came for so many nanoseconds.
    pub(crate) fn after(&mut self, nanoseconds: u64) -> &mut Self {
        self.take();
        let Self { tracker, ended, durations, .. } = self;
        tracker.tick(now() + nanoseconds, &mut |event| note(ended, durations, &event));
        self
    }

    /// The calls that ended since the last look, each with how often.
    pub(crate) fn ended(&mut self) -> Vec<String> {
        self.take();
        let mut lines = std::mem::take(&mut self.ended);
        lines.sort();
        lines.chunk_by(|a, b| a == b).map(|same| format!("{} x {}", same.len(), same[0])).collect()
    }
}

fn note(ended: &mut Vec<String>, durations: &mut Vec<u64>, event: &Event<'_>) {
    match event {
        Event::Started(_) | Event::FirstResponse(_) => {}
        Event::Finished(finished) => {
            durations.push(finished.duration());
            let call = finished.call;
            ended.push(format!("{} {} {}", call.role.as_str(), call.method.as_str(), finished.status.as_str()));
        }
        Event::Lost(call, loss) => {
            ended.push(format!("{} {} lost: {}", call.role.as_str(), call.method.as_str(), loss.as_str()));
        }
    }
}

fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(time.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap()
}
