//! `fleetscope agents`: one row per agent (pod), from the node agents of all nodes.

use clap::Args;
use fleetscope_core::pods::AgentStatus;
use fleetscope_core::tasks::rows::AgentRow;
use k8s_openapi::jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::{Answer, Failure};
use crate::args::OutputArgs;
use crate::cluster::Cluster;
use crate::nodes::{self, Coverage};
use crate::output::table::{Align, Cell, Table, Tone};
use crate::output::{View, units};

/// Options of `agents`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  fleetscope agents                          agents of the current namespace
  fleetscope agents -A --fleet coders -o wide    with images, uptime, and why one does not run
  fleetscope agents -A -o json | jq -r '.items[] | select(.status == \"failed\") | .pod'")]
pub(crate) struct AgentsArgs {
    /// How the answer is printed.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Agents of all nodes that answered.
#[derive(Clone, Debug, Serialize)]
struct Agents {
    items: Vec<AgentRow>,
    nodes: Coverage,
}

/// The agents, and the time that ages are told at.
struct At {
    agents: Agents,
    now: Timestamp,
}

/// Asks the node agents once.
pub(crate) async fn run(cluster: &Cluster, args: &AgentsArgs) -> Result<Answer, Failure> {
    let agents = nodes::discover(cluster).await?;
    super::some(&agents)?;
    let answers = nodes::ask_json::<Vec<AgentRow>>(cluster, &agents, "/agents").await;
    let (answers, coverage) = nodes::split(&agents, answers);
    let items = merge(answers.into_iter().map(|(_, rows)| rows), |row| cluster.scope.wants(&row.namespace, &row.fleet));
    let view = At { agents: Agents { items, nodes: coverage.clone() }, now: Timestamp::now() };
    Answer::view(&view, &args.output, coverage)
}

/// Rows of several nodes in one order.
fn merge(answers: impl Iterator<Item = Vec<AgentRow>>, wants: impl Fn(&AgentRow) -> bool) -> Vec<AgentRow> {
    let mut items: Vec<AgentRow> = answers.flatten().filter(wants).collect();
    items.sort_by(|a, b| (&a.namespace, &a.fleet, &a.pod, &a.node).cmp(&(&b.namespace, &b.fleet, &b.pod, &b.node)));
    items
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.agents.serialize(serializer)
    }
}

impl View for At {
    fn draw(&self, wide: bool) -> String {
        use Align::{Left, Right};
        if self.agents.items.is_empty() {
            return "No agents here; -A shows all namespaces, and `fleetscope status` tells whether fleets select pods.\n".to_owned();
        }
        let mut columns = vec![
            ("NAMESPACE", Left),
            ("FLEET", Left),
            ("AGENT", Left),
            ("STATUS", Left),
            ("NODE", Left),
            ("WORKLOAD", Left),
            ("TASKS", Right),
            ("RESTARTS", Right),
            ("AGE", Right),
        ];
        if wide {
            columns.extend([
                ("UPTIME", Right),
                ("CONTAINERS", Right),
                ("TRACKED", Left),
                ("REASON", Left),
                ("IMAGES", Left),
            ]);
        }
        let mut table = Table::new(&columns);
        for row in &self.agents.items {
            let tone = match row.status {
                AgentStatus::Running => Tone::Good,
                AgentStatus::Failed => Tone::Bad,
                AgentStatus::Discovered => Tone::Warn,
                AgentStatus::Stopped => Tone::Dim,
            };
            let mut cells = vec![
                Cell::new(&row.namespace),
                Cell::new(&row.fleet),
                Cell::new(&row.pod),
                Cell::new(row.status.as_str()).tone(tone),
                Cell::new(&row.node),
                Cell::new(&row.workload),
                Cell::new(row.running_tasks.to_string()),
                Cell::new(row.restarts.to_string()).tone(if row.restarts > 0 { Tone::Warn } else { Tone::Plain }),
                Cell::of(since(row.created, self.now)),
            ];
            if wide {
                cells.extend(self.wide(row));
            }
            table.row(cells);
        }
        table.render()
    }
}

