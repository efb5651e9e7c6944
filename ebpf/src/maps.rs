//! Every map of the object. The public ones and their contents are described in `fleetscope_ebpf::map`.

use crate::kernel::FileSocket;
use crate::user_memory::UserMemory;
use aya_ebpf::bindings::bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE;
use aya_ebpf::bindings::{BPF_F_NO_PREALLOC, BPF_LOCAL_STORAGE_GET_F_CREATE};
use aya_ebpf::btf_maps::{Array, HashMap, LruHashMap, PerCpuArray, ProgramArray, RingBuf, SkStorage};
use aya_ebpf::helpers::generated::{bpf_sk_storage_get, bpf_task_storage_get};
use aya_ebpf::macros::btf_map;
use core::ffi::c_void;
use fleetscope_ebpf::http2::{ClosedRecord, Connection, Http2Counters, Http2Record, RECORD_BYTES_MAX, Sniff, Walk};
use fleetscope_ebpf::{
    ARGV_MAX, CGROUP_PATH_MAX, CGROUPS_MAX, CLOSES_MAX, CONNECTIONS_MAX, CgroupRecord, Counters, ExecRecord,
    FRAMES_BYTES, PATH_MAX, REFUSED_MAX, RING_BYTES, RUNQUEUE_MAX, Refused, RefusedKey, RunqueueHistogram,
    UNIX_SOCKETS_MAX, pulse,
};

#[btf_map]
pub(crate) static RECORDS: RingBuf<u8, { RING_BYTES as usize }> = RingBuf::new();
#[btf_map]
pub(crate) static CGROUPS: HashMap<u64, u32, { CGROUPS_MAX as usize }> = HashMap::new();
#[btf_map]
pub(crate) static REFUSED: HashMap<RefusedKey, Refused, { REFUSED_MAX as usize }> = HashMap::new();
#[btf_map]
pub(crate) static COUNTERS: PerCpuArray<Counters, 1> = PerCpuArray::new();
#[btf_map]
pub(crate) static RUNQUEUE: HashMap<u64, RunqueueHistogram, { RUNQUEUE_MAX as usize }> = HashMap::new();
#[btf_map]
pub(crate) static FRAMES: RingBuf<u8, { FRAMES_BYTES as usize }> = RingBuf::new();
#[btf_map]
pub(crate) static CONNECTIONS: SkStorage<Connection> = SkStorage::new();
/// Connections by the address of their `struct sock`, where there is no socket storage for them; the one that said nothing for the longest
/// time goes when there are too many.
#[btf_map]
pub(crate) static CONNECTIONS_BY_SOCKET: LruHashMap<u64, KeptConnection, { CONNECTIONS_MAX as usize }> =
    LruHashMap::new();
#[btf_map]
pub(crate) static UNIX_SOCKETS: HashMap<u64, FileSocket, { UNIX_SOCKETS_MAX as usize }> = HashMap::new();
#[btf_map]
pub(crate) static CLOSES: HashMap<u64, ClosedRecord, { CLOSES_MAX as usize }> = HashMap::new();
#[btf_map]
pub(crate) static PULSE: Array<u64, { pulse::PLACES as usize }> = Array::new();
#[btf_map]
pub(crate) static WORK_SEND: ProgramArray<1> = ProgramArray::new();
#[btf_map]
pub(crate) static WORK_RECV: ProgramArray<1> = ProgramArray::new();
#[btf_map]
pub(crate) static WORK_STATE: ProgramArray<1> = ProgramArray::new();
/// The programs that go on with an I/O.
#[btf_map]
pub(crate) static CHAIN: ProgramArray<2> = ProgramArray::new();
#[btf_map]
pub(crate) static HTTP2_COUNTERS: PerCpuArray<Http2Counters, 1> = PerCpuArray::new();
/// Where HTTP/2 records are put together: one of each direction, so that no program finds another one's.
#[btf_map]
pub(crate) static HTTP2_SCRATCH: PerCpuArray<Http2Scratch, 2> = PerCpuArray::new();

/// What this processor read last of `CGROUPS`, by the lower bits of the group's id: finding an entry of a hash costs more than all else that is
/// done about most I/Os.
#[btf_map]
pub(crate) static READ_VERDICTS: PerCpuArray<ReadVerdict, { READ_VERDICTS_MAX as usize }> = PerCpuArray::new();

/// Where exec records are put together: too large for the stack (512 bytes).
#[btf_map]
pub(crate) static EXEC_SCRATCH: PerCpuArray<ExecScratch, 1> = PerCpuArray::new();
/// Where cgroup records are put together.
#[btf_map]
pub(crate) static CGROUP_SCRATCH: PerCpuArray<CgroupScratch, 1> = PerCpuArray::new();
/// Processes whose exit was recorded, on kernels that do not pass `group_dead`: the last two threads of a process can both find
/// no live thread. An entry has to outlive only that race, so the oldest may go.
#[btf_map]
pub(crate) static EXITED: LruHashMap<RefusedKey, u8, 1024> = LruHashMap::new();
/// Since when a thread waits for a processor, nanoseconds of `CLOCK_MONOTONIC`, 0 while it does not.
#[btf_map]
pub(crate) static WAITING: TaskStorage<u64> = TaskStorage::new();

