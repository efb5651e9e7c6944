//! The eBPF programs: loaded, attached, read.
//!
//! In: the embedded object (`ebpf/`), the kernel's BTF, and options. Out: one [`ProbeReport`] per program, records of the ring buffer, and
//! the maps. Loading never fails as a whole: what cannot run says why and what to do about it, and the rest runs.
//! Nothing here changes what the kernel or a process does; no file is written, and nothing is pinned unless [`Options::persist`] says where.
//!
//! - [`btf`]: offsets of the running kernel's structures
//! - [`capabilities`]: what this process may do, and giving up what it no longer needs
//! - [`checkpoint`]: what an agent leaves for the next one
//! - `choice`: which way to calls is taken
//! - [`maps`]: records, verdicts, counters, histograms
//! - [`memory`]: giving back what loading took
//! - `options`: how they are loaded
//! - [`persist`]: what outlives the agent; [`pin_folder`]: where
//! - [`programs`]: what each program needs of the kernel
//! - [`report`]: states, reasons, remedies, and the table of `--check`
#![expect(unsafe_code, reason = "capset, malloc_trim and descriptors of maps, which have no safe form")]

pub mod btf;
pub mod capabilities;
pub mod checkpoint;
mod choice;
pub mod maps;
pub mod memory;
mod options;
pub mod persist;
pub mod pin_folder;
pub mod programs;
pub mod report;
pub mod stats;

use std::path::PathBuf;

use aya::maps::{MapData, ProgramArray};
use aya::programs::{BtfTracePoint, ProgramError};
use aya::{Ebpf, EbpfLoader, VerifierLogLevel};
use fleetscope_ebpf::{CONNECTIONS_MAX, chain, map, program};

use btf::Btf;
use checkpoint::Left;
use choice::Choice;
use maps::{Maps, MapsError};
pub use options::{Options, Rpc};
use persist::{Beginning, PersistError, Pins};
use programs::{MACHINE, Offsets, PROGRAMS, Program, RUNQUEUE, SOCKETS, SYSCALLS};
use report::{Failure, ProbeReport, State};
use rustix::time::ClockId;

/// The object that was embedded when the agent was built; empty when there was none.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/fleetscope.bpf.o"));

/// The programs that others call, and their places in [`map::CHAIN`].
const CHAINED: [(&str, u32); 3] = [
    (program::HTTP2_SYSCALL_SNIFF, chain::SNIFF),
    (program::HTTP2_SYSCALL_LOOP, chain::WALK),
    (program::HTTP2_SYSCALL_WALK, chain::WALK),
];

/// The loaded programs. Dropping it detaches and unloads them.
#[derive(Debug)]
pub struct Probes {
    report: Vec<ProbeReport>,
    /// Keeps the programs and their links; [`stats`] reads their counts.
    ebpf: Option<Ebpf>,
    maps: Option<Maps>,
    pins: Option<Pins>,
    beginning: Beginning,
}

impl Probes {
    /// Loads and attaches what this kernel and this process' capabilities allow.
    pub fn load(options: &Options) -> Self {
        Self::load_object(options, OBJECT)
    }

    /// As [`Self::load`], with an object of the caller's.
    pub fn load_object(options: &Options, object: &[u8]) -> Self {
        match open(options, object) {
            Ok(Opened { btf, kernel, mut ebpf, mut pins, mut beginning }) => {
                let offsets = Offsets::new(&btf);
                let rpc = Choice::new(options, &offsets);
                let kept = pins.is_some();
                let mut chain = ebpf.take_map(map::CHAIN).and_then(|map| ProgramArray::try_from(map).ok());
                let mut attach = |program| match rpc.passes_over(program) {
                    Some(state) => ProbeReport::new(program, state),
                    None => ProbeReport::new(
                        program,
                        attach(program, options, &offsets, &kernel, &mut ebpf, chain.as_mut(), kept),
                    ),
                };
                let report: Vec<ProbeReport> = PROGRAMS.iter().map(&mut attach).collect();
                if let Some(mut held) = pins.take() {
                    let works = report.iter().all(|row| row.mode != SOCKETS || row.state == State::Attached);
                    let begun = works.then_some(()).ok_or(PersistError::Missing { part: "a program of mode sockets" });
                    match begun.and_then(|()| held.begin(&mut ebpf, &kernel)) {
                        Ok(()) => {
                            beginning = held.beginning().clone();
                            pins = Some(held);
                        }
                        Err(error) => {
                            held.abandon();
                            drop(ebpf);
                            let without = Self::load_object(&Options { persist: None, ..options.clone() }, object);
                            return Self { beginning: Beginning::failed(&error), ..without };
                        }
                    }
                }
                match Maps::take(&mut ebpf, options, chain) {
                    Ok(maps) => Self { report, ebpf: Some(ebpf), maps: Some(maps), pins, beginning },
                    Err(error) => Self::none(options, &Failure::Maps(error)),
                }
            }
            Err(failure) => Self::none(options, &failure),
        }
    }

