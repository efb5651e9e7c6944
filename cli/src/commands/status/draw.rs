//! The tables of `status`.

use k8s_openapi::jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::advice::{is_broken, is_wanted};
use super::{FleetRow, NodeRow, OperatorRow, Status};
use crate::exit::Problem;
use crate::output::table::{Align, Cell, Table, Tone};
use crate::output::text::escape;
use crate::output::{View, units};

use Align::{Left, Right};

/// A status, and the time that ages are told at.
pub(super) struct At<'a> {
    pub(super) status: &'a Status,
    pub(super) now: Timestamp,
}

impl Serialize for At<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.status.serialize(serializer)
    }
}

impl View for At<'_> {
    fn draw(&self, wide: bool) -> String {
        let Status { fleets, node_agents, operator, hints, notes, nodes: _ } = self.status;
        let mut out = String::new();
        if !fleets.is_empty() {
            heading("Fleets", &mut out);
            out.push_str(&fleets_table(fleets, self.now, wide));
            out.push('\n');
        }
        if !node_agents.is_empty() {
            heading("Node agents", &mut out);
            out.push_str(&nodes_table(node_agents, wide));
            out.push('\n');
        }
        heading("Operator", &mut out);
        out.push_str(&operator_table(operator));
        for (title, tone, problems) in [("Wrong", Tone::Bad, hints), ("Notes", Tone::Warn, notes)] {
            list(title, tone, problems, &mut out);
        }
        out
    }
}

fn heading(title: &str, out: &mut String) {
    out.push_str(&Tone::Strong.paint(title));
    out.push('\n');
}

fn list(title: &str, tone: Tone, problems: &[Problem], out: &mut String) {
    if problems.is_empty() {
        return;
    }
    out.push('\n');
    out.push_str(&tone.paint(title));
    out.push('\n');
    for Problem { problem, remedy } in problems {
        out.extend(["  ", &escape(problem), "\n    ", &Tone::Dim.paint("do:"), " ", &escape(remedy), "\n"]);
    }
}

fn fleets_table(fleets: &[FleetRow], now: Timestamp, wide: bool) -> String {
    let mut columns = vec![
        ("NAMESPACE", Left),
        ("FLEET", Left),
        ("READY", Left),
        ("REASON", Left),
        ("AGENTS", Right),
        ("RUNNING", Right),
        ("FAILED", Right),
        ("NODES", Right),
        ("TARGETS", Right),
        ("SCRAPE", Left),
        ("AGE", Right),
    ];
    if wide {
        columns.push(("MESSAGE", Left));
    }
    let mut table = Table::new(&columns);
    for row in fleets {
        let tone = match row.ready.as_str() {
            "True" => Tone::Good,
            _ if row.suspended => Tone::Dim,
            "False" => Tone::Bad,
            _ => Tone::Warn,
        };
        let age = row.created.map(|created| units::seconds(now.duration_since(created).as_secs_f64().max(0.0)));
        let mut cells = vec![
            Cell::new(&row.namespace),
            Cell::new(&row.fleet),
            Cell::new(&row.ready).tone(tone),
            Cell::new(&row.reason),
            Cell::new(row.agents.to_string()),
            Cell::new(row.running.to_string()),
            Cell::new(row.failed.to_string()).tone(if row.failed > 0 { Tone::Bad } else { Tone::Plain }),
            Cell::new(format!("{}/{}", row.nodes_covered, row.nodes_total))
                .tone(if row.nodes_covered < row.nodes_total { Tone::Bad } else { Tone::Plain }),
            Cell::of(row.targets),
            Cell::of(row.scrape.as_ref()),
            Cell::of(age),
        ];
        if wide {
            cells.push(Cell::long(&row.message));
        }
        table.row(cells);
    }
    table.render()
}

fn nodes_table(nodes: &[NodeRow], wide: bool) -> String {
    let mut columns = vec![("NODE", Left), ("STATUS", Left), ("VERSION", Left), ("PROBES", Right), ("RESTARTS", Right)];
    if wide {
        columns.extend([("KERNEL", Left), ("POD", Left), ("ATTACHED", Left)]);
    }
    let mut table = Table::new(&columns);
    for row in nodes {
        let (status, tone) = match (row.answered, row.ready) {
            (true, true) => ("ready", Tone::Good),
            (true, false) => ("not ready", Tone::Bad),
            (false, _) => ("no answer", Tone::Bad),
        };
        let wanted: Vec<_> = row.info.probes.iter().filter(|probe| is_wanted(probe)).collect();
        let attached: Vec<&str> =
            wanted.iter().filter(|probe| !is_broken(probe)).map(|probe| probe.program.as_str()).collect();
        let probes = row.answered.then(|| format!("{}/{}", attached.len(), wanted.len()));
        let mut cells = vec![
            Cell::new(&row.node),
            Cell::new(status).tone(tone),
            Cell::new(&row.info.version),
            Cell::of(probes).tone(if attached.len() < wanted.len() { Tone::Bad } else { Tone::Plain }),
            Cell::new(row.restarts.to_string()).tone(if row.restarts > 0 { Tone::Warn } else { Tone::Plain }),
        ];
        if wide {
            cells.extend([
                Cell::new(&row.info.kernel),
                Cell::new(format!("{}/{}", row.namespace, row.pod)),
                Cell::long(attached.join(",")),
            ]);
        }
        table.row(cells);
    }
    table.render()
}

fn operator_table(operator: &OperatorRow) -> String {
    let mut table = Table::new(&[("NAMESPACE", Left), ("READY", Right), ("VERSION", Left), ("LEADER", Left)]);
    let tone = if operator.ready == 0 { Tone::Bad } else { Tone::Good };
    let leader = match (&operator.leader, operator.leader_known) {
        (Some(leader), _) => Cell::new(leader),
        (None, true) => Cell::new("none").tone(Tone::Bad),
        (None, false) => Cell::new("unknown (may not read its Lease)").tone(Tone::Dim),
    };
    table.row(vec![
        Cell::of(operator.namespace.as_ref()),
        Cell::new(format!("{}/{}", operator.ready, operator.replicas)).tone(tone),
        Cell::of(operator.version.as_ref()),
        leader,
    ]);
    table.render()
}
