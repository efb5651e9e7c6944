//! What could not be used in full, by reason.

use crate::metrics::EVENTS_LOST;
use crate::series::Registry;

/// Why something was lost, or counted with less than it should have: values of the label `reason` that the tracker gives to
/// `fleetscope_events_lost_total`. Those of the kernel's side and of [`crate::records`] come from the node agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostReason {
    /// No pod was known for a process's container within 30 s: it counts under `_OTHER`.
    IdentityTimeout,
    /// The pod was known, but not which of its containers: the process counts under container `_OTHER`.
    ContainerUnknown,
    /// The path of a process's cgroup did not become known within 30 s: it counts under `_OTHER`.
    CgroupUnknown,
    /// Too many records waited for their pod: they count under `_OTHER`.
    PendingFull,
    /// Too many processes run: this one is not in the running gauge, and its exit counts by its command name.
    ProcessesFull,
    /// Too many cgroups are known: the processes of this one are not seen.
    CgroupsFull,
    /// Too many exits wait for their exec: the oldest was not counted.
    ExitsFull,
    /// A process is gone, and its exit was not seen: it is in no total.
    ExitMissing,
    /// Too many pods of one node: this one is not seen.
    PodsFull,
    /// A pod has more labels than are kept: it is in no fleet.
    LabelsFull,
    /// Too many fleets: this one is not seen.
    FleetsFull,
    /// Too many groups have calls: those of this one count under `_OTHER`.
    CallsFull,
    /// The cgroup of the calls was removed long before they ended: they count under `_OTHER`.
    CgroupGone,
}

// === impl LostReason ===

impl LostReason {
    /// All.
    pub const ALL: [Self; 13] = [
        Self::IdentityTimeout,
        Self::ContainerUnknown,
        Self::CgroupUnknown,
        Self::PendingFull,
        Self::ProcessesFull,
        Self::CgroupsFull,
        Self::ExitsFull,
        Self::ExitMissing,
        Self::PodsFull,
        Self::LabelsFull,
        Self::FleetsFull,
        Self::CallsFull,
        Self::CgroupGone,
    ];

    /// Value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IdentityTimeout => "identity_timeout",
            Self::ContainerUnknown => "container_unknown",
            Self::CgroupUnknown => "cgroup_unknown",
            Self::PendingFull => "pending_full",
            Self::ProcessesFull => "processes_full",
            Self::CgroupsFull => "cgroups_full",
            Self::ExitsFull => "exits_full",
            Self::ExitMissing => "exit_missing",
            Self::PodsFull => "pods_full",
            Self::LabelsFull => "labels_full",
            Self::FleetsFull => "fleets_full",
            Self::CallsFull => "calls_full",
            Self::CgroupGone => "cgroup_gone",
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of records of one step are far below 2^53")]
    pub(super) fn count(self, registry: &mut Registry, by: usize) {
        registry.add(&EVENTS_LOST, None, &[self.as_str()], by as f64);
    }
}
