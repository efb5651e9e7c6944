//! Pods by namespace and name, and the node agents among them. Pure: watch events in, what they touch out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fleetscope_core::pods::{AgentStatus, PodView, agent_status, selects};
use fleetscope_core::resources::NODE_AGENT_LABELS;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::runtime::watcher::Event;

type Namespace = BTreeMap<String, Agent>;
/// Labels, which pods of one workload share.
pub type Labels = Arc<BTreeMap<String, String>>;

/// What is kept of a pod: what the status of a fleet shows, and whether it is a node agent that answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Agent {
    /// Its labels.
    pub labels: Labels,
    /// The node that it is on, empty until it is scheduled.
    pub node: Arc<str>,
    /// State of the agent.
    pub status: AgentStatus,
    /// It ended for good.
    pub over: bool,
    /// It asks to be in no fleet.
    pub opted_out: bool,
    /// It answers: it is ready, and not being deleted.
    answers: bool,
}

/// What a watch event touches.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Touched {
    /// Pods whose fleets have something new to say: namespace, and labels before and after.
    pub pods: Vec<(String, Vec<Labels>)>,
    /// Nodes whose node agents became ready or went: the fleets there have something new to say now, the others may count
    /// them later.
    pub nodes: BTreeSet<Arc<str>>,
    /// Every fleet has something new to say: all pods are known now.
    pub all: bool,
}

/// All pods.
#[derive(Debug, Default)]
pub struct Index {
    site: String,
    by_namespace: HashMap<String, Namespace>,
    /// Namespace and name of each pod of the list that is being read, to find those that are gone.
    listed: Option<BTreeSet<(String, String)>>,
    synced: bool,
}

// === impl Index ===

impl Index {
    /// An empty index; node agents are in the namespace `site`.
    pub fn new(site: impl Into<String>) -> Self {
        Self { site: site.into(), ..Self::default() }
    }

    /// Whether all pods were listed once.
    pub fn synced(&self) -> bool {
        self.synced
    }

    /// Takes in an event.
    pub fn handle(&mut self, event: Event<PodView>) -> Touched {
        let mut touched = Touched::default();
        match event {
            Event::Init => self.listed = Some(BTreeSet::new()),
            Event::InitApply(pod) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert((pod.namespace.clone(), pod.name.clone()));
                }
                self.put(pod, &mut touched);
            }
            Event::Apply(pod) => self.put(pod, &mut touched),
            Event::Delete(pod) => self.remove(&pod.namespace, &pod.name, &mut touched),
            Event::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                let held =
                    self.by_namespace.iter().flat_map(|(ns, pods)| pods.keys().map(|name| (ns.clone(), name.clone())));
                for (namespace, name) in held.filter(|pod| !listed.contains(pod)).collect::<Vec<_>>() {
                    self.remove(&namespace, &name, &mut touched);
                }
                touched.all |= !std::mem::replace(&mut self.synced, true);
            }
        }
        touched
    }

    /// Pods of a namespace.
    pub fn namespace(&self, namespace: &str) -> impl Iterator<Item = &Agent> {
        self.by_namespace.get(namespace).into_iter().flat_map(BTreeMap::values)
    }

    /// Labels of the pods on these nodes, by namespace.
    pub fn on(&self, nodes: &BTreeSet<Arc<str>>) -> BTreeMap<&str, BTreeSet<&BTreeMap<String, String>>> {
        let mut found: BTreeMap<&str, BTreeSet<&BTreeMap<String, String>>> = BTreeMap::new();
        for (namespace, pods) in &self.by_namespace {
            for pod in pods.values().filter(|pod| nodes.contains(&pod.node)) {
                found.entry(namespace).or_default().insert(&pod.labels);
            }
        }
        found
    }

    /// Nodes whose node agent is ready, with the number of ready node agents there (more than one while it is replaced).
    pub fn node_agents(&self) -> BTreeMap<&str, usize> {
        let mut nodes = BTreeMap::new();
        for pod in self.namespace(&self.site).filter(|pod| pod.serves()) {
            *nodes.entry(&*pod.node).or_default() += 1;
        }
        nodes
    }

    fn put(&mut self, pod: PodView, touched: &mut Touched) {
        let pods = self.by_namespace.entry(pod.namespace.clone()).or_default();
        let mut agent = Agent::of(&pod);
        // Pods of one workload stand beside each other, and mostly have the same labels.
        let beside = pods.range(..pod.name.clone()).next_back().map(|(_, beside)| beside);
        if let Some(beside) = beside {
            if beside.labels == agent.labels {
                agent.labels = Arc::clone(&beside.labels);
            }
            if beside.node == agent.node {
                agent.node = Arc::clone(&beside.node);
            }
        }
        let before = pods.insert(pod.name, agent.clone());
        if before.as_ref().is_none_or(|before| before.facts() != agent.facts()) {
            let before_labels = before.as_ref().filter(|b| b.labels != agent.labels).map(|b| Arc::clone(&b.labels));
            let labels = std::iter::once(Arc::clone(&agent.labels)).chain(before_labels).collect();
            touched.pods.push((pod.namespace.clone(), labels));
        }
        if pod.namespace == self.site {
            let node = |agent: &Agent| agent.serves().then(|| Arc::clone(&agent.node));
            let (then, now) = (before.as_ref().and_then(node), node(&agent));
            if then != now {
                touched.nodes.extend([then, now].into_iter().flatten());
            }
        }
    }

    fn remove(&mut self, namespace: &str, name: &str, touched: &mut Touched) {
        let Some(pods) = self.by_namespace.get_mut(namespace) else { return };
        let Some(pod) = pods.remove(name) else { return };
        if pods.is_empty() {
            self.by_namespace.remove(namespace);
        }
        if namespace == self.site && pod.serves() {
            touched.nodes.insert(Arc::clone(&pod.node));
        }
        touched.pods.push((namespace.to_owned(), vec![pod.labels]));
    }
}

