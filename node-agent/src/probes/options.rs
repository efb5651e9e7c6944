//! How the probes are loaded.

use std::path::PathBuf;

use fleetscope_ebpf::{CGROUPS_MAX, FRAMES_BYTES, REFUSED_MAX, RING_BYTES, RUNQUEUE_MAX};

/// How the probes are loaded. [`Default`] is what the agent uses; tests make the maps small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Measure run-queue latency. Off costs nothing: the programs are not loaded.
    pub runqueue: bool,
    /// How calls of gRPC are seen.
    pub rpc: Rpc,
    /// Bytes of the ring buffer, rounded up to a power of two of pages. Default [`RING_BYTES`].
    pub ring_bytes: u32,
    /// As `ring_bytes`, of the ring buffer for HTTP/2. Default [`FRAMES_BYTES`].
    pub frames_bytes: u32,
    /// Most records that wait when the ring buffer is full. Default [`REFUSED_MAX`].
    pub refused_max: u32,
    /// Most cgroups with a verdict. Default [`CGROUPS_MAX`].
    pub cgroups_max: u32,
    /// Most cgroups with a run-queue histogram. Default [`RUNQUEUE_MAX`].
    pub runqueue_max: u32,
    /// Percent of a ring buffer from which on records wake its reader. Default 25; 0 wakes it for each.
    pub wakeup_percent: u32,
    /// Take `group_dead` from `sched_process_exit` where the kernel passes it. False takes the way of older kernels, for tests.
    pub group_dead: bool,
    /// Take `bpf_loop` where the kernel has it. False takes the way of older kernels, for tests.
    pub bpf_loop: bool,
    /// A folder of a bpffs in which the probes for calls stay when this agent ends, for the one that comes after it. Default none.
    pub persist: Option<PathBuf>,
    /// The kernel's BTF. Default `/sys/kernel/btf/vmlinux`.
    pub btf: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            runqueue: true,
            rpc: Rpc::Auto,
            ring_bytes: RING_BYTES,
            frames_bytes: FRAMES_BYTES,
            refused_max: REFUSED_MAX,
            cgroups_max: CGROUPS_MAX,
            runqueue_max: RUNQUEUE_MAX,
            wakeup_percent: 25,
            group_dead: true,
            bpf_loop: true,
            persist: None,
            btf: PathBuf::from("/sys/kernel/btf/vmlinux"),
        }
    }
}

/// How calls of gRPC are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rpc {
    /// By [`Rpc::Sockets`] where the kernel can, else by [`Rpc::Syscalls`].
    #[default]
    Auto,
    /// Behind each send and receive of a socket: kernel 6.3 and later.
    Sockets,
    /// At the end of each system call, which costs every call of every process something.
    Syscalls,
    /// Not at all, which costs nothing: the programs are not loaded.
    Off,
}
