//! `cgroup_mkdir` and `cgroup_rmdir`.
//!
//! The kernel calls `cgroup_mkdir` before the new group's folder can be seen (kernel/cgroup/cgroup.c, before `kernfs_activate`),
//! so the verdict is there before a process can enter. Both run for every hierarchy; only cgroup2 has ids of ours.

use super::argument;
use crate::kernel::Cgroup;
use crate::maps::{CGROUP_SCRATCH, CGROUPS, COUNTERS};
use crate::record::{head, refuse, send};
use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use fleetscope_ebpf::verdict::BITS;
use fleetscope_ebpf::{CGROUP_PATH_MAX, CgroupRecord, Counters, Process, Refused, RefusedKey, kind};

/// A group was made: it inherits its parent's verdict.
#[btf_tracepoint(function = "cgroup_mkdir")]
fn cgroup_mkdir(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: cgroup_mkdir(cgroup, path).
    let (group, path) = unsafe { (Cgroup::new(argument(&ctx, 0)), argument(&ctx, 1)) };
    if group.is_default_hierarchy() {
        made(group, path);
    }
    0
}

#[inline(always)]
fn made(group: Cgroup, path: u64) {
    let parent = group.parent_id();
    // SAFETY: the value is copied at once.
    let Some(verdict) = (unsafe { CGROUPS.get(parent) }).copied() else { return };
    let (Some(counters), Some(scratch)) = (COUNTERS.get_ptr_mut(0), CGROUP_SCRATCH.get_ptr_mut(0)) else { return };
    let id = group.id();
    // SAFETY: both are this processor's own.
    unsafe {
        if CGROUPS.insert(id, verdict, 0).is_err() {
            (*counters).cgroups_full += 1;
        }
        let data = (&raw mut (*scratch).path).cast();
        let read = bpf_probe_read_kernel_str(data, CGROUP_PATH_MAX as u32, path as *const _);
        let path_len = if read <= 1 { 0 } else { (read as u32).min(CGROUP_PATH_MAX as u32) - 1 };
        let record = CgroupRecord { head: head(kind::CGROUP_MADE, 0, id), parent, path_len, verdict: verdict & BITS };
        (&raw mut (*scratch).record).write(record);
        let bytes = size_of::<CgroupRecord>() as u64 + (path_len as u64).min(CGROUP_PATH_MAX as u64);
        if !send(scratch.cast_const().cast(), bytes) {
            defer(&record, counters);
        }
    }
}

/// A group was removed: its verdict goes; its run-queue histogram stays until user space has taken it.
#[btf_tracepoint(function = "cgroup_rmdir")]
fn cgroup_rmdir(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: cgroup_rmdir(cgroup, path).
    let group = unsafe { Cgroup::new(argument(&ctx, 0)) };
    if group.is_default_hierarchy() {
        gone(group);
    }
    0
}

#[inline(always)]
fn gone(group: Cgroup) {
    let id = group.id();
    // SAFETY: the value is copied at once.
    let Some(verdict) = (unsafe { CGROUPS.get(id) }).copied() else { return };
    // It was there a moment ago; when user space removed it in between, there is nothing left to do.
    let _ = CGROUPS.remove(id);
    let Some(counters) = COUNTERS.get_ptr_mut(0) else { return };
    let record = CgroupRecord {
        head: head(kind::CGROUP_GONE, 0, id),
        parent: group.parent_id(),
        path_len: 0,
        verdict: verdict & BITS,
    };
    // SAFETY: the counters are this processor's own; the record is on the stack.
    unsafe {
        if !send((&raw const record).cast(), size_of::<CgroupRecord>() as u64) {
            defer(&record, counters);
        }
    }
}

#[inline(always)]
unsafe fn defer(record: &CgroupRecord, counters: *mut Counters) {
    let key = RefusedKey { id: record.head.cgroup, tgid: 0, kind: record.head.kind as u32 };
    let process = Process { start: 0, tgid: 0, parent: 0, comm: [0; 16] };
    let refused = Refused { head: record.head, process, status_or_parent: record.parent };
    // SAFETY: the counters are this processor's own.
    unsafe { refuse(&key, &refused, &raw mut (*counters).cgroup_deferred, &raw mut (*counters).cgroup_lost) };
}
