//! One metric's entries: series, and the remembered shares of those that were folded into another.

use std::num::NonZeroU64;
use std::sync::Arc;

use hashbrown::HashTable;

use super::identity::Id;
use super::overflow::Rung;
use super::value::{Change, NotFinite, Value};
use crate::metrics::Kind;

/// Own labels' values, in the order of the metric's labels.
pub(super) type Labels = Arc<[Box<str>]>;

#[derive(Debug)]
pub(super) struct Entry {
    hash: u64,
    pub(super) id: Id,
    pub(super) labels: Labels,
    /// What was put into it by its own name.
    pub(super) value: Value,
    /// What was folded into it.
    pub(super) extra: Option<Box<Value>>,
    /// Set on a share: where it was folded into. It is no series of its own.
    pub(super) folded: Option<Rung>,
    /// As [`super::Series::start`].
    pub(super) start: Option<NonZeroU64>,
}

/// The entries of one metric.
#[derive(Debug, Default)]
pub(super) struct Entries {
    table: HashTable<Entry>,
    series: usize,
}

// === impl Entry ===

impl Entry {
    /// All that the series holds.
    pub(super) fn shown(&self, kind: Kind) -> Value {
        match (&self.extra, kind) {
            (_, Kind::Info) => Value::Number(1.0),
            (Some(extra), _) => self.value.plus(extra),
            (None, _) => self.value.clone(),
        }
    }

    /// Adds an observation whose own series found no room.
    pub(super) fn fold(&mut self, kind: Kind, change: &Change<'_>) -> Result<(), NotFinite> {
        self.extra.get_or_insert_with(|| Box::new(self.value.emptied())).apply(kind, change)
    }

    fn is(&self, id: Id, labels: &[&str]) -> bool {
        self.id == id && self.labels.iter().map(|label| &**label).eq(labels.iter().copied())
    }
}

// === impl Entries ===

impl Entries {
    pub(super) fn find(&self, hash: u64, id: Id, labels: &[&str]) -> Option<&Entry> {
        self.table.find(hash, |entry| entry.is(id, labels))
    }

    pub(super) fn find_mut(&mut self, hash: u64, id: Id, labels: &[&str]) -> Option<&mut Entry> {
        self.table.find_mut(hash, |entry| entry.is(id, labels))
    }

    /// The entry that a handle was for; none if it is not there or is a share.
    pub(super) fn find_own(&mut self, hash: u64, id: Id, labels: &Labels) -> Option<&mut Entry> {
        let is = |entry: &Entry| entry.id == id && (Arc::ptr_eq(&entry.labels, labels) || entry.labels == *labels);
        self.table.find_mut(hash, is).filter(|entry| entry.folded.is_none())
    }

    /// Adds an entry whose key is not there yet.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        id: Id,
        labels: &[&str],
        value: Value,
        folded: Option<Rung>,
    ) -> &mut Entry {
        self.series += usize::from(folded.is_none());
        let labels = labels.iter().map(|label| Box::from(*label)).collect();
        let entry = Entry { hash, id, labels, value, extra: None, folded, start: None };
        self.table.insert_unique(hash, entry, |entry| entry.hash).into_mut()
    }

    pub(super) fn remove(&mut self, hash: u64, id: Id, labels: &[&str]) -> Option<Entry> {
        let (entry, _) = self.table.find_entry(hash, |entry| entry.is(id, labels)).ok()?.remove();
        self.series -= usize::from(entry.folded.is_none());
        Some(entry)
    }

    /// Takes out all entries of the identities that `gone` marks by number.
    pub(super) fn remove_all(&mut self, gone: &[bool]) -> Vec<Entry> {
        let removed: Vec<Entry> =
            self.table.extract_if(|entry| gone.get(slot(entry.id)).is_some_and(|gone| *gone)).collect();
        self.series -= removed.iter().filter(|entry| entry.folded.is_none()).count();
        if self.table.len() < self.table.capacity() / 4 {
            self.table.shrink_to_fit(|entry| entry.hash);
        }
        removed
    }

    /// Number of series.
    pub(super) fn series(&self) -> usize {
        self.series
    }

    /// Series and shares, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.table.iter()
    }

    /// The series, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.table.iter().filter(|entry| entry.folded.is_none())
    }
}

/// A number as an index.
pub(super) fn slot(id: u32) -> usize {
    usize::try_from(id).expect("a 32-bit number fits into usize on every platform with eBPF")
}
