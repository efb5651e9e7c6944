//! The bytes of an I/O, where the task has them: what the walker (`fleetscope_ebpf::http2`) reads in the kernel.
//!
//! The kernel has just copied them, so they are there; where they are not any more, the I/O is unreadable, and nothing is guessed.
//! A read of user memory costs more than all else that is done for a frame, however short it is: headers and short blocks are taken from a
//! window of some hundred bytes, so that one read is enough for most I/Os.

use crate::maps::{HTTP2_COUNTERS, Http2Scratch};
use crate::record::{head, send_frames};
use aya_ebpf::helpers::generated::bpf_probe_read_user;
use core::arch::asm;
use fleetscope_ebpf::http2::io::PEEK_BYTES;
use fleetscope_ebpf::http2::{
    Batch, FLUSH_BYTES, FRAME_HEAD_BYTES, FrameHead, Http2Record, IOVECS_MAX, Io, PIECE_MAX, RECORD_BYTES_MAX,
    unreadable,
};
use fleetscope_ebpf::kind;

/// Bytes of user memory that are looked at at once.
const WINDOW: u32 = 512;
/// Most bytes of a piece that are copied out of the window, a multiple of 8.
const COPY_MAX: u32 = 128;
/// Bytes of a `struct iovec`.
const IOVEC: u64 = 16;

/// Where the bytes of an I/O lie, and what of them was read last.
#[repr(C)]
pub(crate) struct UserMemory {
    /// Address of the one buffer, or of the array of iovecs.
    address: u64,
    /// Address of the byte at `begin`.
    base: u64,
    /// Bytes of the I/O.
    len: u32,
    /// How many iovecs there are; 0 for one buffer.
    iovecs: u32,
    /// The next iovec.
    next: u32,
    /// Positions in the I/O between which `base` is known.
    begin: u32,
    end: u32,
    /// Positions in the I/O between which `window` holds its bytes.
    window_begin: u32,
    window_end: u32,
    /// Why bytes could not be read, an index of [`unreadable`]; more than the last one while all could.
    pub(crate) fault: u32,
    /// Behind the window there is room for a peek that begins at its end.
    window: [u8; (WINDOW + PEEK_BYTES) as usize],
}

impl UserMemory {
    /// One buffer.
    #[inline(always)]
    pub(crate) fn buffer(&mut self, address: u64, len: u32) {
        self.address = address;
        self.iovecs = 0;
        self.len = len;
        self.rewind();
    }

    /// So many `struct iovec`.
    #[inline(always)]
    pub(crate) fn vector(&mut self, address: u64, iovecs: u64, len: u32) {
        self.address = address;
        self.iovecs = if iovecs > IOVECS_MAX as u64 { IOVECS_MAX } else { iovecs as u32 };
        self.len = len;
        self.rewind();
    }

    /// Begins at the first byte again. What the window holds stays.
    #[inline(always)]
    pub(crate) fn rewind(&mut self) {
        self.base = self.address;
        self.next = 0;
        self.begin = 0;
        self.end = if self.iovecs == 0 { self.len } else { 0 };
        self.window_begin = 0;
        self.window_end = 0;
        self.fault = unreadable::NAMES.len() as u32;
    }

    /// Goes on to the next iovec; false when there is none, or it cannot be read.
    #[inline(always)]
    fn advance(&mut self) -> bool {
        self.fault = unreadable::FAULT as u32;
        if self.next >= self.iovecs {
            return false;
        }
        let at = self.address.wrapping_add(self.next as u64 * IOVEC);
        let mut iovec = core::mem::MaybeUninit::<[u64; 2]>::uninit();
        // SAFETY: the helper writes all 16 bytes, zeros where it fails.
        let [base, bytes] = unsafe {
            if bpf_probe_read_user(iovec.as_mut_ptr().cast(), IOVEC as u32, at as *const _) != 0 {
                return false;
            }
            iovec.assume_init()
        };
        let left = self.len.wrapping_sub(self.end);
        self.fault = unreadable::NAMES.len() as u32;
        self.next = self.next.wrapping_add(1);
        self.base = base;
        self.begin = self.end;
        self.end = self.end.wrapping_add(if bytes > left as u64 { left } else { bytes as u32 });
        true
    }

    /// Fills the window from `at` on; false when not even `least` bytes can be read.
    #[inline(always)]
    fn look(&mut self, at: u32, least: u32) -> bool {
        let from = self.base.wrapping_add(at.wrapping_sub(self.begin) as u64);
        let mut bytes = self.end.wrapping_sub(at).min(WINDOW);
        let window: *mut core::ffi::c_void = (&raw mut self.window).cast();
        // SAFETY: the window has WINDOW bytes and more; the helper reads user memory or fails.
        unsafe {
            if bpf_probe_read_user(window, bytes.min(WINDOW), from as *const _) != 0 {
                // The next page may be missing while this one is there.
                bytes = least.min(PEEK_BYTES);
                if bpf_probe_read_user(window, bytes.min(PEEK_BYTES), from as *const _) != 0 {
                    self.fault = unreadable::FAULT as u32;
                    return false;
                }
            }
        }
        self.window_begin = at;
        self.window_end = at.wrapping_add(bytes);
        true
    }
}

/// One I/O under observation.
pub(crate) struct Tap {
    /// This processor's and this direction's own.
    pub(crate) scratch: *mut Http2Scratch,
}

