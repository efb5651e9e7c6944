//! `sys_exit` and `inet_sock_set_state`, for kernels without the tracepoints of `socket`: 5.15 to 6.2.
//!
//! At the end of a system call its arguments are still there (`struct pt_regs` keeps what the task entered with) and what it moved is known, so
//! one look per call is enough. The socket is found by the descriptor; there is no socket storage for what is found that way, so connections
//! are kept in a hash by the socket's address. A sniff is a chain of programs, each of some steps, and so is a walk where the kernel lacks
//! `bpf_loop` (before 5.17): then an I/O may have some 300 frames, and one of more loses its place, which is counted.

use super::close::{closed, closing, end, keep_unix, look_for_closed};
use super::socket::{Walked, is_file_of, walk_step};
use super::{
    AF_UNIX, FAMILIES, MSG_TRUNC, NOT_OF_THE_STREAM, SOCK_STREAM, TCP_CLOSE, begin_record, check_place,
    count_unreadable, current_task, find, is_proven, miss, observed_cgroup,
};
use crate::kernel::{Call, FileSocket, Registers, Task};
use crate::maps::{CHAIN, CONNECTIONS_BY_SOCKET, HTTP2_COUNTERS, HTTP2_SCRATCH, Http2Scratch, KeptConnection};
use crate::programs::argument;
use crate::user_memory::Tap;
use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use aya_ebpf::helpers::generated::{bpf_loop, bpf_probe_read_user};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use core::ffi::c_void;
use fleetscope_ebpf::chain;
use fleetscope_ebpf::http2::connection::state;
use fleetscope_ebpf::http2::{
    Connection, Direction, Next, STEPS_MAX, Shared, Sniff, Walk, course, direction, unreadable,
};

/// Steps of the walk in one program of the chain. The kernel allows 33 programs in a row (include/linux/bpf.h, `MAX_TAIL_CALL_CNT`): some 300
/// steps, most of them a frame of the I/O, are left when a sniff has taken all that it may.
const WALK_STEPS: u32 = 12;
/// Steps of the sniff in one program of the chain, as more are too much for the verifier, and how many such programs there are at most: an I/O
/// of more than 32 frames proves nothing, another one will.
const SNIFF_STEPS: u32 = 4;
const SNIFFS: u32 = 8;
/// Of a `struct mmsghdr`, where `msg_len` is (include/linux/socket.h).
const MSG_LEN: u64 = 56;
/// A system call has ended.
#[btf_tracepoint(function = "sys_exit")]
fn http2_syscall(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: sys_exit(regs, ret).
    unsafe {
        let registers = Registers::new(argument(&ctx, 0));
        let ret = argument(&ctx, 1) as i64;
        if ret < 0 || registers.call() == Call::Other {
            return 0;
        }
        match observe(registers, ret) {
            Next::Sniff => CHAIN.tail_call(&ctx, chain::SNIFF),
            Next::Walk => CHAIN.tail_call(&ctx, chain::WALK),
            Next::Skip | Next::Tell => {}
        }
    }
    0
}

/// Some frames of a sniff.
#[btf_tracepoint(function = "sys_exit")]
fn http2_syscall_sniff(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: sys_exit(regs, ret); the registers are those of the program before.
    unsafe {
        match sniff(Registers::new(argument(&ctx, 0))) {
            Next::Sniff => CHAIN.tail_call(&ctx, chain::SNIFF),
            Next::Walk => CHAIN.tail_call(&ctx, chain::WALK),
            Next::Skip | Next::Tell => {}
        }
    }
    0
}

/// All of a walk, where the kernel has `bpf_loop`.
#[btf_tracepoint(function = "sys_exit")]
fn http2_syscall_loop(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: sys_exit(regs, ret); the registers are those of the programs before.
    unsafe {
        if let Some((scratch, shared, one)) = resume(Registers::new(argument(&ctx, 0))) {
            let mut walked = Walked { scratch, shared, direction: one };
            bpf_loop(STEPS_MAX, walk_step as *mut c_void, (&raw mut walked).cast(), 0);
            count_unreadable(&*shared, (*scratch).memory.fault as usize);
            finish(scratch, shared, one);
        }
    }
    0
}

