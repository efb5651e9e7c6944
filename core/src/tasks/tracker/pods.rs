//! The pods of this node: which fleet each belongs to, its agents' status, and what happens to its containers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Tracker;
use super::containers::State;
use super::fleets::{Fid, Fleet, FleetView};
use super::identities::Iid;
use super::lost::LostReason;
use crate::metrics::{
    AGENT_FAILURES, AGENT_INFO, AGENT_RESTARTS, AGENT_STARTS, AGENT_STOPS, AGENTS, RPC_CLIENT_DURATION,
    RPC_FIRST_RESPONSE, RPC_IN_FLIGHT, RPC_SERVER_DURATION,
};
use crate::pods::{AgentStatus, Change, ContainerState, FailureReason, PodView, agent_status, changes, workload};
use crate::series::{Identity, Registry};
use crate::tasks::rows::{AgentRow, ContainerRow};

/// One pod.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) view: PodView,
    /// The fleet that it belongs to, and whether that is observed.
    pub(super) fleet: Option<(Fid, bool)>,
    /// By container name, while its fleet is observed.
    pub(super) identities: BTreeMap<String, Iid>,
    /// When it was deleted. It stays for a while: its last records are still to come.
    removed: Option<u64>,
}

/// All pods of the node.
#[derive(Debug)]
pub(super) struct Pods {
    by_uid: HashMap<String, Pod>,
    /// The uid of a pod by the uid that its cgroup carries.
    by_cgroup: HashMap<String, String>,
}

// === impl Pod ===

impl Pod {
    pub(super) fn identity(&self, container: &str, fleet: Option<&Fleet>) -> Identity {
        Identity {
            namespace: fleet.map(|fleet| Arc::clone(&fleet.namespace)).unwrap_or_default(),
            fleet: fleet.map(|fleet| Arc::clone(&fleet.name)).unwrap_or_default(),
            pod: self.view.name.as_str().into(),
            container: container.into(),
            workload: workload(&self.view).into(),
        }
    }
}

// === impl Pods ===

impl Pods {
    pub(super) fn new() -> Self {
        Self { by_uid: HashMap::new(), by_cgroup: HashMap::new() }
    }

    pub(super) fn by_cgroup(&self, uid: &str) -> Option<&Pod> {
        self.by_uid.get(self.by_cgroup.get(uid)?)
    }

    fn uids(&self, wanted: impl Fn(&Pod) -> bool) -> Vec<String> {
        self.by_uid.iter().filter(|(_, pod)| wanted(pod)).map(|(uid, _)| uid.clone()).collect()
    }

    fn forget(&mut self, uid: &str) -> Option<Pod> {
        let pod = self.by_uid.remove(uid)?;
        if self.by_cgroup.get(&pod.view.cgroup_uid).is_some_and(|own| own == uid) {
            self.by_cgroup.remove(&pod.view.cgroup_uid);
        }
        Some(pod)
    }
}

impl Tracker {
    /// A pod of this node is new or changed.
    pub fn upsert_pod(&mut self, view: PodView, now: u64) {
        self.now = self.now.max(now);
        let uid = view.uid.clone();
        if !self.pods.by_uid.contains_key(&uid) && self.pods.by_uid.len() >= self.limits.pods {
            self.forget_oldest_pod(now);
            if self.pods.by_uid.len() >= self.limits.pods {
                return LostReason::PodsFull.count(&mut self.registry, 1);
            }
        }
        self.pods.by_cgroup.insert(view.cgroup_uid.clone(), uid.clone());
        let before = if let Some(pod) = self.pods.by_uid.get_mut(&uid) {
            pod.removed = None;
            Some(std::mem::replace(&mut pod.view, view))
        } else {
            let pod = Pod { view, fleet: None, identities: BTreeMap::new(), removed: None };
            self.pods.by_uid.insert(uid.clone(), pod);
            None
        };
        self.reassess(&uid, now + self.limits.grace, now);
        if let Some(before) = &before {
            self.count_changes(&uid, before);
        }
        self.resolve_pod(&uid, now);
        if let Some((fid, _)) = self.pods.by_uid.get(&uid).and_then(|pod| pod.fleet) {
            self.show_agents(fid);
        }
    }

    /// A pod was deleted. Its series stay for the grace period.
    pub fn remove_pod(&mut self, uid: &str, now: u64) {
        self.now = self.now.max(now);
        let Some(pod) = self.pods.by_uid.get_mut(uid) else { return };
        pod.removed.get_or_insert(now);
        if let Some((fid, _)) = pod.fleet {
            self.show_agents(fid);
        }
    }

