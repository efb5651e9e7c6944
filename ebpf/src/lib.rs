//! The kernel/user ABI of Fleetscope's eBPF programs: map names, limits, and the bytes that cross the ring buffer.
//!
//! Both sides compile this one source: the programs (`src/main.rs`, target `bpfel`) write these structures, the node
//! agent reads them. Every type is `repr(C)`, has no implicit padding and a size assertion; multi-byte fields are in the
//! byte order of the machine, as both sides run on it. Nothing here depends on the kernel's version: offsets into the
//! kernel's own structures are resolved from its BTF when the agent loads the programs.
#![no_std]
#![cfg_attr(feature = "user", expect(unsafe_code, reason = "aya::Pod, the marker of plain data, is an unsafe trait"))]

pub mod http2;

/// Bytes of a command name, as in `task_struct.comm` (include/linux/sched.h, `TASK_COMM_LEN`), with its NUL.
pub const COMM_LEN: usize = 16;
/// Most bytes of an executable's path that an exec record carries, with its NUL; a longer one sets [`flag::PATH_TRUNCATED`].
pub const PATH_MAX: usize = 256;
/// Most bytes of the argument vector that an exec record carries; a longer one sets [`flag::ARGV_TRUNCATED`].
pub const ARGV_MAX: usize = 512;
/// Most bytes of a cgroup's path (relative to the root of its hierarchy) that a cgroup record carries, with its NUL.
pub const CGROUP_PATH_MAX: usize = 512;
/// Default size of the ring buffer in bytes, a power of two; the loader may set another.
pub const RING_BYTES: u32 = 4 << 20;
/// Most cgroups whose verdict the kernel keeps. 250 pods of 8 containers with 7 nested groups each.
pub const CGROUPS_MAX: u32 = 16_384;
/// Most records that wait in [`map::REFUSED`] when the ring buffer refuses them.
pub const REFUSED_MAX: u32 = 16_384;
/// Most cgroups with a run-queue histogram.
pub const RUNQUEUE_MAX: u32 = 4_096;
/// Default size in bytes of the ring buffer for HTTP/2, a power of two; the loader may set another. 100,000 calls a second with both ends on
/// the machine write about 60 MB a second: 70 ms of them, three drains.
pub const FRAMES_BYTES: u32 = 4 << 20;
/// Most connections where there is no socket storage for them, which is before kernel 6.3: 12 MiB.
pub const CONNECTIONS_MAX: u32 = 65_536;
/// Most connections on Unix sockets whose close is looked for: 0.4 MiB.
pub const UNIX_SOCKETS_MAX: u32 = 4_096;
/// Most closes that wait in [`map::CLOSES`] when the ring buffer refuses them: 0.4 MiB.
pub const CLOSES_MAX: u32 = 4_096;
/// Upper bounds of the run-queue histogram are 1 us * 4^i for `i < RUNQUEUE_BUCKETS - 1`; the last bucket is unbounded.
pub const RUNQUEUE_BUCKETS: usize = 13;

/// Names of the maps in the object.
pub mod map {
    /// Ring buffer of records, each starting with a [`super::RecordHead`].
    pub const RECORDS: &str = "RECORDS";
    /// Hash: cgroup id (`u64`) to verdict (`u32`, bits of [`super::verdict`]). A group that is made below a group of
    /// this map inherits its verdict in the kernel, before the first process can enter it; a group that is not in the
    /// map is not looked at.
    pub const CGROUPS: &str = "CGROUPS";
    /// Hash: [`super::RefusedKey`] to [`super::Refused`], what the ring buffer had no room for. User space drains it.
    pub const REFUSED: &str = "REFUSED";
    /// Per-CPU array of one [`super::Counters`].
    pub const COUNTERS: &str = "COUNTERS";
    /// Hash: cgroup id (`u64`) to [`super::RunqueueHistogram`].
    pub const RUNQUEUE: &str = "RUNQUEUE";
    /// Ring buffer of [`super::http2::Http2Record`] and [`super::http2::ClosedRecord`]. A buffer of its own, so that a flood of calls takes
    /// no room from tasks.
    pub const FRAMES: &str = "FRAMES";
    /// Socket storage of [`super::http2::Connection`].
    pub const CONNECTIONS: &str = "CONNECTIONS";
    /// LRU hash: address of a socket to its connection, in place of [`CONNECTIONS`] on kernels that lack its tracepoints.
    pub const CONNECTIONS_BY_SOCKET: &str = "CONNECTIONS_BY_SOCKET";
    /// Hash: cookie of a connection on a Unix socket, to where the socket is. Nothing in the kernel says when such a socket is closed, so the
    /// programs look whether those of this map still are open, when the agent has asked for it ([`super::pulse::LOOK`]).
    pub const UNIX_SOCKETS: &str = "UNIX_SOCKETS";
    /// Hash: cookie to [`super::http2::ClosedRecord`], what the ring buffer had no room for. User space drains it.
    pub const CLOSES: &str = "CLOSES";
    /// Program array, by [`super::chain`].
    pub const CHAIN: &str = "CHAIN";
    /// Per-CPU array of one [`super::http2::Http2Counters`].
    pub const HTTP2_COUNTERS: &str = "HTTP2_COUNTERS";
    /// Array of `u64`, by [`super::pulse`]: what dispatchers and agents tell each other.
    pub const PULSE: &str = "PULSE";
    /// Program array of one: what [`super::program::HOOK_SEND`] calls. An array per tracepoint, as the kernel takes only programs of one
    /// tracepoint into one (kernel/bpf/core.c, `bpf_prog_map_compatible`).
    pub const WORK_SEND: &str = "WORK_SEND";
    /// As [`WORK_SEND`], of [`super::program::HOOK_RECV`].
    pub const WORK_RECV: &str = "WORK_RECV";
    /// As [`WORK_SEND`], of [`super::program::HOOK_STATE`].
    pub const WORK_STATE: &str = "WORK_STATE";
}

