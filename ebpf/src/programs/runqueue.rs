//! `sched_wakeup`, `sched_wakeup_new` and `sched_switch`: how long threads of tracked cgroups wait for a processor.
//!
//! A wait begins when a thread is woken, or loses the processor while it could go on, and ends when it runs. All three run
//! with interrupts off and the run queue's lock held.

use super::argument;
use crate::kernel::Task;
use crate::maps::{CGROUPS, COUNTERS, RUNQUEUE, WAITING};
use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use core::arch::asm;
use fleetscope_ebpf::{RUNQUEUE_BUCKETS, RunqueueHistogram, verdict};

/// What a new entry of `RUNQUEUE` starts from.
static EMPTY: RunqueueHistogram = RunqueueHistogram { buckets: [0; RUNQUEUE_BUCKETS], sum: 0 };

/// A thread was woken.
#[btf_tracepoint(function = "sched_wakeup")]
fn runqueue_wakeup(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: sched_wakeup(task).
    begin_wait(unsafe { argument(&ctx, 0) });
    0
}

/// A new thread was put on a run queue for the first time.
#[btf_tracepoint(function = "sched_wakeup_new")]
fn runqueue_wakeup_new(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: sched_wakeup_new(task).
    begin_wait(unsafe { argument(&ctx, 0) });
    0
}

/// A processor goes from one thread to another.
#[btf_tracepoint(function = "sched_switch")]
fn runqueue_switch(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: sched_switch(preempt, prev, next, ..); of 5.18.0 to 5.18.x only, whose order differed, the verifier refuses it.
    let (preempted, prev, next) = unsafe { (argument(&ctx, 0) & 0xff != 0, argument(&ctx, 1), argument(&ctx, 2)) };
    // SAFETY: an argument of the tracepoint.
    if preempted || unsafe { Task::new(prev) }.state() == 0 {
        begin_wait(prev);
    }
    end_wait(next);
    0
}

#[inline(always)]
fn begin_wait(task: u64) {
    // SAFETY: an argument of the tracepoint. The verdict is copied at once.
    unsafe {
        let cgroup = Task::new(task).cgroup();
        let Some(bits) = CGROUPS.get(cgroup) else { return };
        if *bits & verdict::RUNQUEUE == 0 {
            return;
        }
        let since = WAITING.get_or_insert(task);
        if !since.is_null() {
            *since = bpf_ktime_get_ns();
        }
    }
}

#[inline(always)]
fn end_wait(task: u64) {
    // SAFETY: an argument of the tracepoint; the value is the thread's own, which waits or runs on one processor only.
    let waited = unsafe {
        let since = WAITING.get(task);
        if since.is_null() || *since == 0 {
            return;
        }
        let waited = bpf_ktime_get_ns().wrapping_sub(*since);
        *since = 0;
        waited
    };
    // SAFETY: an argument of the tracepoint.
    let cgroup = unsafe { Task::new(task) }.cgroup();
    let Some(histogram) = histogram_of(cgroup) else {
        if let Some(counters) = COUNTERS.get_ptr_mut(0) {
            // SAFETY: this processor's own counters.
            unsafe { (*counters).runqueue_full += 1 };
        }
        return;
    };
    let mut bucket = 0;
    let mut bound = 1_000;
    while bucket < RUNQUEUE_BUCKETS - 1 && waited > bound {
        bucket += 1;
        bound <<= 2;
    }
    // SAFETY: the bucket is below the array's length; other processors add to it too, hence atomic.
    unsafe {
        add((&raw mut (*histogram).buckets).cast::<u64>().add(bucket), 1);
        add(&raw mut (*histogram).sum, waited);
    }
}

/// The cgroup's histogram, made when it is the first time.
#[inline(always)]
fn histogram_of(cgroup: u64) -> Option<*mut RunqueueHistogram> {
    RUNQUEUE.get_ptr_mut(cgroup).or_else(|| {
        // Another processor may have been faster: then this fails, and the entry is there.
        let _ = RUNQUEUE.insert(cgroup, &EMPTY, BPF_NOEXIST as u64);
        RUNQUEUE.get_ptr_mut(cgroup)
    })
}

#[inline(always)]
unsafe fn add(to: *mut u64, value: u64) {
    // SAFETY: aligned, and inside a map's value. core has no atomics for this target, as it lacks compare-and-swap in its oldest
    // instruction set; the addition has been there from the first.
    unsafe { asm!("lock *(u64 *)({to} + 0) += {value}", to = in(reg) to, value = in(reg) value, options(nostack)) };
}
