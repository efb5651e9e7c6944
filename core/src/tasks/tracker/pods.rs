//! The pods of this node, and which fleet each belongs to.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Tracker;
use super::agents::begin_at_zero;
use super::containers::State;
use super::fleets::{Fid, Fleet, FleetView};
use super::identities::Iid;
use super::lost::LostReason;
use crate::metrics::{RPC_CLIENT_DURATION, RPC_FIRST_RESPONSE, RPC_IN_FLIGHT, RPC_SERVER_DURATION};
use crate::pods::{LeftOut, PodView, workload};
use crate::series::Identity;

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
    /// Pods made since then, in seconds since the epoch, are new when they are first seen: they were in no list, and none of them was
    /// refused or forgotten for want of room. None until the first list is complete.
    new_from: Option<i64>,
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

    pub(super) fn is_removed(&self) -> bool {
        self.removed.is_some()
    }
}

// === impl Pods ===

impl Pods {
    pub(super) fn new() -> Self {
        Self { by_uid: HashMap::new(), by_cgroup: HashMap::new(), new_from: None }
    }

    pub(super) fn by_cgroup(&self, uid: &str) -> Option<&Pod> {
        self.by_uid.get(self.by_cgroup.get(uid)?)
    }

    pub(super) fn get(&self, uid: &str) -> Option<&Pod> {
        self.by_uid.get(uid)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Pod> {
        self.by_uid.values()
    }

    /// Whether a pod that was not seen before began its life under the eyes of this node agent. Else what happened to it was counted in the
    /// agent's earlier life, or by nobody.
    pub(super) fn is_new(&self, view: &PodView) -> bool {
        self.new_from.is_some_and(|from| view.created >= from)
    }

    /// A pod that may be told again was not kept.
    fn note_unkept(&mut self, view: &PodView) {
        self.new_from = self.new_from.map(|from| from.max(view.created.saturating_add(1)));
    }

    /// Takes a view in, and gives the one before.
    fn put(&mut self, view: PodView) -> Option<PodView> {
        let (uid, cgroup_uid) = (view.uid.clone(), view.cgroup_uid.clone());
        let before = if let Some(pod) = self.by_uid.get_mut(&uid) {
            pod.removed = None;
            Some(std::mem::replace(&mut pod.view, view))
        } else {
            let pod = Pod { view, fleet: None, identities: BTreeMap::new(), removed: None };
            self.by_uid.insert(uid.clone(), pod);
            None
        };
        if let Some(before) = before.as_ref().filter(|before| before.cgroup_uid != cgroup_uid) {
            self.disclaim(before);
        }
        if self.may_claim(&uid) {
            self.by_cgroup.insert(cgroup_uid, uid);
        }
        before
    }

    /// Whether what runs in the cgroup that a pod names is the pod's. Its own uid is nobody else's to claim; the hash of a static pod is its
    /// first claimant's until that is gone, which it is too when the kubelet made it anew under its name.
    fn may_claim(&self, uid: &str) -> bool {
        let Some(Pod { view, .. }) = self.by_uid.get(uid) else { return false };
        let Some(holder) = self.by_cgroup(&view.cgroup_uid) else { return true };
        let is_namesake = holder.view.namespace == view.namespace && holder.view.name == view.name;
        let is_gone = holder.removed.is_some() || is_namesake;
        view.uid == view.cgroup_uid || holder.view.uid != holder.view.cgroup_uid && is_gone
    }

    fn disclaim(&mut self, view: &PodView) {
        if self.by_cgroup.get(&view.cgroup_uid) == Some(&view.uid) {
            self.by_cgroup.remove(&view.cgroup_uid);
        }
    }

    /// The uid by which a pod's groups are found, if they are this pod's.
    fn cgroup_of(&self, uid: &str) -> Option<&String> {
        let cgroup_uid = &self.by_uid.get(uid)?.view.cgroup_uid;
        (self.by_cgroup.get(cgroup_uid)? == uid).then_some(cgroup_uid)
    }

    fn uids(&self, wanted: impl Fn(&Pod) -> bool) -> Vec<String> {
        self.by_uid.iter().filter(|(_, pod)| wanted(pod)).map(|(uid, _)| uid.clone()).collect()
    }

    fn forget(&mut self, uid: &str) -> Option<Pod> {
        let pod = self.by_uid.remove(uid)?;
        self.disclaim(&pod.view);
        Some(pod)
    }
}

impl Tracker {
    /// A pod of this node is new or changed.
    pub fn upsert_pod(&mut self, view: PodView, now: u64) {
        self.now = self.now.max(now);
        let uid = view.uid.clone();
        let known = self.pods.by_uid.contains_key(&uid);
        if !known && self.pods.by_uid.len() >= self.limits.pods && !self.make_room(&view, now) {
            self.pods.note_unkept(&view);
            return LostReason::PodsFull.count(&mut self.registry, 1);
        }
        if !known && view.left_out == Some(LeftOut::Labels) {
            LostReason::LabelsFull.count(&mut self.registry, 1);
        }
        let before = self.pods.put(view);
        self.reassess(&uid, now + self.limits.grace, now);
        self.count_changes(&uid, before.as_ref());
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
        self.give_names_of(fid);
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
        self.pods.new_from = self.pods.new_from.or_else(|| self.registry.seconds());
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
        let cgroup_uid = self.pods.cgroup_of(uid).cloned();
        let mut observed_again = Vec::new();
        if fleet != before {
            for cid in cgroup_uid.iter().flat_map(|uid| self.containers.of_pod(uid)).collect::<Vec<_>>() {
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
        if let Some(cgroup_uid) = cgroup_uid {
            self.verdicts_of_pod(&cgroup_uid);
        }
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
        // Another pod may have its name by now.
        if pod.is_removed() {
            return;
        }
        for container in &pod.view.containers {
            if let Some(iid) = pod.identities.get(&container.name) {
                self.identities.inform(*iid, [&container.image, &pod.view.node], &mut self.registry);
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
        let Some(cgroup_uid) = self.pods.cgroup_of(uid).cloned() else { return };
        for cid in self.containers.of_pod(&cgroup_uid) {
            self.resolve(cid, now);
        }
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

    /// Makes room for a pod: the one goes that was deleted first, else, unless the new one is over itself, the oldest that is over.
    fn make_room(&mut self, view: &PodView, now: u64) -> bool {
        let removed = self.pods.by_uid.iter().filter_map(|(uid, pod)| Some((pod.removed?, uid)));
        if let Some(uid) = removed.min().map(|(_, uid)| uid.clone()) {
            self.forget_pod(&uid, now);
            return true;
        }
        let over = self.pods.by_uid.iter().filter(|(_, pod)| pod.view.is_over() && !view.is_over());
        let oldest = over.map(|(uid, pod)| (pod.view.created, uid)).min().map(|(_, uid)| uid.clone());
        let Some(pod) = oldest.and_then(|uid| self.forget_pod(&uid, now)) else { return false };
        self.pods.note_unkept(&pod.view);
        if let Some((fid, _)) = pod.fleet {
            self.show_agents(fid);
        }
        true
    }

    fn forget_pod(&mut self, uid: &str, now: u64) -> Option<Pod> {
        let mut pod = self.pods.forget(uid)?;
        for iid in std::mem::take(&mut pod.identities).into_values() {
            self.identities.release(iid, &mut self.registry, now);
        }
        Some(pod)
    }
}
