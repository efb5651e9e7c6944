//! What each eBPF program needs of the kernel: its tracepoint, the arguments, and the members of structures that it reads.

use super::btf::{Btf, BtfError};
use fleetscope_ebpf::program;

/// One program of the object.
#[derive(Debug)]
pub(super) struct Program {
    /// Its name in the object.
    pub(super) name: &'static str,
    /// What it is for, as users see it.
    pub(super) probe: &'static str,
    /// Which of several ways it belongs to; see [`super::report::ProbeReport::mode`].
    pub(super) mode: &'static str,
    /// The kernel tracepoint that it attaches to.
    pub(super) tracepoint: &'static str,
    /// The arguments that it takes, as [`Btf::tracepoint`] gives them; the kernel may have more behind these.
    arguments: &'static [&'static str],
    /// Globals of the object that must be known, names of [`MEMBERS`].
    members: &'static [&'static [&'static str]],
    /// Members of which the kernel must have one, as they tell what it can do; empty when nothing is asked.
    signs: &'static [&'static str],
}

/// A global of the object, and the member whose offset it takes.
struct Member {
    /// The global's name.
    global: &'static str,
    /// `structure.member` and the bytes that the program reads; the first that the kernel has is taken.
    paths: &'static [(&'static str, u32)],
}

/// Probe name of the programs that see processes.
pub const TASKS: &str = "tasks";
/// Probe name of the programs that follow cgroups.
pub const CGROUPS: &str = "cgroups";
/// Probe name of the programs that measure run-queue latency.
pub const RUNQUEUE: &str = "runqueue";
/// Probe name of the programs that see calls of gRPC.
pub const RPC: &str = "rpc";
/// Mode of those that look behind each send and receive of a socket.
pub const SOCKETS: &str = "sockets";
/// Mode of those that look at the end of each system call.
pub const SYSCALLS: &str = "syscalls";

const CGROUP_OF_TASK: &[&str] = &["TASK_CGROUPS", "CSS_SET_DFL_CGRP", "CGROUP_KN", "KERNFS_NODE_ID"];
const CGROUP_ITSELF: &[&str] =
    &["CGROUP_KN", "KERNFS_NODE_ID", "CGROUP_ROOT", "CGROUP_ROOT_HIERARCHY_ID", "CGROUP_SELF_PARENT", "CSS_CGROUP"];
const PROCESS: &[&str] = &["TASK_TGID", "TASK_GROUP_LEADER", "TASK_REAL_PARENT", "TASK_START_BOOTTIME", "TASK_COMM"];
const EXEC: &[&str] = &["TASK_MM", "MM_ARG_START", "MM_ARG_END", "BPRM_FILENAME"];
const EXIT: &[&str] = &[
    "TASK_FLAGS",
    "TASK_EXIT_CODE",
    "TASK_SIGNAL",
    "SIGNAL_LIVE",
    "SIGNAL_FLAGS",
    "SIGNAL_GROUP_EXIT_CODE",
    "SIGNAL_OOM_MM",
];

const SOCKET: &[&str] = &[
    "SOCK_FAMILY",
    "SOCK_TYPE",
    "TCP_COPIED_SEQ",
    "TCP_WRITE_SEQ",
    "TASK_FLAGS",
    "REGS_CALL",
    "REGS_SECOND",
    "REGS_THIRD",
    "REGS_MODE",
];

const SOCKET_FILE: &[&str] = &["SOCK_SOCKET", "SOCKET_FILE", "FILE_INODE", "INODE_NUMBER"];

const DESCRIPTOR: &[&str] = &[
    "SOCK_PROTOCOL",
    "REGS_FIRST",
    "REGS_FOURTH",
    "TASK_FILES",
    "FILES_FDT",
    "FDT_MAX",
    "FDT_ARRAY",
    "FILE_INODE",
    "FILE_PRIVATE",
    "INODE_MODE",
    "INODE_NUMBER",
    "SOCKET_SOCK",
];

