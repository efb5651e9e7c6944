//! `sock_send_length`, `sock_recv_length` and `inet_sock_set_state`.
//!
//! The first two fire in net/socket.c behind every send and receive, with the bytes that it moved, in the context of the task: an I/O that
//! moved nothing, was refused, or only peeked is none. The bytes are where the system call's arguments say.

use super::close::{closed, closing, end, keep_unix, look_for_closed};
use super::hook::epoch;
use super::{
    AF_UNIX, FAMILIES, NOT_OF_THE_STREAM, SOCK_STREAM, TCP_CLOSE, begin_record, check_place, count_unreadable,
    current_task, find, is_proven, observed_cgroup, pass_unseen,
};
use crate::kernel::{FileSocket, Registers, Sock, Task};
use crate::maps::{HTTP2_COUNTERS, HTTP2_SCRATCH, Http2Scratch, connection_made, connection_of};
use crate::programs::argument;
use crate::user_memory::Tap;
use aya_ebpf::helpers::generated::{bpf_get_socket_cookie, bpf_loop};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use core::ffi::c_void;
use fleetscope_ebpf::http2::connection::state;
use fleetscope_ebpf::http2::{
    Connection, Direction, Next, SNIFF_STEPS_MAX, STEPS_MAX, Shared, Sniff, Walk, course, direction, unreadable,
};

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
        let (socket, old, new) = (argument(&ctx, 0), argument(&ctx, 1) as u32, argument(&ctx, 2) as u32);
        if old == TCP_CLOSE || new == TCP_CLOSE {
            let connection = connection_of(socket);
            if !connection.is_null() {
                if new == TCP_CLOSE {
                    close_tcp(socket, connection);
                } else {
                    // The same socket is connected anew.
                    (*connection).shared.closed = 0;
                }
            }
        }
        look_for_closed();
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
    // SAFETY: `socket` is an argument of the tracepoint; the value is the socket's own. Both directions of it may be at work at once,
    // on a part of their own; what they share are single bytes.
    unsafe {
        // The socket before the group: of most sockets that carry something else this one look is all.
        let mut connection = connection_of(socket);
        if !connection.is_null() && (*connection).shared.state == state::REJECTED {
            return;
        }
        let task = current_task();
        let (cgroup, observed) = observed_cgroup(task);
        if observed.is_none() {
            if ret > 0 {
                pass_unseen(connection, way);
            }
            return;
        }
        if ret == 0 {
            // The other end of a socket that has no state is gone.
            if way == direction::RECEIVED && family == AF_UNIX && !connection.is_null() {
                let ((time, again), now) = (closing(&raw mut (*connection).shared), epoch());
                let ends = [end(&(*connection).sent, None, now), end(&(*connection).received, None, now)];
                tell_closed(connection, ends[0], ends[1], time, again);
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
        }
        let epoch = epoch();
        if (*connection).shared.cookie == 0 {
            // The other direction's first I/O, on another processor, may be here too, with the same values. Who finds the cookie
            // finds the rest.
            ((*connection).sent.epoch, (*connection).received.epoch) = (epoch, epoch);
            (*connection).shared.cookie = bpf_get_socket_cookie(socket as *mut _);
        }
        let one = if way == direction::SENT { &raw mut (*connection).sent } else { &raw mut (*connection).received };
        // Each direction by itself, as both may be at work at once.
        if (*one).epoch != epoch {
            (*one).epoch = epoch;
            (*one).missed();
        }
        if let Some(scratch) = HTTP2_SCRATCH.get_ptr_mut(way as u32) {
            look(socket, task, connection, scratch, cgroup, ret as u32, flags, way);
        }
        if (*connection).shared.closed != 0 && family != AF_UNIX {
            // The close came while this I/O was under way: where the connection ends was not known yet.
            close_tcp(socket, connection);
        }
    }
}

/// Tells that the connection on a socket of TCP is closed.
#[inline(always)]
unsafe fn close_tcp(socket: u64, connection: *mut Connection) {
    // SAFETY: `socket` is an argument of the tracepoint; the value is the socket's own. What is read of it are words, each as it was before an
    // I/O that is under way, or after it.
    unsafe {
        let ((time, again), sock, now) = (closing(&raw mut (*connection).shared), Sock::new(socket), epoch());
        let tcp = sock.tcp();
        let sent = end(&(*connection).sent, tcp.map(|tcp| tcp.place(false)), now);
        let received = end(&(*connection).received, tcp.map(|tcp| tcp.place(true)), now);
        tell_closed(connection, sent, received, time, again);
    }
}