    /// A fleet is new or changed. New rules apply to processes that exec from now on.
    pub fn upsert_fleet(&mut self, view: FleetView, now: u64) {
        self.now = self.now.max(now);
        if !self.fleets.contains(&view.namespace, &view.name) && self.fleets.len() >= self.limits.fleets {
            return LostReason::FleetsFull.count(&mut self.registry, 1);
        }
        let namespace = view.namespace.clone();
        let suspend = view.suspend;
        let name = view.name.clone();
        let (fid, edit) = self.fleets.upsert(view);
        if edit.calls {
            self.owners_version += 1;
            self.verdicts_of_all();
        }
        if edit.calls_end {
            for metric in [&RPC_SERVER_DURATION, &RPC_CLIENT_DURATION, &RPC_FIRST_RESPONSE, &RPC_IN_FLIGHT] {
                self.registry.start_over(metric, &namespace, &name);
            }
        }
        if edit.selection {
            self.reassess_namespace(&namespace, now);
        }
        if suspend {
            self.hide_agents(fid, now);
        } else {
            self.show_agents(fid);
        }
        self.announce_rules(fid);
    }

    /// A fleet was deleted: its series go at once, as nobody asks for them any more.
    pub fn remove_fleet(&mut self, namespace: &str, name: &str, now: u64) {
        self.now = self.now.max(now);
        let Some(fid) = self.fleets.remove(namespace, name) else { return };
        self.reassess_namespace(namespace, now);
        self.hide_agents(fid, now);
        self.fleets.forget(fid);
    }

    /// The first list of this node's pods is complete.
    pub fn pods_synced(&mut self) {
        self.pods_synced = true;
        self.note_synced();
    }

    /// The first list of fleets is complete: until then no pod is taken to be in no fleet.
    pub fn fleets_synced(&mut self) {
        self.fleets_synced = true;
        self.note_synced();
        let now = self.now;
        for uid in self.pods.uids(|pod| pod.fleet.is_none()) {
            self.reassess(&uid, now, now);
            self.resolve_pod(&uid, now);
        }
    }

    fn note_synced(&mut self) {
        if self.pods_synced && self.fleets_synced {
            self.synced_at.get_or_insert(self.now);
        }
    }

    fn reassess_namespace(&mut self, namespace: &str, now: u64) {
        let mut fleets = Vec::new();
        for uid in self.pods.uids(|pod| pod.view.namespace == namespace) {
            let of = |this: &Self| this.pods.by_uid.get(&uid).and_then(|pod| pod.fleet).map(|(fid, _)| fid);
            fleets.extend(of(self));
            self.reassess(&uid, now, now);
            self.resolve_pod(&uid, now);
            fleets.extend(of(self));
        }
        fleets.sort_unstable();
        fleets.dedup();
        for fid in fleets {
            self.show_agents(fid);
        }
        self.registry.sweep(now);
    }

    /// Looks which fleet a pod belongs to. If that changed, what the old one had of it is dropped at `drop_at`.
    fn reassess(&mut self, uid: &str, drop_at: u64, now: u64) {
        let Some(pod) = self.pods.by_uid.get(uid) else { return };
        let before = pod.fleet;
        let fleet = self.fleets.of_pod(&pod.view);
        let fleet = fleet.and_then(|fid| Some((fid, !self.fleets.get(fid)?.view.suspend)));
        let cgroup_uid = pod.view.cgroup_uid.clone();
        let mut observed_again = Vec::new();
        if fleet != before {
            for cid in self.containers.of_pod(&cgroup_uid) {
                let state = self.containers.all.get(cid).map(|container| container.state);
                if !matches!(state, Some(State::Known { .. } | State::Ignored | State::Foreign)) {
                    continue;
                }
                // Who ran until now was another fleet's task, or nobody's: a scan finds it again.
                self.drop_processes(cid, false, now);
                self.leave_state(cid, drop_at);
                self.scan_wanted = true;
                if let Some(container) = self.containers.all.get_mut(cid) {
                    container.alive_before = now;
                }
                observed_again.push(cid);
            }
            let identities = self.pods.by_uid.get_mut(uid).map(|pod| std::mem::take(&mut pod.identities));
            for iid in identities.into_iter().flatten().map(|(_, iid)| iid) {
                self.identities.release(iid, &mut self.registry, drop_at);
            }
            if let Some(pod) = self.pods.by_uid.get_mut(uid) {
                pod.fleet = fleet;
            }
            if let Some((fid, _)) = before {
                self.show_agents(fid);
            }
        }
        if let Some((fid, true)) = fleet {
            self.identify(uid, fid);
        }
        self.verdicts_of_pod(&cgroup_uid);
        for cid in observed_again {
            self.resolve(cid, now);
            self.verdicts_of_container(cid);
        }
    }

