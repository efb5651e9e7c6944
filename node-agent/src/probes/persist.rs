//! What of the probes for calls outlives the agent: pins in a folder of a bpffs, so that connections keep their names over a rollout.
//!
//! ```text
//! tracepoint -> dispatcher (pinned with its link) -> WORK_* (pinned) -> this agent's programs -> FRAMES, CONNECTIONS, .. (pinned)
//! cgroup_mkdir -> hook_mkdir (pinned with its link) -> CGROUPS (pinned)
//! ```
//! The next agent puts its own programs into `WORK_*` and reads on where this one stopped. Only an agent of the same ABI does; any other removes
//! what it finds, and begins anew. What is pinned is also held by this process, so that it works on when somebody removes the pins.
//!
//! - this file: which pins there are, and how an agent takes them over
//! - [`super::pin_folder`]: the folder that they are in
//! - [`super::checkpoint`]: what the agent itself leaves

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use aya::Ebpf;
use aya::maps::{Array, Map, MapData, MapError, ProgramArray};
use aya::pin::PinError;
use aya::programs::links::{FdLink, LinkError};
use aya::programs::{BtfTracePoint, ProgramError};
use fleetscope_ebpf::{http2, map, program, pulse};

use super::Options;
use super::checkpoint::{self, Checkpoint};
use super::pin_folder::{LINK, PinFolder};
use super::report::Failure;

/// The maps that are pinned.
const MAPS: [&str; 10] = [
    map::FRAMES,
    map::CONNECTIONS,
    map::UNIX_SOCKETS,
    map::CLOSES,
    map::CGROUPS,
    map::HTTP2_COUNTERS,
    map::PULSE,
    map::WORK_SEND,
    map::WORK_RECV,
    map::WORK_STATE,
];
/// Name of the pin of the checkpoint.
const CHECKPOINT: &str = "CHECKPOINT";
/// What the names of pinned programs begin with.
const PROGRAM: &str = "prog_";
/// The programs that stay attached.
const HOOKS: [Hook; 4] = [
    Hook {
        name: program::HOOK_SEND,
        tracepoint: "sock_send_length",
        calls: Some((program::HTTP2_SEND, map::WORK_SEND)),
    },
    Hook {
        name: program::HOOK_RECV,
        tracepoint: "sock_recv_length",
        calls: Some((program::HTTP2_RECV, map::WORK_RECV)),
    },
    Hook {
        name: program::HOOK_STATE,
        tracepoint: "inet_sock_set_state",
        calls: Some((program::HTTP2_STATE, map::WORK_STATE)),
    },
    Hook { name: program::HOOK_MKDIR, tracepoint: "cgroup_mkdir", calls: None },
];

/// A program that stays attached.
struct Hook {
    name: &'static str,
    tracepoint: &'static str,
    /// The agent's program that it calls, and the map by which it does; none if it does its work itself.
    calls: Option<(&'static str, &'static str)>,
}