impl At {
    fn wide(&self, row: &AgentRow) -> [Cell; 5] {
        let running = || row.containers.iter().filter(|c| c.state == "running");
        let started = running().filter_map(|c| c.started).min();
        let reasons: Vec<String> = row
            .containers
            .iter()
            .filter(|c| !c.reason.is_empty())
            .map(|c| format!("{}: {}", c.name, c.reason))
            .collect();
        let mut images: Vec<&str> = row.containers.iter().map(|c| c.image.as_str()).collect();
        images.dedup();
        [
            Cell::of(started.and_then(|started| since(started, self.now))),
            Cell::new(format!("{}/{}", running().count(), row.containers.len())),
            Cell::new(if row.tracked { "yes" } else { "no" }),
            Cell::long(reasons.join(", ")),
            Cell::long(images.join(",")),
        ]
    }
}

/// Time since a second of the epoch; a time that is none, or in the future, is not told.
fn since(second: i64, now: Timestamp) -> Option<String> {
    let then = Timestamp::from_second(second).ok().filter(|_| second > 0)?;
    let age = now.duration_since(then).as_secs_f64();
    (age >= 0.0).then(|| units::seconds(age))
}

#[cfg(test)]
mod tests {
    use fleetscope_core::tasks::rows::ContainerRow;

    use super::*;

    fn row(pod: &str, node: &str, status: AgentStatus) -> AgentRow {
        AgentRow {
            namespace: "team-a".to_owned(),
            pod: pod.to_owned(),
            fleet: "coders".to_owned(),
            workload: "coder".to_owned(),
            node: node.to_owned(),
            status,
            tracked: true,
            created: 1_767_225_600,
            restarts: 0,
            running_tasks: 2,
            containers: vec![ContainerRow {
                name: "agent".to_owned(),
                image: "agents/coder:1".to_owned(),
                state: "running".to_owned(),
                reason: String::new(),
                started: Some(1_767_225_610),
                restarts: 0,
            }],
        }
    }

    fn drawn(items: Vec<AgentRow>, wide: bool) -> String {
        let agents = Agents { items, nodes: Coverage::default() };
        let at = At { agents, now: Timestamp::from_second(1_767_225_700).unwrap() };
        anstream::adapter::strip_str(&at.draw(wide)).to_string()
    }

    #[test]
    fn rows_of_two_nodes_are_one_table_in_one_order() {
        let nodes = [
            vec![row("coder-2", "node-b", AgentStatus::Failed)],
            vec![row("coder-1", "node-a", AgentStatus::Running), row("other", "node-a", AgentStatus::Running)],
        ];
        let items = merge(nodes.into_iter(), |row| row.pod != "other");
        assert_eq!(
            drawn(items, false),
            "\
NAMESPACE  FLEET   AGENT    STATUS   NODE    WORKLOAD  TASKS  RESTARTS    AGE
team-a     coders  coder-1  running  node-a  coder         2         0  1m40s
team-a     coders  coder-2  failed   node-b  coder         2         0  1m40s
"
        );
    }

    #[test]
    fn wide_tells_containers_and_hostile_text_stays_in_its_cell() {
        let mut hostile = row("coder-1", "node-a", AgentStatus::Discovered);
        hostile.restarts = 7;
        hostile.created = i64::MAX;
        hostile.tracked = false;
        hostile.containers[0].state = "waiting".to_owned();
        hostile.containers[0].reason = "Crash\u{1b}[2J\nLoop".to_owned();
        hostile.containers[0].image = "日本:1".to_owned();
        assert_eq!(
            drawn(vec![hostile], true),
            "\
NAMESPACE  FLEET   AGENT    STATUS      NODE    WORKLOAD  TASKS  RESTARTS  AGE  UPTIME  CONTAINERS  TRACKED  REASON                     IMAGES
team-a     coders  coder-1  discovered  node-a  coder         2         7    -       -         0/1  no       agent: Crash\\x1b[2J\\nLoop  日本:1
"
        );
    }

    #[test]
    fn json_is_the_node_agents_rows_and_who_answered() {
        let agents = Agents { items: vec![row("coder-1", "node-a", AgentStatus::Running)], nodes: Coverage::default() };
        let json = serde_json::to_value(&agents).unwrap();
        assert_eq!(json["items"][0]["runningTasks"], 2);
        assert_eq!(json["nodes"], serde_json::json!({"asked": 0, "answered": 0, "problems": []}));
    }
}