/// Task storage that is allocated without the allocator's locks: since kernel 6.4 from `bpf_mem_alloc` (`kernel/bpf/bpf_local_storage.c`), later
/// by `kmalloc_nolock`. Before, an allocation on the run queue's own path could wake `kswapd`, and wait for the lock that it holds.
const STORAGE: &[&str] = &["bpf_local_storage_map.selem_ma", "bpf_local_storage_map.use_kmalloc_nolock"];

/// All programs, in the order in which they attach: groups before processes, so that no group is made unseen in between.
pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: program::CGROUP_MKDIR,
        probe: CGROUPS,
        mode: "tp_btf",
        tracepoint: "cgroup_mkdir",
        arguments: &["*cgroup", "*char"],
        members: &[CGROUP_ITSELF],
        signs: &[],
    },
    Program {
        name: program::CGROUP_RMDIR,
        probe: CGROUPS,
        mode: "tp_btf",
        tracepoint: "cgroup_rmdir",
        arguments: &["*cgroup", "*char"],
        members: &[CGROUP_ITSELF],
        signs: &[],
    },
    Program {
        name: program::EXIT,
        probe: TASKS,
        mode: "tp_btf",
        tracepoint: "sched_process_exit",
        arguments: &["*task_struct"],
        members: &[PROCESS, EXIT],
        signs: &[],
    },
    Program {
        name: program::EXEC,
        probe: TASKS,
        mode: "tp_btf",
        tracepoint: "sched_process_exec",
        arguments: &["*task_struct", "int", "*linux_binprm"],
        members: &[PROCESS, EXEC, CGROUP_OF_TASK],
        signs: &[],
    },
    Program {
        name: program::WAKEUP,
        probe: RUNQUEUE,
        mode: "tp_btf",
        tracepoint: "sched_wakeup",
        arguments: &["*task_struct"],
        members: &[CGROUP_OF_TASK],
        signs: STORAGE,
    },
    Program {
        name: program::WAKEUP_NEW,
        probe: RUNQUEUE,
        mode: "tp_btf",
        tracepoint: "sched_wakeup_new",
        arguments: &["*task_struct"],
        members: &[CGROUP_OF_TASK],
        signs: STORAGE,
    },
    Program {
        name: program::SWITCH,
        probe: RUNQUEUE,
        mode: "tp_btf",
        tracepoint: "sched_switch",
        arguments: &["_Bool", "*task_struct", "*task_struct"],
        members: &[CGROUP_OF_TASK, &["TASK_STATE"]],
        signs: STORAGE,
    },
    Program {
        name: program::HTTP2_STATE,
        probe: RPC,
        mode: SOCKETS,
        tracepoint: "inet_sock_set_state",
        arguments: &["*sock", "int", "int"],
        members: &[SOCKET_FILE],
        signs: &[],
    },
    Program {
        name: program::HTTP2_SEND,
        probe: RPC,
        mode: SOCKETS,
        tracepoint: "sock_send_length",
        arguments: &["*sock", "int", "int"],
        members: &[SOCKET, DESCRIPTOR, SOCKET_FILE],
        signs: &[],
    },
    Program {
        name: program::HTTP2_RECV,
        probe: RPC,
        mode: SOCKETS,
        tracepoint: "sock_recv_length",
        arguments: &["*sock", "int", "int"],
        members: &[SOCKET, DESCRIPTOR, SOCKET_FILE],
        signs: &[],
    },
    Program {
        name: program::HTTP2_SYSCALL_STATE,
        probe: RPC,
        mode: SYSCALLS,
        tracepoint: "inet_sock_set_state",
        arguments: &["*sock", "int", "int"],
        members: &[SOCKET_FILE],
        signs: &[],
    },
    Program {
        name: program::HTTP2_SYSCALL_LOOP,
        probe: RPC,
        mode: SYSCALLS,
        tracepoint: "sys_exit",
        arguments: &["*pt_regs", "long int"],
        members: &[SOCKET, DESCRIPTOR, SOCKET_FILE],
        signs: &[],
    },
    Program {
        name: program::HTTP2_SYSCALL_WALK,
        probe: RPC,
        mode: SYSCALLS,
        tracepoint: "sys_exit",
        arguments: &["*pt_regs", "long int"],
        members: &[SOCKET, DESCRIPTOR, SOCKET_FILE],
        signs: &[],
    },
    Program {
        name: program::HTTP2_SYSCALL_SNIFF,
        probe: RPC,
        mode: SYSCALLS,
        tracepoint: "sys_exit",
        arguments: &["*pt_regs", "long int"],
        members: &[SOCKET, DESCRIPTOR, SOCKET_FILE],
        signs: &[],
    },
    Program {
        name: program::HTTP2_SYSCALL,
        probe: RPC,
        mode: SYSCALLS,
        tracepoint: "sys_exit",
        arguments: &["*pt_regs", "long int"],
        members: &[SOCKET, DESCRIPTOR, SOCKET_FILE],
        signs: &[],
    },
];