/// Some steps of a walk, where the kernel has not.
#[btf_tracepoint(function = "sys_exit")]
fn http2_syscall_walk(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: sys_exit(regs, ret); the registers are those of the programs before.
    unsafe {
        let registers = Registers::new(argument(&ctx, 0));
        if walk(registers) {
            CHAIN.tail_call(&ctx, chain::WALK);
            // That was the last one that the kernel allows.
            end_walk(registers);
        }
    }
    0
}

/// A socket changed its state.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn http2_syscall_state(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: inet_sock_set_state(sk, oldstate, newstate).
    unsafe {
        if argument(&ctx, 2) as u32 == TCP_CLOSE {
            let socket = argument(&ctx, 0);
            if let Some(kept) = CONNECTIONS_BY_SOCKET.get_ptr_mut(socket) {
                let connection = &raw mut (*kept).connection;
                let (time, again) = closing(&raw mut (*connection).shared);
                let place =
                    if is_sending(current_task(), socket) { None } else { FileSocket::tcp_place_at(socket, false) };
                // Whether the group was looked at all the time shows in the places alone.
                let sent = (*connection).sent.end(place);
                let received = (*connection).received.end(FileSocket::tcp_place_at(socket, true));
                closed(connection, sent, received, time, again);
                let _ = CONNECTIONS_BY_SOCKET.remove(socket);
            }
        }
        look_for_closed();
    }
    0
}

/// Whether the task is in a call that sends on this socket: what that has moved is seen when it ends, and the answer that closes the connection (RST)
/// may be handled before. Of a call that receives what was asked for may be in those bytes, and nothing else will say so.
#[inline(always)]
fn is_sending(task: Task, socket: u64) -> bool {
    let registers = task.registers();
    registers.call() != Call::Other && !registers.is_receive() && is_file_of(task, registers.first() as u32, socket)
}

