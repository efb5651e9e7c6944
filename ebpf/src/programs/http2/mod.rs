//! HTTP/2 on the sockets of tracked cgroups.
//!
//! Two ways to see an I/O, of which the loader takes one. Both give the bytes to the walker of the lib, and its records to `FRAMES`.
//! - `socket`: behind each send and receive, for kernels that have these tracepoints (6.3)
//! - `syscall`: at the end of each system call, for those that have not
//!
//! `hook` stands before `socket` where the programs outlive their agent. `close` tells which connections are closed.

mod close;
mod hook;
mod socket;
mod syscall;

use crate::kernel::{Call, Registers, Task};
use crate::maps::{CGROUPS, HTTP2_COUNTERS, Http2Scratch, PULSE, READ_VERDICTS, READ_VERDICTS_MAX};
use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_probe_read_user};
use fleetscope_ebpf::http2::connection::state;
use fleetscope_ebpf::http2::{Connection, Direction, Http2Record, Shared, direction, unreadable};
use fleetscope_ebpf::{pulse, verdict};

/// `AF_UNIX`, `AF_INET`, `AF_INET6` of include/linux/socket.h.
const FAMILIES: [u16; 3] = [AF_UNIX, 2, 10];
const AF_UNIX: u16 = 1;
/// `SOCK_STREAM` of include/linux/net.h.
const SOCK_STREAM: u16 = 1;
/// Flags of include/linux/socket.h with which a receive takes no byte of the stream: `MSG_OOB`, `MSG_PEEK`, `MSG_ERRQUEUE`.
const NOT_OF_THE_STREAM: u32 = 0x1 | 0x2 | 0x2000;
/// `MSG_TRUNC`: the bytes are taken from the stream, and go nowhere.
const MSG_TRUNC: u32 = 0x20;
/// `TCP_CLOSE` of include/net/tcp_states.h.
const TCP_CLOSE: u32 = 7;

/// The current task.
#[inline(always)]
fn current_task() -> Task {
    // SAFETY: that is what the helper gives.
    unsafe { Task::new(bpf_get_current_task_btf() as u64) }
}

/// The task's cgroup, and whether its sockets are looked at: none, or the turn ([`verdict::TURN`]).
#[inline(always)]
fn observed_cgroup(task: Task) -> (u64, Option<u64>) {
    let cgroup = task.cgroup();
    let value = verdict_of(cgroup);
    (cgroup, (value & verdict::RPC as u64 != 0).then_some(value >> verdict::TURN))
}

/// What `CGROUPS` says of a group, as this processor read it last if nothing was changed since.
#[inline(always)]
fn verdict_of(cgroup: u64) -> u64 {
    let read = READ_VERDICTS.get_ptr_mut(cgroup as u32 & (READ_VERDICTS_MAX - 1));
    let (Some(read), Some(changes)) = (read, PULSE.get_ptr(pulse::VERDICTS)) else { return 0 };
    // SAFETY: the first is this processor's own, the second a word that is read whole. A verdict that changes after `changes` was read is
    // found by the next look, as the count has grown then.
    unsafe {
        let changes = core::ptr::read_volatile(changes);
        if (*read).cgroup != cgroup || (*read).changes != changes {
            (*read).cgroup = cgroup;
            (*read).changes = changes;
            (*read).bits = CGROUPS.get(cgroup).map_or(0, |bits| *bits as u64);
        }
        (*read).bits
    }
}

/// An I/O of a task whose sockets are not looked at: what was known of the direction is not true any more, and no sequence number will show it.
#[inline(always)]
unsafe fn pass_unseen(connection: *mut Connection, way: u8) {
    // SAFETY: the value of a map.
    unsafe {
        if !connection.is_null() {
            let one =
                if way == direction::SENT { &raw mut (*connection).sent } else { &raw mut (*connection).received };
            if !(*one).has_place() {
                (*one).missed();
            }
        }
    }
}

/// Finds where the bytes are; else why they cannot be read, an index of [`unreadable`].
#[inline(always)]
unsafe fn find(
    scratch: *mut Http2Scratch,
    task: Task,
    registers: Registers,
    len: u32,
    flags: u32,
) -> Result<(), usize> {
    if task.is_worker() {
        return Err(unreadable::WORKER);
    }
    // SAFETY: the scratch is this processor's own; the helper reads user memory or fails.
    unsafe {
        if !registers.is_native() {
            return Err(unreadable::COMPAT);
        }
        if flags & MSG_TRUNC != 0 {
            return Err(unreadable::CALL);
        }
        let memory = &mut (*scratch).memory;
        let message = registers.second();
        match registers.call() {
            Call::Buffer => memory.buffer(message, len),
            Call::Iovecs => memory.vector(message, registers.third(), len),
            Call::Messages if registers.third() as u32 != 1 => return Err(unreadable::MESSAGES),
            Call::Message | Call::Messages => {
                // `msg_iov` and `msg_iovlen` of include/linux/socket.h, `struct user_msghdr`.
                let mut iovecs = core::mem::MaybeUninit::<[u64; 2]>::uninit();
                if bpf_probe_read_user(iovecs.as_mut_ptr().cast(), 16, message.wrapping_add(16) as *const _) != 0 {
                    return Err(unreadable::FAULT);
                }
                let [address, count] = iovecs.assume_init();
                memory.vector(address, count, len);
            }
            Call::Sendfile | Call::Splice | Call::Other => return Err(unreadable::CALL),
        }
    }
    Ok(())
}

/// Compares where the socket is with where it was behind the last I/O that was seen; what passed in between makes the direction lost. So nothing
/// is built on a header table that missed something, whatever it was: a time without verdict, a task of another group, a program that was not run.
/// Whether its bytes come by the packets of the socket.
#[inline(always)]
unsafe fn check_place(place: u32, one: *mut Direction, len: u32, received: bool) -> bool {
    // SAFETY: the value of a map.
    unsafe {
        if (*one).pass(place, len, received) {
            miss(one);
        }
        (*one).has_place()
    }
}

/// Bytes passed unseen.
#[inline(always)]
unsafe fn miss(one: *mut Direction) {
    // SAFETY: the value of a map; the counters are this processor's own.
    unsafe {
        (*one).missed();
        if let Some(counters) = HTTP2_COUNTERS.get_ptr_mut(0) {
            (*counters).missed += 1;
        }
    }
}

/// Whether this is known to be HTTP/2.
#[inline(always)]
fn is_proven(shared: &Shared) -> bool {
    matches!(shared.state, state::JOINED | state::COMPLETE)
}

/// What is the same in all records of one I/O, but for how long its bytes waited; the rest is written when one is sent, as most I/Os send none.
#[inline(always)]
unsafe fn begin_record(record: *mut Http2Record, cgroup: u64, cookie: u64, way: u8) {
    // SAFETY: this processor's own.
    unsafe {
        (*record).head.cgroup = cgroup;
        (*record).cookie = cookie;
        (*record).direction = way;
        (*record).pad = [0; 3];
    }
}

/// Counts an I/O whose bytes could not be read, when that is of a connection known to be HTTP/2.
#[inline(always)]
fn count_unreadable(shared: &Shared, why: usize) {
    if why < unreadable::NAMES.len()
        && is_proven(shared)
        && let Some(counters) = HTTP2_COUNTERS.get_ptr_mut(0)
    {
        // SAFETY: this processor's own; the index is below the array's length.
        unsafe { *(&raw mut (*counters).unreadable).cast::<u64>().add(why) += 1 };
    }
}
