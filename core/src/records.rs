//! Bytes of the ring buffer, parsed: what the eBPF programs write (ABI in `fleetscope_ebpf`) becomes a typed [`Record`].
//!
//! In: one entry of the ring buffer, or one entry of the map of refused records. Out: a record that borrows from those bytes,
//! or a [`RecordError`] whose [`RecordError::reason`] is a label value. No byte is trusted: every length is checked against
//! what is there, nothing is read unaligned through a pointer, and nothing panics.

pub(crate) mod fields;

use fields::{u16_at, u32_at, u64_at};
use fleetscope_ebpf::{ARGV_MAX, CGROUP_PATH_MAX, COMM_LEN, PATH_MAX, Refused, flag, kind};

/// Bytes of a record's head, of the process after it, and of the whole fixed part of each kind.
const HEAD: usize = size_of::<fleetscope_ebpf::RecordHead>();
const EXEC: usize = size_of::<fleetscope_ebpf::ExecRecord>();
const EXIT: usize = size_of::<fleetscope_ebpf::ExitRecord>();
const CGROUP: usize = size_of::<fleetscope_ebpf::CgroupRecord>();

/// Who executed or exited. (`tgid`, `start`) is unique while the machine is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Process id in the host's pid namespace.
    pub tgid: u32,
    /// The parent's process id in the host's pid namespace.
    pub parent: u32,
    /// When it was forked, nanoseconds of `CLOCK_BOOTTIME`.
    pub start: u64,
    /// Command name, NUL padded; any bytes.
    pub comm: [u8; COMM_LEN],
}

impl Process {
    /// The command name without its padding; any bytes.
    pub fn comm(&self) -> &[u8] {
        let end = self.comm.iter().position(|b| *b == 0).unwrap_or(COMM_LEN);
        &self.comm[..end]
    }
}

/// How much of the argument vector a record carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Argv<'a> {
    /// All of it, NUL separated as in `/proc/PID/cmdline`.
    Whole(&'a [u8]),
    /// Its first bytes: the last argument may be cut.
    Cut(&'a [u8]),
    /// Nothing: it could not be read, or the record took the detour over the map of refused records.
    #[default]
    Unknown,
}

/// A process replaced its program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exec<'a> {
    /// When, nanoseconds of `CLOCK_BOOTTIME`.
    pub time: u64,
    /// The cgroup2 id of the process.
    pub cgroup: u64,
    /// Who.
    pub process: Process,
    /// The parent runs in a tracked group: the process counts from its fork, else from this exec.
    pub parent_tracked: bool,
    /// The path as given to execve(2), any bytes; `None` if it is not known or was cut, so that its base name is not known.
    pub path: Option<&'a [u8]>,
    /// The arguments, any bytes.
    pub argv: Argv<'a>,
}

/// The last thread of a process that had exec'd is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// When, nanoseconds of `CLOCK_BOOTTIME`.
    pub time: u64,
    /// The cgroup2 id of the process.
    pub cgroup: u64,
    /// Who.
    pub process: Process,
    /// Wait status as wait(2) gives it.
    pub status: u32,
    /// The kernel's OOM killer chose this process.
    pub oom: bool,
}

/// A cgroup below a tracked one was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CgroupMade<'a> {
    /// When, nanoseconds of `CLOCK_BOOTTIME`.
    pub time: u64,
    /// Its id.
    pub cgroup: u64,
    /// Id of the group above.
    pub parent: u64,
    /// Its path from the root of its hierarchy, any bytes; `None` if it is not known or was cut.
    pub path: Option<&'a [u8]>,
    /// The verdict that it inherited; `None` if the record does not say.
    pub verdict: Option<u32>,
}

/// A tracked cgroup was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CgroupGone {
    /// When, nanoseconds of `CLOCK_BOOTTIME`.
    pub time: u64,
    /// Its id.
    pub cgroup: u64,
    /// Id of the group above.
    pub parent: u64,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// See [`Exec`].
    Exec(Exec<'a>),
    /// See [`Exit`].
    Exit(Exit),
    /// See [`CgroupMade`].
    CgroupMade(CgroupMade<'a>),
    /// See [`CgroupGone`].
    CgroupGone(CgroupGone),
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Fewer bytes than the record says it has.
    #[error("failed to read record of kind {kind}: {got} bytes, needs {needed}")]
    Truncated {
        /// Kind from the head, 0 if not even the head is there.
        kind: u16,
        /// Bytes that are there.
        got: usize,
        /// Bytes that it needs at least.
        needed: usize,
    },
    /// A variable part is longer than the ABI allows.
    #[error("failed to read record of kind {kind}: {part} has {len} bytes, at most {max} are allowed")]
    TooLong {
        /// Kind from the head.
        kind: u16,
        /// Which part.
        part: &'static str,
        /// Bytes that it claims.
        len: usize,
        /// Most bytes.
        max: usize,
    },
    /// A kind that the ABI does not have.
    #[error("failed to read record: unknown kind {kind}")]
    UnknownKind {
        /// Kind from the head.
        kind: u16,
    },
}

impl RecordError {
    /// Value of the label `reason` in `fleetscope_events_lost_total`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Truncated { .. } => "record_truncated",
            Self::TooLong { .. } => "record_too_long",
            Self::UnknownKind { .. } => "record_unknown_kind",
        }
    }

    /// All values of [`RecordError::reason`], so that counters can start at 0.
    pub const REASONS: [&'static str; 3] = ["record_truncated", "record_too_long", "record_unknown_kind"];
}