/// An exec record, and its path and arguments as they follow it. The path is read with one byte more than is sent, so that a
/// path of exactly the limit is not taken for a longer one.
#[repr(C)]
pub(crate) struct ExecScratch {
    pub(crate) record: ExecRecord,
    pub(crate) data: [u8; PATH_MAX + ARGV_MAX + 8],
}

/// A cgroup record, and its path as it follows it.
#[repr(C)]
pub(crate) struct CgroupScratch {
    pub(crate) record: CgroupRecord,
    pub(crate) path: [u8; CGROUP_PATH_MAX],
}

/// The state of the look at one I/O, and the record that is put together of it. In a map, as it is too large for the stack, and as
/// the verifier forgets what it knows of a value that is there: so it has few states to walk.
#[repr(C)]
pub(crate) struct Http2Scratch {
    pub(crate) sniff: Sniff,
    pub(crate) walk: Walk,
    pub(crate) memory: UserMemory,
    /// Key of the connection in `CONNECTIONS_BY_SOCKET`, for the next program of a chain.
    pub(crate) socket: u64,
    /// Programs that a sniff may still have.
    pub(crate) sniffs: u32,
    /// 1 when the connection was known to be HTTP/2 before this I/O.
    pub(crate) proven: u32,
    pub(crate) record: Http2Record,
    /// The pieces; 8 bytes more, as the last one's padding is written before its bytes.
    pub(crate) data: [u8; RECORD_BYTES_MAX as usize + 8],
}

/// Groups of which a processor keeps the verdict, a power of two.
pub(crate) const READ_VERDICTS_MAX: u32 = 64;

/// What `CGROUPS` said of a group.
#[repr(C)]
pub(crate) struct ReadVerdict {
    pub(crate) cgroup: u64,
    /// [`pulse::VERDICTS`] as it stood before.
    pub(crate) changes: u64,
    /// 0 where it has no entry.
    pub(crate) bits: u64,
}

/// A connection in `CONNECTIONS_BY_SOCKET`.
#[repr(C)]
pub(crate) struct KeptConnection {
    /// Number of the socket's inode: the address may become another socket's.
    pub(crate) inode: u64,
    pub(crate) connection: Connection,
}

impl KeptConnection {
    /// All zeros.
    pub(crate) const NOTHING: Self = {
        // SAFETY: integers and arrays of them, of which all zeros are a value.
        unsafe { core::mem::zeroed() }
    };
}

/// The socket's connection; null when it has none.
///
/// # Safety
/// `socket` is a `struct sock` argument of the tracepoint.
#[inline(always)]
pub(crate) unsafe fn connection_of(socket: u64) -> *mut Connection {
    // SAFETY: the verifier checks both pointers.
    unsafe {
        bpf_sk_storage_get((&raw const CONNECTIONS).cast_mut().cast(), socket as *mut _, core::ptr::null_mut(), 0)
            .cast()
    }
}

/// As [`connection_of`], made when there is none; null when there is no memory.
///
/// # Safety
/// As of [`connection_of`].
#[inline(always)]
pub(crate) unsafe fn connection_made(socket: u64) -> *mut Connection {
    let map: *mut c_void = (&raw const CONNECTIONS).cast_mut().cast();
    // SAFETY: the verifier checks both pointers.
    unsafe {
        let made: *mut Connection =
            bpf_sk_storage_get(map, socket as *mut _, core::ptr::null_mut(), BPF_LOCAL_STORAGE_GET_F_CREATE as u64)
                .cast();
        if !made.is_null() {
            return made;
        }
        // The other direction's first I/O, on another processor, may have been faster; the one that is late is told nothing then
        // (kernel/bpf/bpf_local_storage.c, `bpf_local_storage_alloc`: -EAGAIN).
        connection_of(socket)
    }
}

/// `BPF_MAP_TYPE_TASK_STORAGE`, which aya-ebpf 0.2.1 lacks. The layout is what loaders read from the object's BTF.
#[repr(C)]
pub(crate) struct TaskStorage<T> {
    r#type: *const [i32; BPF_MAP_TYPE_TASK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; BPF_F_NO_PREALLOC as usize],
}

// SAFETY: the pointers are placeholders that nothing follows; the kernel synchronises access to the map.
unsafe impl<T> Sync for TaskStorage<T> {}

impl<T> TaskStorage<T> {
    const fn new() -> Self {
        use core::ptr::null;
        Self { r#type: null(), key: null(), value: null(), max_entries: null(), map_flags: null() }
    }

    /// The task's value, if it has one.
    ///
    /// # Safety
    /// `task` is a `task_struct` argument of the tracepoint.
    #[inline(always)]
    pub(crate) unsafe fn get(&'static self, task: u64) -> *mut T {
        // SAFETY: the verifier checks both pointers.
        unsafe {
            bpf_task_storage_get((&raw const *self).cast_mut().cast(), task as *mut _, core::ptr::null_mut(), 0).cast()
        }
    }

    /// The task's value, zeroed when it is new; null when there is no memory.
    ///
    /// # Safety
    /// As of [`Self::get`].
    #[inline(always)]
    pub(crate) unsafe fn get_or_insert(&'static self, task: u64) -> *mut T {
        let map: *mut c_void = (&raw const *self).cast_mut().cast();
        // SAFETY: the verifier checks both pointers.
        unsafe {
            bpf_task_storage_get(map, task as *mut _, core::ptr::null_mut(), BPF_LOCAL_STORAGE_GET_F_CREATE as u64)
                .cast()
        }
    }
}
