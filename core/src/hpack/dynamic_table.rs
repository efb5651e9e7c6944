//! The dynamic table (RFC 7541 sections 2.3.2, 4), of which only the newest part may be known.

mod saved;

use std::collections::VecDeque;

use super::block::EntryId;
use super::field::Meaning;

/// What an entry counts besides its name and value (RFC 7541 section 4.1).
const OVERHEAD: u64 = 32;
/// Most bytes of known entries, counted as the RFC does: no more than 2,048 entries.
pub(super) const MAX_TABLE: u32 = 64 * 1024;
/// Size of a table before anything is said about it (RFC 9113 section 6.5.2), in bytes.
pub(super) const DEFAULT_TABLE: u32 = 4096;
/// Room for entries that is kept when the table is forgotten.
const KEEP: usize = 64;

/// A known entry.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) meaning: Meaning,
    /// Bytes of its name; 0 if the name is not known.
    pub(super) name_len: u32,
    /// Its size; at least so much if its name is not known.
    pub(super) size: u32,
}

/// What is at an index.
#[derive(Debug)]
pub(super) enum Found<'a> {
    Known(&'a Entry),
    Unknown,
}

/// The table. [The module's docs](super) say why it gives no wrong value.
#[derive(Debug)]
pub(super) struct DynamicTable {
    /// Newest first.
    pub(super) entries: VecDeque<Entry>,
    /// Sum of their sizes, at least.
    pub(super) size: u64,
    /// Size of the sender's table, at most.
    capacity: u32,
    /// Most bytes that the receiver ever allowed.
    limit: u32,
    /// The size is the sender's own, told by a size update or the one it began with; else only a limit.
    told: bool,
    /// The sender's table has no entries but those here.
    complete: bool,
    epoch: u32,
    /// Inserts of this epoch.
    inserts: i64,
    /// Differs after each change.
    generation: u64,
}

// === impl DynamicTable ===

impl DynamicTable {
    /// An empty one of the default size.
    pub(super) fn new() -> Self {
        Self { capacity: DEFAULT_TABLE, limit: DEFAULT_TABLE, told: true, complete: true, ..Self::unknown() }
    }

    /// One of which nothing is known.
    pub(super) fn unknown() -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            capacity: u32::MAX,
            limit: u32::MAX,
            told: false,
            complete: false,
            epoch: 0,
            inserts: 0,
            generation: 0,
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// All that is in it becomes unknown.
    pub(super) fn forget(&mut self) {
        self.entries.clear();
        self.entries.shrink_to(KEEP);
        self.size = 0;
        self.capacity = self.limit;
        self.told = false;
        self.complete = false;
        self.epoch = self.epoch.wrapping_add(1);
        self.inserts = 0;
        self.generation += 1;
    }

    /// The receiver allows so many bytes.
    pub(super) fn allow(&mut self, bytes: u32) {
        self.limit = self.limit.max(bytes);
    }

    /// The receiver may have allowed any number of bytes.
    pub(super) fn allow_any(&mut self) {
        self.limit = u32::MAX;
        if !self.told {
            self.capacity = u32::MAX;
            self.complete = false;
            self.generation += 1;
        }
    }

    /// The sender's table has this size from now on.
    pub(super) fn resize(&mut self, bytes: u32) {
        self.capacity = bytes;
        self.told = true;
        self.generation += 1;
        self.make_room(0);
        self.conclude();
    }

    /// What is at an index, 0 for the newest; `None` if nothing can be there.
    pub(super) fn get(&self, index: u32) -> Option<Found<'_>> {
        if let Some(entry) = self.entries.get(index as usize) {
            return Some(Found::Known(entry));
        }
        // So many entries that are not known would have to fit behind those that are.
        let behind = u64::from(index) + 1 - self.entries.len() as u64;
        let fits = self.size + OVERHEAD * behind <= u64::from(self.capacity);
        (!self.complete && fits).then_some(Found::Unknown)
    }

    /// Identity of the entry at an index.
    pub(super) fn id(&self, index: u32) -> EntryId {
        EntryId { epoch: self.epoch, ordinal: self.inserts - 1 - i64::from(index) }
    }

    /// Inserts an entry; `None` if it is larger than the table. One that is larger than what is kept is unknown from the start, as are all before
    /// it. Its name has `name_len` bytes, its value `value_len`: no more than a block can hold.
    pub(super) fn insert(&mut self, meaning: Meaning, name_len: u32, value_len: u32) -> Option<EntryId> {
        self.generation += 1;
        let size = u64::from(name_len) + u64::from(value_len) + OVERHEAD;
        if size > u64::from(self.capacity) {
            // RFC 7541 section 4.4: it empties the table and is not in it.
            self.entries.clear();
            self.size = 0;
            self.complete = true;
            return None;
        }
        self.inserts += 1;
        match u32::try_from(size) {
            Ok(size) if size <= MAX_TABLE => {
                self.make_room(size.into());
                self.size += u64::from(size);
                self.entries.push_front(Entry { meaning, name_len, size });
                self.conclude();
            }
            _ => {
                self.entries.clear();
                self.size = 0;
                self.complete = false;
            }
        }
        Some(self.id(0))
    }

    /// Drops what cannot be in the sender's table together with so many bytes more, and what would be too much to keep.
    fn make_room(&mut self, bytes: u64) {
        while self.size + bytes > u64::from(self.capacity.min(MAX_TABLE)) {
            let Some(oldest) = self.entries.pop_back() else { break };
            if self.size + bytes <= u64::from(self.capacity) {
                self.complete = false;
            }
            self.size -= u64::from(oldest.size);
        }
    }

    /// Sees whether there can be entries besides those that are known.
    fn conclude(&mut self) {
        if self.size + OVERHEAD > u64::from(self.capacity) {
            self.complete = true;
        }
    }

    /// Bytes of memory, at most.
    pub(super) fn memory(&self) -> usize {
        let values = usize::try_from(self.size).unwrap_or(usize::MAX);
        self.entries.capacity() * size_of::<Entry>() + values
    }
}
