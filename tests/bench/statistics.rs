//! The kernel's statistics of eBPF programs.

use std::fs;
use std::os::fd::OwnedFd;

/// On while this lives, or its process, whatever others do with `kernel.bpf_stats_enabled` meanwhile.
pub(crate) struct Statistics(#[expect(dead_code, reason = "the kernel looks whether it is open")] OwnedFd);

impl Statistics {
    pub(crate) fn on() -> Self {
        Self(aya::sys::enable_stats(aya::sys::Stats::RunTime).unwrap())
    }
}

/// The kernel's release.
pub(crate) fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap().trim().to_owned()
}