const MEMBERS: &[Member] = &[
    Member { global: "TASK_FLAGS", paths: &[("task_struct.flags", 4)] },
    Member { global: "TASK_TGID", paths: &[("task_struct.tgid", 4)] },
    Member { global: "TASK_EXIT_CODE", paths: &[("task_struct.exit_code", 4)] },
    Member { global: "TASK_SIGNAL", paths: &[("task_struct.signal", 8)] },
    Member { global: "TASK_GROUP_LEADER", paths: &[("task_struct.group_leader", 8)] },
    Member { global: "TASK_REAL_PARENT", paths: &[("task_struct.real_parent", 8)] },
    Member { global: "TASK_START_BOOTTIME", paths: &[("task_struct.start_boottime", 8)] },
    Member { global: "TASK_COMM", paths: &[("task_struct.comm", 16)] },
    Member { global: "TASK_MM", paths: &[("task_struct.mm", 8)] },
    Member { global: "TASK_CGROUPS", paths: &[("task_struct.cgroups", 8)] },
    // A `long` named `state` before kernel 5.14; the low half is read, which both machines' byte order puts first.
    Member { global: "TASK_STATE", paths: &[("task_struct.__state", 4), ("task_struct.state", 8)] },
    Member { global: "SIGNAL_LIVE", paths: &[("signal_struct.live", 4)] },
    Member { global: "SIGNAL_FLAGS", paths: &[("signal_struct.flags", 4)] },
    Member { global: "SIGNAL_GROUP_EXIT_CODE", paths: &[("signal_struct.group_exit_code", 4)] },
    Member { global: "SIGNAL_OOM_MM", paths: &[("signal_struct.oom_mm", 8)] },
    Member { global: "MM_ARG_START", paths: &[("mm_struct.arg_start", 8)] },
    Member { global: "MM_ARG_END", paths: &[("mm_struct.arg_end", 8)] },
    Member { global: "BPRM_FILENAME", paths: &[("linux_binprm.filename", 8)] },
    // No program asks for it: a kernel without io_uring has none.
    Member { global: "TASK_IO_URING", paths: &[("task_struct.io_uring", 8)] },
    Member { global: "SOCK_FAMILY", paths: &[("sock.__sk_common.skc_family", 2)] },
    Member { global: "SOCK_TYPE", paths: &[("sock.sk_type", 2)] },
    Member { global: "SOCK_PROTOCOL", paths: &[("sock.sk_protocol", 2)] },
    Member { global: "TCP_COPIED_SEQ", paths: &[("tcp_sock.copied_seq", 4)] },
    Member { global: "TCP_WRITE_SEQ", paths: &[("tcp_sock.write_seq", 4)] },
    // No program asks for it: what the sockets of another kernel waited for is not known.
    Member { global: "TCP_LAST_DATA", paths: &[("tcp_sock.inet_conn.icsk_ack.lrcvtime", 4)] },
    Member { global: "TASK_FILES", paths: &[("task_struct.files", 8)] },
    Member { global: "FILES_FDT", paths: &[("files_struct.fdt", 8)] },
    Member { global: "FDT_MAX", paths: &[("fdtable.max_fds", 4)] },
    Member { global: "FDT_ARRAY", paths: &[("fdtable.fd", 8)] },
    Member { global: "FILE_INODE", paths: &[("file.f_inode", 8)] },
    Member { global: "FILE_PRIVATE", paths: &[("file.private_data", 8)] },
    Member { global: "INODE_MODE", paths: &[("inode.i_mode", 2)] },
    Member { global: "INODE_NUMBER", paths: &[("inode.i_ino", 8)] },
    Member { global: "SOCKET_SOCK", paths: &[("socket.sk", 8)] },
    Member { global: "SOCK_SOCKET", paths: &[("sock.sk_socket", 8)] },
    Member { global: "SOCKET_FILE", paths: &[("socket.file", 8)] },
    // What a task entered the kernel with: of x86_64, else of arm64. `cs` shares its place with others since kernel 6.9.
    Member { global: "REGS_CALL", paths: &[("pt_regs.orig_ax", 8), ("pt_regs.syscallno", 4)] },
    Member { global: "REGS_FIRST", paths: &[("pt_regs.di", 8), ("pt_regs.orig_x0", 8)] },
    Member { global: "REGS_FOURTH", paths: &[("pt_regs.r10", 8), ("pt_regs.regs[3]", 8)] },
    Member { global: "REGS_SECOND", paths: &[("pt_regs.si", 8), ("pt_regs.regs[1]", 8)] },
    Member { global: "REGS_THIRD", paths: &[("pt_regs.dx", 8), ("pt_regs.regs[2]", 8)] },
    Member { global: "REGS_MODE", paths: &[("pt_regs.cs", 2), ("pt_regs.cs", 8), ("pt_regs.pstate", 8)] },
    Member { global: "CSS_SET_DFL_CGRP", paths: &[("css_set.dfl_cgrp", 8)] },
    Member { global: "CGROUP_KN", paths: &[("cgroup.kn", 8)] },
    Member { global: "CGROUP_ROOT", paths: &[("cgroup.root", 8)] },
    Member { global: "CGROUP_SELF_PARENT", paths: &[("cgroup.self.parent", 8)] },
    Member { global: "CSS_CGROUP", paths: &[("cgroup_subsys_state.cgroup", 8)] },
    Member { global: "KERNFS_NODE_ID", paths: &[("kernfs_node.id", 8)] },
    Member { global: "CGROUP_ROOT_HIERARCHY_ID", paths: &[("cgroup_root.hierarchy_id", 4)] },
];

