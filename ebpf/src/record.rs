//! How a record leaves the kernel: the ring buffer, else `REFUSED`, else the count of lost ones.

use crate::kernel::{frames_wakeup_bytes, wakeup_bytes};
use crate::maps::{FRAMES, RECORDS, REFUSED};
use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::generated::{
    bpf_get_smp_processor_id, bpf_ktime_get_boot_ns, bpf_ringbuf_output, bpf_ringbuf_query,
};
use core::ffi::c_void;
use fleetscope_ebpf::{RecordHead, Refused, RefusedKey};

/// A head of now and here.
#[inline(always)]
pub(crate) fn head(kind: u16, flags: u16, cgroup: u64) -> RecordHead {
    // SAFETY: helpers without arguments.
    let (time, cpu) = unsafe { (bpf_ktime_get_boot_ns(), bpf_get_smp_processor_id() as u32) };
    RecordHead { kind, flags, cpu, time, cgroup }
}

/// Whether the ring buffer took it. The reader drains on a timer; it is woken only when the buffer fills faster than that,
/// as a wake-up costs more than all the rest of a record.
///
/// # Safety
/// `record` has `bytes` bytes.
#[inline(always)]
pub(crate) unsafe fn send(record: *const c_void, bytes: u64) -> bool {
    // SAFETY: the map is a ring buffer; the record is the caller's.
    unsafe { output((&raw const RECORDS).cast_mut().cast(), wakeup_bytes(), record, bytes) }
}

/// As [`send`], for records of HTTP/2.
///
/// # Safety
/// As of [`send`].
#[inline(always)]
pub(crate) unsafe fn send_frames(record: *const c_void, bytes: u64) -> bool {
    // SAFETY: the map is a ring buffer; the record is the caller's.
    unsafe { output((&raw const FRAMES).cast_mut().cast(), frames_wakeup_bytes(), record, bytes) }
}

#[inline(always)]
unsafe fn output(ring: *mut c_void, wakeup_bytes: u64, record: *const c_void, bytes: u64) -> bool {
    // SAFETY: the verifier checks the map and the record's bounds.
    unsafe {
        let waiting = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA as u64);
        let wakeup = if waiting >= wakeup_bytes { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP };
        bpf_ringbuf_output(ring, record.cast_mut(), bytes, wakeup as u64) == 0
    }
}

/// Leaves what the ring buffer refused in `REFUSED`; counts it as deferred, or as lost when that is full too.
#[inline(always)]
pub(crate) fn refuse(key: &RefusedKey, refused: &Refused, deferred: *mut u64, lost: *mut u64) {
    let count = if REFUSED.insert(key, refused, 0).is_ok() { deferred } else { lost };
    // SAFETY: both point into this processor's counters.
    unsafe { *count += 1 };
}
