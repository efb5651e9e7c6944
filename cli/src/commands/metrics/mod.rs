//! `fleetscope metrics`: the node agents' metrics, merged into one line per family, or raw.

mod family;

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::{Answer, Failure};
use crate::args::OutputArgs;
use crate::cluster::{Cluster, Scope};
use crate::exposition::{Line, ParseError, Sample, family, parse};
use crate::histogram::Quantile;
use crate::nodes::{self, Coverage, NodeAgent};
use crate::output::table::{Align, Cell, Table, Tone};
use crate::output::text::{escape, escape_lines};
use crate::output::{View, units};
use crate::pattern::Pattern;
use family::{Family, Open};

/// Options of `metrics`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  fleetscope metrics -A                                          one line per metric, over all nodes
  fleetscope metrics --match 'fleetscope_agent_*' -o wide        by a glob on the name
  fleetscope metrics --match '/.*_(total|running)/'              by a regular expression between slashes
  fleetscope metrics --match '{fleet=\"coders\",result!=\"success\"}'  by labels, as in PromQL
  fleetscope metrics --raw --match fleetscope_tasks_total        the series themselves, node by node
  fleetscope metrics --self                                      the node agents' own metrics")]
pub(crate) struct MetricsArgs {
    /// Prints the series as the nodes expose them, each node after a comment with its name, instead of a summary.
    #[arg(long)]
    pub(crate) raw: bool,

    /// Only metrics whose name, glob, /regular expression/ or selector matches. May be given several times: any of them.
    #[arg(long = "match", value_name = "PATTERN")]
    pub(crate) patterns: Vec<Pattern>,

    /// The node agents' own metrics instead of the fleets'.
    #[arg(long = "self")]
    pub(crate) own: bool,

    /// How the answer is printed.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Metric families over all nodes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    items: Vec<Family>,
    nodes: Coverage,
}

/// What of a node's exposition is looked at.
struct Selection<'a> {
    patterns: &'a [Pattern],
    scope: &'a Scope,
    own: bool,
}

/// Asks the node agents once.
pub(crate) async fn run(cluster: &Cluster, args: &MetricsArgs) -> Result<Answer, Failure> {
    let agents = nodes::discover(cluster).await?;
    super::some(&agents)?;
    let path = if args.own { "/metrics?scope=self".to_owned() } else { cluster.scope.path("/metrics") };
    let answers = nodes::ask_text(cluster, &agents, &path).await;
    let selection = Selection { patterns: &args.patterns, scope: &cluster.scope, own: args.own };
    if args.raw {
        let mut text = String::new();
        let read = agents.iter().zip(answers).map(|(agent, answer)| {
            let part = selection.raw(agent, &answer?)?;
            text.push_str(&part);
            Ok(())
        });
        let (_, coverage) = nodes::split(&agents, read.collect());
        let text = if crate::output::to_terminal() { escape_lines(&text) } else { text };
        return Ok(Answer::partial(text, coverage));
    }
    let mut open = BTreeMap::new();
    let read =
        agents.iter().zip(answers).map(|(agent, answer)| Ok(selection.merge(&agent.node, &answer?, &mut open)?));
    let (_, mut coverage) = nodes::split(&agents, read.collect());
    let items = open.into_iter().map(|(name, open)| open.close(name, &mut coverage)).collect();
    let metrics = Metrics { items, nodes: coverage.clone() };
    Answer::view(&metrics, &args.output, coverage)
}

// === impl Selection ===

