//! `sock_send_length`, `sock_recv_length` and `inet_sock_set_state`: HTTP/2 on the sockets of tracked cgroups.
//!
//! The first two fire in net/socket.c behind every send and receive, with the bytes that it moved, in the context of the task: an I/O that
//! moved nothing, was refused, or only peeked is none. The bytes are where the system call's arguments say.

use super::argument;
use crate::kernel::{Call, Registers, Sock, Task};
use crate::maps::{CGROUPS, HTTP2_COUNTERS, HTTP2_SCRATCH, Http2Scratch, connection_made, connection_of};
use crate::record::{head, send_frames};
use crate::user_memory::Tap;
use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_pid_tgid, bpf_get_current_task_btf, bpf_get_socket_cookie, bpf_loop,
    bpf_probe_read_user, bpf_task_pt_regs,
};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use core::ffi::c_void;
use fleetscope_ebpf::http2::connection::state;
use fleetscope_ebpf::http2::{
    ClosedRecord, Connection, Direction, Http2Record, Next, SNIFF_STEPS_MAX, STEPS_MAX, Shared, Sniff, Walk, direction,
    unreadable, walker,
};
use fleetscope_ebpf::{kind, verdict};

/// `AF_UNIX`, `AF_INET`, `AF_INET6` of include/linux/socket.h.
const FAMILIES: [u16; 3] = [1, 2, 10];
const AF_UNIX: u16 = 1;
/// `SOCK_STREAM` of include/linux/net.h.
const SOCK_STREAM: u16 = 1;
/// Flags of include/linux/socket.h with which a receive takes no byte of the stream: `MSG_OOB`, `MSG_PEEK`, `MSG_ERRQUEUE`.
const NOT_OF_THE_STREAM: u32 = 0x1 | 0x2 | 0x2000;
/// `MSG_TRUNC`: the bytes are taken from the stream, and go nowhere.
const MSG_TRUNC: u32 = 0x20;
/// `TCP_CLOSE` of include/net/tcp_states.h.
const TCP_CLOSE: u32 = 7;

/// Bytes were sent.
#[btf_tracepoint(function = "sock_send_length")]
fn http2_send(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: sock_send_length(sk, ret, flags).
    unsafe { observe(argument(&ctx, 0), argument(&ctx, 1) as i32, 0, direction::SENT) };
    0
}

/// Bytes were received.
#[btf_tracepoint(function = "sock_recv_length")]
fn http2_recv(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: sock_recv_length(sk, ret, flags).
    unsafe { observe(argument(&ctx, 0), argument(&ctx, 1) as i32, argument(&ctx, 2) as u32, direction::RECEIVED) };
    0
}

/// A socket changed its state.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn http2_state(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: inet_sock_set_state(sk, oldstate, newstate).
    unsafe {
        if argument(&ctx, 2) as u32 == TCP_CLOSE {
            let connection = connection_of(argument(&ctx, 0));
            if !connection.is_null() {
                closed(&(*connection).shared, bpf_get_current_cgroup_id());
            }
        }
    }
    0
}

#[inline(always)]
unsafe fn observe(socket: u64, ret: i32, flags: u32, way: u8) {
    // SAFETY: an argument of the tracepoint.
    let sock = unsafe { Sock::new(socket) };
    let family = sock.family();
    if ret < 0 || flags & NOT_OF_THE_STREAM != 0 || sock.kind() != SOCK_STREAM || !FAMILIES.contains(&family) {
        return;
    }
    // SAFETY: a helper without arguments.
    let cgroup = unsafe { bpf_get_current_cgroup_id() };
    // SAFETY: the value is copied at once; a concurrent removal leaves an old verdict at worst.
    match unsafe { CGROUPS.get(cgroup) } {
        Some(bits) if *bits & verdict::RPC != 0 => {}
        _ => return,
    }
    // SAFETY: `socket` is an argument of the tracepoint; the value is the socket's own. Both directions of it may be at work at once,
    // on a part of their own; what they share are single bytes.
    unsafe {
        let mut connection = connection_of(socket);
        if ret == 0 {
            // The other end of a socket that has no state is gone.
            if way == direction::RECEIVED && family == AF_UNIX && !connection.is_null() {
                closed(&(*connection).shared, cgroup);
            }
            return;
        }
        if connection.is_null() {
            connection = connection_made(socket);
            if connection.is_null() {
                if let Some(counters) = HTTP2_COUNTERS.get_ptr_mut(0) {
                    (*counters).storage_full += 1;
                }
                return;
            }
            (*connection).shared.cookie = bpf_get_socket_cookie(socket as *mut _);
        }
        if (*connection).shared.state == state::REJECTED {
            return;
        }
        if let Some(scratch) = HTTP2_SCRATCH.get_ptr_mut(way as u32) {
            look(connection, scratch, cgroup, ret as u32, flags, way);
        }
    }
}

/// What the loops are given.
#[repr(C)]
struct Walked {
    scratch: *mut Http2Scratch,
    shared: *mut Shared,
    direction: *mut Direction,
}

