//! The ends of connections.
//!
//! TCP's sockets say when they are closed. Those of Unix do not, unless the other end goes first: connections on them are kept in `UNIX_SOCKETS`, and
//! when the agent has asked for it, which it does once a second, the next change of any TCP socket's state has the programs look at all of them.

use super::{AF_UNIX, is_proven};
use crate::kernel::FileSocket;
use crate::maps::{CLOSES, CONNECTIONS_BY_SOCKET, HTTP2_COUNTERS, PULSE, UNIX_SOCKETS};
use crate::record::{head, send_frames};
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::{bpf_for_each_map_elem, bpf_get_current_cgroup_id, bpf_ktime_get_boot_ns};
use core::ffi::c_void;
use fleetscope_ebpf::http2::{ClosedRecord, Connection, Direction, Shared};
use fleetscope_ebpf::{RecordHead, kind, pulse};

/// A connection is closed: when, and whether it was already. To be called before it is looked where its directions end: who finds the mark at the end of
/// an I/O that was under way, tells it again, and what has the later time was looked at later.
#[inline(always)]
pub(super) unsafe fn closing(shared: *mut Shared) -> (u64, bool) {
    // SAFETY: a value of a map; the helper has no arguments.
    unsafe {
        let closed = &raw mut (*shared).closed;
        let again = core::ptr::read_volatile(closed) != 0;
        core::ptr::write_volatile(closed, 1);
        (bpf_ktime_get_boot_ns(), again)
    }
}

/// Tells that a connection is closed, if it was HTTP/2; `sent` and `received` are where its directions end, `time` and `again` are what [`closing`] gave.
#[inline(always)]
pub(super) unsafe fn closed(connection: *const Connection, sent: u64, received: u64, time: u64, again: bool) {
    // SAFETY: a value of a map, of which words are read; `tell` as it says.
    unsafe {
        if is_proven(&(*connection).shared) {
            let streams = [(*connection).sent.opened, (*connection).received.opened];
            let (cookie, ends) = ((*connection).shared.cookie, [sent, received]);
            tell(time, ClosedRecord { cookie, ends, streams, again: again as u32, ..ClosedRecord::default() });
        }
    }
}

/// Where a direction ends: [`Direction::end`], also where it was not looked at for a time. `epoch` is what directions are compared with.
#[inline(always)]
pub(super) fn end(direction: &Direction, place: Option<u32>, epoch: u64) -> u64 {
    if epoch == direction.epoch { direction.end(place) } else { direction.seq.wrapping_add(1) }
}

#[inline(always)]
unsafe fn tell(time: u64, closed: ClosedRecord) {
    // SAFETY: the record is on the stack; the counters are this processor's own.
    unsafe {
        let head = RecordHead { time, ..head(kind::HTTP2_CLOSED, 0, bpf_get_current_cgroup_id()) };
        let record = ClosedRecord { head, ..closed };
        let sent = send_frames((&raw const record).cast(), size_of::<ClosedRecord>() as u64);
        let Some(counters) = HTTP2_COUNTERS.get_ptr_mut(0) else { return };
        if sent {
            (*counters).records += 1;
        } else if CLOSES.insert(record.cookie, record, BPF_ANY as u64).is_ok() {
            (*counters).closes_deferred += 1;
        } else {
            (*counters).closes_lost += 1;
        }
    }
}

/// A connection was found to be HTTP/2: if its socket is one of Unix, its close has to be looked for.
#[inline(always)]
pub(super) unsafe fn keep_unix(shared: &Shared, address: u64, family: u16) {
    if family != AF_UNIX {
        return;
    }
    // A socket without a file cannot be told from one that was closed.
    let kept = FileSocket::at(address)
        .is_some_and(|socket| UNIX_SOCKETS.insert(shared.cookie, socket, BPF_ANY as u64).is_ok());
    if !kept && let Some(counters) = HTTP2_COUNTERS.get_ptr_mut(0) {
        // SAFETY: this processor's own.
        unsafe { (*counters).unix_full += 1 };
    }
}

/// Looks which connections on Unix sockets were closed, if the agent has asked for it.
#[inline(always)]
pub(super) unsafe fn look_for_closed() {
    let Some(asked) = PULSE.get_ptr_mut(pulse::LOOK) else { return };
    // SAFETY: it points into the map; words are read and written whole. Two processors may look at once: one of them takes an entry out.
    unsafe {
        if core::ptr::read_volatile(asked) != 0 {
            core::ptr::write_volatile(asked, 0);
            let map: *mut c_void = (&raw const UNIX_SOCKETS).cast_mut().cast();
            let mut nothing = 0_u64;
            bpf_for_each_map_elem(map, look_at as *mut c_void, (&raw mut nothing).cast(), 0);
        }
    }
}

unsafe extern "C" fn look_at(_: *mut c_void, cookie: *const u64, socket: *const FileSocket, _: *mut c_void) -> i64 {
    // SAFETY: the helper gives key and value of the map.
    unsafe {
        let (cookie, socket) = (*cookie, *socket);
        if !socket.is_open() && UNIX_SOCKETS.remove(cookie).is_ok() {
            if let Some(kept) = CONNECTIONS_BY_SOCKET.get_ptr_mut(socket.address)
                && (*kept).inode == socket.inode
            {
                let _ = CONNECTIONS_BY_SOCKET.remove(socket.address);
            }
            tell(bpf_ktime_get_boot_ns(), ClosedRecord { cookie, late: 1, ..ClosedRecord::default() });
        }
    }
    0
}
