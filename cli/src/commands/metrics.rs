//! `fleetscope metrics`: the node agents' metrics, merged into one line per family, or raw.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use fleetscope_core::metrics::{ALL, Kind};
use serde::Serialize;

use super::{Answer, Failure};
use crate::args::OutputArgs;
use crate::cluster::Cluster;
use crate::exit::Problem;
use crate::exposition::{Line, ParseError, family, parse};
use crate::histogram::{Histogram, HistogramError, Quantile};
use crate::nodes::{self, Coverage, NodeAgent};
use crate::output::table::{Align, Cell, Table, Tone};
use crate::output::text::{escape, escape_lines};
use crate::output::{View, units};
use crate::pattern::Pattern;

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

/// One family over all nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Family {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    help: String,
    /// Series, each of a histogram counted once.
    series: usize,
    /// Nodes that expose some.
    nodes: usize,
    /// Sum of the values; of a histogram the number of observations.
    total: f64,
    /// Mean of a histogram's observations.
    mean: Option<f64>,
    /// Estimated median of a histogram.
    p50: Option<f64>,
    /// Estimated 99th percentile of a histogram.
    p99: Option<f64>,
    #[serde(skip)]
    quantiles: [Option<Quantile>; 2],
}

/// A family while it is read.
#[derive(Debug, Default)]
struct Open {
    kind: String,
    help: String,
    series: usize,
    nodes: BTreeSet<String>,
    total: f64,
    /// Of one node, while its exposition is read: cumulative, summed over the family's series.
    buckets: Vec<(f64, f64)>,
    sum: f64,
    /// Of all nodes; the error of the first that did not fit.
    histogram: Histogram,
    error: Option<HistogramError>,
}

/// What of a node's exposition is looked at.
struct Selection<'a> {
    patterns: &'a [Pattern],
    cluster: &'a Cluster,
    own: bool,
}

/// Asks the node agents once.
pub(crate) async fn run(cluster: &Cluster, args: &MetricsArgs) -> Result<Answer, Failure> {
    let agents = nodes::discover(cluster).await?;
    super::some(&agents)?;
    let path = match (&cluster.namespace, &cluster.fleet) {
        _ if args.own => "/metrics?scope=self".to_owned(),
        // Both are Kubernetes names, which need no escape in a query.
        (Some(namespace), Some(fleet)) => format!("/metrics?namespace={namespace}&fleet={fleet}"),
        _ => "/metrics".to_owned(),
    };
    let answers = nodes::ask_text(cluster, &agents, &path).await;
    let selection = Selection { patterns: &args.patterns, cluster, own: args.own };
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
    fn wants<'a>(&self, family: &str, name: &str, label: impl Fn(&str) -> &'a str) -> bool {
        let fleet = label("fleet");
        // A series without a fleet is the node agent's own; -A shows those too.
        let in_scope = if fleet.is_empty() {
            self.own || (self.cluster.namespace.is_none() && self.cluster.fleet.is_none())
        } else {
            self.cluster.wants(label("namespace"), fleet)
        };
        in_scope && (self.patterns.is_empty() || self.patterns.iter().any(|p| p.matches(family, name, &label)))
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
                    if !self.wants(family, sample.name, |label| sample.label(label)) {
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
                    if self.wants(family, sample.name, |label| sample.label(label)) {
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

// === impl Open ===

impl Open {
    fn add(&mut self, family: &str, name: &str, le: &str, value: f64) {
        match name.strip_prefix(family) {
            Some("_bucket") => {
                // The bound of an exposition that parsed elsewhere; a broken one makes the histogram inconsistent, which is said.
                let bound = le.parse().unwrap_or(f64::NAN);
                self.bucket(bound, value);
            }
            Some("_sum") => self.sum += value,
            // A counter, a gauge, or the `_count` of a histogram, which stands for its series.
            _ => {
                self.series += 1;
                self.total += value;
            }
        }
    }

    fn bucket(&mut self, bound: f64, value: f64) {
        match self.buckets.iter_mut().find(|(b, _)| b.total_cmp(&bound).is_eq()) {
            Some((_, count)) => *count += value,
            None => self.buckets.push((bound, value)),
        }
    }

    /// Adds what one node exposes.
    fn join(&mut self, node: Self) {
        (self.kind, self.help) = (node.kind, node.help);
        self.series += node.series;
        self.nodes.extend(node.nodes);
        self.total += node.total;
        if !node.buckets.is_empty() {
            let added = Histogram::from_cumulative(&node.buckets, node.sum).and_then(|h| self.histogram.add(&h));
            self.error = self.error.or(added.err());
        }
    }

    fn close(self, name: String, coverage: &mut Coverage) -> Family {
        if let Some(error) = self.error {
            coverage.problems.push(Problem::new(
                format!("metric {name}: {error}"),
                format!("see `fleetscope metrics --raw --match {name}`; nodes of different versions may have different buckets"),
            ));
        }
        let histogram = Some(self.histogram).filter(|_| self.error.is_none());
        let [p50, p99] = [0.5, 0.99].map(|q| histogram.as_ref().and_then(|h| h.quantile(q)));
        // An info metric is a gauge to the text format; our own table knows better.
        let info = ALL.iter().any(|m| m.name == name && m.kind == Kind::Info);
        Family {
            kind: if info { "info".to_owned() } else { self.kind },
            help: self.help,
            series: self.series,
            nodes: self.nodes.len(),
            total: self.total,
            mean: histogram.as_ref().and_then(Histogram::mean),
            p50: p50.map(|q| q.value),
            p99: p99.map(|q| q.value),
            quantiles: [p50, p99],
            name,
        }
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
