//! Tests of `status`: whole answers, and every piece of advice.

use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde_json::json;

use super::*;
use crate::output::View as _;

fn ready_fleet() -> FleetRow {
    FleetRow {
        namespace: "team-a".to_owned(),
        fleet: "coders".to_owned(),
        ready: "True".to_owned(),
        reason: "Observed".to_owned(),
        message: "3 agents on 2 nodes".to_owned(),
        agents: 3,
        running: 3,
        nodes_covered: 2,
        nodes_total: 2,
        targets: Some(2),
        scrape: Some("PodMonitor/fleetscope-coders".to_owned()),
        created: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        ..FleetRow::default()
    }
}

fn probe(name: &str, state: &str) -> Probe {
    Probe { purpose: name.to_owned(), program: format!("on_{name}"), state: state.to_owned(), ..Probe::default() }
}

fn ready_node(node: &str) -> NodeRow {
    NodeRow {
        node: node.to_owned(),
        namespace: "fleetscope-system".to_owned(),
        pod: format!("fleetscope-node-agent-{node}"),
        ready: true,
        answered: true,
        restarts: 0,
        info: NodeInfo {
            version: "0.1.0".to_owned(),
            kernel: "6.8.0".to_owned(),
            probes: vec![probe("exec", "attached"), probe("runqueue", "off"), probe("rpc", "standby")],
            cgroups: Cgroups::default(),
        },
    }
}

fn ready_operator() -> OperatorRow {
    OperatorRow {
        namespace: Some("fleetscope-system".to_owned()),
        replicas: 1,
        ready: 1,
        version: Some("0.1.0".to_owned()),
        leader: Some("fleetscope-operator-x".to_owned()),
        leader_known: true,
    }
}

fn drawn(fleets: Vec<FleetRow>, node_agents: Vec<NodeRow>, operator: OperatorRow, wide: bool) -> String {
    let (hints, notes) = advice::find(&fleets, &node_agents, &operator);
    let status = Status { fleets, node_agents, operator, hints, notes, nodes: Coverage::default() };
    let at = draw::At { status: &status, now: "2026-01-01T02:03:00Z".parse().unwrap() };
    anstream::adapter::strip_str(&at.draw(wide)).to_string()
}

fn problems(fleet: FleetRow) -> (Vec<String>, Vec<String>) {
    let (hints, notes) = advice::find(&[fleet], &[ready_node("a")], &ready_operator());
    let text = |all: Vec<Problem>| all.into_iter().map(|p| p.problem).collect();
    (text(hints), text(notes))
}

#[test]
fn all_well_is_three_tables_and_no_advice() {
    assert_eq!(
        drawn(vec![ready_fleet()], vec![ready_node("a"), ready_node("node-b")], ready_operator(), false),
        "\
Fleets
NAMESPACE  FLEET   READY  REASON    AGENTS  RUNNING  FAILED  NODES  TARGETS  SCRAPE                          AGE
team-a     coders  True   Observed       3        3       0    2/2        2  PodMonitor/fleetscope-coders  2h03m

Node agents
NODE    STATUS  VERSION  PROBES  RESTARTS
a       ready   0.1.0       1/1         0
node-b  ready   0.1.0       1/1         0

Operator
NAMESPACE          READY  VERSION  LEADER
fleetscope-system    1/1  0.1.0    fleetscope-operator-x
"
    );
}