/// What the loops are given.
#[repr(C)]
pub(super) struct Walked {
    pub(super) scratch: *mut Http2Scratch,
    pub(super) shared: *mut Shared,
    pub(super) direction: *mut Direction,
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one function in two parts: each is a register")]
unsafe fn look(
    socket: u64,
    task: Task,
    connection: *mut Connection,
    scratch: *mut Http2Scratch,
    cgroup: u64,
    len: u32,
    flags: u32,
    way: u8,
) {
    // SAFETY: as of `observe`; what it found are values of maps.
    unsafe {
        let sock = Sock::new(socket);
        let shared = &raw mut (*connection).shared;
        let one = if way == direction::SENT { &raw mut (*connection).sent } else { &raw mut (*connection).received };
        let received = way == direction::RECEIVED;
        (*scratch).record.waited = 0;
        if let Some(tcp) = sock.tcp()
            && check_place(tcp.place(received), one, len, received)
            && received
        {
            (*scratch).record.waited = tcp.waited();
        }
        let mut next = course::begin(&*shared, &mut *one);
        if next == Next::Skip {
            return;
        }
        let proven = is_proven(&*shared);
        let mut walked = Walked { scratch, shared, direction: one };
        let ctx: *mut c_void = (&raw mut walked).cast();
        begin_record(&raw mut (*scratch).record, cgroup, (*shared).cookie, way);
        let registers = task.registers();
        let found = if is_of_this_call(task, registers, socket, received) {
            find(scratch, task, registers, len, flags)
        } else {
            Err(unreadable::CALL)
        };
        if let Err(why) = found {
            count_unreadable(&*shared, why);
            (*scratch).walk = Walk::new(len);
            let mut tap = Tap { scratch };
            course::unreadable(&mut (*scratch).walk, &mut *shared, &mut *one, &mut tap);
            course::finish(&mut (*scratch).walk, &mut *shared, &mut *one, &mut tap);
            return;
        }
        if next == Next::Sniff {
            (*scratch).sniff = Sniff::new(len);
            bpf_loop(SNIFF_STEPS_MAX, sniff_step as *mut c_void, ctx, 0);
            next = course::classify(&mut *shared, &mut *one, &(*scratch).sniff);
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
        course::finish(&mut (*scratch).walk, &mut *shared, &mut *one, &mut Tap { scratch });
        if !proven && is_proven(&*shared) {
            keep(&*shared, socket, sock.family());
        }
    }
}

/// Whether the I/O is that of the call which the task is in. What `io_uring` was given is done whenever the task is on its way back to user mode, and
/// the call that it comes from then is about something else.
#[inline(always)]
fn is_of_this_call(task: Task, registers: Registers, socket: u64, received: bool) -> bool {
    !task.has_io_uring() || (registers.is_receive() == received && is_file_of(task, registers.first() as u32, socket))
}

// What is seldom called has a frame of its own: the way of each I/O is some 30 ns shorter without it. Not where the end of system calls is
// looked at: programs that call the next one of a chain may have no functions on arm64 before 6.0.

/// Whether a descriptor of the task is this socket.
#[inline(never)]
pub(super) fn is_file_of(task: Task, descriptor: u32, socket: u64) -> bool {
    FileSocket::of(task, descriptor).is_some_and(|own| own.address == socket)
}

#[inline(never)]
unsafe fn tell_closed(connection: *const Connection, sent: u64, received: u64, time: u64, again: bool) {
    // SAFETY: as of `closed`.
    unsafe { closed(connection, sent, received, time, again) };
}

#[inline(never)]
unsafe fn keep(shared: &Shared, socket: u64, family: u16) {
    // SAFETY: as of `keep_unix`.
    unsafe { keep_unix(shared, socket, family) };
}

unsafe extern "C" fn sniff_step(_: u32, walked: *mut Walked) -> i64 {
    // SAFETY: `look` gave it.
    unsafe {
        let scratch = (*walked).scratch;
        i64::from(!(*scratch).sniff.step(&mut Tap { scratch }))
    }
}

pub(super) unsafe extern "C" fn walk_step(_: u32, walked: *mut Walked) -> i64 {
    // SAFETY: `look` gave it.
    unsafe {
        let scratch = (*walked).scratch;
        let (shared, direction) = (&mut *(*walked).shared, &mut *(*walked).direction);
        i64::from(!(*scratch).walk.step(shared, direction, &mut Tap { scratch }))
    }
}
