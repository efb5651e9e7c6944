//! The fleets: whom they select, and what they call tasks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::Tracker;
use crate::api::agent_fleet::{GrpcSpec, TasksSpec};
use crate::api::{AgentFleet, ProfileName};
use crate::metrics::{OTHER, TASK_DURATION, TASKS, TASKS_RUNNING};
use crate::pods::{PodView, takes};
use crate::profiles;
use crate::rpc::Settings;
use crate::slab::Slab;
use crate::tasks::label;
use crate::tasks::rules::{Decision, Named, OTHER_GROUP, Program, Rules};

/// What of an `AgentFleet` the tracker uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FleetView {
    /// Namespace, of its pods too.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// When it was made, seconds since the epoch: of several fleets that select a pod, the oldest has it, of those the
    /// first by name. A suspended fleet keeps its pods: another fleet does not take them over meanwhile.
    pub created: i64,
    /// Nothing is observed.
    pub suspend: bool,
    /// Which pods.
    pub selector: LabelSelector,
    /// Which system its agents belong to.
    pub profile: ProfileName,
    /// Which tasks.
    pub tasks: TasksSpec,
    /// Which gRPC calls.
    pub grpc: GrpcSpec,
}

/// Why an `AgentFleet` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    /// It has no name or no namespace, which every object of an API server has.
    #[error("failed to read fleet {name:?}: it has no {field}")]
    Missing {
        /// The fleet's name, as far as it has one.
        name: String,
        /// Which field.
        field: &'static str,
    },
}

// === impl FleetView ===

impl FleetView {
    /// Trims an `AgentFleet`.
    pub fn from_fleet(fleet: &AgentFleet) -> Result<Self, FleetError> {
        let name = fleet.metadata.name.clone().unwrap_or_default();
        if name.is_empty() {
            return Err(FleetError::Missing { name, field: "name" });
        }
        let Some(namespace) = fleet.metadata.namespace.clone() else {
            return Err(FleetError::Missing { name, field: "namespace" });
        };
        Ok(Self {
            namespace,
            name,
            created: fleet.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second()),
            suspend: fleet.spec.suspend,
            selector: fleet.spec.selector.clone(),
            profile: fleet.spec.profile,
            tasks: fleet.spec.tasks.clone(),
            grpc: fleet.spec.grpc.clone(),
        })
    }

    fn rules(&self) -> Rules {
        Rules::new(&self.tasks, profiles::get(self.profile).task_rules())
    }
}

/// Number of a fleet.
pub(super) type Fid = u32;
/// The fleet of processes that belong to no known fleet: no rules, named by executable.
pub(super) const NOBODY: Fid = 0;
/// Most names of a fleet's rules for which `fleetscope_tasks_running` starts at 0 in every container, and as many of its profile's; with more, each
/// starts with its first task, so that a long list of rules does not use the fleet's series up.
const ANNOUNCED_MAX: usize = 16;

/// One fleet.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) view: FleetView,
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
    /// What is said about calls.
    pub(super) calls: Arc<Settings>,
    rules: Rules,
    /// Names that were taken from executables, by their bytes.
    names: HashMap<Box<[u8]>, Arc<Named>>,
    /// They are to be gone through: one found no room, or the rules are others.
    names_old: bool,
    other: Arc<Named>,
}

/// What an edit of a fleet may have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Edit {
    /// Which pods it has.
    pub(super) selection: bool,
    /// What it says about calls.
    pub(super) calls: bool,
    /// The series of calls cannot go on.
    pub(super) calls_end: bool,
}

/// All fleets.
#[derive(Debug)]
pub(super) struct Fleets {
    fleets: Slab<Fleet>,
    by_name: BTreeMap<(String, String), Fid>,
}

// === impl Fleet ===

impl Fleet {
    fn new(view: FleetView, rules: Rules) -> Self {
        let other = Arc::new(Named {
            task: OTHER.into(),
            group: OTHER_GROUP.into(),
            results: Arc::clone(rules.unmatched_results()),
        });
        let (namespace, name) = (view.namespace.as_str().into(), view.name.as_str().into());
        let calls = Arc::new(Settings::new(&view.grpc));
        Self { view, namespace, name, calls, rules, names: HashMap::new(), names_old: false, other }
    }

    /// What a process with this program is called; none if it is no task.
    pub(super) fn name(&mut self, program: &Program<'_>) -> Option<Arc<Named>> {
        let bytes = match self.rules.decide(program) {
            Decision::Task(named) => return Some(Arc::clone(named)),
            Decision::Ignore => return None,
            Decision::Unmatched(bytes) => bytes,
        };
        if let Some(named) = self.names.get(bytes) {
            return Some(Arc::clone(named));
        }
        if self.names.len() >= self.rules.max_unmatched() {
            self.names_old = true;
            return Some(Arc::clone(&self.other));
        }
        let named = Arc::new(Named {
            task: label::printable(bytes).into(),
            group: Arc::clone(&self.other.group),
            results: Arc::clone(&self.other.results),
        });
        self.names.insert(bytes.into(), Arc::clone(&named));
        Some(named)
    }

