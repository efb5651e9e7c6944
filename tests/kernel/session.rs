//! Loaded probes, and what they recorded.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fleetscope_core::records::{self, Record};
use fleetscope_ebpf::{Counters, verdict};
use fleetscope_node_agent::probes::maps::{Maps, Records};
use fleetscope_node_agent::probes::programs::{CGROUPS, TASKS};
use fleetscope_node_agent::probes::{Options, Probes, Rpc};

use crate::group::Group;

/// Attached probes of one test.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) probes: Probes,
    ring: Records,
}

/// Everything that was recorded since the last look.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    ring: Vec<Vec<u8>>,
    refused: Vec<fleetscope_ebpf::Refused>,
}

impl Session {
    /// Probes without run-queue latency and calls, which only their own tests need.
    pub(crate) fn new() -> Self {
        Self::with(&Options { runqueue: false, rpc: Rpc::Off, ..Options::default() })
    }

    /// Probes with options of the test's.
    pub(crate) fn with(options: &Options) -> Self {
        let mut probes = Probes::load(options);
        let table = fleetscope_node_agent::probes::report::table(probes.report());
        assert!(probes.attached(TASKS) && probes.attached(CGROUPS), "\n{table}");
        let ring = probes.maps().expect("the maps are there").records().expect("nobody took the reader");
        Self { probes, ring }
    }

    /// The maps.
    pub(crate) fn maps(&mut self) -> &mut Maps {
        self.probes.maps().expect("the maps are there")
    }

    /// Has the processes of a group and of those that are made below it recorded.
    pub(crate) fn track(&mut self, group: &Group) {
        self.verdict(group, verdict::TASKS);
    }

    /// Sets a group's verdict.
    pub(crate) fn verdict(&mut self, group: &Group, verdict: u32) {
        let written = self.maps().set_verdicts([(group.id(), verdict)]).expect("verdicts can be written");
        assert_eq!(written.written, 1, "the map has room");
    }

    /// Takes what is there. The kernel writes an exit before the parent's wait returns, so after a wait nothing is still to come.
    pub(crate) fn take(&mut self) -> Seen {
        let mut seen = Seen::default();
        while self.ring.drain(|record| seen.ring.push(record.to_vec())) > 0 {}
        let refused = &mut seen.refused;
        self.probes
            .maps()
            .expect("the maps are there")
            .drain_refused(|_, each| refused.push(*each))
            .expect("the map can be read");
        seen
    }

    /// The programs' counts.
    pub(crate) fn counters(&mut self) -> Counters {
        self.maps().counters().expect("the counts can be read")
    }
}

impl Seen {
    /// All records, those of the ring buffer first.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let ring = self.ring.iter().map(|bytes| records::parse(bytes).expect("the programs write valid records"));
        ring.chain(
            self.refused
                .iter()
                .map(|refused| records::from_refused(refused).expect("the programs write valid records")),
        )
    }

    /// Executions.
    pub(crate) fn execs(&self) -> Vec<records::Exec<'_>> {
        self.records().filter_map(|record| if let Record::Exec(exec) = record { Some(exec) } else { None }).collect()
    }

    /// Exits.
    pub(crate) fn exits(&self) -> Vec<records::Exit> {
        self.records().filter_map(|record| if let Record::Exit(exit) = record { Some(exit) } else { None }).collect()
    }

    /// How many records came by `REFUSED`.
    pub(crate) fn refused(&self) -> usize {
        self.refused.len()
    }

    /// How often each wait status came.
    pub(crate) fn statuses(&self) -> BTreeMap<u32, usize> {
        let mut counts = BTreeMap::new();
        for exit in self.exits() {
            *counts.entry(exit.status).or_default() += 1;
        }
        counts
    }

    /// One line per record, for messages: what happened in which order.
    pub(crate) fn story(&self) -> String {
        let mut story = String::new();
        for record in self.records() {
            let _ = match record {
                Record::Exec(exec) => writeln!(story, "exec {}", exec.path.map_or("?".into(), String::from_utf8_lossy)),
                Record::Exit(exit) => {
                    writeln!(story, "exit {} {:#x}", String::from_utf8_lossy(exit.process.comm()), exit.status)
                }
                Record::CgroupMade(made) => {
                    writeln!(story, "made {}", made.path.map_or("?".into(), String::from_utf8_lossy))
                }
                Record::CgroupGone(gone) => writeln!(story, "gone {}", gone.cgroup),
            };
        }
        story
    }
}
