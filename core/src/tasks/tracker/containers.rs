//! Containers, by pod and id: whose they are, and the records that wait until that is known.

use std::collections::HashMap;
use std::sync::Arc;

use super::Tracker;
use super::fleets::{Fid, NOBODY};
use super::identities::Iid;
use super::lost::LostReason;
use super::processes::SeededProcess;

use crate::metrics::OTHER;
use crate::records::{Argv, Exec, Exit};
use crate::series::Identity;
use crate::slab::Slab;
use crate::tasks::label;

/// Number of a container.
pub(super) type Cid = u32;

/// Nanoseconds that records wait for the identity of their container: a pod's status lists a container some seconds after
/// its start, and the watch adds its own delay.
pub const PENDING_FOR: u64 = 30_000_000_000;

/// Executable of the sandbox's own container, which no pod status lists.
const SANDBOX: &[u8] = b"pause";

/// Whose a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not known yet: records wait.
    Waiting,
    /// Its processes are no tasks: no fleet, a suspended fleet, or the sandbox.
    Ignored,
    /// Its pod did not become known in time, and not all need to: it is in a namespace that is not looked at.
    Foreign,
    /// Its processes are tasks of this fleet, under this identity.
    Known { iid: Iid, fid: Fid },
    /// As known, but only for want of anything better, and why: each process counts as lost. What is learned later counts for later ones.
    Provisional { iid: Iid, fid: Fid, reason: LostReason },
}

/// A record that waits.
#[derive(Debug)]
pub(super) enum Waiting {
    Exec(Box<OwnedExec>),
    Exit(Box<Exit>),
    Seed(Box<SeededProcess>),
}

/// An exec record that owns its bytes.
#[derive(Debug)]
pub(super) struct OwnedExec {
    exec: Exec<'static>,
    path: Option<Box<[u8]>>,
    argv: OwnedArgv,
}

#[derive(Debug)]
enum OwnedArgv {
    Whole(Box<[u8]>),
    Cut(Box<[u8]>),
    Unknown,
}

/// One container, or (without an id) what stands for one until its path is known.
#[derive(Debug)]
pub(super) struct Container {
    /// The pod's uid as its cgroup carries it.
    pub(super) pod: Option<Arc<str>>,
    pub(super) id: Option<Arc<str>>,
    /// The container's own group, 0 until it is known, and its path.
    pub(super) root: u64,
    pub(super) path: Box<str>,
    pub(super) state: State,
    /// Processes that were forked before this may have exec'd while nobody looked: their exits count without an exec.
    pub(super) alive_before: u64,
    pub(super) pending: Vec<Waiting>,
    pub(super) pending_since: u64,
    /// Running processes.
    pub(super) live: u32,
    /// When the last of its processes ended that has, and whether that was killed for want of memory. Its first process is the last one to end
    /// (`kernel/pid_namespace.c`, `zap_pid_ns_processes`), so of a container that has ended this tells why.
    pub(super) last_end: (u64, bool),
    /// Known groups.
    pub(super) groups: u32,
    /// When its group was removed.
    pub(super) gone: Option<u64>,
}

/// All containers.
#[derive(Debug)]
pub(super) struct Containers {
    pub(super) all: Slab<Container>,
    by_key: HashMap<(Arc<str>, Arc<str>), Cid>,
    /// Records that wait, of all of them.
    pub(super) pending: usize,
}

/// A container that is observed, for those who sample it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerRef<'a> {
    /// Id of its cgroup.
    pub cgroup: u64,
    /// Path of its cgroup from the root of the hierarchy.
    pub path: &'a str,
    /// Whose its series are.
    pub identity: &'a Arc<Identity>,
    /// Uid of its pod as its cgroup carries it; empty without Kubernetes.
    pub pod_uid: &'a str,
}

// === impl OwnedExec ===

impl OwnedExec {
    pub(super) fn new(exec: &Exec<'_>) -> Self {
        let argv = match exec.argv {
            Argv::Whole(argv) => OwnedArgv::Whole(argv.into()),
            Argv::Cut(argv) => OwnedArgv::Cut(argv.into()),
            Argv::Unknown => OwnedArgv::Unknown,
        };
        Self { exec: Exec { path: None, argv: Argv::Unknown, ..*exec }, path: exec.path.map(Box::from), argv }
    }

    pub(super) fn borrow(&self) -> Exec<'_> {
        let argv = match &self.argv {
            OwnedArgv::Whole(argv) => Argv::Whole(argv),
            OwnedArgv::Cut(argv) => Argv::Cut(argv),
            OwnedArgv::Unknown => Argv::Unknown,
        };
        Exec { path: self.path.as_deref(), argv, ..self.exec }
    }
}

