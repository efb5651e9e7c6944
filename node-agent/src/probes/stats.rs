//! What the programs cost: the kernel's own counts.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

use aya::Ebpf;

/// The kernel's counts of one program since it was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramStats {
    /// The program's name in the object.
    pub program: String,
    /// Nanoseconds that it ran; grows only while statistics are on (sysctl `kernel.bpf_stats_enabled`).
    pub run_time_ns: u64,
    /// How often it ran; grows only while statistics are on.
    pub run_cnt: u64,
    /// Runs that the kernel skipped as the program was already running on that processor. Not 0 means that events were lost.
    pub recursion_misses: u64,
    /// Instructions that the verifier walked; 0 before kernel 5.16.
    pub verified_insns: u64,
}

/// Of every program that is loaded, and of the hooks that stay attached, to which the kernel counts what they call. By `/proc/self/fdinfo`, which needs no capability and has the misses, which aya does not show.
pub(super) fn read<'a>(ebpf: &Ebpf, hooks: impl Iterator<Item = (&'static str, BorrowedFd<'a>)>) -> Vec<ProgramStats> {
    let one = |name: &str, fd: BorrowedFd<'_>| {
        let fd = fd.as_raw_fd();
        let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        Some(parse(name, &text))
    };
    let hooks: Vec<ProgramStats> = hooks.filter_map(|(name, program)| one(name, program)).collect();
    let own = ebpf.programs().filter_map(|(name, program)| one(name, program.fd().ok()?.as_fd()));
    let own = own.filter(|stats| hooks.iter().all(|other| other.program != stats.program));
    let mut all: Vec<ProgramStats> = own.collect();
    all.extend(hooks);
    all.sort_by(|a, b| a.program.cmp(&b.program));
    all
}

/// Lines `key:\tvalue`; what is missing is 0.
fn parse(program: &str, text: &str) -> ProgramStats {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    };
    ProgramStats {
        program: program.to_owned(),
        run_time_ns: value("run_time_ns"),
        run_cnt: value("run_cnt"),
        recursion_misses: value("recursion_misses"),
        verified_insns: value("verified_insns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_taken_from_fdinfo_and_missing_ones_are_zero() {
        let text = "pos:\t0\nprog_type:\t26\nrun_time_ns:\t1234\nrun_cnt:\t7\nrecursion_misses:\t2\n";
        let stats =
            ProgramStats { program: "p".into(), run_time_ns: 1234, run_cnt: 7, recursion_misses: 2, verified_insns: 0 };
        assert_eq!(parse("p", text), stats);
        assert_eq!(parse("p", "run_cnt:\tmany"), ProgramStats { program: "p".into(), ..ProgramStats::default() });
    }
}
