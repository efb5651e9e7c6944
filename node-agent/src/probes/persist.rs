//! What of the probes for calls outlives the agent: pins in a folder of a bpffs, so that connections keep their names over a rollout.
//!
//! ```text
//! tracepoint -> dispatcher (pinned with its link) -> WORK_* (pinned) -> this agent's programs -> FRAMES, CONNECTIONS, .. (pinned)
//! ```
//! The next agent puts its own programs into `WORK_*` and reads on where this one stopped. Only an agent of the same ABI does; any other removes
//! what it finds, and begins anew. Everything here is in a folder of mode 0700 that belongs to this user, as whoever can write a pin can
//! stop the probes, and whoever can read one sees header blocks. One agent at a time holds the folder, by a lock that ends with its process.
//!
//! - this file: the folder, and which pins are in it
//! - [`super::checkpoint`]: what the agent itself leaves

use std::ffi::CString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aya::Ebpf;
use aya::maps::{Array, Map, MapData, MapError, ProgramArray};
use aya::pin::PinError;
use aya::programs::links::{FdLink, LinkError};
use aya::programs::{BtfTracePoint, ProgramError};
use fleetscope_ebpf::{http2, map, program, pulse};

use super::Options;
use super::checkpoint::Checkpoint;

/// What every pin's name begins with: nothing else in the folder is ever touched.
const PREFIX: &str = "fleetscope_";
/// `BPF_FS_MAGIC` of include/uapi/linux/magic.h.
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

/// The maps that are pinned.
const MAPS: [&str; 8] = [
    map::FRAMES,
    map::CONNECTIONS,
    map::CGROUPS,
    map::HTTP2_COUNTERS,
    map::PULSE,
    map::WORK_SEND,
    map::WORK_RECV,
    map::WORK_STATE,
];
/// Name of the pin of the checkpoint.
const CHECKPOINT: &str = "CHECKPOINT";
/// Each dispatcher, its tracepoint, the program that it calls, and the map by which it does.
const HOOKS: [(&str, &str, &str, &str); 3] = [
    (program::HOOK_SEND, "sock_send_length", program::HTTP2_SEND, map::WORK_SEND),
    (program::HOOK_RECV, "sock_recv_length", program::HTTP2_RECV, map::WORK_RECV),
    (program::HOOK_STATE, "inet_sock_set_state", program::HTTP2_STATE, map::WORK_STATE),
];

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

/// The folder, held by this process.
#[derive(Debug)]
pub(super) struct Pins {
    folder: PathBuf,
    _lock: File,
    abi: u64,
    beginning: Beginning,
    dispatchers: Vec<(&'static str, OwnedFd)>,
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
}

// === impl Pins ===

impl Pins {
    /// Takes the folder, and removes what this agent cannot go on with.
    pub(super) fn open(folder: &Path, options: &Options) -> Result<Self, PersistError> {
        let lock = hold(folder, true)?;
        let abi = [options.frames_bytes, options.cgroups_max]
            .into_iter()
            .fold(http2::abi(), |abi, size| abi.wrapping_mul(0x100_0000_01b3) ^ u64::from(size));
        let folder = folder.to_owned();
        let new = |reason, detail: &str| Beginning { state: "new", reason, detail: detail.to_owned() };
        let missing = names().filter(|name| !pin(&folder, name).exists()).count();
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
            remove(&folder)?;
        }
        Ok(Self { folder, _lock: lock, abi, beginning, dispatchers: Vec::new(), checkpoint: None })
    }

    /// The maps that the loader shares with the agents before and after this one, and their pins.
    pub(super) fn maps(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        MAPS.into_iter().map(|name| (name, pin(&self.folder, name)))
    }

    /// Puts the loaded programs in the place of those that work now; attaches the dispatchers if nobody did. Nothing is missed in between.
    pub(super) fn begin(&mut self, ebpf: &mut Ebpf, kernel: &aya::Btf) -> Result<(), PersistError> {
        let mut pulse = pulse_of(&self.folder)?;
        if self.beginning.state == "new" {
            pulse.set(pulse::ABI, self.abi, 0)?;
        }
        beat(&mut pulse)?;
        let mut maps = Vec::new();
        for (_, _, work, array) in HOOKS {
            let map = ebpf.take_map(array).ok_or(PersistError::Missing { part: array })?;
            let fd =
                <&BtfTracePoint>::try_from(ebpf.program(work).ok_or(PersistError::Missing { part: work })?)?.fd()?;
            let mut map = ProgramArray::try_from(map)?;
            map.set(0, fd, 0)?;
            // The dispatchers that are loaded below refer to it by its descriptor.
            maps.push(map);
        }
        for (name, tracepoint, _, _) in HOOKS {
            let path = pin(&self.folder, &format!("prog_{name}"));
            if self.beginning.state == "new" {
                let found = ebpf.program_mut(name).ok_or(PersistError::Missing { part: name })?;
                let found = <&mut BtfTracePoint>::try_from(found)?;
                found.load(tracepoint, kernel)?;
                found.pin(&path)?;
                let id = found.attach()?;
                let link = FdLink::from(found.take_link(id)?);
                link.pin(pin(&self.folder, &format!("link_{name}")))?;
            }
            self.dispatchers.push((name, object(&path).map_err(|source| self.failed("open a pin of", source))?));
        }
        let path = pin(&self.folder, CHECKPOINT);
        self.checkpoint =
            Some(if self.beginning.state == "new" { Checkpoint::create(&path)? } else { Checkpoint::open(&path)? });
        Ok(())
    }