    /// Gives every container of a pod its identity, and its counters at 0.
    fn identify(&mut self, uid: &str, fid: Fid) {
        let Some(pod) = self.pods.by_uid.get_mut(uid) else { return };
        let fleet = self.fleets.get(fid);
        let new = pod.view.containers.iter().filter(|container| !pod.identities.contains_key(&container.name));
        let new: Vec<(String, Identity)> =
            new.map(|container| (container.name.clone(), pod.identity(&container.name, fleet))).collect();
        for (name, identity) in new {
            let iid = self.identities.acquire(identity, &mut self.registry);
            pod.identities.insert(name, iid);
            if let Some(identity) = self.identities.get(iid) {
                begin_at_zero(&mut self.registry, identity);
            }
            for (task, group) in fleet.map(Fleet::announced).unwrap_or_default() {
                self.identities.announce(iid, task, group, &mut self.registry);
            }
        }
        for container in &pod.view.containers {
            let identity = pod.identities.get(&container.name).and_then(|iid| self.identities.get(*iid));
            if let Some(identity) = identity {
                self.registry.set(&AGENT_INFO, Some(identity), &[&container.image, &pod.view.node], 1.0);
            }
        }
    }

    fn announce_rules(&mut self, fid: Fid) {
        let Some(fleet) = self.fleets.get(fid) else { return };
        let names = fleet.announced();
        for pod in self.pods.by_uid.values().filter(|pod| pod.fleet == Some((fid, true))) {
            for iid in pod.identities.values() {
                for (task, group) in &names {
                    self.identities.announce(*iid, task, group, &mut self.registry);
                }
            }
        }
    }

    fn resolve_pod(&mut self, uid: &str, now: u64) {
        let Some(cgroup_uid) = self.pods.by_uid.get(uid).map(|pod| pod.view.cgroup_uid.clone()) else { return };
        for cid in self.containers.of_pod(&cgroup_uid) {
            self.resolve(cid, now);
        }
    }

    fn count_changes(&mut self, uid: &str, before: &PodView) {
        let Some(pod) = self.pods.by_uid.get(uid) else { return };
        let now = &pod.view;
        for container in &before.containers {
            let later = now.containers.iter().find(|later| later.name == container.name);
            let identity = pod.identities.get(&container.name).and_then(|iid| self.identities.get(*iid));
            if let Some(identity) = identity
                && later.is_some_and(|later| later.image != container.image || now.node != before.node)
            {
                self.registry.remove(&AGENT_INFO, Some(identity), &[&container.image, &before.node]);
            }
        }
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
    fn show_agents(&mut self, fid: Fid) {
        let Some(fleet) = self.fleets.get(fid).filter(|fleet| !fleet.view.suspend) else { return };
        if !self.fleets.contains(&fleet.view.namespace, &fleet.view.name) {
            return;
        }
        let identity = Arc::new(of_fleet(fleet));
        self.registry.revive(&identity);
        for status in AgentStatus::ALL {
            let of_it = |pod: &&Pod| {
                pod.removed.is_none()
                    && pod.fleet.is_some_and(|(own, _)| own == fid)
                    && agent_status(&pod.view) == status
            };
            let count = u32::try_from(self.pods.by_uid.values().filter(of_it).count()).unwrap_or(u32::MAX);
            self.registry.set(&AGENTS, Some(&identity), &[status.as_str()], f64::from(count));
        }
    }

    fn hide_agents(&mut self, fid: Fid, now: u64) {
        if let Some(fleet) = self.fleets.get(fid) {
            self.registry.retire(&Arc::new(of_fleet(fleet)), now);
        }
        self.registry.sweep(now);
    }

    /// Whether nothing of the pod with this cgroup uid is to be recorded.
    pub(super) fn is_pod_ignored(&self, uid: &str) -> bool {
        self.pods.by_cgroup(uid).is_some_and(|pod| match pod.fleet {
            Some((_, observed)) => !observed,
            None => self.fleets_synced,
        })
    }

    /// Forgets deleted pods after the grace period.
    pub(super) fn forget_pods(&mut self, now: u64) {
        let due = |pod: &Pod| pod.removed.is_some_and(|at| now.saturating_sub(at) >= self.limits.grace);
        for uid in self.pods.uids(due) {
            self.forget_pod(&uid, now);
        }
    }

    fn forget_oldest_pod(&mut self, now: u64) {
        let removed = self.pods.by_uid.iter().filter_map(|(uid, pod)| Some((pod.removed?, uid.clone())));
        if let Some((_, uid)) = removed.min() {
            self.forget_pod(&uid, now);
        }
    }

    fn forget_pod(&mut self, uid: &str, now: u64) {
        let Some(pod) = self.pods.forget(uid) else { return };
        for iid in pod.identities.into_values() {
            self.identities.release(iid, &mut self.registry, now);
        }
    }

    /// The agents of this node, ordered by namespace and pod.
    pub fn agents(&self) -> Vec<AgentRow> {
        let row = |pod: &Pod| {
            let (fid, tracked) = pod.fleet.filter(|_| pod.removed.is_none())?;
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
        let mut rows: Vec<AgentRow> = self.pods.by_uid.values().filter_map(row).collect();
        rows.sort_by(|a, b| (&a.namespace, &a.pod).cmp(&(&b.namespace, &b.pod)));
        rows
    }
}

fn container_row(container: &crate::pods::ContainerView) -> ContainerRow {
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

fn begin_at_zero(registry: &mut Registry, identity: &Arc<Identity>) {
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