/// Names of the programs in the object, and the kernel tracepoint that each attaches to is in its docs.
pub mod program {
    /// `tp_btf/sched_process_exec`
    pub const EXEC: &str = "task_exec";
    /// `tp_btf/sched_process_exit`
    pub const EXIT: &str = "task_exit";
    /// `tp_btf/cgroup_mkdir`
    pub const CGROUP_MKDIR: &str = "cgroup_mkdir";
    /// `tp_btf/cgroup_rmdir`
    pub const CGROUP_RMDIR: &str = "cgroup_rmdir";
    /// `tp_btf/sched_wakeup`
    pub const WAKEUP: &str = "runqueue_wakeup";
    /// `tp_btf/sched_wakeup_new`
    pub const WAKEUP_NEW: &str = "runqueue_wakeup_new";
    /// `tp_btf/sched_switch`
    pub const SWITCH: &str = "runqueue_switch";
    /// `tp_btf/sock_send_length`
    pub const HTTP2_SEND: &str = "http2_send";
    /// `tp_btf/sock_recv_length`
    pub const HTTP2_RECV: &str = "http2_recv";
    /// `tp_btf/inet_sock_set_state`
    pub const HTTP2_STATE: &str = "http2_state";
    /// `tp_btf/sock_send_length`: calls [`HTTP2_SEND`] by [`super::map::WORK_SEND`], where programs outlive their agent
    pub const HOOK_SEND: &str = "hook_send";
    /// `tp_btf/sock_recv_length`: as [`HOOK_SEND`]
    pub const HOOK_RECV: &str = "hook_recv";
    /// `tp_btf/inet_sock_set_state`: as [`HOOK_SEND`]
    pub const HOOK_STATE: &str = "hook_state";
    /// `tp_btf/cgroup_mkdir`: lets groups inherit their verdict while no agent is there that does, where programs outlive their agent
    pub const HOOK_MKDIR: &str = "hook_mkdir";
    /// `tp_btf/sys_exit`
    pub const HTTP2_SYSCALL: &str = "http2_syscall";
    /// Called by [`HTTP2_SYSCALL`], and by itself; [`super::chain::SNIFF`]
    pub const HTTP2_SYSCALL_SNIFF: &str = "http2_syscall_sniff";
    /// Called by both; [`super::chain::WALK`] where the kernel has `bpf_loop`
    pub const HTTP2_SYSCALL_LOOP: &str = "http2_syscall_loop";
    /// Called by both, and by itself; [`super::chain::WALK`] where it has not
    pub const HTTP2_SYSCALL_WALK: &str = "http2_syscall_walk";
    /// `tp_btf/inet_sock_set_state`, beside [`HTTP2_SYSCALL`]
    pub const HTTP2_SYSCALL_STATE: &str = "http2_syscall_state";
}

/// Places in [`map::CHAIN`].
pub mod chain {
    /// [`super::program::HTTP2_SYSCALL_SNIFF`]
    pub const SNIFF: u32 = 0;
    /// [`super::program::HTTP2_SYSCALL_LOOP`] or [`super::program::HTTP2_SYSCALL_WALK`]
    pub const WALK: u32 = 1;
}