#[test]
fn whatever_is_wrong_stands_below_with_its_remedy() {
    let mut node = ready_node("a");
    node.ready = false;
    node.info.probes[0] = Probe {
        purpose: "exec".to_owned(),
        program: "on_exec".to_owned(),
        state: "failed".to_owned(),
        reason: "no \u{1b}[31mBTF".to_owned(),
        remedy: "use a kernel with CONFIG_DEBUG_INFO_BTF".to_owned(),
    };
    assert_eq!(
        drawn(vec![], vec![node], OperatorRow { leader_known: true, ..OperatorRow::default() }, true),
        "\
Node agents
NODE  STATUS     VERSION  PROBES  RESTARTS  KERNEL  POD                                        ATTACHED
a     not ready  0.1.0       0/1         0  6.8.0   fleetscope-system/fleetscope-node-agent-a  -

Operator
NAMESPACE  READY  VERSION  LEADER
-            0/0  -        none

Wrong
  the operator does not run: fleets get no monitor and no status
    do: see `kubectl -n fleetscope-system get deployments`, or install the chart
  node a: probe exec (on_exec) is failed: no \\x1b[31mBTF
    do: use a kernel with CONFIG_DEBUG_INFO_BTF

Notes
  there is no fleet here
    do: make one: `kubectl explain agentfleet.spec` describes it; -A shows the fleets of all namespaces
"
    );
}

#[test]
fn a_fleet_that_is_not_ready_is_wrong_with_the_operator_s_words() {
    let fleet = FleetRow {
        ready: "False".to_owned(),
        reason: "NodesNotReady".to_owned(),
        message: "node b has no node agent".to_owned(),
        ..ready_fleet()
    };
    let wrong = "fleet team-a/coders is not ready: NodesNotReady: node b has no node agent".to_owned();
    assert_eq!(problems(fleet), (vec![wrong], vec![]));
}

#[test]
fn a_fleet_that_the_operator_has_not_seen_is_wrong() {
    let fleet = FleetRow { ready: String::new(), ..ready_fleet() };
    assert_eq!(problems(fleet).0, ["fleet team-a/coders: the operator has not seen it yet"]);
    let fleet = FleetRow { stale: true, ..ready_fleet() };
    assert_eq!(problems(fleet).0, ["fleet team-a/coders: the operator has not seen its newest spec yet"]);
}

#[test]
fn a_suspended_or_empty_fleet_is_a_note() {
    let fleet =
        FleetRow { suspended: true, ready: "False".to_owned(), reason: "Suspended".to_owned(), ..ready_fleet() };
    assert_eq!(
        problems(fleet),
        (vec![], vec!["fleet team-a/coders is suspended: nothing of it is observed".to_owned()])
    );
    let fleet = FleetRow { reason: "NoPodsSelected".to_owned(), agents: 0, ..ready_fleet() };
    assert_eq!(problems(fleet), (vec![], vec!["fleet team-a/coders selects no pod at present".to_owned()]));
}

#[test]
fn a_degraded_fleet_and_one_without_targets_are_wrong() {
    let fleet = FleetRow { degraded: Some("an older fleet has pod x".to_owned()), ..ready_fleet() };
    assert_eq!(problems(fleet).0, ["fleet team-a/coders is degraded: an older fleet has pod x"]);
    let fleet = FleetRow { targets: Some(0), ..ready_fleet() };
    assert_eq!(problems(fleet).0, ["fleet team-a/coders has no target: Prometheus gets nothing from it"]);
}

#[test]
fn several_versions_of_node_agents_are_a_note() {
    let mut newer = ready_node("b");
    newer.info.version = "0.2.0".to_owned();
    let (hints, notes) = advice::find(&[ready_fleet()], &[ready_node("a"), newer], &ready_operator());
    assert_eq!(hints, []);
    assert_eq!(notes[0].problem, "node agents of several versions run: 0.1.0, 0.2.0");
}

#[test]
fn a_lease_that_ran_out_has_no_leader() {
    let renewed: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let lease = Lease {
        spec: Some(LeaseSpec {
            holder_identity: Some("pod-1".to_owned()),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(renewed)),
            ..LeaseSpec::default()
        }),
        ..Lease::default()
    };
    assert_eq!(leader(&lease, "2026-01-01T00:00:15Z".parse().unwrap()), Some("pod-1".to_owned()));
    assert_eq!(leader(&lease, "2026-01-01T00:00:16Z".parse().unwrap()), None);
}

#[test]
fn a_version_is_the_tag_of_the_image_and_not_the_port_of_its_registry() {
    let pod = |image: &str| {
        serde_json::from_value::<Pod>(json!({"spec": {"containers": [{"name": "c", "image": image}]}})).unwrap()
    };
    assert_eq!(image_tag(&pod("r.example:5000/fleetscope/operator:0.1.0")), Some("0.1.0".to_owned()));
    assert_eq!(image_tag(&pod("r.example:5000/fleetscope/operator")), None);
    assert_eq!(image_tag(&pod("operator:0.1.0@sha256:abc")), Some("0.1.0".to_owned()));
}

#[test]
fn a_fleet_s_row_is_its_status() {
    let fleet: AgentFleet = serde_json::from_value(json!({
        "apiVersion": "fleetscope.io/v1alpha1",
        "kind": "AgentFleet",
        "metadata": {"name": "coders", "namespace": "team-a", "generation": 2, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"selector": {}},
        "status": {
            "observedGeneration": 2,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Observed", "message": "3 agents on 2 nodes",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            "agents": {"total": 3, "discovered": 0, "running": 3, "stopped": 0, "failed": 0},
            "nodes": {"total": 2, "covered": 2, "summary": "2/2"},
            "targets": 2,
            "scrape": {"kind": "PodMonitor", "name": "fleetscope-coders"}
        }
    }))
    .unwrap();
    assert_eq!(fleet_row(&fleet), ready_fleet());
}