// === impl Waiting ===

impl Waiting {
    fn is_sandbox(&self) -> bool {
        match self {
            Self::Exec(exec) => {
                exec.path.as_deref().map_or_else(|| exec.exec.process.comm(), label::base_name) == SANDBOX
            }
            Self::Seed(seed) => seed.comm == SANDBOX,
            Self::Exit(_) => true,
        }
    }
}

// === impl Container ===

impl Container {
    pub(super) fn new(pod: Option<Arc<str>>, id: Option<Arc<str>>, alive_before: u64) -> Self {
        Self {
            pod,
            id,
            root: 0,
            path: Box::default(),
            state: State::Waiting,
            alive_before,
            pending: Vec::new(),
            pending_since: 0,
            live: 0,
            last_end: (0, false),
            groups: 0,
            gone: None,
        }
    }
}

// === impl Containers ===

impl Containers {
    pub(super) fn new() -> Self {
        Self { all: Slab::new(), by_key: HashMap::new(), pending: 0 }
    }

    pub(super) fn find(&self, pod: &Arc<str>, id: &Arc<str>) -> Option<Cid> {
        self.by_key.get(&(Arc::clone(pod), Arc::clone(id))).copied()
    }

    pub(super) fn insert(&mut self, container: Container) -> Cid {
        let key = container.pod.clone().zip(container.id.clone());
        let cid = self.all.insert(container);
        if let Some(key) = key {
            self.by_key.insert(key, cid);
        }
        cid
    }

    pub(super) fn remove(&mut self, cid: Cid) -> Option<Container> {
        let container = self.all.remove(cid)?;
        self.pending -= container.pending.len();
        if let Some(key) = container.pod.clone().zip(container.id.clone()) {
            self.by_key.remove(&key);
        }
        Some(container)
    }

    /// Those of a pod.
    pub(super) fn of_pod(&self, pod: &str) -> Vec<Cid> {
        let of_it = |container: &Container| container.pod.as_deref() == Some(pod);
        self.all.iter().filter(|(_, container)| of_it(container)).map(|(cid, _)| cid).collect()
    }

    /// Takes the waiting records of a container.
    pub(super) fn take_pending(&mut self, cid: Cid) -> Vec<Waiting> {
        let Some(container) = self.all.get_mut(cid) else { return Vec::new() };
        let pending = std::mem::take(&mut container.pending);
        self.pending -= pending.len();
        pending
    }
}

impl Tracker {
    /// Lets a record wait for the identity of its container. False if too many wait.
    ///
    /// Where pods of some namespaces only are told, a pod that is not known is mostly one of another namespace: these leave half of the
    /// places to pods that are known.
    pub(super) fn wait(&mut self, cid: Cid, record: Waiting, now: u64) -> bool {
        let Some(container) = self.containers.all.get(cid) else { return false };
        let perhaps_foreign =
            self.limits.some_namespaces && container.pod.as_ref().is_none_or(|uid| self.pods.by_cgroup(uid).is_none());
        let places = if perhaps_foreign { self.limits.pending / 2 } else { self.limits.pending };
        if self.containers.pending >= places {
            return false;
        }
        let Some(container) = self.containers.all.get_mut(cid) else { return false };
        if container.pending.is_empty() {
            container.pending_since = now;
        }
        container.pending.push(record);
        self.containers.pending += 1;
        true
    }

    /// Looks whether it is known by now whose a container is, and handles what waited for it.
    pub(super) fn resolve(&mut self, cid: Cid, now: u64) {
        let Some(container) = self.containers.all.get(cid) else { return };
        if !matches!(container.state, State::Waiting | State::Foreign | State::Provisional { .. }) {
            return;
        }
        let state = self.state_of(container);
        if state != State::Waiting {
            self.become_state(cid, state, now);
        }
    }

    /// What is known of whose a container is.
    fn state_of(&self, container: &Container) -> State {
        let Some(pod) = container.pod.as_ref().and_then(|uid| self.pods.by_cgroup(uid)) else { return State::Waiting };
        if pod.fleet.is_none() && !self.fleets_synced {
            return State::Waiting;
        }
        let Some((fid, observed)) = pod.fleet else { return State::Ignored };
        if !observed {
            return State::Ignored;
        }
        let named = container.id.as_deref().and_then(|id| pod.view.container_by_id(id));
        match named.and_then(|named| pod.identities.get(&named.name)) {
            Some(iid) => State::Known { iid: *iid, fid },
            None => State::Waiting,
        }
    }

