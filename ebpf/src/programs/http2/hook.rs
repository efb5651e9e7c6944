//! Dispatchers: what stays attached from agent to agent, and calls the programs of the one that is there; and what gives groups their verdict meanwhile.
//!
//! Replacing a place of a program array is atomic: an I/O is seen by the old agent's programs or by the new one's, never by both or none.
//! Without an agent the work goes on for [`pulse::LIFE`], as one that is rolled out comes soon. After that an I/O costs a look at the clock, and
//! that it passed unseen is noted: a direction must not go on as if nothing had been missed.

use crate::kernel::Cgroup;
use crate::maps::{CGROUPS, PULSE, WORK_RECV, WORK_SEND, WORK_STATE};
use crate::programs::argument;
use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::btf_maps::ProgramArray;
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use fleetscope_ebpf::pulse;

/// Bytes were sent.
#[btf_tracepoint(function = "sock_send_length")]
fn hook_send(ctx: BtfTracePointContext) -> i32 {
    dispatch(&ctx, &WORK_SEND);
    0
}

/// Bytes were received.
#[btf_tracepoint(function = "sock_recv_length")]
fn hook_recv(ctx: BtfTracePointContext) -> i32 {
    dispatch(&ctx, &WORK_RECV);
    0
}

/// A socket changed its state.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn hook_state(ctx: BtfTracePointContext) -> i32 {
    dispatch(&ctx, &WORK_STATE);
    0
}

/// A group was made: it inherits its parent's verdict, as by the agent's own program, which tells the agent of it, too. What is removed without an agent is
/// taken out by the next one.
#[btf_tracepoint(function = "cgroup_mkdir")]
fn hook_mkdir(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: cgroup_mkdir(cgroup, path).
    let group = unsafe { Cgroup::new(argument(&ctx, 0)) };
    let Some(beat) = PULSE.get_ptr(pulse::BEAT) else { return 0 };
    // SAFETY: it points into the map; a word is read whole.
    if group.is_default_hierarchy() && is_fresh(unsafe { core::ptr::read_volatile(beat) }) {
        // SAFETY: the value is copied at once.
        if let Some(verdict) = unsafe { CGROUPS.get(group.parent_id()) }.copied() {
            // Another verdict than the parent's may be the agent's already; a full map is counted by the agent's own program.
            let _ = CGROUPS.insert(group.id(), verdict, BPF_NOEXIST as u64);
        }
    }
    0
}

#[inline(always)]
fn dispatch(ctx: &BtfTracePointContext, work: &'static ProgramArray<1>) {
    let (Some(beat), Some(missed)) = (PULSE.get_ptr(pulse::BEAT), PULSE.get_ptr_mut(pulse::MISSED)) else { return };
    // SAFETY: both point into the map; words are read and written whole. A tail call ends this program, or does nothing.
    unsafe {
        let beat = core::ptr::read_volatile(beat);
        if is_fresh(beat) {
            work.tail_call(ctx, 0);
            // There is nothing to call, which no agent leaves so.
            core::ptr::write_volatile(missed, bpf_ktime_get_ns());
        } else if core::ptr::read_volatile(missed) != beat {
            // One note per beat is enough: no direction is looked at before the next beat.
            core::ptr::write_volatile(missed, beat);
        }
    }
}

/// Whether an agent is there, or is to come.
#[inline(always)]
fn is_fresh(beat: u64) -> bool {
    // SAFETY: the helper has no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    now.wrapping_sub(beat) as i64 <= pulse::LIFE as i64
}

/// What directions compare with: see [`pulse::MISSED`].
#[inline(always)]
pub(super) fn epoch() -> u64 {
    // SAFETY: it points into the map; a word is read whole.
    PULSE.get_ptr(pulse::MISSED).map_or(0, |missed| unsafe { core::ptr::read_volatile(missed) })
}
