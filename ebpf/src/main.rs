//! The eBPF programs. On the host this is an empty `main`, so that the workspace builds and tests without a BPF toolchain;
//! `ebpf/build.sh` builds it for `bpfel-unknown-none`.
//!
//! ```text
//! kernel tracepoint -> programs::{task, cgroup, runqueue} -> record -> RECORDS, else REFUSED, else COUNTERS.*_lost
//!                                                        \-> CGROUPS (verdicts), RUNQUEUE (histograms)
//! socket I/O -> programs::http2 -> user_memory -> the walker of the lib -> FRAMES, else HTTP2_COUNTERS.records_lost
//! ```
//!
//! # Layout
//! - `kernel`: typed views of the kernel's structures, at offsets that the loader takes from the running kernel's BTF
//! - `maps`: every map of the object
//! - `record`: how a record leaves: ring buffer, `REFUSED`, or the count of lost ones
//! - `user_memory`: the bytes of an I/O where the task has them
//! - `programs`: one file per family of tracepoints
//!
//! A program never writes kernel or user memory, never sleeps, and does nothing for a cgroup that is not in `CGROUPS`
//! but look that up. Nothing may panic: a bounds check that can fail does not pass the verifier, hence raw pointers.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))] // asm: an atomic addition
#![cfg_attr(
    target_arch = "bpf",
    expect(unsafe_code, reason = "programs read kernel memory through pointers that the verifier checks")
)]

#[cfg(target_arch = "bpf")]
mod kernel;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod programs;
#[cfg(target_arch = "bpf")]
mod record;
#[cfg(target_arch = "bpf")]
mod user_memory;

/// Without it the kernel refuses the GPL-only helpers, `bpf_probe_read_*` among them.
#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Unreachable: were it not, the verifier would refuse the endless loop.
    loop {}
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}
