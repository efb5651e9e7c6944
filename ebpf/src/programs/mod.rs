//! The programs, one file per family of tracepoints.

mod cgroup;
mod http2;
mod runqueue;
mod task;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::programs::BtfTracePointContext;

/// The `n`th argument of a BTF tracepoint, as the register-sized word that the kernel passes.
///
/// # Safety
/// The tracepoint has it; the verifier refuses the program otherwise.
#[inline(always)]
unsafe fn argument(ctx: &BtfTracePointContext, n: usize) -> u64 {
    // SAFETY: as above. Volatile, so that the load is not moved in front of the test that the argument exists.
    unsafe { core::ptr::read_volatile(ctx.as_ptr().cast::<u64>().add(n)) }
}
