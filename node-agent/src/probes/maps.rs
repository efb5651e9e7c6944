//! The maps of the object, as the agent reads and writes them.
//!
//! Everything goes through descriptors that were opened at load, so it needs no capability afterwards, where the kernel allows that
//! (see [`super::capabilities`]).

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use aya::Ebpf;
use aya::maps::{Array, HashMap, MapData, MapError, PerCpuArray, ProgramArray, RingBuf};
use fleetscope_ebpf::http2::{ClosedRecord, Http2Counters, unreadable};
use fleetscope_ebpf::{Counters, Refused, RefusedKey, RunqueueHistogram, map, pulse, verdict};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What can go wrong with a map.
#[derive(Debug, thiserror::Error)]
pub enum MapsError {
    /// The object does not have it: object and agent are of different sources.
    #[error("the eBPF object has no map {name}")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// The kernel refused an operation.
    #[error("failed to {verb} map {name}")]
    Kernel {
        /// What was done: `open`, `read`, `write`, `remove from`.
        verb: &'static str,
        /// Its name.
        name: &'static str,
        /// Why.
        source: MapError,
    },
}

/// How a batch of verdicts went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Entries that stand now.
    pub written: usize,
    /// Entries that the map had no room for.
    pub refused: usize,
}

/// The maps.
pub struct Maps {
    records: Option<Records>,
    cgroups: HashMap<MapData, u64, u32>,
    counters: PerCpuArray<MapData, Counters>,
    refused: HashMap<MapData, RefusedKey, Refused>,
    runqueue: HashMap<MapData, u64, RunqueueHistogram>,
    frames: Option<Records>,
    http2_counters: PerCpuArray<MapData, Http2Counters>,
    closes: HashMap<MapData, u64, ClosedRecord>,
    pulse: Array<MapData, u64>,
    /// The last turn of a verdict, see [`verdict::TURN`].
    turn: u16,
    /// Kept, as the kernel empties it when its last descriptor goes.
    _chain: Option<ProgramArray<MapData>>,
    /// Records that [`Self::drain_refused`] is known to have seen; the map is not walked while the kernel's count stays.
    deferred_seen: u64,
    /// As `deferred_seen`, of [`Self::deferred_closes`].
    closes_seen: u64,
}

/// The ring buffer, in the order in which the kernel wrote it. Usable in tokio's `AsyncFd`: readable means that it has filled to
/// [`super::Options::wakeup_percent`]; below that a timer has to drain it.
pub struct Records {
    ring: RingBuf<MapData>,
    bytes: usize,
}

// === impl Maps ===

impl Maps {
    pub(super) fn take(
        ebpf: &mut Ebpf,
        options: &super::Options,
        chain: Option<ProgramArray<MapData>>,
    ) -> Result<Self, MapsError> {
        fn open<T>(ebpf: &mut Ebpf, name: &'static str) -> Result<T, MapsError>
        where
            T: TryFrom<aya::maps::Map, Error = MapError>,
        {
            let map = ebpf.take_map(name).ok_or(MapsError::Missing { name })?;
            T::try_from(map).map_err(|source| MapsError::Kernel { verb: "open", name, source })
        }
        let ring = |ring, bytes: u32| Some(Records { ring, bytes: bytes as usize });
        Ok(Self {
            records: ring(open(ebpf, map::RECORDS)?, options.ring_bytes),
            frames: ring(open(ebpf, map::FRAMES)?, options.frames_bytes),
            http2_counters: open(ebpf, map::HTTP2_COUNTERS)?,
            closes: open(ebpf, map::CLOSES)?,
            pulse: open(ebpf, map::PULSE)?,
            turn: 0,
            cgroups: open(ebpf, map::CGROUPS)?,
            counters: open(ebpf, map::COUNTERS)?,
            refused: open(ebpf, map::REFUSED)?,
            runqueue: open(ebpf, map::RUNQUEUE)?,
            _chain: chain,
            deferred_seen: 0,
            closes_seen: 0,
        })
    }

    /// The ring buffer's reader; there is one, so a second call gives `None`.
    pub fn records(&mut self) -> Option<Records> {
        self.records.take()
    }

    /// As [`Self::records`], of the ring buffer for HTTP/2.
    pub fn frames(&mut self) -> Option<Records> {
        self.frames.take()
    }

    /// Writes verdicts, values of [`fleetscope_ebpf::verdict`]. A full map is told in the answer, any other refusal is an error.
    pub fn set_verdicts(&mut self, verdicts: impl IntoIterator<Item = (u64, u32)>) -> Result<Written, MapsError> {
        let mut done = Written::default();
        let result = verdicts.into_iter().try_for_each(|(cgroup, verdict)| {
            let turn = self.turn_of(cgroup, verdict)?;
            match self.cgroups.insert(cgroup, verdict | turn << verdict::TURN, 0) {
                Ok(()) => done.written += 1,
                Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::E2BIG) => {
                    done.refused += 1;
                }
                Err(source) => return Err(MapsError::Kernel { verb: "write", name: map::CGROUPS, source }),
            }
            Ok(())
        });
        self.verdicts_changed()?;
        result.map(|()| done)
    }

