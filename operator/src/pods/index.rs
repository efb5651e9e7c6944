//! Pods by namespace and name, and the node agents among them. Pure: watch events in, what they touch out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fleetscope_core::pods::{AgentStatus, PodView, agent_status};
use fleetscope_core::resources::NODE_AGENT_LABELS;
use kube::runtime::watcher::Event;

type Namespace = BTreeMap<String, Arc<PodView>>;

/// What a watch event touches.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Touched {
    /// Pods whose fleets have something new to say: namespace, and labels before and after.
    pub pods: Vec<(String, Vec<BTreeMap<String, String>>)>,
    /// Every fleet has something new to say: node agents became ready or went, or all pods are known now.
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
    pub fn namespace(&self, namespace: &str) -> impl Iterator<Item = &PodView> {
        self.by_namespace.get(namespace).into_iter().flatten().map(|(_, pod)| pod.as_ref())
    }

    /// Nodes whose node agent is ready, with the number of ready node agents there (more than one while it is replaced).
    pub fn node_agents(&self) -> BTreeMap<&str, usize> {
        let mut nodes = BTreeMap::new();
        for pod in self.namespace(&self.site).filter(|pod| serves(pod, &self.site)) {
            *nodes.entry(pod.node.as_str()).or_default() += 1;
        }
        nodes
    }

    fn put(&mut self, pod: PodView, touched: &mut Touched) {
        let pods = self.by_namespace.entry(pod.namespace.clone()).or_default();
        let (namespace, name) = (pod.namespace.clone(), pod.name.clone());
        let pod = Arc::new(pod);
        let before = pods.insert(name, Arc::clone(&pod));
        if before.as_deref().is_none_or(|before| facts(before) != facts(&pod)) {
            let before_labels = before.as_ref().filter(|b| b.labels != pod.labels).map(|b| b.labels.clone());
            touched.pods.push((namespace, std::iter::once(pod.labels.clone()).chain(before_labels).collect()));
        }
        let served = before.as_deref().filter(|pod| serves(pod, &self.site)).map(|pod| &pod.node);
        touched.all |= served != Some(&pod.node).filter(|_| serves(&pod, &self.site));
    }

    fn remove(&mut self, namespace: &str, name: &str, touched: &mut Touched) {
        let Some(pods) = self.by_namespace.get_mut(namespace) else { return };
        let Some(pod) = pods.remove(name) else { return };
        if pods.is_empty() {
            self.by_namespace.remove(namespace);
        }
        touched.all |= serves(&pod, &self.site);
        touched.pods.push((namespace.to_owned(), vec![pod.labels.clone()]));
    }
}

/// What of a pod a fleet's status shows.
fn facts(pod: &PodView) -> (&BTreeMap<String, String>, bool, &str, AgentStatus) {
    (&pod.labels, pod.opted_out, &pod.node, agent_status(pod))
}

/// Whether a pod is a node agent that answers scrapes.
fn serves(pod: &PodView, site: &str) -> bool {
    pod.namespace == site
        && pod.ready
        && !pod.deleting
        && !pod.node.is_empty()
        && NODE_AGENT_LABELS.iter().all(|(key, value)| pod.labels.get(*key).is_some_and(|v| v == value))
}

#[cfg(test)]
mod tests {
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

    fn label(app: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("app".to_owned(), app.to_owned())])
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
        let touched = index.handle(Event::Apply(PodView { opted_out: true, ..pod("ns", "a", "x") }));
        assert_eq!(touched.pods, [("ns".to_owned(), vec![label("x")])]);
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
        assert_eq!(index.namespace("ns").map(|pod| pod.name.as_str()).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn node_agents_count_when_they_are_ready_and_touch_every_fleet_when_that_changes() {
        let mut index = Index::new("site");
        assert!(!index.handle(Event::Apply(node_agent("n1", false))).all);
        assert!(index.handle(Event::Apply(node_agent("n1", true))).all);
        assert!(!index.handle(Event::Apply(node_agent("n1", true))).all);
        assert_eq!(index.node_agents(), BTreeMap::from([("n1", 1)]));
        assert!(index.handle(Event::Delete(node_agent("n1", true))).all);
        assert_eq!(index.node_agents(), BTreeMap::new());
    }

    #[test]
    fn pods_that_look_like_node_agents_elsewhere_are_none() {
        let mut index = Index::new("site");
        let elsewhere = PodView { namespace: "ns".to_owned(), ..node_agent("n1", true) };
        assert!(!index.handle(Event::Apply(elsewhere)).all);
        assert_eq!(index.node_agents(), BTreeMap::new());
    }
}
