//! The registry: every observation comes in here.

use std::borrow::Cow;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::SystemTime;

use super::entry::{Entries, Entry, Labels, slot};
use super::identity::{Id, Identities, Identity, SELF};
use super::layout::Layout;
use super::overflow::{Refusal, Rung};
use super::start::start;
use super::value::{Change, Value};
use crate::metrics::{ALL, Kind, Metric, SERIES, SERIES_DROPPED, Scope};

/// How many series may be held. Folded series come on top: at most 3/8 more, and one per metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Series of one metric in one fleet.
    pub per_metric_and_fleet: usize,
    /// Series of all metrics and fleets.
    pub total: usize,
}

/// All series of a process. Not shared by itself: put it behind a lock, and hold that for an observation or a [`Registry::snapshot`] only.
#[derive(Debug)]
pub struct Registry {
    limits: Limits,
    clock: Option<fn() -> SystemTime>,
    hasher: RandomState,
    pub(super) identities: Identities,
    /// By [`Metric::index`].
    pub(super) entries: Vec<Entries>,
    /// By [`Metric::index`] and [`Refusal`].
    pub(super) refused: Vec<[u64; Refusal::ALL.len()]>,
    /// Series of all metrics.
    pub(super) series: usize,
    /// Remembered shares of folded series of all metrics.
    pub(super) shares: usize,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self { per_metric_and_fleet: 2_000, total: 200_000 }
    }
}

// === impl Registry ===