    /// The group's turn: a new one if its sockets are looked at from here on, and were not before.
    fn turn_of(&mut self, cgroup: u64, verdict: u32) -> Result<u32, MapsError> {
        let before = self.value(cgroup)?.unwrap_or(0);
        if verdict & !before & verdict::RPC != 0 {
            self.turn = self.turn.wrapping_add(1);
            return Ok(self.turn.into());
        }
        Ok(before >> verdict::TURN)
    }

    fn value(&self, cgroup: u64) -> Result<Option<u32>, MapsError> {
        match self.cgroups.get(&cgroup, 0) {
            Ok(value) => Ok(Some(value)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(source) => Err(MapsError::Kernel { verb: "read", name: map::CGROUPS, source }),
        }
    }

    /// Programs that keep what they read of the verdicts read them again.
    fn verdicts_changed(&mut self) -> Result<(), MapsError> {
        let failed = |verb| move |source| MapsError::Kernel { verb, name: map::PULSE, source };
        let changes = self.pulse.get(&pulse::VERDICTS, 0).map_err(failed("read"))?;
        self.pulse.set(pulse::VERDICTS, changes.wrapping_add(1), 0).map_err(failed("write"))
    }

    /// The kernel's verdict about a group; `None` when it is not looked at and its descendants are not either.
    pub fn verdict(&self, cgroup: u64) -> Result<Option<u32>, MapsError> {
        Ok(self.value(cgroup)?.map(|value| value & verdict::BITS))
    }

    /// Forgets a group: neither it nor groups that are made below it from now on are looked at.
    pub fn remove_verdict(&mut self, cgroup: u64) -> Result<(), MapsError> {
        removed(self.cgroups.remove(&cgroup), map::CGROUPS)?;
        self.verdicts_changed()
    }

    /// Takes what the ring buffer had no room for; call it after each drain of the ring. Returns how many.
    pub fn drain_refused(&mut self, mut each: impl FnMut(&RefusedKey, &Refused)) -> Result<usize, MapsError> {
        let counters = self.counters()?;
        let deferred = counters.exec_deferred + counters.exit_deferred + counters.cgroup_deferred;
        if deferred == self.deferred_seen {
            return Ok(0);
        }
        let failed = |source| MapsError::Kernel { verb: "read", name: map::REFUSED, source };
        // The keys first: removing while walking would start the walk over each time.
        let keys = self.refused.keys().collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let mut taken = 0;
        for key in keys {
            match self.refused.get(&key, 0) {
                Ok(refused) => {
                    removed(self.refused.remove(&key), map::REFUSED)?;
                    each(&key, &refused);
                    taken += 1;
                }
                Err(MapError::KeyNotFound) => {}
                Err(source) => return Err(failed(source)),
            }
        }
        self.deferred_seen = deferred;
        Ok(taken)
    }

    /// The closes that the ring buffer for HTTP/2 has had no room for until now. To be asked for before the ring buffer is read, and handled
    /// afterwards, so that what the connections said before is known by then; `counted` are the programs' counts of that moment or an earlier one.
    pub fn deferred_closes(&mut self, counted: &Http2Counters) -> Result<Vec<ClosedRecord>, MapsError> {
        let mut waited = Vec::new();
        if counted.closes_deferred == self.closes_seen {
            return Ok(waited);
        }
        let failed = |source| MapsError::Kernel { verb: "read", name: map::CLOSES, source };
        let keys = self.closes.keys().collect::<Result<Vec<_>, _>>().map_err(failed)?;
        for key in keys {
            match self.closes.get(&key, 0) {
                Ok(closed) => waited.push(closed),
                Err(MapError::KeyNotFound) => continue,
                Err(source) => return Err(failed(source)),
            }
            removed(self.closes.remove(&key), map::CLOSES)?;
        }
        self.closes_seen = counted.closes_deferred;
        Ok(waited)
    }

    /// The programs' counts, summed over the processors.
    pub fn counters(&self) -> Result<Counters, MapsError> {
        let failed = |source| MapsError::Kernel { verb: "read", name: map::COUNTERS, source };
        let each = self.counters.get(&0, 0).map_err(failed)?;
        Ok(each.iter().fold(Counters::default(), |sum, cpu| Counters {
            execs: sum.execs + cpu.execs,
            exits: sum.exits + cpu.exits,
            exec_deferred: sum.exec_deferred + cpu.exec_deferred,
            exit_deferred: sum.exit_deferred + cpu.exit_deferred,
            cgroup_deferred: sum.cgroup_deferred + cpu.cgroup_deferred,
            exec_lost: sum.exec_lost + cpu.exec_lost,
            exit_lost: sum.exit_lost + cpu.exit_lost,
            cgroup_lost: sum.cgroup_lost + cpu.cgroup_lost,
            cgroups_full: sum.cgroups_full + cpu.cgroups_full,
            argv_unreadable: sum.argv_unreadable + cpu.argv_unreadable,
            runqueue_full: sum.runqueue_full + cpu.runqueue_full,
        }))
    }

    /// What the programs for HTTP/2 counted, summed over the processors.
    pub fn http2_counters(&self) -> Result<Http2Counters, MapsError> {
        let failed = |source| MapsError::Kernel { verb: "read", name: map::HTTP2_COUNTERS, source };
        let each = self.http2_counters.get(&0, 0).map_err(failed)?;
        Ok(each.iter().fold(Http2Counters::default(), |sum, cpu| Http2Counters {
            records: sum.records + cpu.records,
            records_lost: sum.records_lost + cpu.records_lost,
            pieces_lost: sum.pieces_lost + cpu.pieces_lost,
            closes_deferred: sum.closes_deferred + cpu.closes_deferred,
            closes_lost: sum.closes_lost + cpu.closes_lost,
            storage_full: sum.storage_full + cpu.storage_full,
            unix_full: sum.unix_full + cpu.unix_full,
            missed: sum.missed + cpu.missed,
            unreadable: std::array::from_fn::<u64, { unreadable::NAMES.len() }, _>(|why| {
                sum.unreadable[why] + cpu.unreadable[why]
            }),
        }))
    }

    /// Says that this agent is there: dispatchers that outlive theirs stop without; and has the programs look which Unix sockets were closed. Once a
    /// second is often enough.
    pub fn beat(&mut self) -> Result<(), MapsError> {
        let failed = |source| MapsError::Kernel { verb: "write", name: map::PULSE, source };
        super::persist::beat(&mut self.pulse).and_then(|()| self.pulse.set(pulse::LOOK, 1, 0)).map_err(failed)
    }

    /// Changes whenever I/Os passed unseen for want of a beat; see [`pulse::MISSED`].
    pub fn missed(&self) -> Result<u64, MapsError> {
        let failed = |source| MapsError::Kernel { verb: "read", name: map::PULSE, source };
        self.pulse.get(&pulse::MISSED, 0).map_err(failed)
    }

    /// The groups that have a verdict.
    pub fn verdicts(&self) -> Result<Vec<u64>, MapsError> {
        let failed = |source| MapsError::Kernel { verb: "read", name: map::CGROUPS, source };
        self.cgroups.keys().collect::<Result<_, _>>().map_err(failed)
    }

    /// The run-queue histograms by cgroup id; those of removed groups too, until [`Self::remove_runqueue`].
    pub fn runqueue(&self) -> Result<Vec<(u64, RunqueueHistogram)>, MapsError> {
        let failed = |source| MapsError::Kernel { verb: "read", name: map::RUNQUEUE, source };
        self.runqueue.iter().collect::<Result<_, _>>().map_err(failed)
    }

    /// Takes a group's histogram away.
    pub fn remove_runqueue(&mut self, cgroup: u64) -> Result<(), MapsError> {
        removed(self.runqueue.remove(&cgroup), map::RUNQUEUE)
    }
}

/// An entry that is gone already is as good as removed.
fn removed(result: Result<(), MapError>, name: &'static str) -> Result<(), MapsError> {
    match result {
        Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
        Err(source) => Err(MapsError::Kernel { verb: "remove from", name, source }),
    }
}

impl std::fmt::Debug for Maps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Maps").field("records", &self.records).finish_non_exhaustive()
    }
}

// === impl Records ===

impl Records {
    /// Gives every record that is there to `each`, and returns how many. It ends also when records come faster than `each` takes
    /// them: after as many bytes as the buffer has.
    pub fn drain(&mut self, mut each: impl FnMut(&[u8])) -> usize {
        let (mut count, mut bytes) = (0, 0);
        while bytes < self.bytes
            && let Some(record) = self.ring.next()
        {
            count += 1;
            bytes += record.len();
            each(&record);
        }
        count
    }
}

impl Records {
    /// As something that a tokio task can wait for. Needs a runtime.
    pub fn into_async(self) -> io::Result<AsyncFd<Self>> {
        // SAFETY: the descriptor is that of the map, which `ring` owns and never replaces, so it stays open and the same while `self` lives.
        let watched = unsafe { AsyncFd::register_with_interest(self, Interest::READABLE) };
        watched.map_err(|error| error.into_parts().1)
    }
}

impl AsRawFd for Records {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("fd", &self.as_raw_fd()).finish_non_exhaustive()
    }
}