    fn none(options: &Options, failure: &Failure) -> Self {
        let report = PROGRAMS.iter().map(|program| ProbeReport::new(program, failure.state())).collect();
        Self { report, ebpf: None, maps: None, pins: None, beginning: Beginning::without_probes(options, failure) }
    }

    /// Whether the probes for calls go on where another agent stopped.
    pub fn beginning(&self) -> &Beginning {
        &self.beginning
    }

    /// Whether the probes for calls outlive this agent.
    pub fn persists(&self) -> bool {
        self.pins.is_some()
    }

    /// Takes what the agent before left.
    pub fn take_left(&mut self) -> Result<Option<Left>, MapsError> {
        let Some(checkpoint) = self.pins.as_mut().and_then(Pins::checkpoint) else { return Ok(None) };
        checkpoint.take().map_err(|source| MapsError::Kernel { verb: "read", name: "CHECKPOINT", source })
    }

    /// Leaves this for the agent that comes after; nothing if the probes do not outlive this one.
    pub fn leave(&mut self, left: &Left) -> Result<(), MapsError> {
        let Some(checkpoint) = self.pins.as_mut().and_then(Pins::checkpoint) else { return Ok(()) };
        checkpoint.put(left).map_err(|source| MapsError::Kernel { verb: "write", name: "CHECKPOINT", source })
    }

    /// One row per program, in the order in which they were attached.
    pub fn report(&self) -> &[ProbeReport] {
        &self.report
    }

    /// Whether every program of this probe is attached; those of a way that is not taken aside.
    pub fn attached(&self, probe: &str) -> bool {
        let mut own =
            self.report.iter().filter(|row| row.probe == probe && !matches!(row.state, State::Standby { .. }));
        own.all(|row| matches!(row.state, State::Attached))
    }

    /// The maps, when they could be made.
    pub fn maps(&mut self) -> Option<&mut Maps> {
        self.maps.as_mut()
    }

    /// Run time, runs, and runs that the kernel skipped, per attached program; of the programs that could be asked.
    pub fn program_stats(&self) -> Vec<stats::ProgramStats> {
        let hooks = self.pins.iter().flat_map(Pins::hooks);
        self.ebpf.as_ref().map(|ebpf| stats::read(ebpf, hooks)).unwrap_or_default()
    }
}

/// The object with its maps, none of its programs loaded.
struct Opened {
    btf: Btf,
    kernel: aya::Btf,
    ebpf: Ebpf,
    pins: Option<Pins>,
    beginning: Beginning,
}

