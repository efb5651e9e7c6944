//! The system call that a task is in, by the registers with which it entered the kernel.

use super::{
    REGS_CALL, REGS_FIRST, REGS_FOURTH, REGS_MODE, REGS_MODE_MASK, REGS_MODE_USER, REGS_SECOND, REGS_THIRD, Registers,
    SYS_READ, SYS_READV, SYS_RECVFROM, SYS_RECVMMSG, SYS_RECVMSG, SYS_SENDFILE, SYS_SENDMMSG, SYS_SENDMSG, SYS_SENDTO,
    SYS_SPLICE, SYS_WRITE, SYS_WRITEV, constant,
};

/// What a system call says of the memory of its I/O.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// A buffer: read, write, recvfrom, sendto.
    Buffer,
    /// An array of `struct iovec`: readv, writev.
    Iovecs,
    /// A `struct user_msghdr`: recvmsg, sendmsg.
    Message,
    /// An array of `struct mmsghdr`, which begin with a `user_msghdr`: recvmmsg, sendmmsg.
    Messages,
    /// From a file to the socket of the first argument: sendfile.
    Sendfile,
    /// From the socket of the first argument to a pipe, or from a pipe to that of the third: splice.
    Splice,
    /// Another.
    Other,
}

impl Registers {
    /// Whether the task is of the machine's own width, so that the other registers are where they are looked for.
    #[inline(always)]
    pub(crate) fn is_native(self) -> bool {
        self.member::<u16>(&REGS_MODE) as u32 & constant(&REGS_MODE_MASK) == constant(&REGS_MODE_USER)
    }

    /// Which system call it is.
    #[inline(always)]
    pub(crate) fn call(self) -> Call {
        let number: u32 = self.member(&REGS_CALL);
        if number == constant(&SYS_READ)
            || number == constant(&SYS_WRITE)
            || number == constant(&SYS_RECVFROM)
            || number == constant(&SYS_SENDTO)
        {
            Call::Buffer
        } else if number == constant(&SYS_RECVMSG) || number == constant(&SYS_SENDMSG) {
            Call::Message
        } else if number == constant(&SYS_READV) || number == constant(&SYS_WRITEV) {
            Call::Iovecs
        } else if number == constant(&SYS_RECVMMSG) || number == constant(&SYS_SENDMMSG) {
            Call::Messages
        } else if number == constant(&SYS_SENDFILE) {
            Call::Sendfile
        } else if number == constant(&SYS_SPLICE) {
            Call::Splice
        } else {
            Call::Other
        }
    }

    /// Whether the call, which has a buffer, receives.
    #[inline(always)]
    pub(crate) fn is_receive(self) -> bool {
        let number: u32 = self.member(&REGS_CALL);
        number == constant(&SYS_READ)
            || number == constant(&SYS_READV)
            || number == constant(&SYS_RECVFROM)
            || number == constant(&SYS_RECVMSG)
            || number == constant(&SYS_RECVMMSG)
    }

    /// The flags `MSG_*` of a call that receives; 0 for those that have none.
    #[inline(always)]
    pub(crate) fn receive_flags(self) -> u32 {
        let number: u32 = self.member(&REGS_CALL);
        if number == constant(&SYS_RECVFROM) || number == constant(&SYS_RECVMMSG) {
            self.member::<u64>(&REGS_FOURTH) as u32
        } else if number == constant(&SYS_RECVMSG) {
            self.third() as u32
        } else {
            0
        }
    }

    /// The first argument.
    #[inline(always)]
    pub(crate) fn first(self) -> u64 {
        self.member(&REGS_FIRST)
    }

    /// The second argument.
    #[inline(always)]
    pub(crate) fn second(self) -> u64 {
        self.member(&REGS_SECOND)
    }

    /// The third argument.
    #[inline(always)]
    pub(crate) fn third(self) -> u64 {
        self.member(&REGS_THIRD)
    }
}