/// Places in [`map::PULSE`].
pub mod pulse {
    /// When an agent was last there, in nanoseconds of `CLOCK_MONOTONIC`. Agents write it.
    pub const BEAT: u32 = 0;
    /// The beat under which I/Os passed unseen last; 0: none did. Dispatchers write it. A direction that knows another one than stands here
    /// may have been among them: [`crate::http2::Direction::missed`].
    pub const MISSED: u32 = 1;
    /// [`crate::http2::abi`] and the sizes of the maps, of whoever made the map.
    pub const ABI: u32 = 2;
    /// Grows when an entry of [`super::map::CGROUPS`] was changed or removed by user space: programs may go by what they read of the map
    /// as long as it stands still. Agents write it, behind the change.
    pub const VERDICTS: u32 = 3;
    /// Not 0: at the next change of any TCP socket's state the programs look which sockets of [`super::map::UNIX_SOCKETS`] were closed. Agents
    /// write it, the programs take it back.
    pub const LOOK: u32 = 4;
    /// How many places there are.
    pub const PLACES: u32 = 5;
    /// Nanoseconds after a beat from which on dispatchers do nothing: their agent is gone, and none came after it.
    pub const LIFE: u64 = 120_000_000_000;
}

/// What the kernel does with the processes of a cgroup: the lower half of the value in [`map::CGROUPS`], by bits.
pub mod verdict {
    /// Known, and not looked at. Kept as an entry so that nested groups inherit it.
    pub const IGNORE: u32 = 0;
    /// Executions and exits are recorded.
    pub const TASKS: u32 = 1;
    /// Run-queue latency is measured.
    pub const RUNQUEUE: u32 = 2;
    /// I/O on sockets is looked at for gRPC.
    pub const RPC: u32 = 4;
    /// All of them.
    pub const BITS: u32 = 0xffff;
    /// From this bit on the value has a number that is another one whenever [`RPC`] was given to the group again: what of a socket passed
    /// while it was not looked at shows in nothing else where the kernel does not number its bytes.
    pub const TURN: u32 = 16;
}

/// Kinds of record, [`RecordHead::kind`].
pub mod kind {
    /// [`super::ExecRecord`], then `path_len` bytes of path, then `argv_len` bytes of arguments.
    pub const EXEC: u16 = 1;
    /// [`super::ExitRecord`]
    pub const EXIT: u16 = 2;
    /// [`super::CgroupRecord`], then `path_len` bytes of path: a group below a group of [`super::map::CGROUPS`] was made.
    pub const CGROUP_MADE: u16 = 3;
    /// [`super::CgroupRecord`] without a path: a group of [`super::map::CGROUPS`] was removed, and its entry with it.
    pub const CGROUP_GONE: u16 = 4;
    /// [`super::http2::Http2Record`], then `bytes` bytes of pieces.
    pub const HTTP2: u16 = 5;
    /// [`super::http2::ClosedRecord`]: a connection that was HTTP/2 is closed.
    pub const HTTP2_CLOSED: u16 = 6;
}

/// Bits of [`RecordHead::flags`].
pub mod flag {
    /// Exec: the parent runs in a cgroup of [`super::map::CGROUPS`]. Clear for a container's first process, whose start is
    /// the runtime's doing; its duration counts from this exec instead of from its fork.
    pub const PARENT_TRACKED: u16 = 1;
    /// Exec: the path was longer than [`super::PATH_MAX`].
    pub const PATH_TRUNCATED: u16 = 2;
    /// Exec: the arguments were longer than [`super::ARGV_MAX`].
    pub const ARGV_TRUNCATED: u16 = 4;
    /// Exec: the arguments could not be read from user memory; `argv_len` is 0.
    pub const ARGV_UNREADABLE: u16 = 8;
    /// Exit: the kernel's OOM killer chose this process (`signal_struct.oom_mm` is set, `mark_oom_victim` of `mm/oom_kill.c`).
    pub const OOM_VICTIM: u16 = 16;
}

/// Begins every record of the ring buffer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordHead {
    /// One of [`kind`].
    pub kind: u16,
    /// Bits of [`flag`].
    pub flags: u16,
    /// The processor that wrote it.
    pub cpu: u32,
    /// When, in nanoseconds of `CLOCK_BOOTTIME`.
    pub time: u64,
    /// The cgroup2 id (inode number of its folder) of the process, or of the group that was made or removed.
    pub cgroup: u64,
}
const _: () = assert!(size_of::<RecordHead>() == 24);

/// Identity of a process in exec and exit records. (`tgid`, `start`) is unique while the machine is up.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// `task_struct.start_boottime` of the thread group's leader: when it was forked, nanoseconds of `CLOCK_BOOTTIME`.
    pub start: u64,
    /// Process id in the host's pid namespace.
    pub tgid: u32,
    /// The parent's process id in the host's pid namespace.
    pub parent: u32,
    /// Command name, NUL padded; any bytes.
    pub comm: [u8; COMM_LEN],
}
const _: () = assert!(size_of::<Process>() == 32);

