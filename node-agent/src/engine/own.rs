//! The agent's figures of itself: what the kernel counted, what was read, and what the agent costs.

use fleetscope_core::metrics::{
    BPF_RUN_TIME, BPF_RUNS, BUILD_INFO, EVENTS_DEFERRED, EVENTS_LOST, HTTP_DEGRADED, PROBE_INFO, SELF_CPU, SELF_MEMORY,
    WATCH_ERRORS,
};
use fleetscope_core::series::Registry;
use fleetscope_ebpf::Counters;

use super::handle::Degraded;
use crate::info::VERSION;
use crate::probes::report::{ProbeReport, State};
use crate::probes::stats::ProgramStats;
use crate::procfs::own_usage;

/// Most characters of a reason that a label carries; the log and /readyz have all of it.
const REASON_MAX: usize = 160;

/// Kinds of the objects that are watched, values of the label `kind`.
pub(super) const WATCHED: [&str; 2] = ["Pod", "AgentFleet"];

/// Sets what does not change, and starts counters at 0 so that their first step is seen.
pub(super) fn begin(registry: &mut Registry, report: &[ProbeReport]) {
    registry.set(&BUILD_INFO, None, &["node-agent", VERSION], 1.0);
    for kind in WATCHED {
        registry.add(&WATCH_ERRORS, None, &[kind], 0.0);
    }
    for why in Degraded::ALL {
        registry.add(&HTTP_DEGRADED, None, &[why.name()], 0.0);
    }
    let mut told = Vec::new();
    for row in report {
        if told.contains(&row.probe) {
            continue;
        }
        told.push(row.probe);
        // A probe is as good as the worst of its programs; those of a way that is not taken do not count.
        let mut own =
            report.iter().filter(|other| other.probe == row.probe && !matches!(other.state, State::Standby { .. }));
        let Some(first) = own.clone().next() else { continue };
        let worst = own.find(|other| other.state != State::Attached).unwrap_or(first);
        let reason: String = worst.state.reason().chars().take(REASON_MAX).collect();
        registry.set(&PROBE_INFO, None, &[worst.mode, worst.probe, &reason, worst.state.name()], 1.0);
    }
    kernel(registry, &Counters::default());
}

/// Sets what the programs counted.
pub(super) fn kernel(registry: &mut Registry, counters: &Counters) {
    let deferred =
        [("exec", counters.exec_deferred), ("exit", counters.exit_deferred), ("cgroup", counters.cgroup_deferred)];
    for (kind, count) in deferred {
        registry.set(&EVENTS_DEFERRED, None, &[kind], number(count));
    }
    let lost = [
        ("kernel_exec", counters.exec_lost),
        ("kernel_exit", counters.exit_lost),
        ("kernel_cgroup", counters.cgroup_lost),
        ("kernel_cgroups_full", counters.cgroups_full),
        ("argv_unreadable", counters.argv_unreadable),
        ("runqueue_full", counters.runqueue_full),
    ];
    for (reason, count) in lost {
        registry.set(&EVENTS_LOST, None, &[reason], number(count));
    }
}

/// Sets what the programs cost, and how often the kernel skipped one as it was running already.
pub(super) fn programs(registry: &mut Registry, stats: &[ProgramStats]) {
    for program in stats {
        let seconds = std::time::Duration::from_nanos(program.run_time_ns).as_secs_f64();
        registry.set(&BPF_RUN_TIME, None, &[&program.program], seconds);
        registry.set(&BPF_RUNS, None, &[&program.program], number(program.run_cnt));
    }
    let misses = stats.iter().map(|program| program.recursion_misses).sum();
    registry.set(&EVENTS_LOST, None, &["program_recursion"], number(misses));
}

/// Sets what the agent itself uses.
pub(super) fn usage(registry: &mut Registry) {
    if let Some((cpu, memory)) = own_usage() {
        registry.set(&SELF_CPU, None, &[], cpu);
        registry.set(&SELF_MEMORY, None, &[], number(memory));
    }
}

/// A count as a sample: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "samples are doubles in every exposition format")]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}
