//! `io_uring` by its system calls, of which libc has the numbers and nothing else: one ring, one operation at a time.
//!
//! Layouts and numbers are those of `include/uapi/linux/io_uring.h`.

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// `IORING_OP_SEND`
pub(crate) const SEND: u8 = 26;
/// `IORING_OP_RECV`
pub(crate) const RECV: u8 = 27;
/// `IOSQE_ASYNC`: a worker of the kernel does it.
pub(crate) const BY_WORKER: u8 = 1 << 4;

/// `IORING_ENTER_GETEVENTS`
const GETEVENTS: u32 = 1;
/// `IORING_OFF_SQ_RING` and `IORING_OFF_SQES`; the completions are in the first one, too (`IORING_FEAT_SINGLE_MMAP`, kernel 5.4).
const RINGS: i64 = 0;
const ENTRIES: i64 = 0x1000_0000;
/// Bytes of a `struct io_uring_sqe`.
const ENTRY: usize = 64;

/// `struct io_uring_params`
#[repr(C)]
#[derive(Default)]
struct Params {
    sq_entries: u32,
    cq_entries: u32,
    flags: [u32; 8],
    /// head, tail, `ring_mask`, `ring_entries`, flags, dropped, array, and what is reserved.
    sq: [u32; 10],
    /// head, tail, `ring_mask`, `ring_entries`, overflow, cqes, and what is reserved.
    cq: [u32; 10],
}
const _: () = assert!(size_of::<Params>() == 120);

/// A ring of one entry.
pub(crate) struct Ring {
    fd: OwnedFd,
    rings: *mut u8,
    entry: *mut u8,
    params: Params,
}

impl Ring {
    /// Fails where the machine does not allow it.
    pub(crate) fn new() -> io::Result<Self> {
        let mut params = Params::default();
        // SAFETY: the kernel writes the parameters; the descriptor is new.
        let fd = unsafe {
            let fd = libc::syscall(libc::SYS_io_uring_setup, 1, &raw mut params);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(RawFd::try_from(fd).expect("a descriptor"))
        };
        let submissions = params.sq[6] as usize + params.sq_entries as usize * 4;
        let completions = params.cq[5] as usize + params.cq_entries as usize * 16;
        let rings = map(&fd, submissions.max(completions), RINGS)?;
        let entry = map(&fd, ENTRY * params.sq_entries as usize, ENTRIES)?;
        Ok(Self { fd, rings, entry, params })
    }

    /// Begins an operation on a socket.
    ///
    /// # Safety
    /// The buffer lives until it is done.
    pub(crate) unsafe fn begin(&mut self, operation: u8, flags: u8, socket: RawFd, buffer: *mut u8, len: usize) {
        let mut entry = [0_u8; ENTRY];
        entry[0] = operation;
        entry[1] = flags;
        entry[4..8].copy_from_slice(&socket.to_ne_bytes());
        entry[16..24].copy_from_slice(&(buffer.addr() as u64).to_ne_bytes());
        entry[24..28].copy_from_slice(&u32::try_from(len).expect("below 4 GiB").to_ne_bytes());
        let tail = self.word(self.params.sq[1]);
        let at = tail.load(Ordering::Relaxed);
        // SAFETY: there is one entry, and none is in the kernel's hands, as it took the last one before `enter` returned.
        unsafe { std::ptr::copy_nonoverlapping(entry.as_ptr(), self.entry, ENTRY) };
        self.word(self.params.sq[6]).store(0, Ordering::Relaxed);
        tail.store(at.wrapping_add(1), Ordering::Release);
        assert_eq!(self.enter(1, 0), 1, "it is taken: {}", io::Error::last_os_error());
    }

    /// Waits for the operation; what it gave.
    pub(crate) fn end(&mut self) -> isize {
        let head = self.word(self.params.cq[0]);
        let at = head.load(Ordering::Relaxed);
        while self.word(self.params.cq[1]).load(Ordering::Acquire) == at {
            self.enter(0, 1);
        }
        let mask = self.word(self.params.cq[2]).load(Ordering::Relaxed);
        // `struct io_uring_cqe`: user_data, then the result.
        let result = self.word(self.params.cq[5] + (at & mask) * 16 + 8).load(Ordering::Relaxed);
        head.store(at.wrapping_add(1), Ordering::Release);
        isize::try_from(result.cast_signed()).expect("it is as wide")
    }

    fn enter(&self, submit: u32, wait: u32) -> i64 {
        let flags = if wait > 0 { GETEVENTS } else { 0 };
        // SAFETY: there is no signal mask.
        unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                self.fd.as_raw_fd(),
                submit,
                wait,
                flags,
                std::ptr::null::<c_void>(),
                0_usize,
            )
        }
    }

    /// A word of the rings, which the kernel shares.
    fn word(&self, at: u32) -> &AtomicU32 {
        // SAFETY: the kernel gave the offset, which is one of an aligned word in the mapping; that lives as long as the process.
        unsafe { &*self.rings.add(at as usize).cast() }
    }
}

fn map(fd: &OwnedFd, bytes: usize, offset: i64) -> io::Result<*mut u8> {
    let (rights, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_POPULATE);
    // SAFETY: a new mapping, which replaces none.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), bytes, rights, kind, fd.as_raw_fd(), offset) };
    if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(at.cast()) }
}
