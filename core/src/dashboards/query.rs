//! Queries of panels, and from what they live.

use super::levels::Levels;
use super::panel::{Board, Unit};
use super::variables::Scope;
use crate::metrics::Source;

/// One query of a panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Uid of the dashboard.
    pub dashboard: String,
    /// Title of the panel.
    pub panel: &'static str,
    /// As in the dashboard, with Grafana's variables.
    pub expr: String,
    /// From what it lives.
    pub source: Source,
    /// Why it may well return nothing on a healthy installation, if so.
    pub empty: Option<&'static str>,
}

/// Where a query's value stands in a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    pub(super) levels: Levels,
    /// Shown as a word, as the levels judge it: fast, normal, slow.
    pub(super) words: bool,
}

/// A query of a panel before it is JSON.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) expr: &'static str,
    pub(super) legend: &'static str,
    pub(super) source: Source,
    pub(super) exemplar: bool,
    pub(super) column: Option<Column>,
    pub(super) empty: Option<&'static str>,
}

/// Values that stand for Grafana's variables outside of Grafana: everything, the last hour, a scrape every 15 s. Longer names first.
const CONCRETE: [(&str, &str); 11] = [
    ("$__rate_interval", "1m"),
    ("$__interval", "1m"),
    ("$__range", "1h"),
    ("$namespace", ".+"),
    ("$profile", ".*"),
    ("$method", ".*"),
    ("$fleet", ".+"),
    ("$model", ".*"),
    ("$task", ".*"),
    ("$worker_profile", ".*"),
    ("$node", ".*"),
];

// === impl Query ===

impl Query {
    /// The expression as Prometheus takes it: all fleets, over the last hour.
    pub fn concrete(&self) -> String {
        concrete(&self.expr)
    }
}

/// An expression with values in place of Grafana's variables.
pub(super) fn concrete(expr: &str) -> String {
    CONCRETE.iter().fold(expr.to_owned(), |expr, (name, value)| expr.replace(name, value))
}

// === impl Target ===

impl Target {
    const fn new(source: Source, expr: &'static str, legend: &'static str) -> Self {
        Self { expr, legend, source, exemplar: false, column: None, empty: None }
    }

    /// Asks for exemplars too: only raw histograms have some.
    pub(super) const fn exemplar(mut self) -> Self {
        self.exemplar = true;
        self
    }

    /// Why it may return nothing although all is well.
    pub(super) const fn empty(mut self, reason: &'static str) -> Self {
        self.empty = Some(reason);
        self
    }

    /// A column of a table.
    pub(super) const fn column(mut self, name: &'static str, unit: Unit) -> Self {
        self.column = Some(Column { name, unit, levels: Levels::Unjudged, words: false });
        self
    }

    /// A column of a table that is judged.
    pub(super) const fn judged(mut self, name: &'static str, unit: Unit, levels: Levels) -> Self {
        self.column = Some(Column { name, unit, levels, words: false });
        self
    }

    /// A column of a table that shows only the judgement, as a word.
    pub(super) const fn mark(mut self, name: &'static str, levels: Levels) -> Self {
        self.column = Some(Column { name, unit: Unit::Seconds, levels, words: true });
        self
    }

    /// As in the dashboard.
    pub(super) fn expr(&self, scope: &Scope) -> String {
        self.expr.replace("$fleets", scope.matchers())
    }
}

/// Reads what the kernel shows.
pub(super) const fn kernel(expr: &'static str, legend: &'static str) -> Target {
    Target::new(Source::Kernel, expr, legend)
}

/// Reads what agents send.
pub(super) const fn telemetry(expr: &'static str, legend: &'static str) -> Target {
    Target::new(Source::Telemetry, expr, legend)
}

/// Reads what agents expose themselves.
pub(super) const fn scrape(expr: &'static str, legend: &'static str) -> Target {
    Target::new(Source::Scrape, expr, legend)
}

/// Reads what Fleetscope says of itself.
pub(super) const fn itself(expr: &'static str, legend: &'static str) -> Target {
    Target::new(Source::Fleetscope, expr, legend)
}

/// All queries of a board.
pub(super) fn of(board: &Board, scope: &Scope) -> Vec<Query> {
    let queries = |panel: &'_ super::panel::Panel| {
        let title = panel.title;
        panel
            .targets
            .iter()
            .map(|target| Query {
                dashboard: board.uid.to_owned(),
                panel: title,
                expr: target.expr(scope),
                source: target.source,
                empty: target.empty,
            })
            .collect::<Vec<_>>()
    };
    board.panels().flat_map(queries).collect()
}