/// A process replaced its program (`sched_process_exec`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecRecord {
    /// Kind [`kind::EXEC`].
    pub head: RecordHead,
    /// Who.
    pub process: Process,
    /// Bytes of path that follow, without NUL, at most [`PATH_MAX`]` - 1`.
    pub path_len: u32,
    /// Bytes of arguments that follow the path, NUL separated as in `/proc/PID/cmdline`, at most [`ARGV_MAX`].
    pub argv_len: u32,
}
const _: () = assert!(size_of::<ExecRecord>() == 64);

/// The last thread of a process that had exec'd is gone (`sched_process_exit`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExitRecord {
    /// Kind [`kind::EXIT`].
    pub head: RecordHead,
    /// Who.
    pub process: Process,
    /// Wait status as wait(2) gives it: bits 8..16 exit code, 0..7 signal, 0x80 core dumped.
    pub status: u32,
    /// Always 0.
    pub pad: u32,
}
const _: () = assert!(size_of::<ExitRecord>() == 64);

/// A cgroup was made or removed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CgroupRecord {
    /// Kind [`kind::CGROUP_MADE`] or [`kind::CGROUP_GONE`]; `head.cgroup` is the group's own id.
    pub head: RecordHead,
    /// Id of the group above.
    pub parent: u64,
    /// Bytes of path that follow, without NUL, at most [`CGROUP_PATH_MAX`]` - 1`; 0 for a removal.
    pub path_len: u32,
    /// The verdict that the group inherited.
    pub verdict: u32,
}
const _: () = assert!(size_of::<CgroupRecord>() == 40);

/// Key of [`map::REFUSED`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RefusedKey {
    /// `Process::start` for processes, the cgroup's id for groups.
    pub id: u64,
    /// `Process::tgid` for processes, 0 for groups.
    pub tgid: u32,
    /// One of [`kind`]. A second exec of one process replaces the first.
    pub kind: u32,
}
const _: () = assert!(size_of::<RefusedKey>() == 16);

/// A record that the ring buffer refused, without path and arguments: the same head and process; of a group, its parent is in `status_or_parent`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// As it would have been sent.
    pub head: RecordHead,
    /// As it would have been sent; zero for groups.
    pub process: Process,
    /// Wait status of an exit, parent id of a group, 0 for an exec.
    pub status_or_parent: u64,
}
const _: () = assert!(size_of::<Refused>() == 64);

/// Counts of one processor since the programs were loaded. Each field only grows.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Executions seen in tracked groups.
    pub execs: u64,
    /// Exits of exec'd processes seen in tracked groups.
    pub exits: u64,
    /// Exec records that the ring buffer refused and [`map::REFUSED`] took.
    pub exec_deferred: u64,
    /// Exit records that the ring buffer refused and [`map::REFUSED`] took.
    pub exit_deferred: u64,
    /// Cgroup records that the ring buffer refused and [`map::REFUSED`] took.
    pub cgroup_deferred: u64,
    /// Exec records that neither had room for: lost.
    pub exec_lost: u64,
    /// Exit records that neither had room for: lost.
    pub exit_lost: u64,
    /// Cgroup records that neither had room for: lost.
    pub cgroup_lost: u64,
    /// New groups that [`map::CGROUPS`] had no room for: their processes are not seen until user space adds them.
    pub cgroups_full: u64,
    /// Exec records whose arguments could not be read.
    pub argv_unreadable: u64,
    /// Run-queue waits that [`map::RUNQUEUE`] had no room for.
    pub runqueue_full: u64,
}
const _: () = assert!(size_of::<Counters>() == 88);

/// Waits on the run queue of one cgroup's threads: from the wake-up, or from losing the processor, to running.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunqueueHistogram {
    /// Counts, not cumulative; bucket `i` holds waits of at most 1 us * 4^i.
    pub buckets: [u64; RUNQUEUE_BUCKETS],
    /// Sum of all waits in nanoseconds.
    pub sum: u64,
}
const _: () = assert!(size_of::<RunqueueHistogram>() == 112);

#[cfg(feature = "user")]
mod pod {
    macro_rules! plain {
        ($($t:ty),*) => { $(
            // SAFETY: repr(C) of integers and arrays of them, no padding (each size is asserted where the type is), so any bytes are a value.
            unsafe impl aya::Pod for $t {}
        )* };
    }
    plain!(
        super::RefusedKey,
        super::Refused,
        super::Counters,
        super::RunqueueHistogram,
        super::http2::Http2Counters,
        super::http2::ClosedRecord
    );
}
