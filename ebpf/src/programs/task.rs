//! `sched_process_exec` and `sched_process_exit`.

use super::argument;
use crate::kernel::{Binary, PF_FORKNOEXEC, Task, exit_has_group_dead};
use crate::maps::{CGROUPS, COUNTERS, EXEC_SCRATCH, EXITED, ExecScratch};
use crate::record::{head, refuse, send};
use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::generated::{bpf_get_current_cgroup_id, bpf_probe_read_kernel_str, bpf_probe_read_user};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use fleetscope_ebpf::{
    ARGV_MAX, Counters, ExecRecord, ExitRecord, PATH_MAX, Process, Refused, RefusedKey, flag, kind, verdict,
};

/// The current process' cgroup, when its processes are recorded.
#[inline(always)]
fn recorded_cgroup() -> Option<u64> {
    // SAFETY: a helper without arguments.
    let cgroup = unsafe { bpf_get_current_cgroup_id() };
    // SAFETY: the value is copied at once; a concurrent removal leaves an old verdict at worst.
    let bits = unsafe { CGROUPS.get(cgroup) }.copied()?;
    (bits & verdict::TASKS != 0).then_some(cgroup)
}

/// A process replaced its program.
#[btf_tracepoint(function = "sched_process_exec")]
fn task_exec(ctx: BtfTracePointContext) -> i32 {
    if let Some(cgroup) = recorded_cgroup() {
        // SAFETY: sched_process_exec(task, old_pid, bprm).
        unsafe { exec(Task::new(argument(&ctx, 0)), Binary::new(argument(&ctx, 2)), cgroup) };
    }
    0
}

#[inline(always)]
fn exec(task: Task, binary: Binary, cgroup: u64) {
    let (Some(counters), Some(scratch)) = (COUNTERS.get_ptr_mut(0), EXEC_SCRATCH.get_ptr_mut(0)) else { return };
    // SAFETY: both are this processor's own, and programs on a tracepoint do not interrupt one another on one processor.
    unsafe {
        (*counters).execs += 1;
        let leader = task.leader();
        let parent = leader.real_parent();
        let process =
            Process { start: leader.start_boottime(), tgid: leader.tgid(), parent: parent.tgid(), comm: task.comm() };
        let mut flags = if CGROUPS.get(parent.cgroup()).is_some() { flag::PARENT_TRACKED } else { 0 };
        let path_len = read_path(scratch, binary, &mut flags);
        let argv_len = read_arguments(scratch, path_len, task, &mut flags, counters);
        let record = ExecRecord { head: head(kind::EXEC, flags, cgroup), process, path_len, argv_len };
        (&raw mut (*scratch).record).write(record);
        // The two bounds hold already; said again, as the verifier does not relate the sum to them.
        let bytes = size_of::<ExecRecord>() as u64 + ((path_len + argv_len) as u64).min((PATH_MAX + ARGV_MAX) as u64);
        if !send(scratch.cast_const().cast(), bytes) {
            let key = RefusedKey { id: process.start, tgid: process.tgid, kind: kind::EXEC as u32 };
            let refused = Refused { head: record.head, process, status_or_parent: 0 };
            refuse(&key, &refused, &raw mut (*counters).exec_deferred, &raw mut (*counters).exec_lost);
        }
    }
}

/// Reads the path to the beginning of the data; returns its length.
#[inline(always)]
unsafe fn read_path(scratch: *mut ExecScratch, binary: Binary, flags: &mut u16) -> u32 {
    // SAFETY: the scratch has PATH_MAX + 1 bytes and more; the helper reads kernel memory or fails.
    let read = unsafe {
        let data = (&raw mut (*scratch).data).cast();
        bpf_probe_read_kernel_str(data, PATH_MAX as u32 + 1, binary.filename() as *const _)
    };
    if read <= 1 {
        return 0; // empty, or not readable
    }
    if read > PATH_MAX as i64 {
        *flags |= flag::PATH_TRUNCATED;
        return PATH_MAX as u32 - 1;
    }
    read as u32 - 1
}

/// Reads the arguments behind the path; returns how many bytes.
#[inline(always)]
unsafe fn read_arguments(
    scratch: *mut ExecScratch,
    path_len: u32,
    task: Task,
    flags: &mut u16,
    counters: *mut Counters,
) -> u32 {
    let (start, end) = task.memory().arguments();
    let mut bytes = end.wrapping_sub(start);
    if bytes == 0 {
        return 0;
    }
    if bytes > ARGV_MAX as u64 {
        bytes = ARGV_MAX as u64;
        *flags |= flag::ARGV_TRUNCATED;
    }
    let at = (path_len as u64).min(PATH_MAX as u64) as usize;
    // SAFETY: at + bytes is within the data; the helper reads user memory or fails.
    let read = unsafe {
        let data = (&raw mut (*scratch).data).cast::<u8>().add(at);
        bpf_probe_read_user(data.cast(), bytes as u32, start as *const _)
    };
    if read != 0 {
        *flags = *flags & !flag::ARGV_TRUNCATED | flag::ARGV_UNREADABLE;
        // SAFETY: this processor's own counters.
        unsafe { (*counters).argv_unreadable += 1 };
        return 0;
    }
    bytes as u32
}

/// A thread is gone; a record is made for the last one of a process that had exec'd.
#[btf_tracepoint(function = "sched_process_exit")]
fn task_exit(ctx: BtfTracePointContext) -> i32 {
    // The argument is looked at before the cgroup is: it costs one load, and most exits of a threaded process end here.
    // SAFETY: sched_process_exit(task, group_dead), where the loader found that argument.
    if exit_has_group_dead() && unsafe { argument(&ctx, 1) } & 0xff == 0 {
        return 0;
    }
    if let Some(cgroup) = recorded_cgroup() {
        // SAFETY: sched_process_exit(task, ..).
        exit(unsafe { Task::new(argument(&ctx, 0)) }, cgroup);
    }
    0
}

#[inline(always)]
fn exit(task: Task, cgroup: u64) {
    let leader = task.leader();
    // The leader's flags: a thread has the flag of its own clone.
    if leader.flags() & PF_FORKNOEXEC != 0 {
        return;
    }
    let signal = task.signal();
    if !exit_has_group_dead() && signal.live() != 0 {
        return;
    }
    let key = RefusedKey { id: leader.start_boottime(), tgid: leader.tgid(), kind: kind::EXIT as u32 };
    if !exit_has_group_dead() && EXITED.insert(&key, &1, BPF_NOEXIST as u64).is_err() {
        return;
    }
    let Some(counters) = COUNTERS.get_ptr_mut(0) else { return };
    let flags = if signal.is_oom_victim() { flag::OOM_VICTIM } else { 0 };
    let head = head(kind::EXIT, flags, cgroup);
    let process = Process { start: key.id, tgid: key.tgid, parent: leader.real_parent().tgid(), comm: leader.comm() };
    let record = ExitRecord { head, process, status: leader.wait_status(), pad: 0 };
    // SAFETY: the counters are this processor's own; the record is on the stack.
    unsafe {
        (*counters).exits += 1;
        if !send((&raw const record).cast(), size_of::<ExitRecord>() as u64) {
            let refused = Refused { head, process, status_or_parent: record.status as u64 };
            refuse(&key, &refused, &raw mut (*counters).exit_deferred, &raw mut (*counters).exit_lost);
        }
    }
}