// === impl Agent ===

impl Agent {
    fn of(pod: &PodView) -> Self {
        Self {
            labels: Arc::new(pod.labels.clone()),
            node: pod.node.as_str().into(),
            status: agent_status(pod),
            over: pod.is_over(),
            opted_out: pod.left_out.is_some(),
            answers: pod.ready && !pod.deleting,
        }
    }

    /// What of a pod a fleet's status shows.
    fn facts(&self) -> (&BTreeMap<String, String>, bool, &str, AgentStatus, bool) {
        (&self.labels, self.opted_out, &self.node, self.status, self.over)
    }

    /// Whether a fleet with this selector takes it.
    pub fn is_of(&self, selector: &LabelSelector) -> bool {
        !self.opted_out && selects(selector, &self.labels)
    }

    /// Whether it is a node agent that answers scrapes, if it is where those are.
    fn serves(&self) -> bool {
        self.answers
            && !self.node.is_empty()
            && NODE_AGENT_LABELS.iter().all(|(key, value)| self.labels.get(*key).is_some_and(|v| v == value))
    }
}

#[cfg(test)]
mod tests {
    use fleetscope_core::pods::LeftOut;

    use super::*;

    fn pod(namespace: &str, name: &str, app: &str) -> PodView {
        PodView {
            uid: name.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            labels: BTreeMap::from([("app".to_owned(), app.to_owned())]),
            ..PodView::default()
        }
    }

    fn node_agent(node: &str, ready: bool) -> PodView {
        PodView {
            node: node.to_owned(),
            ready,
            labels: NODE_AGENT_LABELS.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            ..pod("site", &format!("agent-{node}"), "")
        }
    }

    fn label(app: &str) -> Arc<BTreeMap<String, String>> {
        Arc::new(BTreeMap::from([("app".to_owned(), app.to_owned())]))
    }

    fn nodes(names: &[&str]) -> BTreeSet<Arc<str>> {
        names.iter().map(|name| Arc::from(*name)).collect()
    }

