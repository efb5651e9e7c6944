//! Agents, of which each is a pod: how many there are by status, what happened to them, and their rows.

use std::sync::Arc;

use super::Tracker;
use super::fleets::{Fid, Fleet};
use super::pods::Pod;
use crate::metrics::{AGENT_FAILURES, AGENT_RESTARTS, AGENT_STARTS, AGENT_STOPS, AGENTS};
use crate::pods::{
    AgentStatus, Change, ContainerState, ContainerView, FailureReason, PodView, agent_status, changes, workload,
};
use crate::series::{Identity, Registry};
use crate::tasks::rows::{AgentRow, ContainerRow};

impl Tracker {
    /// Counts what happened to a pod since the view before, of a new pod since it was made.
    pub(super) fn count_changes(&mut self, uid: &str, before: Option<&PodView>) {
        let Some(pod) = self.pods.get(uid) else { return };
        let (now, unborn) = (&pod.view, PodView::default());
        let Some(before) = before.or_else(|| self.pods.is_new(now).then_some(&unborn)) else { return };
        for change in changes(before, now) {
            let (container, metric, label) = match change {
                Change::Start { container, success } => (container, &AGENT_STARTS, Some(result(success))),
                Change::Stop { container, success } => (container, &AGENT_STOPS, Some(result(success))),
                Change::Restart { container } => (container, &AGENT_RESTARTS, None),
                Change::Failure { container, reason } => {
                    (container, &AGENT_FAILURES, Some(self.reason(now, container, reason).as_str()))
                }
            };
            let identity = pod.identities.get(container).and_then(|iid| self.identities.get(*iid));
            if let Some(identity) = identity {
                self.registry.add(metric, Some(identity), label.as_slice(), 1.0);
            }
        }
    }

    /// Why a container failed. Runtimes do not always tell that the kernel's OOM killer ended it (containerd's event of it may come after the
    /// end of the container); the kernel does.
    fn reason(&self, pod: &PodView, name: &str, told: FailureReason) -> FailureReason {
        if !matches!(told, FailureReason::Signal | FailureReason::Probe) {
            return told;
        }
        let ended = pod.containers.iter().find(|container| container.name == name).and_then(|view| match view.state {
            ContainerState::Terminated(_) => view.id.as_deref(),
            _ => view.last_id.as_deref().or(view.id.as_deref()),
        });
        let cid = ended.and_then(|id| self.containers.find(&pod.cgroup_uid.as_str().into(), &id.into()));
        let oom = cid.and_then(|cid| self.containers.all.get(cid)).is_some_and(|container| container.last_end.1);
        if oom { FailureReason::Oom } else { told }
    }

    /// Sets the gauge of agents by status; all four always.
    pub(super) fn show_agents(&mut self, fid: Fid) {
        let Some(fleet) = self.fleets.get(fid).filter(|fleet| !fleet.view.suspend) else { return };
        if !self.fleets.contains(&fleet.view.namespace, &fleet.view.name) {
            return;
        }
        let identity = Arc::new(of_fleet(fleet));
        self.registry.revive(&identity);
        for status in AgentStatus::ALL {
            let of_it = |pod: &&Pod| {
                !pod.is_removed() && pod.fleet.is_some_and(|(own, _)| own == fid) && agent_status(&pod.view) == status
            };
            let count = u32::try_from(self.pods.all().filter(of_it).count()).unwrap_or(u32::MAX);
            self.registry.set(&AGENTS, Some(&identity), &[status.as_str()], f64::from(count));
        }
    }

    pub(super) fn hide_agents(&mut self, fid: Fid, now: u64) {
        if let Some(fleet) = self.fleets.get(fid) {
            self.registry.retire(&Arc::new(of_fleet(fleet)), now);
        }
        self.registry.sweep(now);
    }

    /// The agents of this node, ordered by namespace and pod.
    pub fn agents(&self) -> Vec<AgentRow> {
        let row = |pod: &Pod| {
            let (fid, tracked) = pod.fleet.filter(|_| !pod.is_removed())?;
            Some(AgentRow {
                namespace: pod.view.namespace.clone(),
                pod: pod.view.name.clone(),
                fleet: self.fleets.get(fid)?.view.name.clone(),
                workload: workload(&pod.view),
                node: pod.view.node.clone(),
                status: agent_status(&pod.view),
                tracked,
                created: pod.view.created,
                restarts: pod.view.containers.iter().map(|container| i64::from(container.restarts)).sum(),
                running_tasks: pod.identities.values().map(|iid| self.identities.running(*iid)).sum(),
                containers: pod.view.containers.iter().map(container_row).collect(),
            })
        };
        let mut rows: Vec<AgentRow> = self.pods.all().filter_map(row).collect();
        rows.sort_by(|a, b| (&a.namespace, &a.pod).cmp(&(&b.namespace, &b.pod)));
        rows
    }
}

fn container_row(container: &ContainerView) -> ContainerRow {
    let (state, reason, started) = match &container.state {
        ContainerState::Unknown => ("unknown", "", None),
        ContainerState::Waiting { reason, .. } => ("waiting", reason.as_str(), None),
        ContainerState::Running { started } => ("running", "", *started),
        ContainerState::Terminated(end) => ("terminated", end.reason.as_str(), None),
    };
    ContainerRow {
        name: container.name.clone(),
        image: container.image.clone(),
        state: state.to_owned(),
        reason: reason.to_owned(),
        started,
        restarts: container.restarts,
    }
}

/// The identity of what belongs to the whole fleet.
fn of_fleet(fleet: &Fleet) -> Identity {
    Identity { namespace: Arc::clone(&fleet.namespace), fleet: Arc::clone(&fleet.name), ..Identity::default() }
}

/// Gives a container its counters.
pub(super) fn begin_at_zero(registry: &mut Registry, identity: &Arc<Identity>) {
    for success in [false, true] {
        registry.add(&AGENT_STARTS, Some(identity), &[result(success)], 0.0);
        registry.add(&AGENT_STOPS, Some(identity), &[result(success)], 0.0);
    }
    registry.add(&AGENT_RESTARTS, Some(identity), &[], 0.0);
    for reason in FailureReason::ALL {
        registry.add(&AGENT_FAILURES, Some(identity), &[reason.as_str()], 0.0);
    }
}

fn result(success: bool) -> &'static str {
    if success { "success" } else { "failure" }
}