#[inline(always)]
unsafe fn look(connection: *mut Connection, scratch: *mut Http2Scratch, cgroup: u64, len: u32, flags: u32, way: u8) {
    // SAFETY: both are values of maps; see `observe`.
    unsafe {
        let shared = &raw mut (*connection).shared;
        let one = if way == direction::SENT { &raw mut (*connection).sent } else { &raw mut (*connection).received };
        let mut next = walker::begin(&*shared, &mut *one);
        if next == Next::Skip {
            return;
        }
        let mut walked = Walked { scratch, shared, direction: one };
        let ctx: *mut c_void = (&raw mut walked).cast();
        begin_record(&raw mut (*scratch).record, cgroup, (*shared).cookie, way);
        if let Err(why) = find(scratch, len, flags) {
            count_unreadable(&*shared, why);
            (*scratch).walk = Walk::new(len);
            let mut tap = Tap { scratch };
            walker::unreadable(&mut (*scratch).walk, &mut *shared, &mut *one, &mut tap);
            walker::finish(&mut (*scratch).walk, &mut *shared, &mut *one, &mut tap);
            return;
        }
        if next == Next::Sniff {
            (*scratch).sniff = Sniff::new(len);
            bpf_loop(SNIFF_STEPS_MAX, sniff_step as *mut c_void, ctx, 0);
            next = walker::classify(&mut *shared, &mut *one, &(*scratch).sniff);
            (*scratch).memory.rewind();
        }
        match next {
            Next::Skip | Next::Sniff => return,
            Next::Tell => (*scratch).walk = Walk::rejected(&*shared),
            Next::Walk => {
                (*scratch).walk = Walk::new(len);
                bpf_loop(STEPS_MAX, walk_step as *mut c_void, ctx, 0);
                count_unreadable(&*shared, (*scratch).memory.fault as usize);
            }
        }
        walker::finish(&mut (*scratch).walk, &mut *shared, &mut *one, &mut Tap { scratch });
    }
}

unsafe extern "C" fn sniff_step(_: u32, walked: *mut Walked) -> i64 {
    // SAFETY: `look` gave it.
    unsafe {
        let scratch = (*walked).scratch;
        i64::from(!(*scratch).sniff.step(&mut Tap { scratch }))
    }
}

unsafe extern "C" fn walk_step(_: u32, walked: *mut Walked) -> i64 {
    // SAFETY: `look` gave it.
    unsafe {
        let scratch = (*walked).scratch;
        let (shared, direction) = (&mut *(*walked).shared, &mut *(*walked).direction);
        i64::from(!(*scratch).walk.step(shared, direction, &mut Tap { scratch }))
    }
}

/// Finds where the bytes are; else why they cannot be read, an index of [`unreadable`].
#[inline(always)]
unsafe fn find(scratch: *mut Http2Scratch, len: u32, flags: u32) -> Result<(), usize> {
    // SAFETY: the helpers give the current task and its registers; the scratch is this processor's own.
    unsafe {
        let task = bpf_get_current_task_btf();
        if Task::new(task as u64).is_worker() {
            return Err(unreadable::WORKER);
        }
        let registers = Registers::new(bpf_task_pt_regs(task) as u64);
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
            Call::Other => return Err(unreadable::CALL),
        }
    }
    Ok(())
}

/// What is the same in all records of one I/O.
#[inline(always)]
unsafe fn begin_record(record: *mut Http2Record, cgroup: u64, cookie: u64, way: u8) {
    // SAFETY: this processor's own.
    unsafe {
        (*record).head = head(kind::HTTP2, 0, cgroup);
        (*record).cookie = cookie;
        (*record).tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
        (*record).direction = way;
        (*record).pad = [0; 3];
    }
}

/// Counts an I/O whose bytes could not be read, when that is of a connection known to be HTTP/2.
#[inline(always)]
fn count_unreadable(shared: &Shared, why: usize) {
    if why < unreadable::NAMES.len()
        && matches!(shared.state, state::JOINED | state::COMPLETE)
        && let Some(counters) = HTTP2_COUNTERS.get_ptr_mut(0)
    {
        // SAFETY: this processor's own; the index is below the array's length.
        unsafe { *(&raw mut (*counters).unreadable).cast::<u64>().add(why) += 1 };
    }
}

/// Tells that a connection is closed, if it was HTTP/2.
#[inline(always)]
unsafe fn closed(shared: &Shared, cgroup: u64) {
    if !matches!(shared.state, state::JOINED | state::COMPLETE) {
        return;
    }
    // SAFETY: helpers without arguments; the record is on the stack; the counters are this processor's own.
    unsafe {
        let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
        let record = ClosedRecord { head: head(kind::HTTP2_CLOSED, 0, cgroup), cookie: shared.cookie, tgid, pad: 0 };
        let sent = send_frames((&raw const record).cast(), size_of::<ClosedRecord>() as u64);
        if let Some(counters) = HTTP2_COUNTERS.get_ptr_mut(0) {
            if sent {
                (*counters).records += 1;
            } else {
                (*counters).closes_lost += 1;
            }
        }
    }
}
