//! What a board is made of: rows of panels, each with its queries, its words and its judgement.

use super::levels::Levels;
use super::query::Target;
use super::variables::Variable;

/// One dashboard before it is JSON.
#[derive(Clone, Debug)]
pub(super) struct Board {
    pub(super) uid: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) variables: &'static [Variable],
    pub(super) rows: Vec<Row>,
}

/// Panels under one heading.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) panels: Vec<Panel>,
}

/// Grafana's panel types that are in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    TimeSeries,
    /// As lines, one upon the other.
    Stacked,
    Stat,
    Gauge,
    BarGauge,
    Table,
    Pie,
    /// When something was going on, a line per series.
    StateTimeline,
    /// Buckets of a histogram over time.
    Heatmap,
}

/// Units of Grafana that are in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unit {
    /// A number of things.
    Count,
    /// 0 to 1, shown in percent.
    Ratio,
    Seconds,
    Bytes,
    /// Operations per second.
    PerSecond,
    /// Money in the currency that the legend names.
    Money,
    /// Processors.
    Cores,
    /// 0 to 100.
    Score,
}

/// One panel.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    pub(super) title: &'static str,
    pub(super) kind: Kind,
    pub(super) unit: Unit,
    /// What is seen, what is good, what is bad.
    pub(super) words: [&'static str; 3],
    /// Rows of the list of requirements that it answers.
    pub(super) covers: &'static [&'static str],
    pub(super) targets: Vec<Target>,
    pub(super) levels: Levels,
    /// Columns and lines of the grid.
    pub(super) size: (u32, u32),
    /// Dashboard that a click on a series leads to, for the series' fleet.
    pub(super) drill: Option<&'static str>,
    /// Column by which a table is sorted, falling.
    pub(super) sorted_by: Option<&'static str>,
}

// === impl Board ===

impl Board {
    /// All panels, in order.
    pub(super) fn panels(&self) -> impl Iterator<Item = &Panel> {
        self.rows.iter().flat_map(|row| &row.panels)
    }
}

// === impl Row ===

impl Row {
    pub(super) fn new(title: &'static str, panels: Vec<Panel>) -> Self {
        Self { title, panels }
    }
}

// === impl Kind ===

impl Kind {
    /// Grafana's name of it.
    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::TimeSeries | Self::Stacked => "timeseries",
            Self::Stat => "stat",
            Self::Gauge => "gauge",
            Self::BarGauge => "bargauge",
            Self::Table => "table",
            Self::Pie => "piechart",
            Self::StateTimeline => "state-timeline",
            Self::Heatmap => "heatmap",
        }
    }

    /// Whether its queries ask for one moment and not for a range.
    pub(super) const fn is_instant(self) -> bool {
        matches!(self, Self::Gauge | Self::BarGauge | Self::Table | Self::Pie)
    }
}

// === impl Unit ===

impl Unit {
    /// Grafana's name of it.
    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::Count | Self::Cores | Self::Score => "short",
            Self::Ratio => "percentunit",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::PerSecond => "ops",
            Self::Money => "none",
        }
    }

    /// Digits after the point, where Grafana's choice is a bad one.
    pub(super) const fn decimals(self) -> Option<u32> {
        match self {
            Self::Money => Some(2),
            Self::Score => Some(0),
            _ => None,
        }
    }

    /// The largest value that there can be.
    pub(super) const fn full(self) -> Option<f64> {
        match self {
            Self::Ratio => Some(1.0),
            Self::Score => Some(100.0),
            _ => None,
        }
    }
}

// === impl Panel ===

impl Panel {
    /// A panel of the usual size of its kind that judges nothing yet. `words`: what is seen, what is good, what is bad.
    pub(super) fn new(kind: Kind, title: &'static str, unit: Unit, words: [&'static str; 3]) -> Self {
        let size = match kind {
            Kind::Stat | Kind::Gauge => (4, 5),
            Kind::Pie | Kind::BarGauge => (6, 8),
            Kind::TimeSeries | Kind::Stacked => (8, 8),
            Kind::Heatmap => (12, 8),
            Kind::Table | Kind::StateTimeline => (24, 9),
        };
        let (covers, levels) = (&[][..], Levels::Unjudged);
        Self { title, kind, unit, words, covers, targets: Vec::new(), levels, size, drill: None, sorted_by: None }
    }

    pub(super) fn covers(mut self, rows: &'static [&'static str]) -> Self {
        self.covers = rows;
        self
    }

    pub(super) fn query(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    pub(super) fn levels(mut self, levels: Levels) -> Self {
        self.levels = levels;
        self
    }

    pub(super) fn size(mut self, width: u32, height: u32) -> Self {
        self.size = (width, height);
        self
    }

    pub(super) fn drill(mut self, uid: &'static str) -> Self {
        self.drill = Some(uid);
        self
    }

    pub(super) fn sorted_by(mut self, column: &'static str) -> Self {
        self.sorted_by = Some(column);
        self
    }

    /// Number in its dashboard: out of its title, so that links to a panel stay when another one is put before it.
    /// At most 65,521, the largest prime of 16 bits; that no two panels of a dashboard share one is tested.
    pub(super) fn id(&self) -> u32 {
        let hash =
            self.title.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        1 + hash % 65_521
    }

    /// Names of the alerts whose thresholds it shows.
    pub(super) fn alerts(&self) -> Vec<&'static str> {
        let columns = self.targets.iter().filter_map(|target| target.column).filter_map(|column| column.levels.alert());
        self.levels.alert().into_iter().chain(columns).collect()
    }
}