/// What the programs must know of this machine: globals of the object. `__USER_CS` of arch/x86/include/asm/segment.h; of arm64's `pstate` the bits
/// of the mode, which are 0 for a task of 64 bits (arch/arm64/include/uapi/asm/ptrace.h).
pub(super) const MACHINE: [(&str, i64); 14] = [
    ("REGS_MODE_MASK", if cfg!(target_arch = "x86_64") { 0xffff } else { 0x1f }),
    ("REGS_MODE_USER", if cfg!(target_arch = "x86_64") { 0x33 } else { 0 }),
    ("SYS_READ", libc::SYS_read),
    ("SYS_WRITE", libc::SYS_write),
    ("SYS_READV", libc::SYS_readv),
    ("SYS_WRITEV", libc::SYS_writev),
    ("SYS_RECVFROM", libc::SYS_recvfrom),
    ("SYS_SENDTO", libc::SYS_sendto),
    ("SYS_RECVMSG", libc::SYS_recvmsg),
    ("SYS_SENDMSG", libc::SYS_sendmsg),
    ("SYS_RECVMMSG", libc::SYS_recvmmsg),
    ("SYS_SENDMMSG", libc::SYS_sendmmsg),
    ("SYS_SENDFILE", libc::SYS_sendfile),
    ("SYS_SPLICE", libc::SYS_splice),
];

