//! Typed views of the kernel's structures.
//!
//! Every offset is a word of `.rodata` that the loader fills from the running kernel's BTF before it freezes the section,
//! so the verifier sees constants, and checks each load against the kernel's own types. Loads through pointers that may
//! have gone stale are safe: the JIT gives them exception entries, and they read 0.
//!
//! - this file: the words and the structures; tasks and groups
//! - [`call`]: the system call that a task is in
//! - [`socket`]: sockets

mod call;
mod socket;

use aya_ebpf::helpers::generated::bpf_task_pt_regs;
pub(crate) use call::Call;
pub(crate) use socket::FileSocket;

/// `PF_FORKNOEXEC` of include/linux/sched.h: forked, and did not exec since.
pub(crate) const PF_FORKNOEXEC: u32 = 0x40;
/// `SIGNAL_GROUP_EXIT` of include/linux/sched/signal.h: the whole group was told to exit.
const SIGNAL_GROUP_EXIT: u32 = 4;
/// `PF_IO_WORKER`, `PF_USER_WORKER`, `PF_KTHREAD` of include/linux/sched.h: what works in the kernel for others, and made no system call.
const PF_WORKER: u32 = 0x10 | 0x4000 | 0x20_0000;

macro_rules! constants {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => { $($(#[$doc])* #[unsafe(no_mangle)] static $name: u32 = 0;)* };
}

constants! {
    TASK_FLAGS, TASK_TGID, TASK_EXIT_CODE, TASK_SIGNAL, TASK_GROUP_LEADER, TASK_REAL_PARENT, TASK_START_BOOTTIME, TASK_COMM,
    TASK_MM, TASK_CGROUPS, TASK_STATE,
    /// 0 where the kernel has no io_uring.
    TASK_IO_URING,
    SIGNAL_LIVE, SIGNAL_FLAGS, SIGNAL_GROUP_EXIT_CODE, SIGNAL_OOM_MM,
    MM_ARG_START, MM_ARG_END,
    BPRM_FILENAME,
    SOCK_FAMILY, SOCK_TYPE, SOCK_PROTOCOL, TCP_COPIED_SEQ, TCP_WRITE_SEQ,
    /// 0 where the kernel has no such member.
    TCP_LAST_DATA,
    TASK_FILES, FILES_FDT, FDT_MAX, FDT_ARRAY, FILE_INODE, FILE_PRIVATE, INODE_MODE, INODE_NUMBER, SOCKET_SOCK,
    SOCK_SOCKET, SOCKET_FILE,
    REGS_FIRST, REGS_FOURTH,
    REGS_CALL, REGS_SECOND, REGS_THIRD, REGS_MODE,
    CSS_SET_DFL_CGRP, CGROUP_KN, CGROUP_ROOT, CGROUP_SELF_PARENT, CSS_CGROUP, KERNFS_NODE_ID, CGROUP_ROOT_HIERARCHY_ID,
    /// 1 when `sched_process_exit` passes `group_dead` (its BTF prototype has the argument), else 0.
    EXIT_HAS_GROUP_DEAD,
    /// Microseconds of a tick, by which the kernel counts time in `jiffies`.
    TICK_MICROSECONDS,
    /// Bytes in the ring buffer from which on each record wakes the reader.
    WAKEUP_BYTES,
    /// As `WAKEUP_BYTES`, of the ring buffer for HTTP/2.
    FRAMES_WAKEUP_BYTES,
    /// A task of this machine's own width entered the kernel when `mode & REGS_MODE_MASK == REGS_MODE_USER`: x86_64 `cs`
    /// (arch/x86/include/asm/segment.h, `__USER_CS`), arm64 `pstate` (arch/arm64/include/uapi/asm/ptrace.h, `PSR_MODE_EL0t`).
    REGS_MODE_MASK, REGS_MODE_USER,
    /// Numbers of system calls on this machine.
    SYS_READ, SYS_WRITE, SYS_READV, SYS_WRITEV, SYS_RECVFROM, SYS_SENDTO, SYS_RECVMSG, SYS_SENDMSG, SYS_RECVMMSG, SYS_SENDMMSG,
    SYS_SENDFILE, SYS_SPLICE,
}

/// The word that the loader wrote. Volatile, so that the compiler does not fold the 0 that stands in the source.
#[inline(always)]
fn constant(word: &'static u32) -> u32 {
    // SAFETY: a reference to a static is valid to read.
    unsafe { core::ptr::read_volatile(word) }
}

/// Whether `sched_process_exit` says itself that the last thread is gone.
#[inline(always)]
pub(crate) fn exit_has_group_dead() -> bool {
    constant(&EXIT_HAS_GROUP_DEAD) != 0
}

/// Bytes in the ring buffer from which on each record wakes the reader.
#[inline(always)]
pub(crate) fn wakeup_bytes() -> u64 {
    constant(&WAKEUP_BYTES) as u64
}

/// Bytes in the ring buffer for HTTP/2 from which on each record wakes the reader.
#[inline(always)]
pub(crate) fn frames_wakeup_bytes() -> u64 {
    constant(&FRAMES_WAKEUP_BYTES) as u64
}

macro_rules! views {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name(*const u8);

        impl $name {
            /// The bytes of a member; the verifier checks the offset against the kernel's type.
            #[inline(always)]
            fn member<T: Copy>(self, offset: &'static u32) -> T {
                // SAFETY: the verifier refuses a program whose load is not inside the structure.
                unsafe { core::ptr::read_volatile(self.0.add(constant(offset) as usize).cast()) }
            }
        }
    )* };
}

views! {
    /// `struct task_struct`
    Task,
    /// `struct signal_struct`: what the threads of a process share.
    Signal,
    /// `struct mm_struct`
    Memory,
    /// `struct linux_binprm`: an exec in progress.
    Binary,
    /// `struct cgroup`
    Cgroup,
    /// `struct css_set`: the cgroups of a task, one per hierarchy.
    CgroupSet,
    /// `struct cgroup_subsys_state`
    CgroupState,
    /// `struct cgroup_root`
    CgroupRoot,
    /// `struct kernfs_node`
    Node,
    /// `struct sock`
    Sock,
    /// `struct tcp_sock`, which begins with its `sock`.
    TcpSock,
    /// `struct pt_regs`: the registers with which the task entered the kernel.
    Registers,
}

macro_rules! arguments {
    ($($name:ident),*) => { $(
        impl $name {
            /// From an argument of a BTF tracepoint.
            ///
            /// # Safety
            /// The address is of this structure; the verifier checks it.
            #[inline(always)]
            pub(crate) unsafe fn new(address: u64) -> Self {
                Self(address as *const u8)
            }
        }
    )* };
}

arguments! { Task, Binary, Cgroup, Sock, Registers }

impl Task {
    /// Process id in the host's pid namespace.
    #[inline(always)]
    pub(crate) fn tgid(self) -> u32 {
        self.member(&TASK_TGID)
    }

    /// Bits `PF_*`.
    #[inline(always)]
    pub(crate) fn flags(self) -> u32 {
        self.member(&TASK_FLAGS)
    }

    /// 0 is `TASK_RUNNING`. The low half of the `long` that it was before kernel 5.14.
    #[inline(always)]
    pub(crate) fn state(self) -> u32 {
        self.member(&TASK_STATE)
    }

    /// When it was forked, nanoseconds of `CLOCK_BOOTTIME`.
    #[inline(always)]
    pub(crate) fn start_boottime(self) -> u64 {
        self.member(&TASK_START_BOOTTIME)
    }

    /// The command name, 16 bytes.
    #[inline(always)]
    pub(crate) fn comm(self) -> [u8; fleetscope_ebpf::COMM_LEN] {
        self.member(&TASK_COMM)
    }

    /// The first thread of the process; stays readable after it has exited, as long as the process is not reaped.
    #[inline(always)]
    pub(crate) fn leader(self) -> Task {
        Task(self.member(&TASK_GROUP_LEADER))
    }

    /// Who would be told of its exit, ptrace left aside.
    #[inline(always)]
    pub(crate) fn real_parent(self) -> Task {
        Task(self.member(&TASK_REAL_PARENT))
    }

    /// What the threads of the process share.
    #[inline(always)]
    pub(crate) fn signal(self) -> Signal {
        Signal(self.member(&TASK_SIGNAL))
    }

    /// Whether it works in the kernel for others, as `io_uring`'s workers do.
    #[inline(always)]
    pub(crate) fn is_worker(self) -> bool {
        self.flags() & PF_WORKER != 0
    }

    /// Whether it has made use of `io_uring`: then it does I/O in other calls too, whatever they are about, on its way back to user mode.
    #[inline(always)]
    pub(crate) fn has_io_uring(self) -> bool {
        constant(&TASK_IO_URING) != 0 && self.member::<u64>(&TASK_IO_URING) != 0
    }

    /// The registers with which it entered the kernel.
    #[inline(always)]
    pub(crate) fn registers(self) -> Registers {
        // SAFETY: the helper is given a task.
        Registers(unsafe { bpf_task_pt_regs(self.0.cast_mut().cast()) } as *const u8)
    }

    /// The address space.
    #[inline(always)]
    pub(crate) fn memory(self) -> Memory {
        Memory(self.member(&TASK_MM))
    }

    /// Id of its group in the cgroup2 hierarchy. On a machine with v1 only every task is in the root, id 1.
    #[inline(always)]
    pub(crate) fn cgroup(self) -> u64 {
        CgroupSet(self.member(&TASK_CGROUPS)).default_group().id()
    }

    /// Wait status of the process, as kernel/exit.c `wait_task_zombie` finds it; of the leader, once the last thread is gone.
    #[inline(always)]
    pub(crate) fn wait_status(self) -> u32 {
        let signal = self.signal();
        if signal.member::<u32>(&SIGNAL_FLAGS) & SIGNAL_GROUP_EXIT != 0 {
            signal.member(&SIGNAL_GROUP_EXIT_CODE)
        } else {
            self.member(&TASK_EXIT_CODE)
        }
    }
}

impl Signal {
    /// Threads that have not begun to exit.
    #[inline(always)]
    pub(crate) fn live(self) -> u32 {
        self.member(&SIGNAL_LIVE)
    }

    /// Whether the kernel's OOM killer chose this process (mm/oom_kill.c `mark_oom_victim`).
    #[inline(always)]
    pub(crate) fn is_oom_victim(self) -> bool {
        self.member::<u64>(&SIGNAL_OOM_MM) != 0
    }
}

impl Memory {
    /// Where the argument strings begin and end in user memory.
    #[inline(always)]
    pub(crate) fn arguments(self) -> (u64, u64) {
        (self.member(&MM_ARG_START), self.member(&MM_ARG_END))
    }
}

impl Binary {
    /// Address of the path as it was given to execve(2); of a script, the script's.
    #[inline(always)]
    pub(crate) fn filename(self) -> u64 {
        self.member(&BPRM_FILENAME)
    }
}

impl CgroupSet {
    #[inline(always)]
    fn default_group(self) -> Cgroup {
        Cgroup(self.member(&CSS_SET_DFL_CGRP))
    }
}

impl Cgroup {
    /// The inode number of its folder, and what user space calls the cgroup id.
    #[inline(always)]
    pub(crate) fn id(self) -> u64 {
        Node(self.member(&CGROUP_KN)).member(&KERNFS_NODE_ID)
    }

    /// Whether it is of the cgroup2 hierarchy, which has number 0; ids of other hierarchies are another number space.
    #[inline(always)]
    pub(crate) fn is_default_hierarchy(self) -> bool {
        CgroupRoot(self.member(&CGROUP_ROOT)).member::<u32>(&CGROUP_ROOT_HIERARCHY_ID) == 0
    }

    /// Id of the group above; 0 for the root. By `self.parent`, as `ancestors[]` changed its shape between kernels.
    #[inline(always)]
    pub(crate) fn parent_id(self) -> u64 {
        let parent = CgroupState(self.member(&CGROUP_SELF_PARENT));
        Cgroup(parent.member(&CSS_CGROUP)).id()
    }
}