impl Registry {
    /// An empty registry.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            clock: None,
            hasher: RandomState::new(),
            identities: Identities::new(),
            entries: ALL.iter().map(|_| Entries::default()).collect(),
            refused: vec![[0; Refusal::ALL.len()]; ALL.len()],
            series: 0,
            shares: 0,
        }
    }

    /// Series that begin from now on know when that was, by this clock.
    pub fn set_clock(&mut self, clock: fn() -> SystemTime) {
        self.clock = Some(clock);
    }

    /// Adds `by` to a counter (not negative) or to a gauge. `labels` are the values of [`Metric::labels`], in their order.
    ///
    /// `id` is for metrics of scope [`Scope::Fleet`]; without one these count under `_OTHER`. Others take none.
    pub fn add(&mut self, metric: &'static Metric, id: Option<&Arc<Identity>>, labels: &[&str], by: f64) {
        self.put(metric, id, labels, &Change::Add(by), &Layout::default());
    }

    /// Sets a gauge, an info (whatever `to` is, it shows 1), or a counter that is read as an absolute value.
    ///
    /// A counter that is set to less than before started again, as after a restart of what it counts.
    pub fn set(&mut self, metric: &'static Metric, id: Option<&Arc<Identity>>, labels: &[&str], to: f64) {
        self.put(
            metric,
            id,
            labels,
            &Change::Set(if metric.kind == Kind::Info { 1.0 } else { to }),
            &Layout::default(),
        );
    }

    /// Counts one value, in the metric's unit and not negative, in a histogram.
    pub fn observe(&mut self, metric: &'static Metric, id: Option<&Arc<Identity>>, labels: &[&str], value: f64) {
        self.put(metric, id, labels, &Change::Observe(value), &Layout::default());
    }

    /// Sets a histogram that is read as absolute values: `counts` per bucket, not cumulative, one more than there are bounds.
    pub fn set_histogram(
        &mut self,
        metric: &'static Metric,
        id: Option<&Arc<Identity>>,
        labels: &[&str],
        counts: &[u64],
        sum: f64,
    ) {
        self.put(metric, id, labels, &Change::SetCounts(Cow::Borrowed(counts), sum), &Layout::default());
    }

    /// Drops a series at once, and tells whether there was one. What was folded into it stays.
    pub fn remove(&mut self, metric: &'static Metric, id: Option<&Arc<Identity>>, labels: &[&str]) -> bool {
        let Some(id) = self.known(metric, id) else { return false };
        let hash = self.hash(id, labels);
        let entries = &mut self.entries[metric.index];
        if let Some(entry) = entries.find_mut(hash, id, labels)
            && entry.extra.is_some()
        {
            entry.value = entry.value.emptied();
            return true;
        }
        let Some(entry) = entries.remove(hash, id, labels) else { return false };
        self.forget(metric, &entry);
        true
    }

    /// What a series holds; none if there is none of its own (it may be folded into another).
    pub fn get(&self, metric: &'static Metric, id: Option<&Arc<Identity>>, labels: &[&str]) -> Option<Value> {
        let id = self.known(metric, id)?;
        let entry = self.entries[metric.index].find(self.hash(id, labels), id, labels)?;
        entry.folded.is_none().then(|| entry.shown(metric.kind))
    }

    /// Whether an identity has series, or shares of folded ones.
    pub fn knows(&self, id: &Arc<Identity>) -> bool {
        self.identities.find(id).is_some()
    }

    /// The values that one own label has in what a fleet has of a metric, folded shares included.
    pub(crate) fn label_values<'a>(
        &'a self,
        metric: &Metric,
        label: &str,
        namespace: &str,
        fleet: &str,
    ) -> impl Iterator<Item = &'a str> {
        let of_it = self.identities.marked(|member| member.is_of(namespace, fleet));
        let at = metric.labels.iter().position(|own| *own == label);
        let entries = self.entries[metric.index].all().filter(move |entry| of_it[slot(entry.id)]);
        entries.filter_map(move |entry| entry.labels.get(at?).map(|value| &**value))
    }

    /// Seconds since the Unix epoch, by the clock; none without one.
    pub(crate) fn seconds(&self) -> Option<i64> {
        let since = self.clock?().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_secs()).ok()
    }

    /// Marks all series of an identity to be dropped by the first [`Self::sweep`] at or after `drop_at`, in ns of the caller's clock.
    ///
    /// An identity that stands for folded ones is not marked: it goes with the last one of its fleet.
    pub fn retire(&mut self, id: &Arc<Identity>, drop_at: u64) {
        if let Some(id) = self.identities.find(id) {
            self.identities.set_drop_at(id, Some(drop_at));
        }
    }

    /// Takes a [`Self::retire`] back.
    pub fn revive(&mut self, id: &Arc<Identity>) {
        if let Some(id) = self.identities.find(id) {
            self.identities.set_drop_at(id, None);
        }
    }

    /// Drops the series of identities whose time has come at `now`, in ns of the caller's clock, and of fleets that have none
    /// left. Gives the number of dropped series.
    pub fn sweep(&mut self, now: u64) -> usize {
        let dropped = self.drop_marked(&self.identities.due(now));
        dropped + self.drop_marked(&self.identities.orphans())
    }

    /// Drops all series of a metric in one fleet at once: what is put into them from now on begins at zero, and with its own layout.
    pub fn start_over(&mut self, metric: &'static Metric, namespace: &str, fleet: &str) {
        let of_it = self.identities.marked(|member| member.is_of(namespace, fleet));
        for entry in self.entries[metric.index].remove_all(&of_it) {
            self.forget(metric, &entry);
        }
    }

    /// Where a series is, by the number of its identity and the hash of its key.
    pub(super) fn place_of(&self, metric: &Metric, identity: &Arc<Identity>, labels: &[&str]) -> Option<(Id, u64)> {
        let id = self.known(metric, Some(identity))?;
        Some((id, self.hash(id, labels)))
    }

    /// Puts into a series that is there. False if it is not there under its own name.
    pub(super) fn apply_at(
        &mut self,
        metric: &'static Metric,
        id: Id,
        hash: u64,
        labels: &Labels,
        change: &Change<'_>,
    ) -> bool {
        let Some(entry) = self.entries[metric.index].find_own(hash, id, labels) else { return false };
        let fits = check_number(metric.kind, change)
            .and_then(|()| entry.value.apply(metric.kind, change).map_err(|_| Refusal::Value));
        if let Err(refusal) = fits {
            self.refuse(metric, refusal);
        }
        true
    }

    pub(super) fn put(
        &mut self,
        metric: &'static Metric,
        id: Option<&Arc<Identity>>,
        labels: &[&str],
        change: &Change<'_>,
        layout: &Layout,
    ) {
        if let Err(refusal) = check(metric, id, labels, change) {
            return self.refuse(metric, refusal);
        }
        let id = match (id, metric.scope) {
            (Some(id), _) => self.identities.intern(id),
            (None, Scope::Fleet) => self.identities.intern(&Arc::new(Identity::of_nobody())),
            (None, Scope::NodeAgent | Scope::Operator) => SELF,
        };
        let hash = self.hash(id, labels);
        match self.entries[metric.index].find_mut(hash, id, labels) {
            Some(entry) if entry.folded.is_none() => {
                if entry.value.apply(metric.kind, change).is_err() {
                    self.refuse(metric, Refusal::Value);
                }
                return;
            }
            Some(_) => self.refuse(metric, Refusal::Cap),
            None => {
                let in_fleet = self.identities.held(id, metric.index).series;
                let own = &self.identities[id].identity;
                let by_name = |rung: &Rung| {
                    rung.is_named_by(metric, own, labels) && rung.has_room(self.limits, in_fleet, self.series)
                };
                let refusal = if in_fleet >= self.limits.per_metric_and_fleet {
                    Some(Refusal::Cap)
                } else {
                    (self.series >= self.limits.total).then_some(Refusal::Total)
                };
                match refusal {
                    Some(refusal) if !Rung::ALL.iter().any(by_name) => self.refuse(metric, refusal),
                    _ => {
                        // A fresh value takes every number that passed the check.
                        let _ =
                            self.insert(metric, hash, id, labels, (layout, change)).value.apply(metric.kind, change);
                        return;
                    }
                }
            }
        }
        self.overflow(metric, hash, id, labels, change, layout);
        self.identities.tidy(id);
    }

    /// Counts what has no series of its own.
    ///
    /// What adds is simply added. What is set replaces its own last value only, so that value is remembered as a share.
    fn overflow(
        &mut self,
        metric: &'static Metric,
        hash: u64,
        id: Id,
        labels: &[&str],
        change: &Change<'_>,
        layout: &Layout,
    ) {
        let kind = metric.kind;
        let replaces = matches!(change, Change::Set(_) | Change::SetCounts(..)) && kind != Kind::Info;
        if !replaces && kind != Kind::Gauge {
            if self.land(metric, id, labels, change, layout).is_none() {
                self.refuse(metric, Refusal::Value);
            }
            return;
        }
        let mut share = match self.entries[metric.index].find(hash, id, labels) {
            Some(entry) => (entry.value.clone(), entry.folded),
            None if self.shares >= self.limits.total
                || self.identities.held(id, metric.index).shares >= self.limits.per_metric_and_fleet =>
            {
                return self.refuse(metric, Refusal::Full);
            }
            None => (Value::new(kind, layout), None),
        };
        let Ok(delta) = share.0.fold(kind, change) else { return self.refuse(metric, Refusal::Value) };
        let rung = match share.1 {
            // What others are folded into stays as long as they do, so this fails only where the sum would not be finite.
            Some(rung) => self.land_on(metric, id, labels, (rung, layout), &delta, false).then_some(rung),
            None => self.land(metric, id, labels, &delta, layout),
        };
        let Some(rung) = rung else { return self.refuse(metric, Refusal::Value) };
        if let Some(entry) = self.entries[metric.index].find_mut(hash, id, labels) {
            entry.value = share.0;
            entry.folded = Some(rung);
        } else {
            self.entries[metric.index].insert(hash, id, labels, share.0, Some(rung));
            self.identities.hold(id, metric.index, true);
            self.shares += 1;
        }
    }

    /// Applies a change to the first rung that has room, and tells which.
    fn land(
        &mut self,
        metric: &'static Metric,
        id: Id,
        labels: &[&str],
        change: &Change<'_>,
        layout: &Layout,
    ) -> Option<Rung> {
        Rung::ALL.into_iter().find(|rung| self.land_on(metric, id, labels, (*rung, layout), change, true))
    }

    fn land_on(
        &mut self,
        metric: &'static Metric,
        id: Id,
        labels: &[&str],
        (rung, layout): (Rung, &Layout),
        change: &Change<'_>,
        make: bool,
    ) -> bool {
        let Some(folded) = rung.labels(metric, labels) else { return false };
        let of_rung = rung.identity(&self.identities[id].identity).filter(|_| id != SELF);
        let own = id;
        let id = of_rung.map_or(own, |identity| self.identities.intern(&Arc::new(identity)));
        if id == own && folded == labels {
            return false; // It is what is to be folded, and found no room by that name.
        }
        let labels = folded;
        let hash = self.hash(id, &labels);
        if let Some(entry) = self.entries[metric.index].find_mut(hash, id, &labels) {
            return entry.folded.is_none() && entry.fold(metric.kind, change).is_ok();
        }
        let in_fleet = self.identities.held(id, metric.index).series;
        if make && rung.has_room(self.limits, in_fleet, self.series) {
            // What stands for several fleets is laid out as the metric says.
            let of_metric = Layout::default();
            let layout = if rung == Rung::All { &of_metric } else { layout };
            return self.insert(metric, hash, id, &labels, (layout, change)).fold(metric.kind, change).is_ok();
        }
        if id != own {
            self.identities.tidy(id);
        }
        false
    }

    /// A new series, for its first change.
    fn insert(
        &mut self,
        metric: &Metric,
        hash: u64,
        id: Id,
        labels: &[&str],
        (layout, first): (&Layout, &Change<'_>),
    ) -> &mut Entry {
        self.identities.hold(id, metric.index, false);
        self.series += 1;
        let start = self.clock.and_then(|clock| start(clock, metric.kind, first));
        let entry = self.entries[metric.index].insert(hash, id, labels, Value::new(metric.kind, layout), None);
        entry.start = start;
        entry
    }

    /// Settles the books after an entry was taken out. A folded gauge no longer counts; what only grows keeps what was counted.
    fn forget(&mut self, metric: &'static Metric, entry: &Entry) {
        if let (Some(rung), Kind::Gauge, Value::Number(number)) = (entry.folded, metric.kind, &entry.value) {
            let labels: Vec<&str> = entry.labels.iter().map(|label| &**label).collect();
            self.land_on(metric, entry.id, &labels, (rung, &Layout::default()), &Change::Add(-number), false);
        }
        let share = entry.folded.is_some();
        *(if share { &mut self.shares } else { &mut self.series }) -= 1;
        self.identities.release(entry.id, metric.index, share);
    }

    fn drop_marked(&mut self, gone: &[bool]) -> usize {
        if !gone.contains(&true) {
            return 0;
        }
        let mut dropped = 0;
        for metric in ALL {
            for entry in self.entries[metric.index].remove_all(gone) {
                dropped += usize::from(entry.folded.is_none());
                self.forget(metric, &entry);
            }
        }
        dropped
    }

    fn known(&self, metric: &Metric, id: Option<&Arc<Identity>>) -> Option<Id> {
        match (id, metric.scope) {
            (Some(id), _) => self.identities.find(id),
            (None, Scope::Fleet) => self.identities.find(&Arc::new(Identity::of_nobody())),
            (None, Scope::NodeAgent | Scope::Operator) => Some(SELF),
        }
    }

    fn hash(&self, id: Id, labels: &[&str]) -> u64 {
        self.hasher.hash_one((id, labels))
    }

    fn refuse(&mut self, metric: &Metric, refusal: Refusal) {
        let count = &mut self.refused[metric.index][refusal as usize];
        *count = count.saturating_add(1);
    }
}

/// Whether an observation fits its metric, and its number can be counted.
fn check(metric: &Metric, id: Option<&Arc<Identity>>, labels: &[&str], change: &Change<'_>) -> Result<(), Refusal> {
    let ours = [SERIES.index, SERIES_DROPPED.index].contains(&metric.index);
    if ours || labels.len() != metric.labels.len() || (id.is_some() && metric.scope != Scope::Fleet) {
        return Err(Refusal::Labels);
    }
    check_number(metric.kind, change)
}

fn check_number(kind: Kind, change: &Change<'_>) -> Result<(), Refusal> {
    let (number, may_fall) = match (kind, change) {
        (Kind::Gauge, Change::Add(number) | Change::Set(number)) => (*number, true),
        (Kind::Counter, Change::Add(number) | Change::Set(number))
        | (Kind::Info, Change::Set(number))
        | (Kind::Histogram(_), Change::Observe(number)) => (*number, false),
        (Kind::Histogram(bounds), Change::SetCounts(counts, sum)) if counts.len() == bounds.len() + 1 => (*sum, false),
        _ => return Err(Refusal::Labels),
    };
    if number.is_finite() && (may_fall || number >= 0.0) { Ok(()) } else { Err(Refusal::Value) }
}