    /// Changes whose a container is, and handles what waited for it. The identity gets one user more.
    pub(super) fn become_state(&mut self, cid: Cid, state: State, now: u64) {
        if let State::Known { iid, .. } | State::Provisional { iid, .. } = state {
            self.identities.hold(iid);
        }
        self.leave_state(cid, now + self.limits.grace);
        let Some(container) = self.containers.all.get_mut(cid) else { return };
        container.state = state;
        self.owners_version += 1;
        self.verdicts_of_container(cid);
        if state == State::Waiting {
            return;
        }
        for record in self.containers.take_pending(cid) {
            match record {
                Waiting::Exec(exec) => self.exec_in(cid, &exec.borrow(), now),
                Waiting::Exit(exit) => self.exit(&exit, now),
                Waiting::Seed(seed) => self.seed_in(cid, &seed, now),
            }
        }
    }

    /// Gives the identity of a container back; it waits then.
    pub(super) fn leave_state(&mut self, cid: Cid, drop_at: u64) {
        let Some(container) = self.containers.all.get_mut(cid) else { return };
        let before = std::mem::replace(&mut container.state, State::Waiting);
        self.owners_version += 1;
        if let State::Known { iid, .. } | State::Provisional { iid, .. } = before {
            self.identities.release(iid, &mut self.registry, drop_at);
        }
    }

    /// Ends the waiting of records whose container did not become known in time.
    pub(super) fn end_waiting(&mut self, now: u64) {
        if self.containers.pending == 0 {
            return;
        }
        let Some(synced) = self.synced_at else { return };
        let due = |container: &Container| {
            !container.pending.is_empty()
                && now.saturating_sub(container.pending_since.max(synced)) >= self.limits.pending_for
        };
        let due: Vec<Cid> =
            self.containers.all.iter().filter(|(_, container)| due(container)).map(|(cid, _)| cid).collect();
        for cid in due {
            self.give_up(cid, now);
        }
    }

    fn give_up(&mut self, cid: Cid, now: u64) {
        let Some(container) = self.containers.all.get(cid) else { return };
        let sandbox = container.id.is_some() && container.pending.iter().all(Waiting::is_sandbox);
        let (identity, fid, reason) = self.stand_in(container);
        if reason == LostReason::ContainerUnknown && sandbox {
            return self.become_state(cid, State::Ignored, now);
        }
        if reason == LostReason::IdentityTimeout && self.limits.some_namespaces {
            return self.become_state(cid, State::Foreign, now);
        }
        let iid = self.identities.acquire(identity, &mut self.registry);
        self.become_state(cid, State::Provisional { iid, fid, reason }, now);
        self.identities.release(iid, &mut self.registry, now + self.limits.grace);
    }

    /// Stands for the identity of a container that did not become known in time, and why.
    pub(super) fn stand_in(&self, container: &Container) -> (Identity, Fid, LostReason) {
        let pod = container.pod.as_ref().and_then(|uid| self.pods.by_cgroup(uid));
        let fleet = pod.and_then(|pod| pod.fleet).filter(|(_, observed)| *observed);
        match (pod, fleet) {
            (Some(pod), Some((fid, _))) => {
                (pod.identity(OTHER, self.fleets.get(fid)), fid, LostReason::ContainerUnknown)
            }
            _ if container.pod.is_some() => (nobody(), NOBODY, LostReason::IdentityTimeout),
            _ => (nobody(), NOBODY, LostReason::CgroupUnknown),
        }
    }

    /// The containers that are observed.
    pub fn containers(&self) -> impl Iterator<Item = ContainerRef<'_>> {
        self.containers.all.iter().filter_map(|(_, container)| {
            let State::Known { iid, .. } = container.state else { return None };
            let identity = self.identities.get(iid)?;
            let pod_uid = container.pod.as_deref().unwrap_or_default();
            let there = container.root != 0 && container.gone.is_none();
            there.then_some(ContainerRef { cgroup: container.root, path: &container.path, identity, pod_uid })
        })
    }
}

/// The identity of what belongs to no known pod.
pub(super) fn nobody() -> Identity {
    let other: Arc<str> = OTHER.into();
    Identity {
        namespace: Arc::clone(&other),
        fleet: Arc::clone(&other),
        pod: Arc::clone(&other),
        container: Arc::clone(&other),
        workload: other,
    }
}