/// What is to be done with the bytes of a call.
#[inline(always)]
unsafe fn observe(registers: Registers, ret: i64) -> Next {
    let task = current_task();
    let (cgroup, Some(turn)) = observed_cgroup(task) else { return Next::Skip };
    // SAFETY: everything is a copy.
    unsafe {
        let (mut way, call) = (way_of(registers), registers.call());
        let mut socket = FileSocket::of(task, registers.first() as u32);
        if call == Call::Splice {
            way = direction::RECEIVED;
            if socket.is_none() {
                way = direction::SENT;
                socket = FileSocket::of(task, registers.third() as u32);
            }
        }
        let Some(socket) = socket else { return Next::Skip };
        let family = socket.family();
        if socket.kind() != SOCK_STREAM || !FAMILIES.contains(&family) {
            return Next::Skip;
        }
        let flags = if way == direction::RECEIVED { registers.receive_flags() } else { 0 };
        if flags & NOT_OF_THE_STREAM != 0 {
            return Next::Skip;
        }
        let known = CONNECTIONS_BY_SOCKET.get_ptr_mut(socket.address);
        if ret == 0 {
            if let Some(kept) = known
                && way == direction::RECEIVED
                && family == AF_UNIX
                && (*kept).inode == socket.inode
            {
                let connection = &raw mut (*kept).connection;
                let (time, again) = closing(&raw mut (*connection).shared);
                let ends = [end(&(*connection).sent, None, turn), end(&(*connection).received, None, turn)];
                closed(connection, ends[0], ends[1], time, again);
            }
            return Next::Skip;
        }
        let kept = match known {
            Some(kept) if (*kept).inode == socket.inode => kept,
            _ => {
                // Another socket was at this address; of one that is not TCP nobody said that it is gone.
                if let Some(kept) = known {
                    let connection = &raw mut (*kept).connection;
                    let (time, again) = closing(&raw mut (*connection).shared);
                    closed(connection, (*connection).sent.seq, (*connection).received.seq, time, again);
                }
                let mut fresh = KeptConnection::NOTHING;
                fresh.inode = socket.inode;
                // Apart from the cookies that the kernel gives.
                fresh.connection.shared.cookie = socket.inode | 1 << 63;
                (fresh.connection.sent.epoch, fresh.connection.received.epoch) = (turn, turn);
                // The other direction's first I/O, on another processor, may have been faster: what it has made stays.
                let how = if known.is_some() { BPF_ANY } else { BPF_NOEXIST };
                let _ = CONNECTIONS_BY_SOCKET.insert(socket.address, &fresh, how as u64);
                let Some(kept) = CONNECTIONS_BY_SOCKET.get_ptr_mut(socket.address) else {
                    if let Some(counters) = HTTP2_COUNTERS.get_ptr_mut(0) {
                        (*counters).storage_full += 1;
                    }
                    return Next::Skip;
                };
                kept
            }
        };
        let connection = &raw mut (*kept).connection;
        if (*connection).shared.state == state::REJECTED {
            return Next::Skip;
        }
        let Some(scratch) = HTTP2_SCRATCH.get_ptr_mut(way as u32) else { return Next::Skip };
        (*scratch).socket = socket.address;
        let one = if way == direction::SENT { &raw mut (*connection).sent } else { &raw mut (*connection).received };
        let len = match moved(registers, ret) {
            Ok(len) => len,
            // Neither how much nor where.
            Err(_) => 1,
        };
        let received = way == direction::RECEIVED;
        (*scratch).record.waited = 0;
        if let Some(place) = socket.tcp_place(received)
            && check_place(place, one, len, received)
            && received
        {
            (*scratch).record.waited = socket.tcp_waited();
        }
        // The group was not looked at for a time.
        if (*one).epoch != turn {
            (*one).epoch = turn;
            if !(*one).has_place() {
                miss(one);
            }
        }
        look(connection, scratch, task, registers, cgroup, len, flags, way)
    }
}

/// Bytes that the call moved. sendmmsg and recvmmsg say how many messages that were, and what each moved stands with it.
#[inline(always)]
unsafe fn moved(registers: Registers, ret: i64) -> Result<u32, usize> {
    if registers.call() != Call::Messages {
        return Ok(ret as u32);
    }
    let mut len = core::mem::MaybeUninit::<u32>::uninit();
    // SAFETY: the helper writes all four bytes, zeros where it fails.
    unsafe {
        let at = registers.second().wrapping_add(MSG_LEN);
        if bpf_probe_read_user(len.as_mut_ptr().cast(), 4, at as *const _) != 0 {
            return Err(unreadable::FAULT);
        }
        Ok(len.assume_init())
    }
}