    /// Gives the attempt up: nothing stays.
    pub(super) fn abandon(self) {
        // What cannot be removed stays for the next agent, which tries again.
        let _ = remove(&self.folder);
    }

    pub(super) fn beginning(&self) -> &Beginning {
        &self.beginning
    }

    pub(super) fn checkpoint(&mut self) -> Option<&mut Checkpoint> {
        self.checkpoint.as_mut()
    }

    /// The programs that are attached, by descriptor.
    pub(super) fn dispatchers(&self) -> impl Iterator<Item = (&'static str, BorrowedFd<'_>)> {
        self.dispatchers.iter().map(|(name, program)| (*name, program.as_fd()))
    }

    fn failed(&self, verb: &'static str, source: io::Error) -> PersistError {
        PersistError::Folder { verb, folder: self.folder.clone(), source }
    }
}

/// Removes all that agents pinned in this folder, and the folder if nothing else is in it. How many pins there were.
pub fn unpin(folder: &Path) -> Result<usize, PersistError> {
    if !folder.exists() {
        return Ok(0);
    }
    let _lock = hold(folder, false)?;
    let removed = remove(folder)?;
    // Somebody else's files may be in it.
    let _ = fs::remove_dir(folder);
    Ok(removed)
}

/// Says that an agent is there.
pub(super) fn beat(pulse: &mut Array<MapData, u64>) -> Result<(), MapError> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now = u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0);
    pulse.set(pulse::BEAT, now, 0)
}

/// Makes the folder if it is to, checks it, and locks it.
fn hold(folder: &Path, make: bool) -> Result<File, PersistError> {
    let failed = |verb, source| PersistError::Folder { verb, folder: folder.to_owned(), source };
    let foreign = || PersistError::NotBpffs { folder: folder.to_owned() };
    if make && !folder.exists() {
        // Before anything is made: a folder on a disk would only mislead.
        let above = folder.parent().ok_or_else(foreign)?;
        let above = File::open(above).map_err(|source| failed("open the folder above", source))?;
        if !is_bpffs(&above) {
            return Err(foreign());
        }
        DirBuilder::new().mode(0o700).create(folder).map_err(|source| failed("make", source))?;
    }
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW);
    let file = options.open(folder).map_err(|source| failed("open", source))?;
    if !is_bpffs(&file) {
        return Err(foreign());
    }
    let meta = file.metadata().map_err(|source| failed("open", source))?;
    if meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o077 != 0 {
        return Err(PersistError::Foreign { folder: folder.to_owned() });
    }
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(PersistError::Busy { folder: folder.to_owned() }),
        Err(fs::TryLockError::Error(source)) => Err(failed("lock", source)),
    }
}

fn is_bpffs(file: &File) -> bool {
    let mut found = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the kernel fills the structure, which is read only if it says that it did.
    unsafe {
        libc::fstatfs(file.as_raw_fd(), found.as_mut_ptr()) == 0
            && u64::try_from(found.assume_init().f_type).is_ok_and(|kind| kind == BPF_FS_MAGIC)
    }
}

/// What is pinned there. aya's own way asks for the object's type information, too, which needs `CAP_SYS_ADMIN`.
fn object(path: &Path) -> io::Result<OwnedFd> {
    /// `BPF_OBJ_GET` and its part of `union bpf_attr`, of include/uapi/linux/bpf.h.
    const BPF_OBJ_GET: u32 = 7;
    #[repr(C)]
    struct Attributes {
        pathname: u64,
        bpf_fd: u32,
        file_flags: u32,
    }
    let path = CString::new(path.as_os_str().as_bytes())?;
    let attributes = Attributes { pathname: path.as_ptr() as u64, bpf_fd: 0, file_flags: 0 };
    // SAFETY: bpf(2) reads the attributes, of which it is told the size, and the path, which ends with a NUL; both live across the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_OBJ_GET, &raw const attributes, size_of::<Attributes>()) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel made it for this call, so nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Removes every pin: the links first, so that no program runs into maps that lose their programs.
fn remove(folder: &Path) -> Result<usize, PersistError> {
    let failed = |verb, source| PersistError::Folder { verb, folder: folder.to_owned(), source };
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut names: Vec<_> =
        entries.map_err(|source| failed("read", source))?.iter().map(fs::DirEntry::file_name).collect();
    names.retain(|name| name.to_string_lossy().starts_with(PREFIX));
    names.sort_by_key(|name| !name.to_string_lossy().starts_with("fleetscope_link_"));
    for name in &names {
        fs::remove_file(folder.join(name)).map_err(|source| failed("remove a pin of", source))?;
    }
    Ok(names.len())
}

/// Names of all pins, without the prefix.
fn names() -> impl Iterator<Item = String> {
    let hooks = HOOKS.iter().flat_map(|(hook, ..)| [format!("prog_{hook}"), format!("link_{hook}")]);
    MAPS.iter().chain([&CHECKPOINT]).map(|name| (*name).to_owned()).chain(hooks)
}

fn pin(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{PREFIX}{name}"))
}

fn pulse_of(folder: &Path) -> Result<Array<MapData, u64>, MapError> {
    Array::try_from(Map::from_map_data(MapData::from_pin(pin(folder, map::PULSE))?)?)
}