/// Why a program cannot run on this kernel.
#[derive(Debug, thiserror::Error)]
pub enum Unsupported {
    /// A tracepoint, structure or member is missing, or the BTF is damaged.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// A member has another size than the program reads.
    #[error("{path} has {found} bytes in this kernel, not {expected}")]
    Size {
        /// `structure.member`
        path: &'static str,
        /// Bytes in this kernel.
        found: u32,
        /// Bytes that the program reads.
        expected: u32,
    },
    /// The tracepoint has other arguments.
    #[error("tracepoint {tracepoint} passes ({}) in this kernel, not ({})", .found.join(", "), .expected.join(", "))]
    Arguments {
        /// Its name.
        tracepoint: &'static str,
        /// What this kernel passes.
        found: Vec<String>,
        /// What the program takes.
        expected: &'static [&'static str],
    },
    /// None of the members is there that tell of task storage which is safe to allocate where the program runs.
    #[error("this kernel has none of {}: its task storage is not safe to allocate where the program runs", .signs.join(", "))]
    TaskStorage {
        /// `structure.member` of each.
        signs: &'static [&'static str],
    },
}

/// The offsets of one kernel, by global of the object.
pub(super) struct Offsets<'a> {
    btf: &'a Btf,
    resolved: Vec<(&'static str, Result<u32, Unsupported>)>,
}

impl<'a> Offsets<'a> {
    /// Looks all members up.
    pub(super) fn new(btf: &'a Btf) -> Self {
        let resolved = MEMBERS.iter().map(|member| (member.global, resolve(btf, member))).collect();
        Self { btf, resolved }
    }

    /// Every global of the object with its value; 0 for what this kernel lacks, whose programs are not loaded.
    pub(super) fn globals(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.resolved.iter().map(|(global, offset)| (*global, *offset.as_ref().unwrap_or(&0)))
    }

    /// Whether the kernel has the helper `bpf_loop` (5.17), as the function of that name in `kernel/bpf/bpf_iter.c` tells.
    pub(super) fn has_loop(&self) -> bool {
        self.btf.has_function("bpf_loop")
    }

    /// Whether `sched_process_exit` says which thread is the last.
    pub(super) fn has_group_dead(&self) -> bool {
        self.btf
            .tracepoint("sched_process_exit")
            .is_ok_and(|arguments| arguments.get(1).is_some_and(|kind| kind == "_Bool"))
    }

    /// Whether this kernel has what the program needs; takes the reason out.
    pub(super) fn check(&self, program: &Program) -> Result<(), Unsupported> {
        let found = self.btf.tracepoint(program.tracepoint)?;
        if found.len() < program.arguments.len() || program.arguments.iter().zip(&found).any(|(a, b)| a != b) {
            return Err(Unsupported::Arguments { tracepoint: program.tracepoint, found, expected: program.arguments });
        }
        for member in MEMBERS.iter().filter(|member| program.members.iter().any(|set| set.contains(&member.global))) {
            resolve(self.btf, member)?;
        }
        if !program.signs.is_empty() && program.signs.iter().all(|sign| self.btf.member(sign).is_err()) {
            return Err(Unsupported::TaskStorage { signs: program.signs });
        }
        Ok(())
    }
}

fn resolve(btf: &Btf, member: &Member) -> Result<u32, Unsupported> {
    let mut why = None;
    for (path, expected) in member.paths {
        let wrong = match btf.member(path) {
            Ok(found) if found.size == *expected => return Ok(found.offset),
            Ok(found) => Unsupported::Size { path, found: found.size, expected: *expected },
            Err(error) => error.into(),
        };
        why = why.or(Some(wrong));
    }
    Err(why.expect("every member has a path"))
}