impl Selection<'_> {
    fn in_scope(&self, sample: &Sample<'_>) -> bool {
        let fleet = sample.label("fleet");
        // A series without a fleet is the node agent's own; -A shows those too.
        if fleet.is_empty() {
            self.own || *self.scope == Scope::default()
        } else {
            self.scope.wants(sample.label("namespace"), fleet)
        }
    }

    /// Whether a line is wanted.
    fn wants_line(&self, family: &str, sample: &Sample<'_>) -> bool {
        let matches = |p: &Pattern| p.matches(&[family, sample.name], |label| sample.label(label));
        self.in_scope(sample) && (self.patterns.is_empty() || self.patterns.iter().any(matches))
    }

    /// Whether the series that a line is of is wanted: all lines of a histogram or none, as parts of it would be wrong figures.
    fn wants_series(&self, family: &str, sample: &Sample<'_>) -> bool {
        if !self.in_scope(sample) || self.patterns.is_empty() {
            return self.in_scope(sample);
        }
        let label = |label: &str| if label == "le" { "" } else { sample.label(label) };
        if family == sample.name {
            return self.patterns.iter().any(|p| p.matches(&[family], label));
        }
        let parts = ["_bucket", "_sum", "_count"].map(|suffix| format!("{family}{suffix}"));
        let names = [family, &parts[0], &parts[1], &parts[2]];
        self.patterns.iter().any(|p| p.matches(&names, label))
    }

    /// Adds a node's exposition to the families. Nothing is added when a line cannot be read.
    fn merge(&self, node: &str, text: &str, all: &mut BTreeMap<String, Open>) -> Result<(), ParseError> {
        let mut mine: BTreeMap<String, Open> = BTreeMap::new();
        let mut meta: BTreeMap<&str, (String, &str)> = BTreeMap::new();
        for line in parse(text) {
            match line?.1 {
                Line::Help(name, help) => meta.entry(name).or_default().0 = help,
                Line::Type(name, kind) => meta.entry(name).or_default().1 = kind,
                Line::Sample(sample) => {
                    let is_family =
                        |name: &str| meta.get(name).is_some_and(|(_, k)| matches!(*k, "histogram" | "summary"));
                    let family = family(sample.name, is_family);
                    if !self.wants_series(family, &sample) {
                        continue;
                    }
                    let open = mine.entry(family.to_owned()).or_default();
                    if let Some((help, kind)) = meta.get(family) {
                        open.help.clone_from(help);
                        (*kind).clone_into(&mut open.kind);
                    }
                    open.add(family, sample.name, sample.label("le"), sample.value);
                }
                Line::Nothing => {}
            }
        }
        for (name, mut open) in mine {
            open.nodes.insert(node.to_owned());
            all.entry(name).or_default().join(open);
        }
        Ok(())
    }

    /// A node's exposition under a comment with its name, only with the lines that are wanted.
    fn raw(&self, agent: &NodeAgent, text: &str) -> Result<String, ParseError> {
        let NodeAgent { node, namespace, pod, .. } = agent;
        let mut out = format!("# node {} ({}/{})\n", escape(node), escape(namespace), escape(pod));
        let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
        // HELP and TYPE of a family are held back until one of its series is wanted.
        let mut held: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for line in parse(text) {
            match line? {
                (text, Line::Sample(sample)) => {
                    let is_family =
                        |name: &str| kinds.get(name).is_some_and(|kind| matches!(*kind, "histogram" | "summary"));
                    let family = family(sample.name, is_family);
                    if self.wants_line(family, &sample) {
                        held.remove(family).into_iter().flatten().chain([text]).for_each(|line| {
                            out.push_str(line);
                            out.push('\n');
                        });
                    }
                }
                (text, Line::Type(name, kind)) => {
                    kinds.insert(name, kind);
                    held.entry(name).or_default().push(text);
                }
                (text, Line::Help(name, _)) => held.entry(name).or_default().push(text),
                (_, Line::Nothing) => {}
            }
        }
        Ok(out)
    }
}

// === impl Metrics ===

impl View for Metrics {
    fn draw(&self, wide: bool) -> String {
        use Align::{Left, Right};
        let mut columns = vec![
            ("METRIC", Left),
            ("TYPE", Left),
            ("NODES", Right),
            ("SERIES", Right),
            ("TOTAL", Right),
            ("MEAN", Right),
            ("P99", Right),
        ];
        if wide {
            columns.extend([("P50", Right), ("HELP", Left)]);
        }
        let mut table = Table::new(&columns);
        for family in &self.items {
            let in_unit = |value: f64| match family.name.as_str() {
                name if name.contains("_seconds") => units::seconds(value),
                name if name.contains("_bytes") => units::bytes(value),
                _ => units::number(value),
            };
            let quantile = |q: Option<Quantile>| {
                Cell::of(q.map(|q| format!("{}{}", if q.beyond { ">" } else { "" }, in_unit(q.value))))
            };
            // The total of a histogram counts observations, whatever its unit is.
            let total = if family.kind == "histogram" { units::number(family.total) } else { in_unit(family.total) };
            let mut row = vec![
                Cell::new(&family.name),
                Cell::new(&family.kind).tone(Tone::Dim),
                Cell::new(family.nodes.to_string()),
                Cell::new(family.series.to_string()),
                Cell::new(total),
                Cell::of(family.mean.map(in_unit)),
                quantile(family.quantiles[1]),
            ];
            if wide {
                row.extend([quantile(family.quantiles[0]), Cell::long(&family.help)]);
            }
            table.row(row);
        }
        if self.items.is_empty() {
            return "No metric matches; `fleetscope metrics -A` shows all, and `fleetscope status` tells whether fleets are observed.\n"
                .to_owned();
        }
        table.render()
    }
}

#[cfg(test)]
mod tests;