impl Tap {
    /// Copies a short piece out of the window, zeros up to a multiple of 8; false when it is not all there.
    ///
    /// # Safety
    /// `to` has room for [`COPY_MAX`] bytes.
    #[inline(always)]
    unsafe fn copy(&mut self, to: *mut u8, bytes: u32, at: u32) -> bool {
        let memory = self.memory();
        if bytes > COPY_MAX || at < memory.window_begin || at.wrapping_add(bytes) > memory.window_end {
            return false;
        }
        let offset = at.wrapping_sub(memory.window_begin).min(WINDOW) as usize;
        // SAFETY: behind the window the map's value goes on for longer than COPY_MAX.
        unsafe {
            let from = (&raw const (*self.scratch).memory.window).cast::<u8>().add(offset);
            for word in 0..COPY_MAX / 8 {
                if word * 8 >= bytes {
                    break;
                }
                let at = (word * 8) as usize;
                to.add(at).cast::<u64>().write(self::word(from.add(at)));
            }
            let over = bytes & 7;
            if over != 0 {
                let last = to.add((bytes & !7) as usize).cast::<u64>();
                last.write(last.read() & ((1 << (over * 8)) - 1));
            }
        }
        true
    }

    #[inline(always)]
    fn memory(&mut self) -> &mut UserMemory {
        // SAFETY: a value of the map, which no other program uses at the same time; no other reference to this field lives.
        unsafe { &mut (*self.scratch).memory }
    }
}

impl Io for Tap {
    #[inline(always)]
    fn run(&mut self, at: u32) -> Option<u32> {
        let memory = self.memory();
        if at < memory.end {
            return Some(memory.end.wrapping_sub(at));
        }
        memory.advance().then_some(0)
    }

    #[inline(always)]
    fn peek(&mut self, at: u32, len: u32) -> Option<[u8; PEEK_BYTES as usize]> {
        let memory = self.memory();
        let seen = at >= memory.window_begin && at.wrapping_add(len) <= memory.window_end;
        if !seen && !memory.look(at, len) {
            return None;
        }
        // Below WINDOW, as `at` is in the window; said again for the verifier.
        let offset = at.wrapping_sub(memory.window_begin).min(WINDOW) as usize;
        // SAFETY: PEEK_BYTES bytes follow a position of at most WINDOW.
        Some(unsafe { words((&raw const memory.window).cast::<u8>().add(offset)) })
    }

    #[inline(always)]
    fn put(&mut self, fill: u32, head: FrameHead, at: u32) -> bool {
        // The bounds hold already; said again right before their use, as the verifier forgets them in memory.
        let fill = at_most(fill, FLUSH_BYTES) as usize;
        let captured = at_most(head.captured as u32, PIECE_MAX);
        // SAFETY: FLUSH_BYTES, a head, PIECE_MAX and a padding fit into the data.
        unsafe {
            let to = (&raw mut (*self.scratch).data).cast::<u8>().add(fill);
            let payload = to.add(FRAME_HEAD_BYTES as usize);
            if captured != 0 && !self.copy(payload, captured, at) {
                let memory = self.memory();
                let from = memory.base.wrapping_add(at.wrapping_sub(memory.begin) as u64);
                payload.add((captured & !7) as usize).cast::<u64>().write(0);
                if bpf_probe_read_user(payload.cast(), captured, from as *const _) != 0 {
                    memory.fault = unreadable::FAULT as u32;
                    return false;
                }
            }
            to.cast::<FrameHead>().write(head);
        }
        true
    }

    #[inline(always)]
    fn send(&mut self, batch: Batch) {
        let Batch { seq, bytes, pieces, start, end } = batch;
        let Some(counters) = HTTP2_COUNTERS.get_ptr_mut(0) else { return };
        // SAFETY: both are this processor's own; the data has RECORD_BYTES_MAX bytes and more.
        unsafe {
            let record = &raw mut (*self.scratch).record;
            (*record).head = head(kind::HTTP2, 0, (*record).head.cgroup);
            (*record).seq = seq;
            (*record).bytes = bytes;
            (*record).pieces = pieces;
            (*record).start = start;
            (*record).end = end;
            let bytes = size_of::<Http2Record>() as u64 + at_most(bytes, RECORD_BYTES_MAX) as u64;
            if send_frames(record.cast_const().cast(), bytes) {
                (*counters).records += 1;
            } else {
                (*counters).records_lost += 1;
                (*counters).pieces_lost += pieces as u64;
            }
        }
    }
}

/// The lesser of both. The compiler cannot tell that it is `value`, and so the bound is there where the verifier looks for it.
#[inline(always)]
fn at_most(value: u32, max: u32) -> u32 {
    let mut value = value as u64;
    // SAFETY: nothing is done.
    unsafe { asm!("{value} = {value}", value = inout(reg) value, options(nostack, nomem, pure)) };
    (value as u32).min(max)
}

/// 16 bytes, wherever they begin.
///
/// # Safety
/// As of [`word`].
#[inline(always)]
unsafe fn words(at: *const u8) -> [u8; PEEK_BYTES as usize] {
    // SAFETY: both have the same bytes.
    unsafe { core::mem::transmute([word(at), word(at.add(8))]) }
}

/// 8 bytes, wherever they begin. The compiler would load them one by one, as it does not know that the machines which this runs on
/// load words from any address.
///
/// # Safety
/// They are in a map's value.
#[inline(always)]
unsafe fn word(at: *const u8) -> u64 {
    let value: u64;
    // SAFETY: the verifier checks the load.
    unsafe {
        asm!("{value} = *(u64 *)({at} + 0)", at = in(reg) at, value = out(reg) value, options(nostack, readonly))
    };
    value
}
