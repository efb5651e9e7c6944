//! A consistent copy of the series, to be encoded while observations go on.

use std::num::NonZeroU64;
use std::sync::{Arc, OnceLock};

use super::entry::{Entry, slot};
use super::identity::{Identity, SELF};
use super::overflow::Refusal;
use super::registry::Registry;
use super::value::Value;
use crate::metrics::{ALL, Kind, Metric, OTHER, SERIES, SERIES_DROPPED, Scope};

/// Which metrics' series are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// All.
    #[default]
    All,
    /// Those of the process itself, and of what belongs to nobody: the fleets' metrics under `_OTHER`, which are in no fleet's answer.
    SelfOnly,
    /// Those of one fleet.
    Fleet {
        /// Its namespace.
        namespace: String,
        /// Its name.
        fleet: String,
    },
}

/// Which series a snapshot takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Whose series.
    pub scope: Selection,
    /// What the metrics' names start with; none for all.
    pub name_prefix: Option<String>,
    /// Which metrics, by their whole names; empty for all.
    pub names: &'static [&'static str],
}

/// One series of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Whom it belongs to; none for series of the process itself.
    pub identity: Option<Arc<Identity>>,
    /// Values of the metric's own labels, in their order.
    pub labels: Arc<[Box<str>]>,
    /// What it holds.
    pub value: Value,
    /// When it was zero, in ms since the Unix epoch: just before what it counted first. None for gauges, and where it is not known.
    pub start: Option<NonZeroU64>,
    rank: u32,
}

/// The series of one metric in a snapshot.
#[derive(Clone, Debug)]
pub struct Family {
    /// Which metric.
    pub metric: &'static Metric,
    series: Vec<Series>,
    order: OnceLock<Vec<u32>>,
}

/// A consistent copy of the series that a [`Filter`] picks, in the order of the metric table, then identity, then labels.
///
/// Taking it copies; sorting happens at the first read, so that it is never done under the registry's lock.
#[derive(Clone, Debug)]
pub struct Snapshot {
    families: Vec<Family>,
}

// === impl Filter ===

impl Filter {
    pub(super) fn takes_name(&self, name: &str) -> bool {
        self.name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix.as_str()))
            && (self.names.is_empty() || self.names.contains(&name))
    }
}

// === impl Series ===

impl Series {
    pub(super) fn of_entry(identity: Option<Arc<Identity>>, entry: &Entry, kind: Kind, rank: u32) -> Self {
        Self { identity, labels: Arc::clone(&entry.labels), value: entry.shown(kind), start: entry.start, rank }
    }

    pub(super) fn of_self(labels: &[&str], number: f64) -> Self {
        let labels = labels.iter().map(|label| Box::from(*label)).collect();
        Self { identity: None, labels, value: Value::Number(number), start: None, rank: 0 }
    }
}

// === impl Family ===

impl Family {
    pub(super) fn new(metric: &'static Metric, series: Vec<Series>) -> Self {
        Self { metric, series, order: OnceLock::new() }
    }

    /// Its series, ordered by identity, then labels.
    pub fn series(&self) -> impl Iterator<Item = &Series> {
        let at = |place: u32| &self.series[slot(place)];
        let order = self.order.get_or_init(|| {
            let mut order: Vec<u32> = (0..).take(self.series.len()).collect();
            order.sort_unstable_by(|a, b| {
                let (a, b) = (at(*a), at(*b));
                a.rank.cmp(&b.rank).then_with(|| a.labels.cmp(&b.labels))
            });
            order
        });
        order.iter().map(move |place| at(*place))
    }

    /// Number of its series.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether it has none; a snapshot has no such family.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}

impl PartialEq for Family {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &Series, b: &Series| a.identity == b.identity && a.labels == b.labels && a.value == b.value;
        self.metric == other.metric
            && self.len() == other.len()
            && self.series().zip(other.series()).all(|(a, b)| same(a, b))
    }
}

// === impl Snapshot ===

impl Snapshot {
    pub(super) fn new(families: Vec<Family>) -> Self {
        Self { families }
    }

    /// The metrics that have series, in the order of the metric table.
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// Number of all series.
    pub fn len(&self) -> usize {
        self.families.iter().map(Family::len).sum()
    }

    /// Number of lines of text that its series take.
    pub(crate) fn lines(&self) -> usize {
        let of_series = |series: &Series| match &series.value {
            Value::Histogram { counts, .. } => counts.len() + 2,
            Value::Number(_) => 1,
        };
        self.families.iter().flat_map(|family| &family.series).map(of_series).sum()
    }

    /// Whether there is no series.
    pub fn is_empty(&self) -> bool {
        self.families.is_empty()
    }
}

impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        self.families == other.families
    }
}

impl Registry {
    /// A consistent copy of what `filter` picks, with the registry's own series (`fleetscope_series`,
    /// `fleetscope_series_dropped_total`) where its scope is not one fleet.
    pub fn snapshot(&self, filter: &Filter) -> Snapshot {
        let ranks = self.identities.ranks();
        let wanted = match &filter.scope {
            Selection::All => None,
            Selection::SelfOnly => Some(self.identities.marked(|member| member.is_of(OTHER, OTHER))),
            Selection::Fleet { namespace, fleet } => {
                Some(self.identities.marked(|member| member.is_of(namespace, fleet)))
            }
        };
        let families = ALL.iter().filter(|metric| filter.takes_name(metric.name)).filter_map(|metric| {
            let of_process = matches!(metric.scope, Scope::NodeAgent | Scope::Operator);
            if of_process && matches!(filter.scope, Selection::Fleet { .. }) {
                return None;
            }
            let series = match metric.index {
                index if index == SERIES.index => self.own_series(),
                index if index == SERIES_DROPPED.index => self.own_refusals(),
                index => self.copies(index, &ranks, wanted.as_deref().filter(|_| !of_process)),
            };
            (!series.is_empty()).then(|| Family::new(metric, series))
        });
        Snapshot::new(families.collect())
    }

    fn copies(&self, index: usize, ranks: &[u32], wanted: Option<&[bool]>) -> Vec<Series> {
        let kind = ALL[index].kind;
        let takes = |entry: &&Entry| wanted.is_none_or(|wanted| wanted[slot(entry.id)]);
        let mut copies = Vec::with_capacity(if wanted.is_none() { self.entries[index].series() } else { 0 });
        copies.extend(self.entries[index].iter().filter(takes).map(|entry| {
            let identity = (entry.id != SELF).then(|| Arc::clone(&self.identities[entry.id].identity));
            Series::of_entry(identity, entry, kind, ranks[slot(entry.id)])
        }));
        copies
    }

    fn own_series(&self) -> Vec<Series> {
        let held = ALL.iter().zip(&self.entries).filter(|(_, entries)| entries.series() > 0);
        held.map(|(metric, entries)| Series::of_self(&[metric.name], as_number(entries.series() as u64))).collect()
    }

    /// All that are not zero, and those by cap of the fleets' metrics from zero on, so that a rate of them sees the first.
    fn own_refusals(&self) -> Vec<Series> {
        let mut series = Vec::new();
        for (metric, refused) in ALL.iter().zip(&self.refused) {
            let held = metric.scope == Scope::Fleet && self.entries[metric.index].series() > 0;
            for (reason, count) in Refusal::ALL.into_iter().zip(refused) {
                if *count > 0 || (held && reason == Refusal::Cap) {
                    series.push(Series::of_self(&[metric.name, reason.as_str()], as_number(*count)));
                }
            }
        }
        series
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, far beyond what is counted here")]
fn as_number(count: u64) -> f64 {
    count as f64
}