/// Why nothing is kept, or cannot be removed.
#[derive(Debug, thiserror::Error)]
pub enum PersistError {
    /// The folder is not on a bpffs.
    #[error("{} is not on a bpffs: mount one there (mount -t bpf bpf /sys/fs/bpf)", .folder.display())]
    NotBpffs {
        /// Which.
        folder: PathBuf,
    },
    /// The folder cannot be made, read or changed.
    #[error("failed to {verb} {}", .folder.display())]
    Folder {
        /// What was tried.
        verb: &'static str,
        /// Which.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not this user's alone.
    #[error("{} belongs to another user, or others may write to it", .folder.display())]
    Foreign {
        /// Which.
        folder: PathBuf,
    },
    /// Another agent holds it.
    #[error("another agent holds {}", .folder.display())]
    Busy {
        /// Which.
        folder: PathBuf,
    },
    /// A map could not be pinned, opened or written.
    #[error("failed to keep a map")]
    Map(#[from] MapError),
    /// A program could not be loaded, pinned or opened.
    #[error("failed to keep a program")]
    Program(#[from] ProgramError),
    /// A pin could not be made.
    #[error("failed to pin")]
    Pin(#[from] PinError),
    /// A link could not be kept.
    #[error("failed to keep a link")]
    Link(#[from] LinkError),
    /// The object lacks a part, or one of the programs that do the work does not run.
    #[error("{part} is missing")]
    Missing {
        /// Which.
        part: &'static str,
    },
}

/// How this agent began: whether it goes on where another one stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// `not_persistent`, `new`, `taken_over`.
    pub state: &'static str,
    /// Why, in a word; empty if there is nothing to say.
    pub reason: &'static str,
    /// Why, in a sentence; empty if there is nothing to say.
    pub detail: String,
}

/// The pins, held by this process.
#[derive(Debug)]
pub(super) struct Pins {
    folder: PinFolder,
    abi: u64,
    beginning: Beginning,
    hooks: Vec<(&'static str, OwnedFd)>,
    /// Links, which else would end with their pins, and `WORK_*`, which the kernel else would empty with theirs.
    held: Vec<OwnedFd>,
    checkpoint: Option<Checkpoint>,
}

// === impl PersistError ===

impl PersistError {
    fn reason(&self) -> &'static str {
        match self {
            Self::NotBpffs { .. } => "not_bpffs",
            Self::Folder { .. } => "folder",
            Self::Foreign { .. } => "foreign",
            Self::Busy { .. } => "busy",
            Self::Map(_) | Self::Program(_) | Self::Pin(_) | Self::Link(_) | Self::Missing { .. } => "kernel",
        }
    }
}

// === impl Beginning ===

impl Beginning {
    /// Nobody asked for more.
    pub(super) fn off() -> Self {
        Self { state: "not_persistent", reason: "off", detail: String::new() }
    }

    /// Calls are not seen in a way that could be kept.
    pub(super) fn mode() -> Self {
        let detail = "only mode sockets can be kept over a restart".to_owned();
        Self { state: "not_persistent", reason: "mode", detail }
    }

    pub(super) fn failed(error: &PersistError) -> Self {
        Self { state: "not_persistent", reason: error.reason(), detail: super::report::chain(error) }
    }

    /// There are no probes that could be kept.
    pub(super) fn without_probes(options: &Options, failure: &Failure) -> Self {
        match options.persist {
            None => Self::off(),
            Some(_) => Self { state: "not_persistent", reason: "probes", detail: super::report::chain(failure) },
        }
    }
}

// === impl Pins ===

impl Pins {
    /// Takes the folder, and removes what this agent cannot go on with.
    pub(super) fn open(folder: &Path, options: &Options) -> Result<Self, PersistError> {
        let folder = PinFolder::hold(folder, true)?;
        let abi = abi(options);
        let new = |reason, detail: &str| Beginning { state: "new", reason, detail: detail.to_owned() };
        let missing = names().filter(|name| !folder.pin(name).exists()).count();
        let beginning = if missing == names().count() {
            new("first", "")
        } else if missing > 0 {
            new("incomplete", "what an agent left was not complete, and was removed")
        } else if pulse_of(&folder).and_then(|pulse| pulse.get(&pulse::ABI, 0)).ok() != Some(abi) {
            new("other_abi", "what an agent of another version, or with buffers of another size, left was removed")
        } else {
            Beginning { state: "taken_over", reason: "", detail: String::new() }
        };
        if beginning.state == "new" {
            folder.clear()?;
        }
        Ok(Self { folder, abi, beginning, hooks: Vec::new(), held: Vec::new(), checkpoint: None })
    }

    /// The maps that the loader shares with the agents before and after this one, and their pins.
    pub(super) fn maps(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        MAPS.into_iter().map(|name| (name, self.folder.pin(name)))
    }

    /// Puts the loaded programs in the place of those that work now; attaches the hooks if nobody did. Nothing is missed in between.
    pub(super) fn begin(&mut self, ebpf: &mut Ebpf, kernel: &aya::Btf) -> Result<(), PersistError> {
        let new = self.beginning.state == "new";
        let mut pulse = pulse_of(&self.folder)?;
        if new {
            pulse.set(pulse::ABI, self.abi, 0)?;
        }
        beat(&mut pulse)?;
        let mut arrays = Vec::new();
        for (work, array) in HOOKS.iter().filter_map(|hook| hook.calls) {
            let map = ebpf.take_map(array).ok_or(PersistError::Missing { part: array })?;
            let fd =
                <&BtfTracePoint>::try_from(ebpf.program(work).ok_or(PersistError::Missing { part: work })?)?.fd()?;
            let mut map = ProgramArray::try_from(map)?;
            map.set(0, fd, 0)?;
            self.held.push(self.folder.object(array)?);
            // The hooks that are loaded below refer to it by this descriptor.
            arrays.push(map);
        }
        for Hook { name, tracepoint, .. } in HOOKS {
            let (program, link) = (format!("{PROGRAM}{name}"), format!("{LINK}{name}"));
            if new {
                let found = ebpf.program_mut(name).ok_or(PersistError::Missing { part: name })?;
                let found = <&mut BtfTracePoint>::try_from(found)?;
                found.load(tracepoint, kernel)?;
                found.pin(self.folder.pin(&program))?;
                let id = found.attach()?;
                FdLink::from(found.take_link(id)?).pin(self.folder.pin(&link))?;
            }
            self.hooks.push((name, self.folder.object(&program)?));
            self.held.push(self.folder.object(&link)?);
        }
        let path = self.folder.pin(CHECKPOINT);
        self.checkpoint = Some(if new { Checkpoint::create(&path)? } else { Checkpoint::open(&path)? });
        Ok(())
    }

    /// Gives the attempt up: nothing stays.
    pub(super) fn abandon(self) {
        // What cannot be removed stays for the next agent, which tries again.
        let _ = self.folder.clear();
    }

    pub(super) fn beginning(&self) -> &Beginning {
        &self.beginning
    }

    pub(super) fn checkpoint(&mut self) -> Option<&mut Checkpoint> {
        self.checkpoint.as_mut()
    }

    /// The programs that are attached, by descriptor.
    pub(super) fn hooks(&self) -> impl Iterator<Item = (&'static str, BorrowedFd<'_>)> {
        self.hooks.iter().map(|(name, program)| (*name, program.as_fd()))
    }
}

/// Says that an agent is there.
pub(super) fn beat(pulse: &mut Array<MapData, u64>) -> Result<(), MapError> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now = u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0);
    pulse.set(pulse::BEAT, now, 0)
}

/// [`http2::abi`] with the sizes of the maps.
fn abi(options: &Options) -> u64 {
    let maps = [options.frames_bytes, options.cgroups_max].map(u64::from);
    let sizes = maps.into_iter().chain(checkpoint::sizes());
    sizes.fold(http2::abi(), |abi, size| abi.wrapping_mul(0x100_0000_01b3) ^ size)
}

/// Names of all pins, without the prefix.
fn names() -> impl Iterator<Item = String> {
    let hooks = HOOKS.iter().flat_map(|Hook { name, .. }| [PROGRAM, LINK].map(|kind| format!("{kind}{name}")));
    MAPS.iter().chain([&CHECKPOINT]).map(|name| (*name).to_owned()).chain(hooks)
}

fn pulse_of(folder: &PinFolder) -> Result<Array<MapData, u64>, MapError> {
    Array::try_from(Map::from_map_data(MapData::from_pin(folder.pin(map::PULSE))?)?)
}