/// Parses one entry of the ring buffer. Bytes after the record are ignored: the ring buffer rounds sizes up.
pub fn parse(bytes: &[u8]) -> Result<Record<'_>, RecordError> {
    need(bytes, 0, HEAD)?;
    let (kind, flags) = (u16_at(bytes, 0), u16_at(bytes, 2));
    let (time, cgroup) = (u64_at(bytes, 8), u64_at(bytes, 16));
    match kind {
        kind::EXEC => {
            need(bytes, kind, EXEC)?;
            let (path_len, argv_len) = (u32_at(bytes, 56) as usize, u32_at(bytes, 60) as usize);
            let path = part(bytes, kind, "path", EXEC, path_len, PATH_MAX - 1)?;
            let argv = part(bytes, kind, "arguments", EXEC + path_len, argv_len, ARGV_MAX)?;
            let whole = flags & flag::PATH_TRUNCATED == 0 && !path.is_empty();
            Ok(Record::Exec(Exec {
                time,
                cgroup,
                process: process_at(bytes),
                parent_tracked: flags & flag::PARENT_TRACKED != 0,
                path: whole.then_some(path),
                argv: match flags {
                    f if f & flag::ARGV_UNREADABLE != 0 => Argv::Unknown,
                    f if f & flag::ARGV_TRUNCATED != 0 => Argv::Cut(argv),
                    _ => Argv::Whole(argv),
                },
            }))
        }
        kind::EXIT => {
            need(bytes, kind, EXIT)?;
            let oom = flags & flag::OOM_VICTIM != 0;
            Ok(Record::Exit(Exit { time, cgroup, process: process_at(bytes), status: u32_at(bytes, 56), oom }))
        }
        kind::CGROUP_MADE => {
            need(bytes, kind, CGROUP)?;
            let path_len = u32_at(bytes, 32) as usize;
            let path = part(bytes, kind, "path", CGROUP, path_len, CGROUP_PATH_MAX - 1)?;
            // There is no flag for a path that was cut: one that fills its room may have been.
            let whole = !path.is_empty() && path_len < CGROUP_PATH_MAX - 1;
            let (parent, verdict) = (u64_at(bytes, 24), Some(u32_at(bytes, 36)));
            Ok(Record::CgroupMade(CgroupMade { time, cgroup, parent, path: whole.then_some(path), verdict }))
        }
        kind::CGROUP_GONE => {
            need(bytes, kind, CGROUP)?;
            Ok(Record::CgroupGone(CgroupGone { time, cgroup, parent: u64_at(bytes, 24) }))
        }
        kind => Err(RecordError::UnknownKind { kind }),
    }
}

/// The record that the ring buffer refused, without what it could not keep: path and arguments.
pub fn from_refused(refused: &Refused) -> Result<Record<'static>, RecordError> {
    let (head, process) = (refused.head, refused.process);
    let process = Process { tgid: process.tgid, parent: process.parent, start: process.start, comm: process.comm };
    let (time, cgroup) = (head.time, head.cgroup);
    match head.kind {
        kind::EXEC => {
            let parent_tracked = head.flags & flag::PARENT_TRACKED != 0;
            Ok(Record::Exec(Exec { time, cgroup, process, parent_tracked, path: None, argv: Argv::Unknown }))
        }
        kind::EXIT => {
            // The map keeps it in 64 bits; a wait status has 32, and the programs write no more.
            let [a, b, c, d, ..] = refused.status_or_parent.to_le_bytes();
            let status = u32::from_le_bytes([a, b, c, d]);
            Ok(Record::Exit(Exit { time, cgroup, process, status, oom: head.flags & flag::OOM_VICTIM != 0 }))
        }
        kind::CGROUP_MADE => {
            let parent = refused.status_or_parent;
            Ok(Record::CgroupMade(CgroupMade { time, cgroup, parent, path: None, verdict: None }))
        }
        kind::CGROUP_GONE => Ok(Record::CgroupGone(CgroupGone { time, cgroup, parent: refused.status_or_parent })),
        kind => Err(RecordError::UnknownKind { kind }),
    }
}

fn need(bytes: &[u8], kind: u16, needed: usize) -> Result<(), RecordError> {
    if bytes.len() < needed { Err(RecordError::Truncated { kind, got: bytes.len(), needed }) } else { Ok(()) }
}

fn part<'a>(
    bytes: &'a [u8],
    kind: u16,
    part: &'static str,
    from: usize,
    len: usize,
    max: usize,
) -> Result<&'a [u8], RecordError> {
    if len > max {
        return Err(RecordError::TooLong { kind, part, len, max });
    }
    bytes.get(from..from + len).ok_or(RecordError::Truncated { kind, got: bytes.len(), needed: from + len })
}

fn process_at(bytes: &[u8]) -> Process {
    let mut comm = [0; COMM_LEN];
    comm.copy_from_slice(&bytes[HEAD + 16..HEAD + 16 + COMM_LEN]);
    Process { start: u64_at(bytes, HEAD), tgid: u32_at(bytes, HEAD + 8), parent: u32_at(bytes, HEAD + 12), comm }
}

#[cfg(test)]
mod tests;
