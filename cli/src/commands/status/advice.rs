//! What is wrong, and what to do about it: rows in, problems with remedies out. Pure, so that every one is tested.

use std::collections::BTreeSet;

use fleetscope_core::api::conditions::Reason;

use super::{FleetRow, NodeRow, OperatorRow, Probe};
use crate::exit::Problem;

/// Problems, which make `status` end with 3, and notes, which do not.
pub(super) fn find(fleets: &[FleetRow], agents: &[NodeRow], operator: &OperatorRow) -> (Vec<Problem>, Vec<Problem>) {
    let (mut problems, mut notes) = (Vec::new(), Vec::new());
    operator_advice(operator, &mut problems);
    agents_advice(agents, operator, &mut problems, &mut notes);
    for fleet in fleets {
        fleet_advice(fleet, &mut problems, &mut notes);
    }
    if fleets.is_empty() {
        notes.push(Problem::new(
            "there is no fleet here",
            "make one: `kubectl explain agentfleet.spec` describes it; -A shows the fleets of all namespaces",
        ));
    }
    (problems, notes)
}

fn operator_advice(operator: &OperatorRow, problems: &mut Vec<Problem>) {
    let namespace = operator.namespace.as_deref().unwrap_or(crate::cluster::DEFAULT_SYSTEM_NAMESPACE);
    if operator.replicas == 0 {
        problems.push(Problem::new(
            "the operator does not run: fleets get no monitor and no status",
            format!("see `kubectl -n {namespace} get deployments`, or install the chart"),
        ));
    } else if operator.ready == 0 {
        problems.push(Problem::new(
            format!("no replica of the operator is ready (0 of {})", operator.replicas),
            format!("see `kubectl -n {namespace} logs -l {}`", super::OPERATOR_LABELS),
        ));
    } else if operator.leader_known && operator.leader.is_none() {
        problems.push(Problem::new(
            "no replica of the operator leads: nothing is reconciled",
            format!(
                "see `kubectl -n {namespace} get lease {} -o yaml`; a new leader takes over within 20 s",
                super::LEASE
            ),
        ));
    }
}

fn agents_advice(agents: &[NodeRow], operator: &OperatorRow, problems: &mut Vec<Problem>, notes: &mut Vec<Problem>) {
    if agents.is_empty() {
        problems.push(Problem::new(
            "no node agent runs: no task is observed",
            "see `kubectl get daemonsets -A -l app.kubernetes.io/name=fleetscope`, or install the chart; \
             --system-namespace says where it is",
        ));
    }
    for row in agents {
        // A node agent is ready without the probes that it can do without; those are notes then.
        let list = if row.ready { &mut *notes } else { &mut *problems };
        for probe in row.info.probes.iter().filter(|probe| is_broken(probe)) {
            let Probe { purpose, program, state, reason, remedy } = probe;
            let remedy = if remedy.is_empty() {
                format!("see `kubectl -n {} logs {}`", row.namespace, row.pod)
            } else {
                remedy.clone()
            };
            list.push(Problem::new(
                format!("node {}: probe {purpose} ({program}) is {state}: {reason}", row.node),
                remedy,
            ));
        }
        if !row.info.cgroups.error.is_empty() {
            list.push(Problem::new(
                format!("node {}: {}", row.node, row.info.cgroups.error),
                format!("see `kubectl -n {} logs {}`", row.namespace, row.pod),
            ));
        }
        if row.answered && !row.ready && !row.info.probes.iter().any(is_broken) {
            problems.push(Problem::new(
                format!("node {}: the node agent answers but is not ready", row.node),
                format!("see `kubectl -n {} describe pod {}` and its /readyz", row.namespace, row.pod),
            ));
        }
    }
    let versions: BTreeSet<&str> =
        agents.iter().map(|row| row.info.version.as_str()).filter(|version| !version.is_empty()).collect();
    if versions.len() > 1 {
        let all: Vec<&str> = versions.into_iter().collect();
        notes.push(Problem::new(
            format!("node agents of several versions run: {}", all.join(", ")),
            format!(
                "wait for the rollout: `kubectl -n {} get daemonsets -l app.kubernetes.io/name=fleetscope`",
                operator.namespace.as_deref().unwrap_or(crate::cluster::DEFAULT_SYSTEM_NAMESPACE)
            ),
        ));
    }
}

/// A probe that should work and does not.
pub(super) fn is_broken(probe: &Probe) -> bool {
    is_wanted(probe) && probe.state != "attached"
}

/// Whether a probe should work here: `off` is a wish, and one on `standby` has nothing to do, as another one does its work.
pub(super) fn is_wanted(probe: &Probe) -> bool {
    !matches!(probe.state.as_str(), "off" | "standby")
}

fn fleet_advice(fleet: &FleetRow, problems: &mut Vec<Problem>, notes: &mut Vec<Problem>) {
    let FleetRow { namespace, fleet: name, .. } = fleet;
    let object = format!("fleet {namespace}/{name}");
    let describe = format!("see `kubectl -n {namespace} describe agentfleet {name}`");
    if fleet.ready.is_empty() {
        problems.push(Problem::new(
            format!("{object}: the operator has not seen it yet"),
            "see whether the operator runs and leads, above",
        ));
        return;
    }
    if fleet.stale {
        problems.push(Problem::new(
            format!("{object}: the operator has not seen its newest spec yet"),
            "wait a second; if it stays so, see whether the operator leads, above",
        ));
    }
    if let Some(message) = &fleet.degraded {
        problems.push(Problem::new(format!("{object} is degraded: {message}"), describe.clone()));
    }
    let reason = Reason::ALL.iter().find(|reason| reason.as_str() == fleet.reason);
    if fleet.suspended || reason == Some(&Reason::Suspended) {
        notes.push(Problem::new(
            format!("{object} is suspended: nothing of it is observed"),
            format!("resume it: kubectl -n {namespace} patch agentfleet {name} --type merge -p '{{\"spec\":{{\"suspend\":false}}}}'"),
        ));
        return;
    }
    if fleet.ready != "True" {
        let remedy = match reason {
            Some(Reason::NodesNotReady | Reason::AgentsMissing) => {
                "bring up the node agents that are missing: compare NODES above with `kubectl get nodes`; a taint may keep them away"
                    .to_owned()
            }
            Some(Reason::NotProgrammed | Reason::ApplyFailed | Reason::PartiallyApplied | Reason::NameConflict) => {
                format!("{describe}: its events and the condition Programmed name the object")
            }
            Some(Reason::CrdNotInstalled) => {
                "install prometheus-operator, or set spec.scrape.output to Auto or ConfigMap".to_owned()
            }
            Some(Reason::NotAccepted | Reason::InvalidSpec) => {
                format!("{describe}; `kubectl -n {namespace} get agentfleet {name} -o yaml | fleetscope render -f -` checks its spec")
            }
            _ => describe,
        };
        problems.push(Problem::new(format!("{object} is not ready: {}: {}", fleet.reason, fleet.message), remedy));
    } else if reason == Some(&Reason::NoPodsSelected) || fleet.agents == 0 {
        notes.push(Problem::new(
            format!("{object} selects no pod at present"),
            format!("compare spec.selector with `kubectl -n {namespace} get pods --show-labels`"),
        ));
    } else if fleet.scrape.is_some() && fleet.targets == Some(0) {
        problems.push(Problem::new(
            format!("{object} has no target: Prometheus gets nothing from it"),
            "see whether the node agents of its nodes are ready, above",
        ));
    }
}
