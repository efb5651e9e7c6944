//! Sockets: those that a tracepoint gives, and those behind a descriptor.

use super::{
    FDT_ARRAY, FDT_MAX, FILE_INODE, FILE_PRIVATE, FILES_FDT, INODE_MODE, INODE_NUMBER, SOCK_FAMILY, SOCK_PROTOCOL,
    SOCK_SOCKET, SOCK_TYPE, SOCKET_FILE, SOCKET_SOCK, Sock, TASK_FILES, TCP_COPIED_SEQ, TCP_LAST_DATA, TCP_WRITE_SEQ,
    TICK_MICROSECONDS, Task, TcpSock, constant,
};
use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_probe_read_kernel, bpf_skc_to_tcp_sock};

/// `S_IFMT` and `S_IFSOCK` of include/uapi/linux/stat.h.
const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;

impl Sock {
    /// `AF_*`
    #[inline(always)]
    pub(crate) fn family(self) -> u16 {
        self.member(&SOCK_FAMILY)
    }

    /// `SOCK_*`
    #[inline(always)]
    pub(crate) fn kind(self) -> u16 {
        self.member(&SOCK_TYPE)
    }

    /// The same one, if it is one of TCP.
    #[inline(always)]
    pub(crate) fn tcp(self) -> Option<TcpSock> {
        // SAFETY: the helper is given a socket, and gives the same one or null.
        let tcp = unsafe { bpf_skc_to_tcp_sock(self.0.cast_mut().cast()) };
        (!tcp.is_null()).then(|| TcpSock(tcp.cast_const().cast()))
    }
}

impl TcpSock {
    /// As [`FileSocket::tcp_place`].
    #[inline(always)]
    pub(crate) fn place(self, received: bool) -> u32 {
        self.member(if received { &TCP_COPIED_SEQ } else { &TCP_WRITE_SEQ })
    }

    /// Microseconds since it received data last, at least.
    #[inline(always)]
    pub(crate) fn waited(self) -> u32 {
        if constant(&TCP_LAST_DATA) == 0 { 0 } else { since(self.member(&TCP_LAST_DATA)) }
    }
}

/// `IPPROTO_TCP` of include/uapi/linux/in.h.
const IPPROTO_TCP: u16 = 6;

/// A socket that has a file, by copies of what the kernel has: nothing of it is a pointer that the verifier knows.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct FileSocket {
    /// Address of its `struct sock`.
    pub(crate) address: u64,
    /// Number of its inode.
    pub(crate) inode: u64,
}

impl FileSocket {
    /// The socket of the task's descriptor; none if it is something else.
    #[inline(always)]
    pub(crate) fn of(task: Task, descriptor: u32) -> Option<Self> {
        let table: u64 = copy(task.member::<u64>(&TASK_FILES), &FILES_FDT)?;
        let most: u32 = copy(table, &FDT_MAX)?;
        if descriptor >= most {
            return None;
        }
        let array: u64 = copy(table, &FDT_ARRAY)?;
        let file: u64 = copy_at(array.wrapping_add(descriptor as u64 * 8))?;
        let inode: u64 = copy(file, &FILE_INODE)?;
        let mode: u16 = copy(inode, &INODE_MODE)?;
        if mode & S_IFMT != S_IFSOCK {
            return None;
        }
        let socket: u64 = copy(file, &FILE_PRIVATE)?;
        Some(Self { address: copy(socket, &SOCKET_SOCK)?, inode: copy(inode, &INODE_NUMBER)? })
    }

    /// The one whose `struct sock` is there; none if it has no file.
    #[inline(always)]
    pub(crate) fn at(address: u64) -> Option<Self> {
        let file: u64 = copy(copy(address, &SOCK_SOCKET)?, &SOCKET_FILE)?;
        let inode: u64 = copy(file, &FILE_INODE)?;
        Some(Self { address, inode: copy(inode, &INODE_NUMBER)? })
    }

    /// Whether it still is open. A socket is cut off its file when the last descriptor goes; and what is in its memory afterwards has another
    /// file, or none.
    #[inline(always)]
    pub(crate) fn is_open(self) -> bool {
        Self::at(self.address).is_some_and(|now| now.inode == self.inode)
    }

    /// `AF_*`; 0 when the socket is gone.
    #[inline(always)]
    pub(crate) fn family(self) -> u16 {
        Self::family_at(self.address)
    }

    /// As [`Self::family`], of the `struct sock` that is there.
    #[inline(always)]
    pub(crate) fn family_at(address: u64) -> u16 {
        copy(address, &SOCK_FAMILY).unwrap_or(0)
    }

    /// `SOCK_*`; 0 when the socket is gone.
    #[inline(always)]
    pub(crate) fn kind(self) -> u16 {
        copy(self.address, &SOCK_TYPE).unwrap_or(0)
    }

    /// The sequence number behind what the task has sent, or received, of a socket of TCP; none of any other.
    #[inline(always)]
    pub(crate) fn tcp_place(self, received: bool) -> Option<u32> {
        Self::tcp_place_at(self.address, received)
    }

    /// As [`TcpSock::waited`], of a socket of TCP; 0 when it is gone.
    #[inline(always)]
    pub(crate) fn tcp_waited(self) -> u32 {
        if constant(&TCP_LAST_DATA) == 0 { 0 } else { copy(self.address, &TCP_LAST_DATA).map_or(0, since) }
    }

    /// As [`Self::tcp_place`], of the `struct sock` that is there.
    #[inline(always)]
    pub(crate) fn tcp_place_at(address: u64, received: bool) -> Option<u32> {
        if copy(address, &SOCK_PROTOCOL) != Some(IPPROTO_TCP) {
            return None;
        }
        copy(address, if received { &TCP_COPIED_SEQ } else { &TCP_WRITE_SEQ })
    }
}

/// Microseconds since the tick that had this number (include/net/tcp.h, `tcp_jiffies32`), at least: all but one of the ticks since then are over.
#[inline(always)]
fn since(tick: u32) -> u32 {
    // SAFETY: the helper has no arguments.
    let ticks = (unsafe { bpf_jiffies64() } as u32).wrapping_sub(tick);
    // Another processor may have seen the next tick before this one did: that is no long time ago.
    let over = if ticks > i32::MAX as u32 { 0 } else { ticks.saturating_sub(1) };
    let microseconds = over as u64 * constant(&TICK_MICROSECONDS) as u64;
    if microseconds > u32::MAX as u64 { u32::MAX } else { microseconds as u32 }
}

/// A copy of a member; none where there is no such memory.
#[inline(always)]
fn copy<T: Copy>(structure: u64, offset: &'static u32) -> Option<T> {
    copy_at(structure.wrapping_add(constant(offset) as u64))
}

#[inline(always)]
fn copy_at<T: Copy>(address: u64) -> Option<T> {
    let mut value = core::mem::MaybeUninit::<T>::uninit();
    // SAFETY: the helper writes all bytes, zeros where it fails; T is an integer.
    unsafe {
        if bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, address as *const _) != 0 {
            return None;
        }
        Some(value.assume_init())
    }
}
