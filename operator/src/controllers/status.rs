//! What a fleet's status says. Pure: fleets, pods and what became of the children in, counts and conditions out.

use std::collections::BTreeSet;

use fleetscope_core::api::AgentFleetStatus;
use fleetscope_core::api::agent_fleet::{AgentsStatus, NodesStatus, ObjectStatus};
use fleetscope_core::api::conditions::{ConditionType, Fact, Reason, merge, ready};
use fleetscope_core::pods::AgentStatus;
use jiff::Timestamp;

use crate::fleets::Fleets;
use crate::owner::OwnerKey;
use crate::pods::Index;

/// Names in a message, at most; the number of all stands with them.
const NAMED: usize = 10;

/// What is seen of a fleet.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Observed {
    /// Its pods by state.
    pub agents: AgentsStatus,
    /// Nodes that its pods run on.
    pub nodes: NodesStatus,
    /// Those of them without a ready node agent.
    pub uncovered: Vec<String>,
    /// Ready node agents of all nodes.
    pub targets: i32,
    /// Pods that it selects and an older fleet has.
    pub taken: usize,
    /// Those older fleets.
    pub elders: Vec<String>,
}

/// Counts a fleet's pods. None when the fleet is gone.
pub(super) fn observe(key: &OwnerKey, fleets: &Fleets, pods: &Index) -> Option<Observed> {
    let own = fleets.get(&key.namespace, &key.name)?;
    let ready = pods.node_agents();
    let mut seen = Observed { targets: count(ready.values().sum()), ..Observed::default() };
    let (mut nodes, mut takers) = (BTreeSet::new(), BTreeSet::new());
    let selected = pods.namespace(&key.namespace).filter(|pod| pod.is_of(&own.selector));
    for pod in selected {
        if let Some(holder) = fleets.holder(&key.namespace, &pod.labels).filter(|holder| *holder != key.name) {
            seen.taken += 1;
            takers.insert(holder.to_owned());
            continue;
        }
        seen.agents.total += 1;
        match pod.status {
            AgentStatus::Discovered => seen.agents.discovered += 1,
            AgentStatus::Running => seen.agents.running += 1,
            AgentStatus::Stopped => seen.agents.stopped += 1,
            AgentStatus::Failed => seen.agents.failed += 1,
        }
        // A pod that ended for good needs its node no more, and the node may be gone.
        if !pod.node.is_empty() && !pod.over {
            nodes.insert(&*pod.node);
        }
    }
    seen.uncovered = nodes.iter().filter(|node| !ready.contains_key(**node)).map(|node| (*node).to_owned()).collect();
    let (total, covered) = (nodes.len(), nodes.len() - seen.uncovered.len());
    seen.nodes = NodesStatus { total: count(total), covered: count(covered), summary: format!("{covered}/{total}") };
    seen.elders = takers.into_iter().collect();
    Some(seen)
}

/// The status of a fleet that can be read. `facts` are `Accepted`, `Programmed` and what else is told before the nodes.
pub(super) fn status(
    before: &AgentFleetStatus,
    generation: Option<i64>,
    suspended: bool,
    seen: &Observed,
    mut facts: Vec<Fact>,
    scrape: Option<ObjectStatus>,
    now: Timestamp,
) -> AgentFleetStatus {
    facts.extend([nodes_ready(seen), degraded(seen)]);
    facts.insert(0, ready(&facts, suspended, usize::try_from(seen.agents.total).unwrap_or_default()));
    AgentFleetStatus {
        observed_generation: generation,
        conditions: merge(&before.conditions, &facts, generation, now),
        agents: Some(seen.agents.clone()),
        nodes: Some(seen.nodes.clone()),
        targets: Some(seen.targets),
        scrape,
    }
}

fn nodes_ready(seen: &Observed) -> Fact {
    let kind = ConditionType::NodesReady;
    if seen.nodes.total == 0 {
        return Fact::new(kind, true, Reason::NoNodes, "no pod of the fleet is on a node");
    }
    if seen.uncovered.is_empty() {
        let message = format!("a node agent is ready on each of the fleet's nodes: {}", seen.nodes.summary);
        return Fact::new(kind, true, Reason::AllNodesCovered, message);
    }
    let message = format!("no node agent is ready on {}; covered: {}", list(&seen.uncovered), seen.nodes.summary);
    Fact::new(kind, false, Reason::AgentsMissing, message)
}

fn degraded(seen: &Observed) -> Fact {
    if seen.taken == 0 {
        return Fact::new(ConditionType::Degraded, false, Reason::AsExpected, "nothing is wrong");
    }
    let pods = if seen.taken == 1 {
        "1 selected pod belongs".to_owned()
    } else {
        format!("{} selected pods belong", seen.taken)
    };
    let message = format!("{pods} to an older fleet that selects the same: {}", list(&seen.elders));
    Fact::new(ConditionType::Degraded, true, Reason::SelectorOverlap, message)
}

fn list(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