    /// Gives the names back that no running process has and that are not among those that series have.
    fn give_back(&mut self, shown: &HashSet<&str>) {
        self.names_old = false;
        self.names.retain(|_, named| Arc::strong_count(named) > 1 || shown.contains(&*named.task));
    }

    /// Names whose gauges are shown at 0 from the beginning: those of the fleet's own rules, and of a profile that was chosen.
    /// The default one names what many fleets never do.
    pub(super) fn announced(&self) -> Vec<(&Arc<str>, &Arc<str>)> {
        let chosen = self.view.profile != ProfileName::default();
        let profile = if chosen { self.rules.profile_names() } else { Vec::new() };
        [self.rules.names(), profile].into_iter().filter(|names| names.len() <= ANNOUNCED_MAX).flatten().collect()
    }
}

// === impl Fleets ===

impl Fleets {
    pub(super) fn new() -> Self {
        let mut fleets = Slab::new();
        let view = FleetView { namespace: OTHER.to_owned(), name: OTHER.to_owned(), ..FleetView::default() };
        let nobody = fleets.insert(Fleet::new(view, Rules::new(&TasksSpec::default(), &[])));
        debug_assert_eq!(nobody, NOBODY, "it is the first");
        Self { fleets, by_name: BTreeMap::new() }
    }

    /// Takes a fleet in. Gives its number, and what may have changed.
    pub(super) fn upsert(&mut self, view: FleetView) -> (Fid, Edit) {
        let key = (view.namespace.clone(), view.name.clone());
        let known = self.by_name.get(&key).copied();
        if let Some(fid) = known
            && let Some(fleet) = self.fleets.get_mut(fid)
        {
            let selection = |view: &FleetView| (view.created, view.suspend, view.selector.clone());
            let mut edit = Edit { selection: selection(&fleet.view) != selection(&view), ..Edit::default() };
            if fleet.view.tasks != view.tasks || fleet.view.profile != view.profile {
                fleet.rules = view.rules();
                fleet.names_old = true;
            }
            if fleet.view.grpc != view.grpc {
                let calls = Arc::new(Settings::new(&view.grpc));
                let before = std::mem::replace(&mut fleet.calls, calls);
                edit.calls = true;
                edit.calls_end = fleet.calls.ends(&before);
            }
            fleet.view = view;
            return (fid, edit);
        }
        let rules = view.rules();
        let fid = self.fleets.insert(Fleet::new(view, rules));
        self.by_name.insert(key, fid);
        (fid, Edit { selection: true, ..Edit::default() })
    }

    pub(super) fn remove(&mut self, namespace: &str, name: &str) -> Option<Fid> {
        self.by_name.remove(&(namespace.to_owned(), name.to_owned()))
    }

    /// Forgets a fleet that nothing refers to any more.
    pub(super) fn forget(&mut self, fid: Fid) -> Option<Fleet> {
        self.fleets.remove(fid)
    }

    pub(super) fn get(&self, fid: Fid) -> Option<&Fleet> {
        self.fleets.get(fid)
    }

    pub(super) fn get_mut(&mut self, fid: Fid) -> Option<&mut Fleet> {
        self.fleets.get_mut(fid)
    }

    /// The next one after `last`, in a circle, whose names are to be gone through.
    fn with_old_names(&self, last: Fid) -> Option<Fid> {
        let old = self.fleets.iter().filter(|(_, fleet)| fleet.names_old).map(|(fid, _)| fid);
        old.min_by_key(|fid| (*fid <= last, *fid))
    }

    pub(super) fn contains(&self, namespace: &str, name: &str) -> bool {
        self.by_name.contains_key(&(namespace.to_owned(), name.to_owned()))
    }

    /// Number of fleets, without the one for nobody.
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// The fleet that a pod belongs to.
    pub(super) fn of_pod(&self, pod: &PodView) -> Option<Fid> {
        let from = (pod.namespace.clone(), String::new());
        self.by_name
            .range(from..)
            .take_while(|((namespace, _), _)| *namespace == pod.namespace)
            .filter_map(|((_, name), fid)| Some((self.fleets.get(*fid)?.view.created, name, *fid)))
            .filter(|(_, _, fid)| self.fleets.get(*fid).is_some_and(|fleet| takes(&fleet.view.selector, pod)))
            .min_by_key(|(created, name, _)| (*created, *name))
            .map(|(_, _, fid)| fid)
    }
}

impl Tracker {
    /// Gives names back that nothing has any more, in one fleet where others found no room: it goes through all series of tasks.
    pub(super) fn give_names_back(&mut self) {
        if let Some(fid) = self.fleets.with_old_names(self.names_of) {
            self.names_of = fid;
            self.give_names_of(fid);
        }
    }

    pub(super) fn give_names_of(&mut self, fid: Fid) {
        let Some(fleet) = self.fleets.get_mut(fid).filter(|fleet| fleet.names_old) else { return };
        let mut shown = HashSet::new();
        for metric in [&TASKS, &TASKS_RUNNING, &TASK_DURATION] {
            shown.extend(self.registry.label_values(metric, "task", &fleet.namespace, &fleet.name));
        }
        fleet.give_back(&shown);
    }
}
