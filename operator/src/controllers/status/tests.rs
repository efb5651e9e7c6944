//! Statuses of made-up fleets.

use std::collections::BTreeMap;

use fleetscope_core::pods::{LeftOut, PodView};
use fleetscope_core::resources::NODE_AGENT_LABELS;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::runtime::watcher::Event;

use super::*;
use crate::fleets::Claim;

fn labels(app: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("app".to_owned(), app.to_owned())])
}

fn claim(created: i64, app: Option<&str>) -> Claim {
    let selector = LabelSelector { match_labels: app.map(labels), ..LabelSelector::default() };
    Claim { uid: created.to_string(), created, selector, ..Claim::default() }
}

fn pod(name: &str, app: &str, node: &str) -> Event<PodView> {
    Event::Apply(PodView {
        uid: name.to_owned(),
        namespace: "ns".to_owned(),
        name: name.to_owned(),
        labels: labels(app),
        node: node.to_owned(),
        ..PodView::default()
    })
}

fn node_agent(node: &str) -> Event<PodView> {
    Event::Apply(PodView {
        namespace: "site".to_owned(),
        name: node.to_owned(),
        node: node.to_owned(),
        ready: true,
        labels: NODE_AGENT_LABELS.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        ..PodView::default()
    })
}

fn key(name: &str) -> OwnerKey {
    OwnerKey::fleet("ns", name)
}

fn world(fleets: &[(&str, Claim)], events: Vec<Event<PodView>>) -> (Fleets, Index) {
    let (mut all, mut pods) = (Fleets::default(), Index::new("site"));
    for (name, claim) in fleets {
        all.set(&key(name), Some(claim.clone()));
    }
    for event in events {
        pods.handle(event);
    }
    (all, pods)
}

fn applied() -> Vec<Fact> {
    vec![
        Fact::new(ConditionType::Accepted, true, Reason::Valid, ""),
        Fact::new(ConditionType::Programmed, true, Reason::Applied, ""),
    ]
}

fn words(status: &AgentFleetStatus) -> Vec<String> {
    status.conditions.iter().map(|c| format!("{}={} {}", c.type_, c.status, c.reason)).collect()
}

#[test]
fn a_pod_that_asks_to_be_left_out_is_no_agent_and_no_overlap() {
    let Event::Apply(view) = pod("a", "x", "n1") else { unreachable!("it is one") };
    let events = vec![Event::Apply(PodView { left_out: Some(LeftOut::Asked), ..view }), pod("b", "x", "n1")];
    let (fleets, pods) = world(&[("f", claim(1, Some("x"))), ("g", claim(2, Some("x")))], events);
    let elder = observe(&key("f"), &fleets, &pods).unwrap();
    let younger = observe(&key("g"), &fleets, &pods).unwrap();
    assert_eq!((elder.agents.total, younger.agents.total, younger.taken), (1, 0, 1));
}

#[test]
fn a_fleet_counts_its_pods_their_nodes_and_the_node_agents() {
    let events = vec![
        pod("a", "x", "n1"),
        pod("b", "x", "n2"),
        pod("c", "x", ""),
        pod("d", "y", "n3"),
        node_agent("n1"),
        node_agent("n9"),
    ];
    let (fleets, pods) = world(&[("f", claim(1, Some("x")))], events);
    let seen = observe(&key("f"), &fleets, &pods).unwrap();
    assert_eq!(
        seen,
        Observed {
            agents: AgentsStatus { total: 3, discovered: 3, ..AgentsStatus::default() },
            nodes: NodesStatus { total: 2, covered: 1, summary: "1/2".to_owned() },
            uncovered: vec!["n2".to_owned()],
            targets: 2,
            taken: 0,
            elders: vec![],
        }
    );
    let status = status(&AgentFleetStatus::default(), Some(4), false, &seen, applied(), None, Timestamp::UNIX_EPOCH);
    assert_eq!(
        words(&status),
        [
            "Ready=False NodesNotReady",
            "Accepted=True Valid",
            "Programmed=True Applied",
            "NodesReady=False AgentsMissing",
            "Degraded=False AsExpected",
        ]
    );
    assert_eq!(status.conditions[3].message, "no node agent is ready on n2; covered: 1/2");
    assert_eq!(status.observed_generation, Some(4));
}

#[test]
fn a_fleet_that_selects_nothing_is_ready() {
    let (fleets, pods) = world(&[("f", claim(1, Some("x")))], vec![pod("d", "y", "n3")]);
    let seen = observe(&key("f"), &fleets, &pods).unwrap();
    let status = status(&AgentFleetStatus::default(), Some(1), false, &seen, applied(), None, Timestamp::UNIX_EPOCH);
    assert_eq!(words(&status)[0], "Ready=True NoPodsSelected");
    assert_eq!(words(&status)[3], "NodesReady=True NoNodes");
    assert_eq!(status.nodes.unwrap().summary, "0/0");
}

#[test]
fn the_older_fleet_has_the_pod_and_the_younger_is_degraded_but_ready() {
    let events = vec![pod("a", "x", "n1"), pod("b", "y", "n1"), node_agent("n1")];
    let (fleets, pods) = world(&[("old", claim(1, Some("x"))), ("young", claim(2, None))], events);
    let old = observe(&key("old"), &fleets, &pods).unwrap();
    assert_eq!((old.agents.total, old.taken), (1, 0));
    let young = observe(&key("young"), &fleets, &pods).unwrap();
    assert_eq!((young.agents.total, young.taken, young.elders.clone()), (1, 1, vec!["old".to_owned()]));
    let status = status(&AgentFleetStatus::default(), None, false, &young, applied(), None, Timestamp::UNIX_EPOCH);
    assert_eq!(words(&status)[0], "Ready=True Observed");
    assert_eq!(words(&status)[4], "Degraded=True SelectorOverlap");
    assert_eq!(status.conditions[4].message, "1 selected pod belongs to an older fleet that selects the same: old");
}

#[test]
fn a_suspended_fleet_keeps_its_pods() {
    let (fleets, pods) = world(&[("old", claim(1, Some("x")))], vec![pod("a", "x", "")]);
    let old = observe(&key("old"), &fleets, &pods).unwrap();
    assert_eq!(old.agents.total, 1);
    let status = status(&AgentFleetStatus::default(), None, true, &old, applied(), None, Timestamp::UNIX_EPOCH);
    assert_eq!(words(&status)[0], "Ready=False Suspended");
}

#[test]
fn long_lists_of_names_are_cut() {
    let names: Vec<String> = (0..12).map(|i| format!("n{i}")).collect();
    assert_eq!(list(&names), "n0, n1, n2, n3, n4, n5, n6, n7, n8, n9 and 2 more");
    assert_eq!(list(&names[..1]), "n0");
}