    #[test]
    fn a_change_that_no_status_shows_touches_nothing() {
        let mut index = Index::new("site");
        assert_eq!(index.handle(Event::Apply(pod("ns", "a", "x"))).pods, [("ns".to_owned(), vec![label("x")])]);
        let same = PodView { ip: "10.0.0.9".to_owned(), ..pod("ns", "a", "x") };
        assert_eq!(index.handle(Event::Apply(same)), Touched::default());
    }

    #[test]
    fn a_change_of_labels_touches_the_fleets_of_both() {
        let mut index = Index::new("site");
        index.handle(Event::Apply(pod("ns", "a", "x")));
        let touched = index.handle(Event::Apply(pod("ns", "a", "y")));
        assert_eq!(touched.pods, [("ns".to_owned(), vec![label("y"), label("x")])]);
    }

    #[test]
    fn a_pod_that_asks_to_be_left_out_touches_the_fleets_of_its_labels() {
        let mut index = Index::new("site");
        index.handle(Event::Apply(pod("ns", "a", "x")));
        let out = PodView { left_out: Some(LeftOut::Asked), ..pod("ns", "a", "x") };
        assert_eq!(index.handle(Event::Apply(out)).pods, [("ns".to_owned(), vec![label("x")])]);
        assert!(index.namespace("ns").all(|pod| !pod.is_of(&LabelSelector::default())));
    }

    #[test]
    fn pods_that_went_while_the_watch_was_down_are_found_by_the_next_list() {
        let mut index = Index::new("site");
        for event in [Event::Init, Event::InitApply(pod("ns", "a", "x")), Event::InitApply(pod("ns", "b", "x"))] {
            index.handle(event);
        }
        assert!(!index.synced());
        index.handle(Event::InitDone);
        assert!(index.synced());
        for event in [Event::Init, Event::InitApply(pod("ns", "b", "x"))] {
            assert_eq!(index.handle(event), Touched::default());
        }
        assert_eq!(index.handle(Event::InitDone).pods, [("ns".to_owned(), vec![label("x")])]);
        assert_eq!(index.namespace("ns").count(), 1);
    }

    #[test]
    fn node_agents_count_when_they_are_ready_and_touch_their_node_when_that_changes() {
        let mut index = Index::new("site");
        assert_eq!(index.handle(Event::Apply(node_agent("n1", false))).nodes, nodes(&[]));
        assert_eq!(index.handle(Event::Apply(node_agent("n1", true))).nodes, nodes(&["n1"]));
        assert_eq!(index.handle(Event::Apply(node_agent("n1", true))).nodes, nodes(&[]));
        assert_eq!(index.node_agents(), BTreeMap::from([("n1", 1)]));
        assert_eq!(index.handle(Event::Delete(node_agent("n1", true))).nodes, nodes(&["n1"]));
        assert_eq!(index.node_agents(), BTreeMap::new());
    }

    #[test]
    fn pods_that_look_like_node_agents_elsewhere_are_none() {
        let mut index = Index::new("site");
        let elsewhere = PodView { namespace: "ns".to_owned(), ..node_agent("n1", true) };
        assert_eq!(index.handle(Event::Apply(elsewhere)).nodes, nodes(&[]));
        assert_eq!(index.node_agents(), BTreeMap::new());
    }

    #[test]
    fn pods_of_a_node_are_found_and_pods_of_a_workload_share_their_labels() {
        let mut index = Index::new("site");
        let on = |name: &str, app: &str, node: &str| PodView { node: node.to_owned(), ..pod("ns", name, app) };
        for pod in [on("a-1", "a", "n1"), on("a-2", "a", "n2"), on("b-1", "b", "n2")] {
            index.handle(Event::Apply(pod));
        }
        let (a, b) = (label("a"), label("b"));
        assert_eq!(index.on(&nodes(&["n1"])), BTreeMap::from([("ns", BTreeSet::from([&*a]))]));
        assert_eq!(index.on(&nodes(&["n2", "n3"])), BTreeMap::from([("ns", BTreeSet::from([&*a, &*b]))]));
        let held: Vec<&Agent> = index.namespace("ns").collect();
        assert!(Arc::ptr_eq(&held[0].labels, &held[1].labels) && Arc::ptr_eq(&held[1].node, &held[2].node));
    }
}