#[inline(always)]
fn way_of(registers: Registers) -> u8 {
    if registers.is_receive() { direction::RECEIVED } else { direction::SENT }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one function in two parts: each is a register")]
unsafe fn look(
    connection: *mut Connection,
    scratch: *mut Http2Scratch,
    task: Task,
    registers: Registers,
    cgroup: u64,
    len: u32,
    flags: u32,
    way: u8,
) -> Next {
    // SAFETY: both are values of maps. Both directions of a connection may be at work at once, on a part of their own; what they share are
    // single bytes.
    unsafe {
        let shared = &raw mut (*connection).shared;
        let one = if way == direction::SENT { &raw mut (*connection).sent } else { &raw mut (*connection).received };
        let next = course::begin(&*shared, &mut *one);
        if next == Next::Skip {
            return Next::Skip;
        }
        (*scratch).proven = u32::from(is_proven(&*shared));
        begin_record(&raw mut (*scratch).record, cgroup, (*shared).cookie, way);
        (*scratch).walk = Walk::new(len);
        if let Err(why) = find(scratch, task, registers, len, flags & MSG_TRUNC) {
            count_unreadable(&*shared, why);
            let mut tap = Tap { scratch };
            course::unreadable(&mut (*scratch).walk, &mut *shared, &mut *one, &mut tap);
            course::finish(&mut (*scratch).walk, &mut *shared, &mut *one, &mut tap);
            return Next::Skip;
        }
        if next == Next::Sniff {
            (*scratch).sniff = Sniff::new(len);
            (*scratch).sniffs = SNIFFS;
        }
        next
    }
}

/// Some frames of a sniff; what is to be done next.
#[inline(always)]
unsafe fn sniff(registers: Registers) -> Next {
    // SAFETY: as of `look`.
    unsafe {
        let Some((scratch, shared, one)) = resume(registers) else { return Next::Skip };
        let mut more = true;
        for _ in 0..SNIFF_STEPS {
            more = (*scratch).sniff.step(&mut Tap { scratch });
            if !more {
                break;
            }
        }
        (*scratch).sniffs = (*scratch).sniffs.wrapping_sub(1);
        if more && (*scratch).sniffs != 0 {
            return Next::Sniff;
        }
        let next = course::classify(&mut *shared, &mut *one, &(*scratch).sniff);
        (*scratch).memory.rewind();
        if next == Next::Tell {
            (*scratch).walk = Walk::rejected(&*shared);
            course::finish(&mut (*scratch).walk, &mut *shared, &mut *one, &mut Tap { scratch });
        }
        if next == Next::Walk { Next::Walk } else { Next::Skip }
    }
}

/// Some steps of a walk; whether there are more.
#[inline(always)]
unsafe fn walk(registers: Registers) -> bool {
    // SAFETY: as of `look`.
    unsafe {
        let Some((scratch, shared, one)) = resume(registers) else { return false };
        for _ in 0..WALK_STEPS {
            if !(*scratch).walk.step(&mut *shared, &mut *one, &mut Tap { scratch }) {
                count_unreadable(&*shared, (*scratch).memory.fault as usize);
                finish(scratch, shared, one);
                return false;
            }
        }
        true
    }
}

/// Ends a walk that cannot go on: the place in the stream is lost, and what was found is sent.
#[inline(always)]
unsafe fn end_walk(registers: Registers) {
    // SAFETY: as of `look`.
    unsafe {
        if let Some((scratch, shared, one)) = resume(registers) {
            finish(scratch, shared, one);
        }
    }
}

/// Ends a walk.
#[inline(always)]
unsafe fn finish(scratch: *mut Http2Scratch, shared: *mut Shared, one: *mut Direction) {
    // SAFETY: as of `look`.
    unsafe {
        course::finish(&mut (*scratch).walk, &mut *shared, &mut *one, &mut Tap { scratch });
        if (*scratch).proven == 0 && is_proven(&*shared) {
            let address = (*scratch).socket;
            keep_unix(&*shared, address, FileSocket::family_at(address));
        }
    }
}

/// What the program before was at work on. No other program for the same direction runs on this processor in between.
#[inline(always)]
unsafe fn resume(registers: Registers) -> Option<(*mut Http2Scratch, *mut Shared, *mut Direction)> {
    let way = way_of(registers);
    // SAFETY: values of maps.
    unsafe {
        let scratch = HTTP2_SCRATCH.get_ptr_mut(way as u32)?;
        let connection = &raw mut (*CONNECTIONS_BY_SOCKET.get_ptr_mut((*scratch).socket)?).connection;
        let shared = &raw mut (*connection).shared;
        let one = if way == direction::SENT { &raw mut (*connection).sent } else { &raw mut (*connection).received };
        Some((scratch, shared, one))
    }
}