fn open(options: &Options, object: &[u8]) -> Result<Opened, Failure> {
    if object.is_empty() {
        return Err(Failure::NoObject);
    }
    let btf = Btf::read(&options.btf).map_err(Failure::Btf)?;
    let kernel = aya::Btf::parse_file(&options.btf, aya::Endianness::default()).map_err(Failure::KernelBtf)?;
    let globals: Vec<(&str, u32)> = Offsets::new(&btf).globals().collect();
    let taken = Choice::new(options, &Offsets::new(&btf)).taken;
    let by_socket = taken == Some(SYSCALLS);
    let (pins, beginning) = match &options.persist {
        None => (None, Beginning::off()),
        Some(_) if taken != Some(SOCKETS) => (None, Beginning::mode()),
        Some(folder) => match Pins::open(folder, options) {
            Ok(pins) => (Some(pins), Beginning::off()),
            Err(error) => (None, Beginning::failed(&error)),
        },
    };
    let pinned: Vec<(&str, PathBuf)> = pins.iter().flat_map(Pins::maps).collect();
    let group_dead = u32::from(options.group_dead && Offsets::new(&btf).has_group_dead());
    let size = |bytes: u32| bytes.max(4096).next_power_of_two();
    let wakeup = |bytes: u32| {
        let level = u64::from(bytes) * u64::from(options.wakeup_percent.min(100)) / 100;
        u32::try_from(level).expect("at most the buffer's size")
    };
    let (ring_bytes, frames_bytes) = (size(options.ring_bytes), size(options.frames_bytes));
    let (wakeup_bytes, frames_wakeup_bytes) = (wakeup(ring_bytes), wakeup(frames_bytes));
    let machine = MACHINE.map(|(global, value)| (global, u32::try_from(value).expect("a small number")));
    // The resolution of the coarse clocks is a tick (kernel/time/posix-timers.c, `posix_get_coarse_res`).
    let tick = rustix::time::clock_getres(ClockId::MonotonicCoarse);
    let tick = u32::try_from(tick.tv_nsec / 1000).unwrap_or(0);
    let mut loader = EbpfLoader::new();
    loader.btf(Some(&kernel)).allow_unsupported_maps().verifier_log_level(VerifierLogLevel::DEBUG);
    for (global, offset) in &globals {
        loader.override_global(global, offset, true);
    }
    for (map, path) in &pinned {
        loader.map_pin_path(map, path.as_path());
    }
    for (global, value) in &machine {
        loader.override_global(global, value, true);
    }
    loader
        .override_global("FRAMES_WAKEUP_BYTES", &frames_wakeup_bytes, true)
        .override_global("EXIT_HAS_GROUP_DEAD", &group_dead, true)
        .override_global("TICK_MICROSECONDS", &tick, true)
        .override_global("WAKEUP_BYTES", &wakeup_bytes, true)
        .map_max_entries(map::RECORDS, ring_bytes)
        .map_max_entries(map::FRAMES, frames_bytes)
        .map_max_entries(map::CONNECTIONS_BY_SOCKET, if by_socket { CONNECTIONS_MAX } else { 1 })
        .map_max_entries(map::REFUSED, options.refused_max.max(1))
        .map_max_entries(map::CGROUPS, options.cgroups_max.max(1))
        .map_max_entries(map::RUNQUEUE, options.runqueue_max.max(1));
    match loader.load(object) {
        Ok(ebpf) => Ok(Opened { btf, kernel, ebpf, pins, beginning }),
        Err(error) => {
            let Some(pins) = pins else { return Err(Failure::Object(Box::new(error))) };
            // It may be for the pins; if it is not, they are of use to another agent.
            let without = open(&Options { persist: None, ..options.clone() }, object)?;
            pins.abandon();
            let detail = report::chain(&error);
            Ok(Opened { beginning: Beginning { state: "not_persistent", reason: "kernel", detail }, ..without })
        }
    }
}

fn attach(
    program: &Program,
    options: &Options,
    offsets: &Offsets<'_>,
    kernel: &aya::Btf,
    ebpf: &mut Ebpf,
    chain: Option<&mut ProgramArray<MapData>>,
    kept: bool,
) -> State {
    if program.probe == RUNQUEUE && !options.runqueue {
        return State::Off;
    }
    if let Err(reason) = offsets.check(program) {
        return Failure::Kernel(reason).state();
    }
    let Some(found) = ebpf.program_mut(program.name) else {
        return Failure::NoProgram { program: program.name }.state();
    };
    let attached = <&mut BtfTracePoint>::try_from(found).and_then(|found| {
        found.load(program.tracepoint, kernel)?;
        if let Some((_, place)) = CHAINED.iter().find(|(name, _)| *name == program.name) {
            // Called by another one, never by the kernel itself.
            return chain.map_or(Ok(()), |chain| chain.set(*place, found.fd()?, 0).map_err(ProgramError::MapError));
        }
        if kept && program.mode == SOCKETS {
            // Called by a dispatcher.
            return Ok(());
        }
        found.attach().map(|_| ())
    });
    match attached {
        Ok(()) => State::Attached,
        Err(error) => Failure::Program(Box::new(error)).state(),
    }
}
